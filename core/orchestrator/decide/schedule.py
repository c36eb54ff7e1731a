"""The order of things: what is decided first when several decisions are possible."""

from typing import Final

from orchestrator.decide.context import Rank, RoutingContext, Wait
from orchestrator.decide.forecast import next_consent, next_forecast, wants_consent
from orchestrator.decide.input_stage import next_advice, next_enhancement, wants_advice, wants_enhancement
from orchestrator.decide.outcome import block, conclude, next_ending
from orchestrator.decide.planning import next_planning
from orchestrator.decide.retry import next_health
from orchestrator.decide.review import next_review
from orchestrator.decide.roster import Memo
from orchestrator.decide.spending import next_warning
from orchestrator.events import Decision, TaskStarted
from orchestrator.models import TaskEndReason
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

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
    return _next(m) or Wait(min(m.wakes, default=None))


def _next(m: RoutingContext) -> Decision | None:
    return next_health(m) or next_warning(m) or (_next_of_tasks(m) if m.state.planned else _next_before_tasks(m))


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
    if state.blocked:
        return block(m, _task_at(state, state.blocked[0]))
    tasks, names = state.tasks, state.execution_order
    for order in state.running:
        decision = next_review(m, tasks[names[order]])
        if decision is not None:
            return decision
    if m.time_up and state.ready:
        return conclude(m, _task_at(state, state.ready[0]), TaskEndReason.TIME)
    if state.ready and len(state.running) < state.settings.concurrency:
        return TaskStarted(state.execution_order[state.ready[0]])
    return next_ending(m) if state.unfinished == 0 else None


def _task_at(state: RunState, order: int) -> TaskState:
    return state.tasks[state.execution_order[order]]
