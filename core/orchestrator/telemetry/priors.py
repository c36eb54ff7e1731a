"""The warm start: how far a new run trusts what earlier runs have measured."""

from collections.abc import Iterable, Mapping
from typing import Final

from orchestrator.errors import present
from orchestrator.events import Prior
from orchestrator.models import ModelInfo, Role, TaskType, usual_quality
from orchestrator.models.offers import qualified
from orchestrator.state.model_health import Measured, ModelRecord

COLD: Final = 10
"""Fewer calls of a model for a type of task are ignored."""
FULL: Final = 50
"""From so many on the measurements are taken as they are; between, they count for 40 %, and what is usual for 60 %."""

_TRUSTED: Final = 0.4
_LATENCY_MS: Final = 2000.0
_P95_MS: Final = 5000.0


def priors(records: Mapping[str, ModelRecord], models: Iterable[ModelInfo]) -> tuple[Prior, ...]:
    """What a new run starts with of its models, ordered by model and type. What was never measured stays unknown.

    Costs and lengths are taken as they are: there are no usual ones. The usual quality is that of the model's tier.
    """
    found = [(model, records.get(qualified(model.provider, model.id))) for model in models]
    return tuple(
        _prior(model.id, kind, seen, record, usual_quality(model.tier))
        for model, record in sorted(found, key=lambda each: each[0].id)
        if record is not None
        for kind, seen in sorted(record.by_type.items(), key=lambda each: each[0] or "")
        if seen.calls >= COLD
    )


def _prior(model: str, kind: TaskType | None, seen: Measured, record: ModelRecord, quality: float) -> Prior:
    def blended(value: float | None, usual: float) -> float | None:
        if value is None or seen.calls >= FULL:
            return value
        return _TRUSTED * value + (1 - _TRUSTED) * usual

    trust = present(blended(seen.trust, 1.0), "measure of trust")
    return Prior(
        model=model,
        type=kind,
        calls=seen.calls,
        quality=blended(seen.quality, quality),
        cost=seen.cost,
        latency_ms=blended(seen.latency_ms, _LATENCY_MS),
        trust=trust,
        latency_p95_ms=blended(record.p95_ms, _P95_MS),
        success_rate=blended(record.success_rate, 1.0),
        lengths=tuple([found for role in Role if (found := seen.length(role)) is not None]),
    )
