"""What a run tells while it goes on: committed events become lines for people.

The story folds the events itself, so that what is shown is what is in the log, and nothing else.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Final

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.cli.describing import describe, stored_name
from orchestrator.cli.output import line, money, seconds
from orchestrator.decide.compliance import binding, undeclared, violated
from orchestrator.decide.routing import backend_name, slots_of
from orchestrator.engine.answers.advising import shown, with_texts
from orchestrator.engine.outputs.results import reading_of
from orchestrator.explanation import remarks_on
from orchestrator.log.accounts import called
from orchestrator.models import (
    PLAN_PROBLEMS,
    Finish,
    InputProblem,
    ModelInfo,
    ReadingProblem,
    RejectionReason,
    RiskLevel,
    Role,
    RunEndReason,
    SelectionReason,
    SkipReason,
    SpendLimit,
    TaskEndReason,
    TaskStatus,
    Verdict,
    VerificationProblem,
    size_remark,
)
from orchestrator.settings import MissingTool
from orchestrator.state.fold import apply
from orchestrator.state.run import RunState

DOING: Final = {
    Role.DECOMPOSER: "planning",
    Role.GENERATOR: "generate",
    Role.CRITIC: "critique",
    Role.REVISER: "revise",
    Role.EVALUATOR: "evaluate",
    Role.ENHANCER: "looking for improvements",
    Role.ADVISOR: "choosing an architecture",
}
"""The name of what a role's call does. The steps of the loop have the same names everywhere."""

SHORTFALLS: Final[Mapping[TaskEndReason, str]] = {
    TaskEndReason.BELOW_THRESHOLD: "below its threshold",
    TaskEndReason.GATE: "a check did not pass",
    TaskEndReason.UNSCORED: "not scored",
    TaskEndReason.BUDGET: "no money left",
    TaskEndReason.POLICY: "beyond a policy's cap on its cost",
    TaskEndReason.TIME: "no time left",
    TaskEndReason.NO_MODEL: "no model is left",
    TaskEndReason.FAILED: "no answer",
    TaskEndReason.UNREADABLE: "no answer could be used",
    TaskEndReason.DEPENDENCY: "a dependency failed",
}
"""Why a task is not completed, in words."""

_MOST_REMARKS: Final = 12
"""Lines about one plan, at most."""

HALTED: Final[Mapping[RunEndReason, str]] = {
    RunEndReason.NO_PLAN: "no plan could be made",
    RunEndReason.NO_MODEL: "no model is left",
    RunEndReason.FALLBACK_PLAN: "no plan could be made; the project was one task",
    RunEndReason.NO_OUTPUT: "no task has an output",
    RunEndReason.BUDGET: "no money left",
    RunEndReason.POLICY: "beyond a policy's cap on its cost",
    RunEndReason.TIME: "no time left",
    RunEndReason.VERIFICATION: "its verification did not pass",
}
"""Why a run is no success, in words."""

LEFT_OUT: Final[Mapping[SkipReason, str]] = {
    SkipReason.NO_MODEL: "no model is left",
    SkipReason.FAILED: "no answer",
    SkipReason.UNREADABLE: "no answer could be used",
    SkipReason.BUDGET: "no money left",
    SkipReason.POLICY: "beyond a policy's cap on its cost",
    SkipReason.TIME: "no time left",
    SkipReason.GATE: "the draft did not pass its checks",
    SkipReason.ACCEPTED: "the critique has nothing to object to",
    SkipReason.EQUAL: "the draft is an earlier answer again",
    SkipReason.ALONE: "its tests passed, and no other model could review it",
    SkipReason.STRATEGY: "the strategy has no such step",
    SkipReason.TESTS: "the given tests all passed",
}
"""Why a step is skipped, in words."""

UNVERIFIED: Final[Mapping[VerificationProblem, str]] = {
    VerificationProblem.NO_FOLDER: "there is no output folder; name one with -o",
    VerificationProblem.NO_SANDBOX: "no sandbox works on this machine; see: orchestrate doctor",
    VerificationProblem.NO_COMMAND: "the text of the command is missing",
    VerificationProblem.TOO_LARGE: "the output folder is too large",
    VerificationProblem.UNREADABLE: "the output folder cannot be read",
    VerificationProblem.TIME: "it took too long",
    VerificationProblem.DISK: "it wrote too much",
    VerificationProblem.STOPPED: "another process ended it",
    VerificationProblem.RAISED: "the verification itself failed",
}
"""The codes of why a verification says nothing, in words."""

