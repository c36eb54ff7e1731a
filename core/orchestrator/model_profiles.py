"""What was measured of each model in runs, as the profiles of the specification, with the price of its latest run."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from attrs import evolve

from orchestrator.events import SessionOpened
from orchestrator.metrics import measure
from orchestrator.models import Model, ModelInfo, ModelProfile
from orchestrator.spi import ModelMetrics

if TYPE_CHECKING:
    from orchestrator.ledger.event_log import EventLog

_AVERAGES: Final = ("quality_score", "latency_avg_ms", "latency_p95_ms", "success_rate", "cost_avg_usd")


def measured_profiles(log: "EventLog", runs: Iterable[str]) -> dict[Model, ModelProfile]:
    """What was measured of each model in runs of a log, with the price it had in the latest of them.

    Raises:
        LogError: the log cannot be read.
    """
    runs = list(runs)
    sold = {
        model.id: model
        for run in runs
        for record in log.read(run, types=(SessionOpened,))
        for model in getattr(record.event, "models", ())
    }
    return {Model(each.model): _profile(each, sold.get(each.model)) for each in measure(log, runs).models}


def _profile(measured: ModelMetrics, model: ModelInfo | None) -> ModelProfile:
    price = None if model is None else model.price
    profile = ModelProfile(
        model=Model(measured.model),
        provider=measured.provider,
        cost_per_1m_input=0.0 if price is None else float(price.input),
        cost_per_1m_output=0.0 if price is None else float(price.output),
        trust_factor=measured.trust_factor,
        calls_total=measured.calls_total,
        validator_failures_total=measured.validator_failures_total,
    )
    known = {name: getattr(measured, name) for name in _AVERAGES}
    return evolve(profile, **{name: value for name, value in known.items() if value is not None})
