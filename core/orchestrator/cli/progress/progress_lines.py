"""What a run tells while it goes on: committed events become lines for people.

The story folds the events itself, so that what is shown is what is in the log, and nothing else.
"""

from collections.abc import Callable, Iterable
from typing import Final

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.cli.progress.run_introduction import architecture_notes, batch_note, enhanced_note, introduction
from orchestrator.cli.terminal.terminal_output import line, money
from orchestrator.cli.wording.approval_texts import question_of, shown_with, ways_of
from orchestrator.cli.wording.circuit_sentences import closed_note, is_of_account, opened_note
from orchestrator.cli.wording.code_words import DOING, FALLBACKS, LEFT_OUT, UNREAD
from orchestrator.cli.wording.event_lines import describe, stored_name
from orchestrator.cli.wording.progress_wording import (
    Note,
    Tone,
    at_work,
    context_notes,
    finished,
    gist,
    money_notes,
    remarks,
    removed_notes,
    verification,
)
from orchestrator.cli.wording.shared_sentences import remarks_on_choice
from orchestrator.engine.outputs.run_results import reading_of
from orchestrator.errors import ErrorKind
from orchestrator.ledger.accounts import called
from orchestrator.models import PLAN_PROBLEMS, ApprovalPoint, Finish, SkipReason, Verdict
from orchestrator.settings import SECOND, MissingTool
from orchestrator.state.fold import apply
from orchestrator.state.fold.planning import APPROVALS
from orchestrator.state.run import RunState

INLINE_THINKING: Final = "inline_thinking"
"""The ability of a model that is known to write its thinking into its text."""

_UNSAID: Final = (
    SkipReason.GATE,
    SkipReason.ACCEPTED,
    SkipReason.ALONE,
    SkipReason.STRATEGY,
    SkipReason.TESTS,
)
"""Steps that are not needed: nothing went wrong, or a check has said so already."""
_LONG: Final = 10 * SECOND
"""A wait for other runs that is worth a line."""
_ERROR_WIDTH: Final = 160