UNMEASURED: Final = "nothing measured: price decides, beside the usual quality of each tier"
"""How a backend that was named ranks models of which nothing is known."""

UNADVISED: Final[Mapping[InputProblem, str]] = {
    InputProblem.UNREADABLE: "reading the answer failed, or took too long",
    InputProblem.EMPTY: "the answer was empty",
    InputProblem.NO_JSON: "the answer could not be read",
    InputProblem.NO_SUGGESTIONS: "the answer held nothing usable",
    InputProblem.NO_PROFILE: "the answer held nothing usable",
    InputProblem.BUDGET: "no money is left for it",
    InputProblem.POLICY: "it is beyond a policy's cap on its cost",
    InputProblem.TIME: "no time is left for it",
    InputProblem.NO_MODEL: "no model can be called",
    InputProblem.FAILED: "no model answered",
}
"""The codes of why the enhancer or the advisor had nothing to say, in words."""

INLINE_THINKING: Final = "inline_thinking"
"""The ability of a model that is known to write its thinking into its text."""

_UNREAD: Final[Mapping[ReadingProblem, str]] = {
    ReadingProblem.UNREADABLE: "reading it failed, or took too long",
    ReadingProblem.EMPTY: "it is empty",
    ReadingProblem.NO_SCORE: "it holds no score",
    ReadingProblem.AMBIGUOUS_SCORE: "it holds different scores",
    ReadingProblem.SCORE_OUT_OF_RANGE: "its score is neither a whole number from 0 to 10 nor a decimal from 0 to 1",
}
"""The codes of why a draft, a review or a score is of no use, in words."""

FALLBACKS: Final[Mapping[SelectionReason, str]] = {
    SelectionReason.FALLBACK: "is the fallback",
    SelectionReason.BREAKER: "is the fallback while the circuit of another model is open",
    SelectionReason.BUDGET: "is the fallback; the model before it could cost more than is left",
    SelectionReason.FIRST: "is called",
    SelectionReason.POLICY: "is the fallback; the model before it could cost more than a policy allows",
    SelectionReason.REASK: "is called again; its answer could not be used",
    SelectionReason.UNREADABLE: "is the fallback; the answers of the model before it could not be used",
    SelectionReason.CONTEXT: "is the fallback; the prompt is too long for the model before it",
}
_OUT: Final[Mapping[RejectionReason, str]] = {
    RejectionReason.NO_PRICE: "no price is known; declare it with --models",
    RejectionReason.UNBOUNDED: "nothing bounds the output, and allow_unbounded is off",
    RejectionReason.OFF: "switched off for this session",
    RejectionReason.VENDOR: "of the author's vendor, and review.cross_vendor is require",
}
_UNSAID: Final = (
    SkipReason.GATE,
    SkipReason.ACCEPTED,
    SkipReason.ALONE,
    SkipReason.STRATEGY,
    SkipReason.TESTS,
)
"""Steps that are not needed: nothing went wrong, or a check has said so already."""
_ERROR_WIDTH: Final = 160


class Tone(Enum):
    """What a line is for."""

    PLAIN = "plain"
    STARTED = "started"
    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"
    WARNING = "warning"
    DETAIL = "detail"


@frozen
class Note:
    """One line for people."""

    text: str
    tone: Tone = Tone.PLAIN


