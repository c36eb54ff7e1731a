"""Money before and above single runs: caps over many runs, prediction of what calls cost, forecasts."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import field, frozen

from orchestrator import events as e
from orchestrator.models import (
    COST_TABLE,
    MAX_ITERATIONS,
    MAX_TOKENS,
    ROUTING_TABLE,
    SLOT_ALIASES,
    Budget,
    Model,
    ModelInfo,
    ModelProfile,
    Phase,
    RiskLevel,
    Role,
    Task,
    TaskType,
)
from orchestrator.money import Usd

__all__ = ["BudgetHierarchy", "CostForecaster", "CostPredictor", "CostRecorder", "ForecastReport", "RiskLevel"]

_EVALUATION_SHARE: Final = 0.15
"""What evaluations cost, of drafts and reviews together."""
_CALLS_PER_ITERATION: Final = 4
"""A draft, its critique, the revision, an evaluation."""
_TYPICAL_INPUT: Final = 1500
"""Tokens of a prompt with its task, criteria and the outputs it builds on."""
_MEDIUM: Final = 0.5
_HIGH: Final = 0.8
_MILLION: Final = 1_000_000
_MEASURED_ROLES: Final = (Role.GENERATOR, Role.CRITIC, Role.REVISER)


def _cap(value: float | Usd) -> Usd:
    amount = Usd.parse(value)
    if amount < Usd.ZERO:
        raise ValueError(f"a cap of {amount.shown} is below nothing")
    return amount


def _caps(value: Mapping[str, float | Usd] | None) -> dict[str, Usd]:
    return {name: _cap(amount) for name, amount in (value or {}).items()}


@frozen
class BudgetHierarchy:
    """Caps of the organisation, of teams and of jobs, in US dollars, over all runs of a data folder.

    The accounts they name live in the log: the next process that opens the data folder finds what was spent.

    Raises:
        ValueError: an amount is negative or no amount.
    """

    org_max_usd: Usd = field(converter=_cap)
    team_budgets: Mapping[str, Usd] = field(default=None, converter=_caps)
    job_budgets: Mapping[str, Usd] = field(default=None, converter=_caps)

    def caps_for(self, team: str = "", job_id: str = "") -> dict[str, Usd]:
        """The accounts that a job of a team draws on, outermost first, with their caps."""
        caps = {"org": self.org_max_usd}
        if team in self.team_budgets:
            caps[f"team/{team}"] = self.team_budgets[team]
        if job_id in self.job_budgets:
            caps[f"job/{job_id}"] = self.job_budgets[job_id]
        return caps


class CostPredictor:
    """Learns what a call of a model for a type of task costs: a moving average, seeded with the first amount.

    Where none was recorded it estimates at today's price, which it has from the runs it has seen or from ``price``,
    else at that of ``COST_TABLE``, which keeps the values of the specification.

    Args:
        alpha: the weight of a new amount, above 0 and at most 1.
    """

    def __init__(self, alpha: float = 0.1) -> None:
        if not 0 < alpha <= 1:
            raise ValueError(f"alpha is above 0 and at most 1, not {alpha!r}")
        self.alpha = alpha
        self._averages: dict[tuple[str, TaskType], float] = {}
        self._prices: dict[str, tuple[float, float]] = {}

    def price(self, model: str, input_usd: float, output_usd: float) -> None:
        """Note today's price of a model, in US dollars per million tokens of input and of output."""
        self._prices[_slot(model)] = input_usd, output_usd

    def record(self, model: str, task_type: TaskType, actual_cost_usd: float) -> None:
        """Learn from a call. Nothing is learned from 0 or less: cache hits and failures cost nothing."""
        if not actual_cost_usd > 0:
            return
        key = (_slot(model), task_type)
        before = self._averages.get(key)
        self._averages[key] = (
            actual_cost_usd if before is None else (1 - self.alpha) * before + self.alpha * actual_cost_usd
        )

    def has_seen(self, model: str, task_type: TaskType) -> bool:
        """Whether a call of this model for this type was recorded."""
        return (_slot(model), task_type) in self._averages

    def predict(self, model: str, task_type: TaskType) -> float:
        """What a call will cost, in US dollars: the average, else an estimate at its price; see the class.

        Raises:
            ValueError: nothing was recorded, and no price is known; a model is never taken for free.
        """
        average = self._averages.get((_slot(model), task_type))
        if average is not None:
            return average
        price = self._price(model)
        if price is None:
            raise ValueError(f"no price is known for {_slot(model)!r}: record a cost of it first")
        return _estimate(*price, task_type)

    def _price(self, model: str) -> tuple[float, float] | None:
        """Today's price, else that of the table."""
        prices = COST_TABLE.get(Model(_slot(model)))
        known = None if prices is None else (prices["input"], prices["output"])
        return self._prices.get(_slot(model), known)

    def cheapest_model(self, task_type: TaskType, candidates: Iterable[str]) -> Model:
        """The candidate with the lowest prediction, the first of equal ones; without a price none is chosen.

        Raises:
            ValueError: no candidate has a price.
        """
        predicted: dict[Model, float] = {}
        for model in candidates:
            if self.has_seen(model, task_type) or self._price(model) is not None:
                predicted.setdefault(Model(model), self.predict(model, task_type))
        if not predicted:
            raise ValueError("no candidate has a known price: record a cost first, or name a model of COST_TABLE")
        return min(predicted, key=lambda model: predicted[model])


