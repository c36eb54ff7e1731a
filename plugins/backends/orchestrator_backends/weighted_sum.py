"""The backend ``weighted_sum``: a weighted mean of quality, trust, cheapness and speed.

Quality and trust count as they are, from 0 to 1. A cost counts as the lowest cost among the candidates divided by it, a
latency likewise: the cheapest has 1, one that costs twice as much 0.5. The weights are divided by their sum, so that
scores are from 0 to 1, too.
"""

import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

from attrs import fields, frozen

from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate, SpecError, hookimpl
from orchestrator_backends.measures import UNMEASURED, latency_of, measures_of, ranked


@frozen(kw_only=True)
class WeightedSumBackend:
    """Ranks by the weighted mean of normalised metrics; equal scores keep the row's order."""

    w_quality: float = 0.5
    w_trust: float = 0.3
    w_cost: float = 0.2
    w_latency: float = 0.0

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Every candidate once, best first."""
        qualities, trusts, costs = measures_of(candidates, telemetry)
        latencies = [latency_of(telemetry.get(each.model, UNMEASURED)) for each in candidates] if self.w_latency else ()
        total = self.w_quality + self.w_trust + self.w_cost + self.w_latency
        quality, trust = self.w_quality / total, self.w_trust / total
        cost = self.w_cost / total * min(costs, default=0.0)
        latency = self.w_latency / total * min(latencies, default=0.0)
        keyed = [
            (-(quality * good + trust * trusted + cost / dollars), each.place, each.model)
            for each, good, trusted, dollars in zip(candidates, qualities, trusts, costs, strict=True)
        ]
        if self.w_latency:
            keyed = [
                (score - latency / milliseconds, place, model)
                for (score, place, model), milliseconds in zip(keyed, latencies, strict=True)
            ]
        keyed.sort()
        return [ranked(model, -score) for score, _, model in keyed]


_WEIGHTS: Final = tuple(field.name for field in fields(WeightedSumBackend))
_LARGEST: Final = 1e9


@hookimpl
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:
    """Build the backend from its weights; those left out have the values of ``WeightedSumBackend``.

    Raises:
        SpecError: an unknown name, a weight that is no number from 0 to a billion, or none above 0.
    """
    problems = [problem for name, value in parameters.items() if (problem := _problem(name, value))]
    if problems:
        raise SpecError(problems)
    backend = WeightedSumBackend(**{name: float(value) for name, value in parameters.items()})
    if not any(getattr(backend, name) for name in _WEIGHTS):
        raise SpecError([f"routing.parameters: all weights are 0; give one of {', '.join(_WEIGHTS)} more"])
    return backend


def _problem(name: object, value: object) -> str:
    """What is wrong with a parameter, or an empty text."""
    if name not in _WEIGHTS:
        return f"routing.parameters: weighted_sum has no {name!r}; its weights are {', '.join(_WEIGHTS)}"
    if not 0 <= _number(value) <= _LARGEST:
        return f"routing.parameters.{name}: expected a number from 0 to {_LARGEST:g}, found {str(value)[:40]!r}"
    return ""


def _number(value: object) -> float:
    """A number as a float; anything else is not a number."""
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return math.nan
    try:
        return float(value)
    except (OverflowError, ValueError):
        return math.nan
