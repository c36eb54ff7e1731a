"""The backend ``greedy``: the highest quality × trust per dollar first."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate, hookimpl
from orchestrator_backends.measures import measures_of, ranked, refuse_parameters


class GreedyBackend:
    """Ranks by quality × trust / cost; equal scores keep the row's order."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Every candidate once, best first."""
        keyed = [
            (-(quality * trust / cost), each.place, each.model)
            for each, quality, trust, cost in zip(candidates, *measures_of(candidates, telemetry), strict=True)
        ]
        keyed.sort()
        return [ranked(model, -score) for score, _, model in keyed]


@hookimpl
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:
    """Build the backend; it takes no parameters."""
    refuse_parameters("greedy", parameters)
    return GreedyBackend()