@define
class Progress:
    """Follows one run.

    Args:
        text_of: the text of a digest.
        verbose: whether every event becomes a line, too.
    """

    text_of: Callable[[str], str]
    verbose: bool = False
    state: RunState = Factory(RunState)
    doing: dict[str, str] = Factory(dict)
    """What is being done for each node now."""
    asked: dict[str, str] = Factory(dict)
    """The model asked last for each node."""
    _opened: dict[int, e.Event] = Factory(dict)
    _cuts: set[tuple[str, str]] = Factory(set)
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
        if isinstance(event, e.ModelSelected | e.CallStarted | e.CheckStarted | e.OutputChosen):
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
            case e.CheckStarted(task=node, validator=validator):
                self.doing[node] = f"checking {validator}"
            case e.OutputChosen(task=node):
                self.doing[node] = "saving"

    # ── the lines ────────────────────────────────────────────────────────────────────────────────────────────────

    def _notes(self, event: e.Event) -> Iterable[Note]:
        match event:
            case e.SessionOpened():
                yield from self._session(event)
            case e.SpecEnhanced():
                yield self._enhanced(event)
            case e.ArchitectureDecided():
                yield from self._architecture(event)
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
                yield from _removed(self.state, event.task, event.removed)
            case e.RunFinished(removed=removed):
                yield from _removed(self.state, e.PLAN, removed)
            case e.ModelSelected(selection=number) if number > 1:
                how = FALLBACKS[event.reason]
                yield Note(f"{_at_work(event.node, event.role)}: {event.model} {how}", Tone.WARNING)
            case e.CallFailed():
                yield from self._failed(event)
            case e.CallSucceeded():
                yield from self._answered(event)
            case e.OutputChosen():
                yield from self._chosen(event)
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
            case _:
                yield from _money_notes(event)
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
        if event.reopened:
            yield Note(f"retrying: {', '.join(event.reopened)}")
        if self.state.planned:
            yield from self._introduction()
        elif self.state.start is not None and self.state.start.given_plan is None:
            yield Note("planning …")

    def _enhanced(self, event: e.SpecEnhanced) -> Note:
        if event.problem is not None:
            why = UNADVISED[event.problem]
            return Note(f"no suggestions: {why}; the description is unchanged", Tone.WARNING)
        offered = len(event.taken) + len(event.refused)
        return Note(f"suggestions: {len(event.taken)} of {offered} taken")

    def _architecture(self, event: e.ArchitectureDecided) -> Iterable[Note]:
        if event.problem is not None:
            why = UNADVISED[event.problem]
            yield Note(f"no advice on the architecture: {why}; the defaults are used", Tone.WARNING)
        for text in shown(with_texts(event.profile, self.text_of), event.model or "defaults"):
            yield Note(text, Tone.DETAIL)

    def _plan(self, event: e.PlanMade) -> Iterable[Note]:
        if event.fallback:
            yield Note(
                "no answer is a plan: the project as it is is the only task, and the run no success", Tone.WARNING
            )
        given = "given" if event.call is None else "made"
        tasks = "1 task" if len(event.tasks) == 1 else f"{len(event.tasks)} tasks"
        yield Note(f"plan {given}: {tasks}, {', '.join(event.execution_order)}")
        yield from _remarks(event)
        yield from self._introduction()

    def _introduction(self) -> Iterable[Note]:
        """Once per process: what may be spent, and on which models."""
        if self._introduced or self.state.session is None:
            return
        self._introduced = True
        settings, spent = self.state.settings, self.state.spend.total
        already = f", {money(spent)} of it spent" if spent else ""
        yield Note(
            f"ceiling {money(self.state.cap)}{already}; time limit {seconds(self.state.time_limit)};"
            f" at most {settings.concurrency} calls at once"
        )
        if settings.backend_named and not any(record.by_type for record in self.state.records.values()):
            yield Note(f"backend {backend_name(self.state)}: {UNMEASURED}")
        for model in self.state.models.values():
            yield self._introduced_model(model)

    def _introduced_model(self, model: ModelInfo) -> Note:
        """What a model is used for, or why it is not."""
        slots = slots_of(self.state, model.id)
        policy = violated(self.state.settings.policies, model, slots, None)
        if policy is not None:
            why = _forbidden(self.state, e.PLAN, policy, (model.id,))
            return Note(f"model {model.id} is not used: {why}", Tone.WARNING)
        if model.price is None:
            return Note(f"model {model.id} is not used: its price is not known; declare it with --models", Tone.WARNING)
        return Note(f"model {model.id}" + (f" (slots: {', '.join(slots)})" if slots else ""))

    def _why_open(self, reason: str, until: int | None) -> str:
        """How long a model's circuit is open, and why."""
        limits = self.state.settings.limits
        if until is None:
            return f"circuit open for this session ({reason})"
        why = "a failed probe" if reason == "probe" else f"{limits.breaker_failures} failures"
        return f"circuit open for {seconds(limits.breaker_open)} after {why}"

    def _failed(self, event: e.CallFailed) -> Iterable[Note]:
        call = self._opened.pop(event.call, None)
        if not isinstance(call, e.CallStarted) or not event.by_vendor:
            return
        status = f" (HTTP {event.status})" if event.status else ""
        text = f": {line(self.text_of(event.error), _ERROR_WIDTH)}" if event.error else ""
        unreconciled = f"; {money(event.unreconciled)} is unreconciled" if event.unreconciled else ""
        yield Note(
            f"{_at_work(call.node, call.role)}: {call.model} failed, {event.kind.value}{status}{text}{unreconciled}",
            Tone.WARNING,
        )

    def _verified(self, event: e.ResultVerified) -> Note:
        if event.verdict is Verdict.PASSED:
            return Note(f"verification {verification(event)}", Tone.GOOD)
        details = f": {line(_gist(self.text_of(event.details)), _ERROR_WIDTH)}" if event.details else ""
        return Note(f"verification {verification(event)}{details}", Tone.WARNING)

    def _answered(self, event: e.CallSucceeded) -> Iterable[Note]:
        call, problem = self._opened.get(event.call), event.reading.problem
        if not isinstance(call, e.CallStarted):
            return
        where = _at_work(call.node, call.role)
        if event.thoughts is not None:
            yield from self._thinks(call.model)
        if event.finish is Finish.LENGTH:
            text = f"{where}: {call.model} reached the limit of {call.max_tokens} tokens; its answer is cut off"
            yield Note(text, Tone.WARNING)
        elif problem is not None and problem in _UNREAD:
            yield Note(f"{where}: the answer of {call.model} cannot be used: {_UNREAD[problem]}", Tone.WARNING)

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

    def _reused(self, event: e.CallPrepared) -> Iterable[Note]:
        chosen, reused = self._opened.get(event.selected), event.reused
        if reused is not None and isinstance(chosen, e.ModelSelected):
            yield Note(f"{_at_work(chosen.node, chosen.role)}: the answer of {chosen.model} in {reused.run} is reused")

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
            case e.FileWritten(problem=problem) if problem is not None and problem != "no_folder":
                chosen = self._opened.pop(event.chosen, None)
                if isinstance(chosen, e.OutputChosen):
                    yield Note(f"{chosen.task}: its file could not be written ({problem})", Tone.WARNING)
            case e.StepSkipped(reason=reason) if reason in _UNSAID:
                return
            case e.StepSkipped(task=task, role=role, reason=reason):
                tone = Tone.PLAIN if reason is SkipReason.EQUAL else Tone.WARNING
                yield Note(f"{task}: {DOING[role]} skipped: {LEFT_OUT[reason]}", tone)
                yield from _removed(self.state, task, event.removed)
            case e.BreakerOpened(model=model, reason=reason, until=until):
                yield Note(f"{model}: {self._why_open(reason, until)}", Tone.WARNING)
            case e.BreakerClosed(model=model):
                yield Note(f"{model}: circuit closed; it is called again")
            case e.BackendFailed(backend=backend, problem=problem):
                yield Note(f"the backend {backend} failed ({problem}); the routing table's order is used", Tone.WARNING)


