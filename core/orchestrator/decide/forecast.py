"""What a plan is expected to cost and to take: from what was measured, else from prices, in whole nano-dollars.

Where that comes near the ceiling a person is asked, if one can be, whether the tasks may start all the same.
"""

from typing import Final

from attrs import frozen

from orchestrator.decide.context import RoutingContext
from orchestrator.decide.routing import Query, list_candidates
from orchestrator.events import FORECAST, ForecastMade, QuestionAsked
from orchestrator.models import ModelInfo, Phase, RiskLevel, Role, TaskType
from orchestrator.money import NANO, Usage, Usd
from orchestrator.state.run import RunState

TYPICAL_INPUT: Final = 1500
"""Tokens of a prompt with its task, criteria and the outputs it builds on."""
EVALUATION_PERCENT: Final = 15
"""What evaluations cost, of drafts and reviews together."""
CALLS_PER_ITERATION: Final = 4
"""A draft, its critique, the revision, an evaluation."""
TYPICAL_LATENCY: Final = 2_000_000
"""Of a call, in microseconds, where nothing was measured."""

_MEASURED: Final = 10
_MEDIUM, _HIGH = 50, 80


@frozen
class _Typical:
    """A task of one type on the model that comes first."""

    model: str | None
    drafts: Usd
    """Of all its iterations."""
    duration: int


def next_forecast(m: RoutingContext) -> ForecastMade:
    """The forecast for the tasks that have not ended: as many iterations as each may take.

    Reviews cost as much as drafts; evaluations a part of both.

    Raises:
        BackendError: the backend failed.
    """
    state = m.state
    by_type: dict[TaskType, _Typical] = {}
    drafts, total, longest = Usd.ZERO, 0, dict[str, int]()
    for name in state.execution_order:
        task = state.tasks[name]
        if task.finished is not None:
            continue
        kind = task.planned.type
        typical = by_type.get(kind) or by_type.setdefault(kind, _typical(m, kind))
        drafts += typical.drafts
        total += typical.duration
        longest[name] = typical.duration + max((longest.get(d, 0) for d in task.planned.dependencies), default=0)
    phases = {
        Phase.GENERATION: drafts,
        Phase.CROSS_REVIEW: drafts,
        Phase.EVALUATION: Usd(2 * drafts.nano).part(EVALUATION_PERCENT, 100),
    }
    expected = Usd(sum(amount.nano for amount in phases.values()))
    spent = state.spend.total
    return ForecastMade(
        expected=expected,
        phases=phases,
        duration=max(max(longest.values(), default=0), total // state.settings.concurrency),
        risk=risk(spent + expected, state.cap),
        spent=spent,
        cap=state.cap,
        models={kind: typical.model for kind, typical in by_type.items() if typical.model is not None},
    )


def risk(total: Usd, cap: Usd) -> RiskLevel:
    """How near an expected total comes to a cap; a cap of nothing is always at risk."""
    if cap <= Usd.ZERO or total.nano * 100 >= cap.nano * _HIGH:
        return RiskLevel.HIGH
    return RiskLevel.MEDIUM if total.nano * 100 >= cap.nano * _MEDIUM else RiskLevel.LOW


def wants_consent(m: RoutingContext) -> bool:
    """Whether a person is still to say that the tasks may start: the risk is high, and not agreed to.

    Where no person can be asked that is so only if one has been: unanswered means no.
    """
    state = m.state
    if state.begun or state.consent.is_given or state.session is None or m.time_up:
        return False
    return (state.session.can_ask or state.consent.asked > 0) and lacking(state) > Usd.ZERO


def next_consent(m: RoutingContext) -> QuestionAsked | None:
    """The question, once per session; while it is open, and after a no, there is nothing to decide."""
    state = m.state
    if state.consent.asked_version > state.session_version:
        return None
    return QuestionAsked(FORECAST, state.forecast_version, state.consent.asked + 1)


def is_declined(state: RunState) -> bool:
    """Whether no task has started because a person was asked and has not agreed to the risk, which still is high."""
    refused = state.consent.answer is not None and not state.consent.is_given
    return refused and not state.begun and lacking(state) > Usd.ZERO


def expected_total(state: RunState) -> Usd:
    """What the run is expected to have spent in the end, as its forecast had it before its first task."""
    return state.spend.total + (Usd.ZERO if state.forecast is None else state.forecast.expected)


def lacking(state: RunState) -> Usd:
    """The least that must be added to the cap for the forecast's risk not to be high; nothing where it is not."""
    total = expected_total(state)
    if risk(total, state.cap) is not RiskLevel.HIGH:
        return Usd.ZERO
    return Usd(total.nano * 100 // _HIGH + 1) - state.cap


def _typical(m: RoutingContext, kind: TaskType) -> _Typical:
    state = m.state
    name = list_candidates(m, Query(Role.GENERATOR, kind), {}, ("forecast", kind)).chosen
    iterations = state.settings.iterations[kind]
    if name is None:
        return _Typical(None, Usd.ZERO, 0)
    cost, latency = expected_call(state, state.models[name], Role.GENERATOR, kind)
    return _Typical(name, Usd(iterations * cost.nano), iterations * CALLS_PER_ITERATION * latency)


def expected_call(state: RunState, model: ModelInfo, role: Role, kind: TaskType | None) -> tuple[Usd, int]:
    """What one call is expected to cost, and to take in microseconds: the measured averages, else an estimate.

    The estimate is a typical prompt and half of the longest answer.
    """
    record = state.records.get(model.id)
    seen = None if record is None else record.by_type.get(TaskType.EVALUATION if role is Role.EVALUATOR else kind)
    measured = seen if seen is not None and seen.calls >= _MEASURED else None
    if measured is not None and measured.cost is not None:
        cost = Usd(round(measured.cost * NANO))
    elif model.price is not None:
        limit = state.settings.output_limit(role, kind)
        cost = model.price.cost(Usage(input=TYPICAL_INPUT, output=limit // 2))
    else:
        cost = Usd.ZERO
    known = measured is not None and measured.latency_ms is not None
    return cost, round(measured.latency_ms * 1000) if known else TYPICAL_LATENCY  # type: ignore[union-attr, operator]
