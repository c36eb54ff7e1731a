"""What the backends compare: quality, trust, cost and latency of a candidate, measured or assumed.

What was never measured is assumed: the usual quality of the model's tier, full trust, the cost of 2,000 tokens at the
model's blended price, and a latency of ten seconds. So is what is no finite number.
"""

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from orchestrator.models import usual_quality
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate, SpecError

ASSUMED_TRUST: Final = 1.0
ASSUMED_TOKENS: Final = 2_000
ASSUMED_LATENCY_MS: Final = 10_000.0
LEAST_COST: Final = 1e-6
"""US dollars; what a call costs at least, so that a free model has a finite score."""
LEAST_LATENCY_MS: Final = 1.0
UNMEASURED: Final = ModelTelemetry()

ranked: Final = lru_cache(8_192)(Ranked)
"""Makes a ``Ranked``. From one choice to the next little changes, and an equal value is found faster than made."""


def measures_of(
    candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]
) -> tuple[list[float], list[float], list[float]]:
    """The qualities, the trusts and the costs of the candidates, in their order.

    It runs once per choice over all of them, so that what is measured and sound is taken without a further call.
    """
    qualities: list[float] = []
    trusts: list[float] = []
    costs: list[float] = []
    for each in candidates:
        measured = telemetry.get(each.model, UNMEASURED)
        quality, trust, cost = measured.quality, measured.trust, measured.cost
        if quality is None or not 0.0 <= quality <= 1.0:
            quality = quality_of(each, measured)
        if not 0.0 <= trust <= 1.0:
            trust = trust_of(measured)
        if cost is None or not LEAST_COST <= cost < math.inf:
            cost = cost_of(each, measured)
        qualities.append(quality)
        trusts.append(trust)
        costs.append(cost)
    return qualities, trusts, costs


def quality_of(candidate: RoutingCandidate, measured: ModelTelemetry) -> float:
    """The mean score, 0 to 1."""
    quality, assumed = measured.quality, usual_quality(candidate.tier)
    if quality is None:
        return assumed
    return quality if 0.0 <= quality <= 1.0 else _share(quality, assumed)


def trust_of(measured: ModelTelemetry) -> float:
    """The trust, 0 to 1."""
    trust = measured.trust
    return trust if 0.0 <= trust <= 1.0 else _share(trust, ASSUMED_TRUST)


def cost_of(candidate: RoutingCandidate, measured: ModelTelemetry) -> float:
    """US dollars per call, above 0."""
    cost = measured.cost
    if cost is None or not -math.inf < cost < math.inf:
        cost = float(candidate.price.blended.part(ASSUMED_TOKENS, 1_000_000))
    return cost if cost > LEAST_COST else LEAST_COST


def latency_of(measured: ModelTelemetry) -> float:
    """Milliseconds per call, above 0."""
    latency = measured.latency_ms
    if latency is None or not -math.inf < latency < math.inf:
        return ASSUMED_LATENCY_MS
    return latency if latency > LEAST_LATENCY_MS else LEAST_LATENCY_MS


def _share(value: float, assumed: float) -> float:
    if not math.isfinite(value):
        return assumed
    return 0.0 if value < 0.0 else 1.0


def refuse_parameters(backend: str, parameters: Mapping[str, Any]) -> None:
    """Make sure that a backend which takes no parameters got none.

    Raises:
        SpecError: it got some.
    """
    if parameters:
        names = ", ".join(sorted(map(str, parameters)))
        raise SpecError([f"routing: the backend {backend} takes no parameters, remove {names}"])
