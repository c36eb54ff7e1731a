"""Approval points: what a person has to agree to before the run goes on, and what ends the session after a "no".

Off unless the settings name some. A question is asked while nothing else is at work, and nothing starts before it is
answered: waiting takes no time.
"""

from typing import Final

from orchestrator.decide.outcome import conclude
from orchestrator.decide.round_context import RoutingContext
from orchestrator.events import FORECAST, Decision, Outcome, QuestionAnswered, QuestionAsked
from orchestrator.models import ApprovalPoint, TaskEndReason
from orchestrator.money import Usd
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_ENDING: Final = (FORECAST, ApprovalPoint.PLAN, ApprovalPoint.SPEND, ApprovalPoint.FORECAST)
"""A no to these ends the session; to a task it leaves the task out, to the ceiling it leaves it where it is."""


def is_waiting(state: RunState) -> bool:
    """Whether a person is asked, or has said no in this session: then there is nothing to decide."""
    record = state.approvals
    return record.open is not None or record.declined > state.session_version


def declines(state: RunState, outcome: Outcome) -> bool:
    """Whether an outcome is a no to going on: then the session ends with it."""
    if not isinstance(outcome, QuestionAnswered) or outcome.accepted:
        return False
    asked = state.pending.get(outcome.question)
    return isinstance(asked, QuestionAsked) and asked.node in _ENDING


def next_consent_to(m: RoutingContext, tasks: list[TaskState]) -> Decision | None:
    """The question that is to be answered before one of the ready tasks starts, or the end of one that is left out.

    None: there is none, or it has to wait for what is at work; see ``may_begin``.
    """
    state = m.state
    wanted = _point_of_plan(state)
    if wanted is None and state.settings.approve.tasks:
        refused = next((task for task in tasks if task.name in state.approvals.refused), None)
        if refused is not None:
            return conclude(m, refused, TaskEndReason.DECLINED)
        asked = next((task for task in tasks if task.name not in state.approvals.tasks), None)
        return None if asked is None else _asked(state, ApprovalPoint.TASK, task=asked.name)
    if wanted is ApprovalPoint.FORECAST:
        return _asked(state, wanted, amount=_expected(state))
    return None if wanted is None else _asked(state, wanted)


def may_begin(state: RunState, task: TaskState) -> bool:
    """Whether a task may start, as far as approvals go."""
    is_agreed = not state.settings.approve.tasks or task.name in state.approvals.tasks
    return _point_of_plan(state) is None and is_agreed


def _point_of_plan(state: RunState) -> ApprovalPoint | None:
    wanted, record = state.settings.approve, state.approvals
    if wanted.plan and record.plan < state.plan_version:
        return ApprovalPoint.PLAN
    if wanted.forecast_above is not None and not state.begun and not record.forecast:
        return ApprovalPoint.FORECAST if _expected(state) > wanted.forecast_above else None
    return None


def next_spend(m: RoutingContext, hold: Usd) -> QuestionAsked | bool | None:
    """The question whether more may be spent, where a hold goes beyond an amount that asks for it.

    True: the hold may be made. None: the question waits for what is at work.
    """
    state = m.state
    taken = state.spend.settled + state.held + hold
    amounts = [each for each in state.settings.approve.spend if each > state.approvals.spend and taken > each]
    if not amounts:
        return True
    m.money_waits = True
    return _asked(state, ApprovalPoint.SPEND, amount=max(amounts))


def asks_at_ceiling(state: RunState) -> bool:
    """Whether a person is to be asked for more money before a call is refused any."""
    return state.settings.approve.ceiling and not state.approvals.at_ceiling


def next_ceiling(m: RoutingContext, need: Usd, free: Usd) -> QuestionAsked | None:
    """The question whether the ceiling is raised, by as much again as it was at first, or by what is lacking."""
    m.money_waits = True
    return _asked(m.state, ApprovalPoint.CEILING, amount=max(m.state.settings.cap, need - free))


def _asked(
    state: RunState, point: ApprovalPoint, task: str | None = None, amount: Usd | None = None
) -> QuestionAsked | None:
    if state.pending:
        return None
    return QuestionAsked(point.value, state.forecast_version, state.approvals.asked + 1, task, amount)


def _expected(state: RunState) -> Usd:
    return state.spend.total + (Usd.ZERO if state.forecast is None else state.forecast.expected)
