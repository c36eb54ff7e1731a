"""What a plan is expected to cost and to take: from what was measured, else from prices, in whole nano-dollars."""

from typing import Final

from attrs import frozen

from orchestrator.decide.moment import Moment
from orchestrator.decide.routing import Question, list_candidates
from orchestrator.events import ForecastMade
from orchestrator.models import ModelInfo, Phase, RiskLevel, Role, TaskType
from orchestrator.money import NANO, Usage, Usd
from orchestrator.state.run import RunState

TYPICAL_INPUT: Final = 1500
"""Tokens of a prompt with its task, criteria and the outputs it builds on."""
EVALUATION_PERCENT: Final = 15
"""What evaluations cost, of drafts and reviews together."""
CALLS_PER_TURN: Final = 4
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
    """Of all its turns."""
    duration: int


def next_forecast(m: Moment) -> ForecastMade:
    """The forecast for the tasks that have not ended: as many turns as each may take.

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


def _typical(m: Moment, kind: TaskType) -> _Typical:
    state = m.state
    name = list_candidates(m, Question(Role.GENERATOR, kind), {}).chosen
    turns = state.settings.iterations[kind]
    if name is None:
        return _Typical(None, Usd.ZERO, 0)
    cost, latency = expected_call(state, state.models[name], Role.GENERATOR, kind)
    return _Typical(name, Usd(turns * cost.nano), turns * CALLS_PER_TURN * latency)


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