def _slot(model: str) -> str:
    return SLOT_ALIASES.get(str(model), str(model))


def _estimate(read: float, written: float, task_type: TaskType) -> float:
    """A typical call: a prompt, and half of the longest answer; prices are per million tokens."""
    return (_TYPICAL_INPUT * read + MAX_TOKENS[task_type] / 2 * written) / _MILLION


class CostRecorder:
    """An observer of a run that teaches a predictor what its calls cost.

    A call counts for its model and for every slot the model fills; drafts, critiques and revisions for the type of
    their task, evaluations for ``evaluation``.
    """

    def __init__(self, predictor: CostPredictor, history: Iterable[tuple[int, e.Event]] = ()) -> None:
        self._predictor = predictor
        self._types: dict[str, TaskType] = {}
        self._slots: dict[str, list[str]] = {}
        self._started: dict[int, e.CallStarted] = {}
        for version, event in history:
            self._remember(version, event)

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Take in a committed event."""
        self._remember(version, event)
        if isinstance(event, e.CallSucceeded) and event.call in self._started:
            self._learn(self._started.pop(event.call), event.settled)

    def _remember(self, version: int, event: e.Event) -> None:
        match event:
            case e.SessionOpened():
                self._slots = {}
                for slot, model in event.slots.items():
                    self._slots.setdefault(model, []).append(slot)
                self._price(event.models)
            case e.PlanMade() | e.PlanEdited():
                self._types = {task.id: task.type for task in event.tasks}
            case e.PlanPatched():
                self._types |= {task.id: task.type for task in event.tasks}
            case e.CallStarted():
                self._started[version] = event

    def _price(self, models: Iterable[ModelInfo]) -> None:
        """Note what the models of the session, and the slots they fill, cost today."""
        for model in models:
            if model.price is not None:
                price = float(model.price.input), float(model.price.output)
                for name in dict.fromkeys((model.id, *self._slots.get(model.id, ()))):
                    self._predictor.price(name, *price)

    def _learn(self, started: e.CallStarted, cost: Usd) -> None:
        kind = self._types.get(started.node) if started.role in _MEASURED_ROLES else None
        if started.role is Role.EVALUATOR:
            kind = TaskType.EVALUATION
        if kind is None:
            return
        for name in dict.fromkeys((started.model, *self._slots.get(started.model, ()))):
            self._predictor.record(name, kind, float(cost))


@frozen
class ForecastReport:
    """What a plan is expected to cost."""

    estimated_total_usd: float
    estimated_per_phase: dict[str, float]
    """US dollars by phase."""
    estimated_time_seconds: float
    """All calls one after the other."""
    risk_level: RiskLevel


class CostForecaster:
    """Estimates what a plan costs before a cent is spent."""

    @staticmethod
    def forecast(
        tasks: Mapping[str, Task] | Iterable[Task],
        profiles: Mapping[Model, ModelProfile],
        predictor: CostPredictor | None = None,
        budget: Budget | None = None,
    ) -> ForecastReport:
        """The forecast for these tasks: each on the first model of its type's row that has a profile.

        A task takes as many drafts as its type may have iterations, as much again for reviews, and 15 % of both for
        evaluations.

        Raises:
            ValueError: there are tasks and no profiles.
        """
        predictor = CostPredictor() if predictor is None else predictor
        generation = seconds = 0.0
        for task in tasks.values() if isinstance(tasks, Mapping) else tasks:
            profile = _routed(task.type, profiles)
            iterations = MAX_ITERATIONS[task.type]
            generation += iterations * _per_call(profile, task.type, predictor)
            seconds += iterations * _CALLS_PER_ITERATION * profile.latency_avg_ms / 1000
        evaluation = _EVALUATION_SHARE * 2 * generation
        phases = {
            Phase.GENERATION.value: generation,
            Phase.CROSS_REVIEW.value: generation,
            Phase.EVALUATION.value: evaluation,
        }
        total = sum(phases.values())
        return ForecastReport(total, phases, seconds, _risk(total, budget))


def _routed(kind: TaskType, profiles: Mapping[Model, ModelProfile]) -> ModelProfile:
    if not profiles:
        raise ValueError("there are no profiles to forecast with: see build_default_profiles()")
    row: Sequence[str] = ROUTING_TABLE[kind]
    named = next((profiles[Model(slot)] for slot in row if Model(slot) in profiles), None)
    return next(iter(profiles.values())) if named is None else named


def _per_call(profile: ModelProfile, kind: TaskType, predictor: CostPredictor) -> float:
    if predictor.has_seen(profile.model, kind):
        return predictor.predict(profile.model, kind)
    return _estimate(profile.cost_per_1m_input, profile.cost_per_1m_output, kind)


def _risk(total: float, budget: Budget | None) -> RiskLevel:
    if budget is None:
        return RiskLevel.LOW
    if budget.max_usd <= 0 or total >= _HIGH * budget.max_usd:
        return RiskLevel.HIGH
    return RiskLevel.MEDIUM if total >= _MEDIUM * budget.max_usd else RiskLevel.LOW
