"""The review loop of one task: generate, check, critique, revise, check, evaluate; and again."""

from typing import Final

from orchestrator.decide.calling import NoAnswer, is_at_work, next_step
from orchestrator.decide.gates import Gate, gate_of, next_check
from orchestrator.decide.next_draft import draft_for
from orchestrator.decide.outcome import conclude, is_good_enough, output_of, waiting
from orchestrator.decide.pair_comparison import STOPPING, SetAside, choose, is_set_aside
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import Query
from orchestrator.decide.scoring import next_score, tests_decide
from orchestrator.decide.strategies import compares_pairs, judge_runs, last_try, most_iterations, strategy_of
from orchestrator.decide.usable_answers import usable
from orchestrator.errors import present
from orchestrator.events import Decision, ModelCandidate, ProbeStarted, StepSkipped
from orchestrator.models import CallEnd, CritiqueUse, ProbeResult, Role, ScoredBy, SkipReason, TaskEndReason
from orchestrator.models.score_comparison import is_nearer
from orchestrator.state.calls import Answer, LogicalCall
from orchestrator.state.equal_answers import first_equal, written
from orchestrator.state.tasks import TaskState


def next_review(m: RoutingContext, task: TaskState) -> Decision | None:
    """What a started task needs next; None: wait."""
    if _is_at_work(m, task):
        return None
    if task.compared is not None:
        return choose(m, task)
    iteration = max(task.iteration, 1)
    if iteration in task.evaluated:
        if _is_over(m, task, iteration):
            return conclude(m, task, None) if task.evaluated[iteration].gate else _ended(m, task)
        iteration += 1
    step = _next_of_iteration(m, task, iteration)
    while isinstance(step, SetAside):
        if step.lasting or iteration >= most_iterations(m.state.settings, task.planned.type):
            return choose(m, task)
        iteration += 1
        step = _next_of_iteration(m, task, iteration)
    return step


def _ended(
    m: RoutingContext, task: TaskState, reason: CallEnd | None = None, removed: tuple[ModelCandidate, ...] = ()
) -> Decision | None:
    """End a task of which nothing more is made: with the choice among what waits for one, else with its best output."""
    if compares_pairs(m.state.settings, task.planned.type) and waiting(task):
        return choose(m, task, reason, removed)
    stopped = reason in STOPPING or next(written(task), None) is None
    return conclude(m, task, TaskEndReason(reason) if reason is not None and stopped else None, removed)


def _is_at_work(m: RoutingContext, task: TaskState) -> bool:
    """What the task needs next is being prepared or performed: a short cut to waiting for it."""
    calls = reversed(task.calls.values())
    call = next(calls, None)
    if call is None or (call.key.role, call.key.iteration) in task.skipped:
        return False
    if call.key.role is not Role.EVALUATOR:
        return is_at_work(m, call)
    beside, wanted = _beside(call), 2 if call.compares else judge_runs(m.state.settings, task.planned.type)
    samples, waits = 0, False
    while call is not None and _beside(call) == beside:
        samples += 1
        if usable(call) is None:
            if not is_at_work(m, call):
                return False
            waits = True
        call = next(calls, None)
    return waits and samples >= wanted


def _beside(call: LogicalCall) -> tuple[object, ...]:
    """What the calls that are made side by side have in common: the samples of a score, the orders of a pair."""
    return call.key.role, call.key.iteration, frozenset(call.compares or ())


def _next_of_iteration(m: RoutingContext, task: TaskState, iteration: int) -> Decision | SetAside | None:
    """Draft and checks, then critique and revision of what passed, then the score of the better one."""
    draft = _draft(m, task, iteration)
    if not isinstance(draft, Answer):
        return draft
    gate = _checked(m, task, iteration, draft)
    if not isinstance(gate, Gate):
        return gate
    step = _review(m, task, iteration, draft, gate)
    if step is not _DONE:
        return step if isinstance(step, Decision) else None
    output = present(output_of(task, iteration), "output")
    gate = _checked(m, task, iteration, output)
    if not isinstance(gate, Gate):
        return gate
    if is_set_aside(m.state, task, gate):
        return SetAside(gate.lasting)
    return next_score(m, task, iteration, output, gate)


def _draft(m: RoutingContext, task: TaskState, iteration: int) -> Answer | Decision | None:
    """The draft, or what it needs next; where there will be none, the task ends with what it has."""
    call = task.call(Role.GENERATOR, iteration)
    answer = None if call is None else usable(call)
    query = Query(Role.GENERATOR, task.planned.type)
    if answer is None:
        query = Query(Role.GENERATOR, task.planned.type, draft=draft_for(m.state.settings, task, iteration))
    progress = next_step(m, task, iteration, query, stands=answer is not None and _is_worked_with(task, answer))
    if isinstance(progress, NoAnswer):
        return _ended(m, task, progress.reason, progress.removed)
    return progress


def _is_worked_with(task: TaskState, answer: Answer) -> bool:
    """Whether checks, a critique or a score of an answer have begun, so that it is not made again, were it cut off."""
    return answer.version in task.checks or any(
        call.key.role in (Role.CRITIC, Role.EVALUATOR) and call.selections[0].version > answer.version
        for call in task.calls.values()
        if call.selections
    )