def _at_work(node: str, role: Role) -> str:
    """What a call does, and for which task where it is one's."""
    return DOING[role] if node in (e.PLAN, e.ENHANCE, e.ADVISE) else f"{node} {DOING[role]}"


def _forbidden(state: RunState, node: str, name: str, models: Iterable[str]) -> str:
    """That a policy rules models out, and which facts it asks for that are not declared."""
    policy = next((each for each in binding(state.settings, node) if each.name == name), None)
    known = [state.models[model] for model in models if model in state.models]
    facts = dict.fromkeys(fact for model in known if policy is not None for fact in undeclared(policy, model))
    return f"policy {name!r} rules it out" + "".join(f"; {fact} is not declared" for fact in facts)


def _removed(state: RunState, node: str, removed: Iterable[e.ModelCandidate]) -> Iterable[Note]:
    """What removed which models, where none is left: one line per reason."""
    by_reason: dict[tuple[RejectionReason | None, str | None], list[str]] = {}
    for candidate in removed:
        by_reason.setdefault((candidate.rejection, candidate.policy), []).append(candidate.model)
    for (rejection, policy), models in by_reason.items():
        why = (
            ("" if rejection is None else _OUT.get(rejection, rejection.value))
            if policy is None
            else _forbidden(state, node, policy, models)
        )
        yield Note(f"{node}: {', '.join(models)} cannot be called: {why}", Tone.WARNING)


