"""Running an evaluation: every cell an ordinary run under the account of the evaluation, then graded.

A cell's run has an id that follows from the cell, so that a process that goes on after a kill resumes it: what was
answered is in the run's log, and what was graded in the evaluation's.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

from attrs import Factory, define, field, frozen

from orchestrator.cli.kit import bound
from orchestrator.engine.loop import Loop
from orchestrator.engine.runs import Engine
from orchestrator.engine.session import Session
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.errors import LogError, OrchestrateError, RunLockedError, present
from orchestrator.models import CellOutcome, CellProblem, ProjectStatus, TaskEndReason
from orchestrator.money import Usd
from orchestrator.reading import events as e
from orchestrator_eval.cell_matrix import Cell, EvalPlan, run_id
from orchestrator_eval.evaluation_state import CellState, EvalStream, stream_name
from orchestrator_eval.graders import Bench, GradeSheet, Mark
from orchestrator_eval.grading_rules import GraderKind
from orchestrator_eval.judging import judge_spec, judged
from orchestrator_eval.run_measures import AUTHORS, attempts, total
from orchestrator_eval.suite_file import Case

IN_A_ROW: Final = 5
"""Errors one after the other after which nothing more is begun: the vendor, or the network, is gone."""

_MOST_DRAFTS: Final = 12
_OF_VENDORS: Final = frozenset({TaskEndReason.NO_MODEL, TaskEndReason.FAILED})


@frozen
class CellGrade:
    """What became of a cell, still to be recorded."""

    outcome: CellOutcome
    problem: CellProblem | None = None
    sheet: GradeSheet = GradeSheet(())
    details: str = ""
    drafts: int = 0
    right: int = 0


@define
class Runner:
    """Runs the cells of one evaluation.

    Attributes:
        workspace: the data folder.
        stream: of the evaluation; its lock is held.
        plan: what there is to do.
        bench: grades answers.
        simulated: whether the providers are.
        jobs: cells at once.
        report: called after each cell, with its grade.
    """

    workspace: Engine
    stream: EvalStream
    plan: EvalPlan
    bench: Bench
    simulated: bool
    jobs: int = 4
    report: Callable[[Cell, CellGrade], None] = lambda cell, grade: None
    stopped: str = field(default="", init=False)
    """Why nothing more is begun: ``signal``, ``budget`` or ``errors``; empty: nothing is left to do."""
    _sessions: dict[str, Loop] = field(factory=dict, init=False)
    _costs: dict[int, Usd] = Factory(dict)
    _begun: dict[Cell, Usd] = Factory(dict)
    _in_a_row: int = field(default=0, init=False)

    async def run(self, cells: Sequence[Cell]) -> None:
        """Run and grade cells, as far as nothing stops it.

        Raises:
            LogError: the log cannot be written.
        """
        waiting = list(reversed(cells))
        async with asyncio.TaskGroup() as group:
            for _ in range(max(1, min(self.jobs, len(waiting)))):
                group.create_task(self._work(waiting))

    async def _work(self, waiting: list[Cell]) -> None:
        while waiting and not self.stopped:
            cell = waiting[-1]
            if not self._can_pay(cell):
                self.stopped = "budget"
                return
            waiting.pop()
            self._begun[cell] = self._costs.get(cell.arm, Usd.ZERO)
            try:
                await self._cell(cell)
            finally:
                del self._begun[cell]

    def _can_pay(self, cell: Cell) -> bool:
        """Whether the account has what the dearest cell of the arm has cost so far, beside those that are begun."""
        free = self.workspace.log.account(stream_name(self.name), self.simulated).free
        return free > total(self._begun.values()) and free >= self._costs.get(cell.arm, Usd.ZERO)

    @property
    def name(self) -> str:
        """The name of the evaluation."""
        return self.stream.name

    def stop(self, cause: str) -> None:
        """Begin nothing more, and end the sessions of the cells that are running."""
        self.stopped = "signal"
        for loop in list(self._sessions.values()):
            loop.interrupt(cause)

    async def _cell(self, cell: Cell) -> None:
        known = await self._started(cell)
        grade = await self._graded(cell, known.run)
        if grade is None:
            return  # interrupted: the run goes on next time
        await self.record(cell, known, grade)
        self._count(grade)
        self.report(cell, grade)

    async def _started(self, cell: Cell) -> CellState:
        known = self.stream.state.cells.get(cell)
        if known is not None and known.graded is None:
            return known
        attempt = 1 if known is None else known.attempt + 1
        run = run_id(self.name, cell, attempt)
        await self.stream.append([e.CellStarted(cell.case, cell.arm, cell.repetition, attempt, run)])
        return self.stream.state.cells[cell]

    async def _graded(self, cell: Cell, run: str) -> CellGrade | None:
        try:
            end = await self._played(cell, run)
            if end.state.finished is None:
                return None
            return await self.grade(cell, end)
        except (LogError, RunLockedError):
            raise
        except OrchestrateError as error:
            return CellGrade(CellOutcome.ERROR, CellProblem.INFRASTRUCTURE, details=str(error))
        except Exception as error:
            said = f"the run {run} failed: {type(error).__name__}: {error}"
            return CellGrade(CellOutcome.ERROR, CellProblem.INFRASTRUCTURE, details=said)

    async def _played(self, cell: Cell, run: str) -> RunEnd:
        spec = bound(self.plan.spec(cell, run), self.workspace.admission, self.workspace.catalogue)
        watchers = Watchers(on_session=self._watch(run), write=lambda text: None)
        try:
            return await self.workspace.start(
                spec, watchers=watchers, above=[stream_name(self.name)], seed=self.plan.seed_of(cell)
            )
        finally:
            self._sessions.pop(run, None)

    def _watch(self, run: str) -> Callable[[Session, Loop], None]:
        def begin(session: Session, loop: Loop) -> None:
            self._sessions[run] = loop
            if self.stopped == "signal":
                loop.interrupt("stopped")

        return begin

    def _count(self, grade: CellGrade) -> None:
        failed = grade.problem in (CellProblem.VENDOR, CellProblem.INFRASTRUCTURE)
        self._in_a_row = self._in_a_row + 1 if failed else 0
        if grade.problem is CellProblem.BUDGET:
            self.stopped = self.stopped or "budget"
        elif self._in_a_row >= max(IN_A_ROW, self.jobs):
            self.stopped = self.stopped or "errors"

    async def record(self, cell: Cell, known: CellState, grade: CellGrade) -> None:
        """Append the grade of a cell."""
        sheet = grade.sheet
        details = grade.details or sheet.details
        await self.stream.append(
            [
                e.Graded(
                    cell=known.version,
                    outcome=grade.outcome,
                    problem=grade.problem,
                    passed=sheet.right,
                    checks=sheet.checks,
                    details=self.stream.texts.put(details, shapes=True) if details else None,
                    sandbox=sheet.sandbox,
                    latency=sheet.latency,
                    drafts=grade.drafts,
                    right=grade.right,
                    judges=sheet.judges,
                )
            ]
        )

    async def grade(self, cell: Cell, end: RunEnd) -> CellGrade | None:
        """The grade of a run that has ended; None where a judge was interrupted."""
        case = self.plan.case(cell.case)
        history = [record.event for record in self.workspace.log.read(end.run)]
        self._costs[cell.arm] = max(self._costs.get(cell.arm, Usd.ZERO), end.state.spend.total)
        task = end.state.tasks.get(case.id)
        if self._was_refused(history):
            said = "the ceiling of the evaluation refused a call; give it more with --budget"
            return CellGrade(CellOutcome.ERROR, CellProblem.BUDGET, details=said)
        if task is None or task.output is None:
            return _without_answer(end, history)
        text = end.texts.get(task.output.answer)
        sheet = await asyncio.to_thread(self.bench.grade, case, text)
        if sheet.passed is not False:
            marks = await self._judged(case, text, end.run)
            if marks is None:
                return None
            sheet = GradeSheet((*sheet.marks, *marks), sheet.latency)
        if sheet.passed is None:
            return CellGrade(CellOutcome.ERROR, CellProblem.GRADER, sheet)
        drafts, right = await self._drafts(case, history, end, text, sheet.passed)
        outcome = CellOutcome.SOLVED if sheet.passed else CellOutcome.FAILED
        return CellGrade(outcome, None, sheet, drafts=drafts, right=right)

    def _was_refused(self, history: Sequence[e.Event]) -> bool:
        """Whether the evaluation's account refused a call that was not made later just so.

        A smaller limit or another model in its place would be another arm.
        """
        made = {_request(event) for event in history if isinstance(event, e.CallStarted)}
        return any(
            isinstance(event, e.AccountRefused)
            and event.account == stream_name(self.name)
            and _request(event.call) not in made
            for event in history
        )

    async def _judged(self, case: Case, text: str, run: str) -> list[Mark] | None:
        marks: list[Mark] = []
        rules = [grader.rule for grader in case.grade if grader.kind is GraderKind.JUDGE]
        for number, rule in enumerate(rules, 1):
            name = f"{run}.j{number}"
            spec = judge_spec(self.plan.suite, case, rule, text, name)
            spec = bound(spec, self.workspace.admission, self.workspace.catalogue)
            watchers = Watchers(on_session=self._watch(name), write=lambda text: None)
            end = await self.workspace.start(spec, watchers=watchers, above=[stream_name(self.name)])
            self._sessions.pop(name, None)
            if end.state.finished is None:
                return None
            marks.append(judged(rule, end))
        return marks

    async def _drafts(
        self, case: Case, history: Sequence[e.Event], end: RunEnd, delivered: str, passed: bool
    ) -> tuple[int, int]:
        """How many different answers authors wrote, and how many of them are right. Judges are not asked about them."""
        digests = dict.fromkeys(each.answer for each in attempts(history) if each.role in AUTHORS and each.answer)
        texts = dict.fromkeys([end.texts.get(digest) for digest in digests][:_MOST_DRAFTS])
        if any(grader.kind is GraderKind.JUDGE for grader in case.grade):
            return len(texts), int(passed)
        right = 0
        for text in texts:
            mark = passed if text == delivered else (await asyncio.to_thread(self.bench.grade, case, text)).passed
            right += mark is True
        return len(texts), right


def _request(call: e.CallStarted) -> tuple[object, ...]:
    """What is asked of which model, in whichever attempt."""
    return call.node, call.role, call.iteration, call.sample, call.model, call.max_tokens


def _without_answer(end: RunEnd, history: Sequence[e.Event]) -> CellGrade:
    """A run without an answer: an error where no model gave one, else a failure of the arm."""
    finished = present(end.state.finished, "end")
    task = next((task.finished for task in end.state.tasks.values() if task.finished is not None), None)
    answered = any(isinstance(event, e.CallSucceeded) for event in history)
    reason = None if task is None else task.reason
    said = f"no answer: {finished.status.value}" + (f", {reason.value}" if reason is not None else "")
    vendor = finished.status is ProjectStatus.SYSTEM_FAILURE and not answered
    if vendor or reason in _OF_VENDORS:
        return CellGrade(CellOutcome.ERROR, CellProblem.VENDOR, details=said)
    return CellGrade(CellOutcome.FAILED, None, details=said)