def _checked(m: RoutingContext, task: TaskState, iteration: int, answer: Answer) -> Gate | Decision | None:
    """How an answer stands, or the check that it needs next; None: wait."""
    check = next_check(m.state, task, iteration, answer)
    if check is None:
        return gate_of(m.state, task, answer)
    return _ended(m, task, CallEnd.TIME) if m.time_up else check


_DONE: Final = object()
"""Nothing is left to do before the score."""


def _review(m: RoutingContext, task: TaskState, iteration: int, draft: Answer, gate: Gate) -> object:
    """A decision of critique and revision, None to wait, or ``_DONE``."""
    if (Role.CRITIC, iteration) in task.skipped:
        return _DONE
    if task.call(Role.CRITIC, iteration) is None:
        reason = _why_no_critique(m, task, iteration, draft, gate)
        if reason is not None:
            return StepSkipped(task.name, Role.CRITIC, iteration, reason)
    critique = _optional(m, task, Role.CRITIC, iteration, draft)
    if not isinstance(critique, Answer):
        return critique
    if (Role.REVISER, iteration) in task.skipped:
        return _DONE
    if task.call(Role.REVISER, iteration) is None:
        step = _weighed(task, iteration, draft, critique)
        if step is not _DONE:
            return step
    revision = _optional(m, task, Role.REVISER, iteration, draft)
    if not isinstance(revision, Answer):
        return revision
    revised = _checked(m, task, iteration, revision)
    return _DONE if isinstance(revised, Gate) else revised


def _why_no_critique(
    m: RoutingContext, task: TaskState, iteration: int, draft: Answer, gate: Gate
) -> SkipReason | None:
    """Only what passed its checks is criticised, once, and where the strategy wants it."""
    if strategy_of(m.state.settings, task.planned.type).critique is CritiqueUse.NEVER:
        return SkipReason.STRATEGY
    if not gate.passed:
        return SkipReason.GATE
    if tests_decide(m.state, task, gate) and not _has_another_model(m, draft.model):
        return SkipReason.ALONE
    return SkipReason.EQUAL if _is_reviewed(task, iteration, draft) else None


def _has_another_model(m: RoutingContext, author: str) -> bool:
    """Whether the session has a priced model beside the author of a draft."""
    return any(name != author and model.price is not None for name, model in m.state.models.items())


def _is_reviewed(task: TaskState, iteration: int, draft: Answer) -> bool:
    """Whether an equal draft of an earlier iteration was criticised."""
    first = first_equal(task, draft).version
    for number, answer in written(task):
        critique = task.call(Role.CRITIC, number)
        if number < iteration and critique is not None and usable(critique) is not None:
            own = task.call(Role.GENERATOR, number)
            if own is not None and own.answer == answer and first_equal(task, answer).version == first:
                return True
    return False


def _weighed(task: TaskState, iteration: int, draft: Answer, critique: Answer) -> object:
    """Nothing to revise is no revision; counterexamples are run before anybody works on them."""
    defects = critique.reading.defects
    if defects is None:
        return _DONE  # a critique in prose
    probe = task.probes.get(critique.version)
    if probe is None and any(defect.counterexample for defect in defects):
        return ProbeStarted(task.name, iteration, critique.version, draft.version)
    if probe is not None and probe.results is None:
        return None
    refuted = () if probe is None or probe.results is None else probe.results
    if all(result is ProbeResult.REFUTED for result in refuted) and len(refuted) == len(defects):
        return StepSkipped(task.name, Role.REVISER, iteration, SkipReason.ACCEPTED)
    return _DONE


def _optional(
    m: RoutingContext, task: TaskState, role: Role, iteration: int, draft: Answer
) -> Decision | Answer | None:
    """A critique or revision; where there will be none, the step is skipped and the draft stands."""
    call = task.call(role, iteration)
    answer = None if call is None else usable(call)
    stands = answer is not None and _is_worked_with(task, answer)
    progress = next_step(m, task, iteration, Query(role, task.planned.type, draft.model), stands=stands)
    if isinstance(progress, NoAnswer):
        return StepSkipped(task.name, role, iteration, SkipReason(progress.reason), progress.removed)
    return progress


def _is_over(m: RoutingContext, task: TaskState, iteration: int) -> bool:
    """Good enough, out of tries, no longer moving, or unable to pass."""
    evaluated, settings, kind = task.evaluated[iteration], m.state.settings, task.planned.type
    if is_good_enough(m.state, task, evaluated) or iteration >= most_iterations(settings, kind):
        return True
    if not evaluated.gate:
        return iteration >= last_try(settings, kind) or _cannot_pass(m, task, iteration)
    if evaluated.scored_by is ScoredBy.TESTS:
        return True
    before = task.evaluated.get(iteration - 1)
    if before is None or not before.gate or before.score is None or evaluated.score is None:
        return False
    return is_nearer(evaluated.score, before.score, settings.plateau)


def _cannot_pass(m: RoutingContext, task: TaskState, iteration: int) -> bool:
    """Whether a check that did not pass cannot be made at all, for any output."""
    output = output_of(task, iteration)
    gate = None if output is None else gate_of(m.state, task, output)
    return gate is not None and gate.lasting
