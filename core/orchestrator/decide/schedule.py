"""The order of things: what is decided first when several decisions are possible."""

from typing import Final

from orchestrator.decide.approvals import is_waiting, may_begin, next_consent_to
from orchestrator.decide.batch_lanes import interactive_tasks, next_batch, uses_batches, wanted_lane
from orchestrator.decide.forecast import next_consent, next_forecast, wants_consent
from orchestrator.decide.input_stage import next_advice, next_enhancement, wants_advice, wants_enhancement
from orchestrator.decide.outcome import block, conclude, next_ending
from orchestrator.decide.plan_checks import next_planning
from orchestrator.decide.replanning import Mend, next_patch, next_replaced
from orchestrator.decide.retries_and_circuits import next_health
from orchestrator.decide.review_loop import next_review
from orchestrator.decide.roster import Memo
from orchestrator.decide.round_context import Rank, RoutingContext, Wait
from orchestrator.decide.spending import next_warning
from orchestrator.events import Decision, TaskStarted
from orchestrator.models import Lane, TaskEndReason
from orchestrator.settings import Approvals
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_NOTHING: Final = Approvals()

RULES: Final = 4
"""The number of the rules. A change of any answer of ``decide`` raises it."""


def decide(state: RunState, now: int, rank: Rank | None, memo: Memo) -> Decision | Wait:
    """The next decision, or until when there is none.

    Args:
        state: what the history amounts to.
        now: microseconds UTC; the ``at`` of the step.
        rank: the guard around the session's backend, or None.
        memo: of whatever drives this, one per run; a fresh one gives the same answer.

    Raises:
        BackendError: the backend failed; append BackendFailed and decide again.
    """
    if not state.is_open or state.finished is not None:
        return Wait()
    left = state.time_limit - state.active(now)
    m = RoutingContext(state, now, rank, time_up=left <= 0, memo=memo)
    if left > 0:
        m.wake_at(now + left)
    return _next(m) or next_batch(m) or Wait(min(m.wakes, default=None))


def _next(m: RoutingContext) -> Decision | None:
    found = next_health(m) or next_warning(m)
    if found is not None or is_waiting(m.state):
        return found
    return _next_of_tasks(m) if m.state.planned else _next_before_tasks(m)


def _next_before_tasks(m: RoutingContext) -> Decision | None:
    """Auto-resume has come before the run; the enhancer, the advisor and the decomposer follow each other."""
    if wants_enhancement(m.state):
        return next_enhancement(m)
    return next_advice(m) if wants_advice(m.state) else next_planning(m)


def _next_of_tasks(m: RoutingContext) -> Decision | None:
    state = m.state
    if state.forecast is None:
        return next_forecast(m)
    if not state.begun and wants_consent(m):
        return next_consent(m)
    if (replaced := next_replaced(m)) is not None:
        return replaced
    mend = next_patch(m) if state.blocked and state.settings.replans else Mend.NOTHING
    if not isinstance(mend, Mend):
        return mend
    if state.blocked and mend is Mend.NOTHING:
        return block(m, _task_at(state, state.blocked[0]))
    tasks, names = state.tasks, state.execution_order
    for order in state.running:
        decision = next_review(m, tasks[names[order]])
        if decision is not None:
            return decision
    if m.time_up and state.ready:
        return conclude(m, _task_at(state, state.ready[0]), TaskEndReason.TIME)
    if state.ready and (orders := _startable(state)):
        return _next_start(m, orders)
    return next_ending(m) if state.unfinished == 0 else None


def _startable(state: RunState) -> list[int]:
    """The ready tasks that there is a place for; those whose calls go in batches need none."""
    if len(state.running) < state.settings.concurrency:
        return state.ready
    if not uses_batches(state):
        return []
    if interactive_tasks(state) < state.settings.concurrency:
        return state.ready
    names = state.execution_order
    return sorted(order for order in state.ready if wanted_lane(state, names[order]) is Lane.BATCH)


def _next_start(m: RoutingContext, orders: list[int]) -> Decision | None:
    """The first ready task starts, once a person has agreed to it where the settings ask for that."""
    state = m.state
    if state.settings.approve == _NOTHING:
        return TaskStarted(state.execution_order[orders[0]])
    tasks = [_task_at(state, order) for order in sorted(orders)]
    begins = next((task for task in tasks if may_begin(state, task)), None)
    return next_consent_to(m, tasks) or (None if begins is None else TaskStarted(begins.name))


def _task_at(state: RunState, order: int) -> TaskState:
    return state.tasks[state.execution_order[order]]