def _remarks(event: e.PlanMade) -> Iterable[Note]:
    """What there is to say of a model's plan; that it is small or large is no fault of it."""
    remarks, size = remarks_on(event), size_remark(len(event.tasks))
    for remark in remarks[:_MOST_REMARKS]:
        yield Note(remark, Tone.PLAIN if remark == size else Tone.WARNING)
    if len(remarks) > _MOST_REMARKS:
        more = len(remarks) - _MOST_REMARKS
        yield Note(f"{more} more remarks on the plan; orchestrate explain RUN plan shows all", Tone.WARNING)


def finished(event: e.TaskFinished) -> Note:
    """The line of a task's end."""
    why = f" ({SHORTFALLS[event.reason]})" if event.reason else ""
    score = "" if event.score is None else f", score {event.score:.3f}"
    model = f", {event.model}" if event.model else ""
    tests = {None: "", 1: ", on a later try and by 1 test only"}
    few = tests.get(event.few_tests, f", on a later try and by {event.few_tests} tests only")
    tone = {TaskStatus.COMPLETED: Tone.GOOD, TaskStatus.DEGRADED: Tone.FAIR}.get(event.status, Tone.BAD)
    return Note(f"{event.task} {event.status.value}{why}{score}{few}{model}, {money(event.cost)}", tone)


def verification(event: e.ResultVerified) -> str:
    """What came of a verification, in a few words."""
    if event.problem:
        return f"{event.verdict.value} ({UNVERIFIED[event.problem]})"
    how = "" if event.code is None else f" (exit status {event.code})"
    where = "nothing was run" if event.sandbox is None else f"sandbox {event.sandbox}"
    return f"{event.verdict.value}{how} in {seconds(event.latency)}, {where}"


def _gist(details: str) -> str:
    """What a verification said; of an application that was put together only what is wrong with it."""
    from orchestrator.engine.applications import read_assembly

    try:
        return read_assembly(details).gist if details.startswith("{") else details
    except ValueError:
        return details


def forecast_line(event: e.ForecastMade) -> str:
    """A forecast on one line."""
    models = ", ".join(dict.fromkeys(event.models.values()))
    by = f"; drafts by {models}" if models else ""
    risk = f"{event.risk.value} risk for the ceiling"
    return f"forecast {money(event.expected)} and {seconds(event.duration)}, {risk}{by}"


def _money_notes(event: e.Event) -> Iterable[Note]:
    match event:
        case e.ForecastMade(risk=risk):
            yield Note(forecast_line(event), Tone.WARNING if risk is RiskLevel.HIGH else Tone.PLAIN)
        case e.SpendReconciled(call=call):
            yield Note(f"call {call} cost {money(event.settled)}; {money(event.unreconciled)} was unreconciled")
        case e.BudgetWarned(phase=phase, percent=percent):
            text = f"{phase.value} has used {percent} % of its share ({money(event.spent)} of {money(event.share)})"
            yield Note(text, Tone.WARNING)
        case e.SpendRefused(node=node, role=role, limit=SpendLimit.POLICY, name=name):
            need, free = money(event.need), money(event.free)
            text = f"it may cost {need}; policy {name!r} leaves {free} for the task"
            yield Note(f"{_at_work(node, role)}: not called; {text}", Tone.WARNING)
        case e.SpendRefused(node=node, role=role):
            need, free = money(event.need), money(event.free)
            yield Note(f"{_at_work(node, role)}: not called; it may cost {need}, {free} is left", Tone.WARNING)
        case e.SpendExceeded(model=model):
            billed, held = money(event.settled), money(event.hold)
            yield Note(f"{model} billed {billed}, more than the bound of {held}; it is not called again", Tone.WARNING)
        case e.BudgetRaised(cap=cap):
            yield Note(f"the ceiling is now {money(cap)}")
        case e.TimeRaised(time_limit=limit):
            yield Note(f"the time limit is now {seconds(limit)}")
