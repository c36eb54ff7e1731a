"""The effects: what a decision calls for, performed, and brought back as one outcome each."""

import errno
import json
import logging
from typing import Final

from attrs import define

from orchestrator import events as e
from orchestrator.allowed_file_names import is_allowed
from orchestrator.engine.answers.cached_answers import ResponseCache
from orchestrator.engine.answers.given_files_in_prompts import files_of
from orchestrator.engine.answers.prompt_marks import cut
from orchestrator.engine.calls import LONGEST_DETAILS, Calls, label_of, since
from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.engine.outputs.verification import verified
from orchestrator.engine.ports import Ports
from orchestrator.engine.questions import QuestionAnswering, answered
from orchestrator.engine.resources import Resources, TextStore
from orchestrator.models import ScorerProblem
from orchestrator.spi import Candidate, Score, ScorerContext
from orchestrator.state.calls import Answer
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_LOGGER: Final = logging.getLogger("orchestrator.effects")
_LONGEST_ASSEMBLY: Final = 1_000_000


@define
class Effects:
    """Performs what decisions open. Reads the state, never changes it."""

    state: RunState
    texts: TextStore
    ports: Ports
    resources: Resources
    placement: Placement
    """Where the files of the tasks go; what it has looked up is kept."""
    calls: Calls
    """What is asked of models."""

    @classmethod
    def of(
        cls, run: str, state: RunState, texts: TextStore, ports: Ports, resources: Resources, cache: ResponseCache
    ) -> "Effects":
        """The effects of a run's session."""
        placement = Placement(state, texts.get)
        calls = Calls(run, state, texts, ports, resources, placement, cache)
        return cls(state, texts, ports, resources, placement, calls)

    async def perform(self, version: int, opened: e.Event) -> e.Outcome:
        """Perform one effect and return its outcome."""
        match opened:
            case e.ModelSelected():
                return self.calls.prepare(version, opened)
            case e.CallStarted():
                return await self.calls.call(version, opened)
            case e.BatchStarted():
                return await self.calls.batches.submit(version, opened)
            case e.CheckStarted():
                return await self._check(version, opened)
            case e.ProbeStarted():
                return await self._probe(version, opened)
            case e.ScoringStarted():
                return await self._score(version, opened)
            case e.OutputChosen():
                return await self._write(version, opened)
            case e.VerificationStarted():
                return await self._verify(version, opened)
            case e.QuestionAsked():
                answering = QuestionAnswering(self.state, self.texts, self.resources.asker, self.resources.replies)
                return await answered(answering, version, opened)
            case _:
                raise TypeError(f"{type(opened).__name__} opens no effect")

    async def _check(self, version: int, started: e.CheckStarted) -> e.Validated:
        began = self.ports.monotonic()
        task = self.state.tasks[started.task]
        candidate = self._candidate(task, self.texts.get(_answer(task, started.call).digest))
        label = label_of(self.state, "validator", started.validator)
        offload = self.ports.offload_foreign
        finding, sandbox = await self.resources.checks.judge(
            started.validator, self.resources.validator, candidate, offload, label
        )
        return e.Validated(
            check=version,
            verdict=finding.verdict,
            details=self.texts.put(cut(finding.details, LONGEST_DETAILS)) if finding.details else None,
            latency=since(self.ports, began),
            sandbox=sandbox,
            permanent=finding.permanent,
            vote=started.vote,
            passed_tests=finding.passed_tests,
            total_tests=finding.total_tests,
        )

    async def _probe(self, version: int, started: e.ProbeStarted) -> e.Probed:
        began, task = self.ports.monotonic(), self.state.tasks[started.task]
        candidate = self._candidate(task, self.texts.get(_answer(task, started.call).digest))
        found = _answer(task, started.critique).reading.defects or ()
        defects = [json.loads(self.texts.get(defect.text)) if defect.counterexample else {} for defect in found]
        results, sandbox = await self.resources.checks.probe(candidate, defects, self.ports.offload_foreign)
        return e.Probed(version, results, since(self.ports, began), sandbox)

    async def _score(self, version: int, started: e.ScoringStarted) -> e.Scored:
        began, task, scorer = self.ports.monotonic(), self.state.tasks[started.task], self.resources.connected.scorer
        if scorer is None:  # the decision is of an earlier session, which had one
            return e.Scored(version, None, ScorerProblem.ABSENT, None, 0)
        candidate = self._candidate(task, self.texts.get(_answer(task, started.call).digest))
        given = ScorerContext(self.texts.get(task.planned.prompt), self.texts.get(self.state.first.criteria))
        label = label_of(self.state, "scorer", started.scorer)
        offload = self.ports.offload_foreign
        found, said, sandbox = await self.resources.checks.score(scorer, candidate, given, offload, label)
        if isinstance(found, ScorerProblem):
            _LOGGER.warning("%s: %s", started.task, said)
        return e.Scored(
            scoring=version,
            score=found.value if isinstance(found, Score) else None,
            problem=found if isinstance(found, ScorerProblem) else None,
            reasons=self.texts.put(cut(said, LONGEST_DETAILS)) if said else None,
            latency=since(self.ports, began),
            sandbox=sandbox,
        )

    def _candidate(self, task: TaskState, text: str) -> Candidate:
        planned = task.planned
        files = self.placement.files_of(task, text)
        return Candidate(
            task=task.name,
            type=planned.type,
            text=text,
            content=next(iter(files.values()), ""),
            schema=json.loads(self.texts.get(planned.schema)) if planned.schema else None,
            files=files,
            tests=self.texts.get(planned.tests) if planned.tests else None,
            dependencies={**self._given(task), **self.placement.dependencies(task)},
        )

    def _given(self, task: TaskState) -> dict[str, str]:
        """The user's files that a task needs, by name, where they may be laid beside its output."""
        given = ((self.texts.get(each.name), each.text) for each in files_of(self.state, task.planned))
        return {name: self.texts.get(text) for name, text in given if is_allowed(name)}

    async def _write(self, version: int, chosen: e.OutputChosen) -> e.FileWritten:
        files, writer = self.placement.files(self.state.tasks[chosen.task]), self.resources.writer
        if writer is None:
            return e.FileWritten(version, 0, "no_folder")
        try:
            size = await self.ports.offload(lambda: sum(writer.write(name, text) for name, text in files.items()))
        except OSError as error:
            return e.FileWritten(version, 0, errno.errorcode.get(error.errno or 0, "OSError"))
        return e.FileWritten(version, size, None)

    async def _verify(self, version: int, started: e.VerificationStarted) -> e.ResultVerified:
        began, command = self.ports.monotonic(), self.resources.verify_cmd
        longest = LONGEST_DETAILS
        if self.resources.application is not None:
            command, longest = command or "", _LONGEST_ASSEMBLY  # it is judged by its own trial as well
        tasks = [self.state.tasks[name] for name in self.state.execution_order]
        outputs = {name: text for task in tasks for name, text in self.placement.files(task).items()}
        seconds = started.timeout / 1_000_000
        found = await verified(self.resources.verifier, command, outputs, seconds, self.ports.offload_foreign)
        return e.ResultVerified(
            verification=version,
            verdict=found.verdict,
            command=self.texts.put(command) if command else None,
            code=found.code,
            problem=found.problem,
            details=self.texts.put(cut(found.output, longest)) if found.output else None,
            latency=since(self.ports, began),
            sandbox=found.sandbox,
        )


def _answer(task: TaskState, version: int) -> Answer:
    """The answer of a task whose identity is that version."""
    return next(answer for call in task.calls.values() for answer in call.answers if answer.version == version)
