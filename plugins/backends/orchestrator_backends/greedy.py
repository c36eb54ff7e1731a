"""The backend ``greedy``: the highest quality × trust per dollar first."""

from collections.abc import Mapping, Sequence
from typing import Any

from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate, hookimpl
from orchestrator_backends.measures import UNMEASURED, cost_of, quality_of, refuse_parameters, trust_of


class GreedyBackend:
    """Ranks by quality × trust / cost; equal scores keep the row's order."""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """Every candidate once, best first."""
        keyed = []
        for each in candidates:
            measured = telemetry.get(each.model, UNMEASURED)
            score = quality_of(measured) * trust_of(measured) / cost_of(each, measured)
            keyed.append((-score, each.place, each.model))
        keyed.sort()
        return [Ranked(model, -score) for score, _, model in keyed]


@hookimpl
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:
    """Build the backend; it takes no parameters."""
    refuse_parameters("greedy", parameters)
    return GreedyBackend()
