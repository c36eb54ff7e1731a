"""The backend ``greedy``: the highest quality × trust per dollar first.

What was never measured is assumed: a quality of 0.8, and the cost of 2,000 tokens at the model's blended price.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate, SpecError, hookimpl

ASSUMED_QUALITY: Final = 0.8
ASSUMED_TOKENS: Final = 2_000
EPSILON: Final = 1e-6
"""US dollars; what a call costs at least, so that a free model has a finite score."""

_UNMEASURED: Final = ModelTelemetry()


class GreedyBackend:
    """Ranks by quality × trust / cost; equal scores keep the row's order."""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """Every candidate once, best first."""
        scored = [(_score(each, telemetry.get(each.model, _UNMEASURED)), each) for each in candidates]
        scored.sort(key=lambda pair: (-pair[0], pair[1].place))
        return [Ranked(each.model, score) for score, each in scored]


def _score(candidate: RoutingCandidate, measured: ModelTelemetry) -> float:
    quality = _bounded(measured.quality, ASSUMED_QUALITY, 1.0)
    trust = _bounded(measured.trust, 1.0, 1.0)
    cost = _bounded(measured.cost, float(candidate.price.blended.part(ASSUMED_TOKENS, 1_000_000)), math.inf)
    return quality * trust / max(cost, EPSILON)


def _bounded(value: float | None, assumed: float, most: float) -> float:
    if value is None or not math.isfinite(value):
        return assumed
    return min(max(value, 0.0), most)


@hookimpl
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:
    """Build the backend; it takes no parameters."""
    if parameters:
        names = ", ".join(sorted(map(str, parameters)))
        raise SpecError([f"routing: the backend greedy takes no parameters, remove {names}"])
    return GreedyBackend()