@define
class Progress:
    """Follows one run.

    Args:
        text_of: the text of a digest.
        run: the run's id.
        verbose: whether every event becomes a line, too.
        agreeing: whether ``--yes`` answers what the run asks.
        asking: whether the questions are asked at this terminal, in their own words.
    """

    text_of: Callable[[str], str]
    run: str = ""
    verbose: bool = False
    agreeing: bool = False
    asking: bool = False
    state: RunState = Factory(RunState)
    doing: dict[str, str] = Factory(dict)
    """What is being done for each node now."""
    asked: dict[str, str] = Factory(dict)
    """The model asked last for each node."""
    _opened: dict[int, e.Event] = Factory(dict)
    _causes: dict[str, str] = Factory(dict)
    """By model, why its latest call failed."""
    _cuts: set[tuple[str, str | None]] = Factory(set)
    """(task, dependency) whose shortened result has been reported."""
    _thinking: set[str] = Factory(set)
    """The models of which it was said that they write their thinking into their text."""
    _introduced: bool = False
    _ended: tuple[e.EndedAttempt, ...] = ()
    """What a dead session left, as recorded after its death."""

    def recall(self, history: Iterable[tuple[int, e.Event]]) -> None:
        """Fold what happened before, without a word."""
        for at, event in history:
            apply(self.state, at, event)
            if isinstance(event, e.SessionLost):
                self._ended = event.ended
            elif isinstance(event, e.SessionOpened):
                self._ended = ()

    def take(self, at: int, event: e.Event) -> list[Note]:
        """Fold one committed event, and say what is to be said of it."""
        apply(self.state, at, event)
        opened = e.ModelSelected | e.CallStarted | e.CheckStarted | e.ScoringStarted | e.OutputChosen | e.QuestionAsked
        if isinstance(event, opened):
            self._opened[self.state.version] = event
        self._keep_up(event)
        notes = list(self._notes(event))
        if self.verbose:
            at_seconds = self.state.active(at) / 1_000_000
            version = f"v{self.state.version}"
            text = f"{version:>6} {at_seconds:8.3f} {stored_name(event):<16} {describe(event)}"
            notes.insert(0, Note(text, Tone.DETAIL))
        return notes

    def title(self, task: str) -> str:
        """A task's title, or an empty text."""
        digest = self.state.tasks[task].planned.title
        return line(self.text_of(digest)) if digest else ""

    def _keep_up(self, event: e.Event) -> None:
        match event:
            case e.ModelSelected(node=node, role=role, iteration=iteration, model=model):
                self.doing[node] = DOING[role] + (f" again ({iteration})" if iteration > 1 else "")
                self.asked[node] = model
            case e.CallFailed(call=version):
                call = self._opened.get(version)
                if isinstance(call, e.CallStarted):
                    self.doing[call.node] = "waiting to retry"
            case e.CallStarted(node=node, role=role, iteration=iteration):
                self.doing[node] = DOING[role] + (f" again ({iteration})" if iteration > 1 else "")
            case e.BatchStarted(calls=calls):
                for version in calls:
                    if isinstance(call := self._opened.get(version), e.CallStarted):
                        self.doing[call.node] = f"{DOING[call.role]}, in a batch"
            case e.CheckStarted(task=node, validator=validator):
                self.doing[node] = f"checking {validator}"
            case e.OutputChosen(task=node):
                self.doing[node] = "saving"

    def _notes(self, event: e.Event) -> Iterable[Note]:
        match event:
            case e.RunStarted(context=e.RunContext() as context):
                yield from context_notes(context, self.text_of)
            case e.SessionOpened():
                yield from self._session(event)
            case e.SpecEnhanced():
                yield enhanced_note(event)
            case e.ArchitectureDecided():
                yield from architecture_notes(event, self.text_of)
            case e.PlanMade():
                yield from self._plan(event)
            case e.PlanRefused(problem=problem, tasks=tasks):
                at_fault = f" ({', '.join(tasks)})" if tasks else ""
                why = PLAN_PROBLEMS[problem]
                yield Note(f"a plan is refused: {why}{at_fault}", Tone.WARNING)
            case e.TaskStarted(task=task):
                kind, title = self.state.tasks[task].planned.type.value, self.title(task)
                yield Note(f"{task} started: {kind}" + (f", {title}" if title else ""), Tone.STARTED)
            case e.TaskFinished():
                yield finished(event)
                yield from removed_notes(self.state, event.task, event.removed)
            case e.RunFinished(removed=removed):
                yield from removed_notes(self.state, e.PLAN, removed)
            case e.ModelSelected(selection=number) if number > 1:
                how = FALLBACKS[event.reason]
                yield Note(f"{at_work(event.node, event.role)}: {event.model} {how}", Tone.WARNING)
            case e.BatchSubmitted(batch=version):
                yield from batch_note(self.state, version, event)
            case e.CallFailed():
                yield from self._failed(event)
            case e.CallSucceeded():
                yield from self._answered(event)
            case e.OutputChosen():
                yield from self._chosen(event)
            case e.Compared():
                yield Note(f"{event.task}: {remarks_on_choice(event)[-1]}")
            case e.QuestionAsked() if event.node in APPROVALS:
                answers = "--yes does not agree to" if event.node == ApprovalPoint.CEILING else "--yes answers"
                waits = answers if self.agreeing else "waiting for a person"
                if not self.asking:
                    yield Note(f"{waits}: {question_of(event, self.state)}", Tone.WARNING)
                    for each in shown_with(event, self.state, self.text_of):
                        yield Note(f"  {each}", Tone.DETAIL)
                if not self.agreeing:
                    yield Note(ways_of(event, self.run), Tone.WARNING)
            case e.QuestionAnswered():
                yield from self._answered_by(event)
            case e.PlanEdited():
                yield Note("the plan was changed by a person")
                yield from self._tasks(event)
            case e.PlanPatched(tasks=()):
                yield Note(f"no other tasks in the place of {', '.join(event.failed)}", Tone.WARNING)
            case e.PlanPatched():
                places = f" in the place of {', '.join(event.replaced)}" if event.replaced else ""
                several = f"{len(event.tasks)} new task{'s' * (len(event.tasks) > 1)}"
                yield Note(f"plan patched: {several}{places}")
                for new in event.tasks:
                    yield Note(f"  {new.id}  {new.type.value}  {self.title(new.id)}".rstrip(), Tone.ROW)
            case e.RunInterrupted(cause=e.DECLINED) if self.state.approvals.declined:
                yield Note("the run stops here: a person said no", Tone.WARNING)
            case e.RunInterrupted(cause=e.DECLINED):
                yield Note("no task is started: the risk was not accepted", Tone.WARNING)
            case e.RunInterrupted(cause=cause):
                yield Note(f"interrupted by {cause}", Tone.WARNING)
            case e.VerificationStarted():
                yield Note("verifying the result …", Tone.STARTED)
            case e.ResultVerified():
                yield self._verified(event)
            case e.CallPrepared():
                yield from self._cut(event)
                yield from self._reused(event)
            case e.AccountRefused(account=account):
                name = called(account, self.state.settings.simulated)
                text = f"account {name} has {money(event.free)} left; the call may cost {money(event.need)}"
                yield Note(text, Tone.WARNING)
            case e.PaceRefused(call=call, until=until) if until - self.state.at >= _LONG:
                wait = (until - self.state.at) // SECOND
                yield Note(f"calls of other runs come first: {line(call.provider)} is called in {wait} s", Tone.WARNING)
            case _:
                yield from money_notes(event)
                yield from self._check_notes(event)

    def _session(self, event: e.SessionOpened) -> Iterable[Note]:
        if self.state.settings.simulated:
            names = [plugin.name for plugin in event.plugins if plugin.kind == "provider"]
            scripted = "scripted" in names
            what = "the answers are scripted" if scripted else f"provider {', '.join(names)} is simulated"
            yield Note(f"{what}: no model is called, and the spend is simulated", Tone.WARNING)
        usable = [model.id for model in event.models if model.price is not None]
        if len(usable) == 1:
            yield Note(f"{line(usable[0])} is the only model: author, critic and judge are one", Tone.WARNING)
        for attempt in (*self._ended, *event.ended):
            yield Note(
                f"a call was in flight when the last session died; {money(attempt.amount)} is unreconciled",
                Tone.WARNING,
            )
        if self.state.settings.verify and not event.files:
            yield Note("the result cannot be verified without an output folder; name one with -o DIR", Tone.WARNING)
        if self.state.batched:
            yield Note(f"waiting for batches: {len(self.state.batched)} calls have no answer yet")
        if event.reopened:
            yield Note(f"retrying: {', '.join(event.reopened)}")
        if self.state.planned:
            yield from self._introduction()
        elif self.state.start is not None and self.state.start.given_plan is None:
            yield Note("planning …")

    def _plan(self, event: e.PlanMade) -> Iterable[Note]:
        if event.fallback:
            yield Note(
                "no answer is a plan: the project as it is is the only task, and the run no success", Tone.WARNING
            )
        given = "given" if event.call is None else "made"
        tasks = "1 task" if len(event.tasks) == 1 else f"{len(event.tasks)} tasks"
        yield Note(f"plan {given}: {tasks}")
        yield from self._tasks(event)
        yield from remarks(event)
        named = any(task.context is None or task.context for task in event.tasks)
        if not named and self.state.start is not None and self.state.start.context is not None:
            yield Note("no task of the plan names a file of yours: none is shown to a model", Tone.WARNING)
        yield from self._introduction()

    def _answered_by(self, event: e.QuestionAnswered) -> Iterable[Note]:
        """What a person said at an approval point, where it was not said here."""
        asked = self._opened.pop(event.question, None)
        if isinstance(asked, e.QuestionAsked) and asked.node in APPROVALS:
            raised = "" if event.cap is None else f"; the ceiling is {money(event.cap)} now"
            yield Note(f"answered: {'yes' if event.accepted else 'no'}{raised}")

    def _tasks(self, event: e.PlanMade | e.PlanEdited) -> Iterable[Note]:
        """The tasks as a table: id, type, title, and what each waits for."""
        tasks = {task.id: task for task in event.tasks}
        ids, kinds = max(map(len, tasks), default=0), max((len(task.type.value) for task in tasks.values()), default=0)
        for name in event.execution_order:
            task = tasks[name]
            after = f" (after {', '.join(task.dependencies)})" if task.dependencies else ""
            text = f"  {name:<{ids}}  {task.type.value:<{kinds}}  {self.title(name)}{after}"
            yield Note(text.rstrip(), Tone.ROW)

    def _introduction(self) -> Iterable[Note]:
        """Once per process: what may be spent, and on which models."""
        if not self._introduced and self.state.session is not None:
            self._introduced = True
            yield from introduction(self.state)

    def _failed(self, event: e.CallFailed) -> Iterable[Note]:
        call = self._opened.pop(event.call, None)
        if not isinstance(call, e.CallStarted) or event.kind is ErrorKind.CANCELLED:
            return
        self._causes[call.model] = self.text_of(event.error) if event.error else event.kind.value
        if not event.by_vendor or is_of_account(self.state, call, event):
            return  # what is decided on it says so at once
        status = f" (HTTP {event.status})" if event.status else ""
        text = f": {line(self.text_of(event.error), _ERROR_WIDTH)}" if event.error else ""
        unreconciled = f"; {money(event.unreconciled)} is unreconciled" if event.unreconciled else ""
        yield Note(
            f"{at_work(call.node, call.role)}: {call.model} failed, {event.kind.value}{status}{text}{unreconciled}",
            Tone.WARNING,
        )

    def _verified(self, event: e.ResultVerified) -> Note:
        if event.verdict is Verdict.PASSED:
            return Note(f"verification {verification(event)}", Tone.GOOD)
        details = f": {line(gist(self.text_of(event.details)), _ERROR_WIDTH)}" if event.details else ""
        return Note(f"verification {verification(event)}{details}", Tone.WARNING)

    def _answered(self, event: e.CallSucceeded) -> Iterable[Note]:
        call, problem = self._opened.get(event.call), event.reading.problem
        if not isinstance(call, e.CallStarted):
            return
        where = at_work(call.node, call.role)
        if event.thoughts is not None:
            yield from self._thinks(call.model)
        if event.finish is Finish.LENGTH:
            how = "its answer repeats itself" if event.reading.repeats else "its answer is cut off"
            text = f"{where}: {call.model} reached the limit of {call.max_tokens} tokens; {how}"
            yield Note(text, Tone.WARNING)
        elif problem is not None and problem in UNREAD:
            yield Note(f"{where}: the answer of {call.model} cannot be used: {UNREAD[problem]}", Tone.WARNING)

    def _thinks(self, model: str) -> Iterable[Note]:
        """Once per model that is not declared to write its thinking into its text."""
        known = self.state.models.get(model)
        if model not in self._thinking and (known is None or INLINE_THINKING not in known.abilities):
            self._thinking.add(model)
            text = (
                f"{model} writes its thinking into its answers; it is left out. Declare the ability {INLINE_THINKING}"
            )
            yield Note(text, Tone.WARNING)

    def _chosen(self, event: e.OutputChosen) -> Iterable[Note]:
        """What of the chosen answer is not delivered, or not laid beside tests."""
        reading = reading_of(self.state.tasks[event.task])
        if reading is None:
            return
        if reading.renamed:
            files = "1 file has" if reading.renamed == 1 else f"{reading.renamed} files have"
            text = f"{event.task}: {files} another name than in the answer, for that one is not allowed"
            yield Note(text, Tone.WARNING)
        if reading.left_out:
            blocks = "1 code block" if reading.left_out == 1 else f"{reading.left_out} code blocks"
            text = f"{event.task}: {blocks} of the answer went into no file; summary.json has the whole answer"
            yield Note(text, Tone.WARNING)
        for name in map(self.text_of, reading.shadowing):
            what = "pytest's configuration" if name.endswith("conftest.py") else "a module that Python or pytest needs"
            text = f"{event.task}: {line(name)} has the name of {what}; it is not laid beside tests"
            yield Note(text, Tone.WARNING)

    def _cut(self, event: e.CallPrepared) -> Iterable[Note]:
        """Once per task and dependency."""
        selected = self._opened.get(event.selected)
        if not isinstance(selected, e.ModelSelected):
            return
        for name in event.cut:
            if (selected.node, name) not in self._cuts:
                self._cuts.add((selected.node, name))
                yield Note(f"{selected.node}: the result of {name} is too long; its middle is cut out", Tone.WARNING)
        if event.files_cut and (selected.node, None) not in self._cuts:
            self._cuts.add((selected.node, None))
            several = f"{event.files_cut} of its files are" if event.files_cut > 1 else "1 of its files is"
            yield Note(f"{selected.node}: {several} too long to be shown to a model whole", Tone.WARNING)

    def _reused(self, event: e.CallPrepared) -> Iterable[Note]:
        chosen, reused = self._opened.get(event.selected), event.reused
        if reused is not None and isinstance(chosen, e.ModelSelected):
            yield Note(f"{at_work(chosen.node, chosen.role)}: the answer of {chosen.model} in {reused.run} is reused")

    def _check_notes(self, event: e.Event) -> Iterable[Note]:
        match event:
            case e.Validated(verdict=verdict) if verdict is not Verdict.PASSED:
                check = self._opened.pop(event.check, None)
                details = f": {line(self.text_of(event.details), _ERROR_WIDTH)}" if event.details else ""
                if isinstance(check, e.CheckStarted):
                    words = {Verdict.SKIPPED: "was skipped", Verdict.UNKNOWN: "could not run"}
                    how = words.get(verdict, "failed")
                    if verdict is Verdict.SKIPPED and self.state.settings.missing_tool is MissingTool.FAIL:
                        how = "was skipped, which counts as failed here"
                    yield Note(f"{check.task}: check {check.validator} {how}{details}", Tone.WARNING)
            case e.Scored(scoring=version):
                opened = self._opened.pop(version, None)
                reasons = f": {line(self.text_of(event.reasons), _ERROR_WIDTH)}" if event.reasons else ""
                said = "gives no score" if event.score is None else f"scores {event.score:.3f}"
                if isinstance(opened, e.ScoringStarted):
                    tone = Tone.WARNING if event.score is None else Tone.PLAIN
                    yield Note(f"{opened.task}: {opened.scorer} {said}{reasons}", tone)
            case e.FileWritten(problem=problem) if problem is not None and problem != "no_folder":
                chosen = self._opened.pop(event.chosen, None)
                if isinstance(chosen, e.OutputChosen):
                    yield Note(f"{chosen.task}: its file could not be written ({problem})", Tone.WARNING)
            case e.StepSkipped(reason=reason) if reason in _UNSAID:
                return
            case e.StepSkipped(task=task, role=role, reason=reason):
                tone = Tone.PLAIN if reason is SkipReason.EQUAL else Tone.WARNING
                yield Note(f"{task}: {DOING[role]} skipped: {LEFT_OUT[reason]}", tone)
                yield from removed_notes(self.state, task, event.removed)
            case e.BreakerOpened(model=model):
                yield opened_note(self.state, event, self._causes.pop(model, ""))
            case e.BreakerClosed():
                yield closed_note(event)
            case e.BackendFailed(backend=backend, problem=problem):
                yield Note(f"the backend {backend} failed ({problem}); the routing table's order is used", Tone.WARNING)
