"""The backend ``pareto``: nobody comes before a candidate that beats it in quality, trust and cost at once.

The candidates that none dominates stand first, ordered by how near each is to the ideal: the best quality, the best
trust and the lowest cost found among all, as if one model had them. Each counts as its share of the ideal (a cost as
the lowest divided by it); the score is 1 less the quadratic mean of what is missing. So a candidate that is fair in
everything comes before one that is best in one thing and poor in the others. The dominated follow, by the same score
less 1: below zero means dominated.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any, Final

from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate, hookimpl
from orchestrator_backends.measures import measures_of, refuse_parameters

DOMINATED: Final = "dominated"
"""The reason of a candidate that another one beats."""

_Vector = tuple[float, float, float]
"""Quality, trust and cost, less being better in every place."""


class ParetoBackend:
    """Ranks the non-dominated first, by their distance to the ideal; equal scores keep the row's order."""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """Every candidate once, best first; the dominated have the reason ``dominated``."""
        if not candidates:
            return []
        qualities, trusts, costs = measures_of(candidates, telemetry)
        vectors = [(-worth, -belief, price) for worth, belief, price in zip(qualities, trusts, costs, strict=True)]
        beaten = _beaten(vectors)
        quality, trust, cost = max(qualities) or 1.0, max(trusts) or 1.0, min(costs)
        missing = [
            sqrt(
                (
                    (poorer := 1 - worth / quality) * poorer
                    + (doubtful := 1 - belief / trust) * doubtful
                    + (dearer := 1 - cost / price) * dearer
                )
                / 3
            )
            for worth, belief, price in zip(qualities, trusts, costs, strict=True)
        ]
        keyed = [
            (lost, vector, each.place, each.model)
            for lost, vector, each in zip(missing, vectors, candidates, strict=True)
        ]
        leading = [key for key, is_beaten in zip(keyed, beaten, strict=True) if not is_beaten]
        dominated = [key for key, is_beaten in zip(keyed, beaten, strict=True) if is_beaten]
        leading.sort()
        dominated.sort()
        return [
            *[Ranked(model, 1 - lost) for lost, _, _, model in leading],
            *[Ranked(model, -lost, DOMINATED) for lost, _, _, model in dominated],
        ]


def _beaten(vectors: Sequence[_Vector]) -> list[bool]:
    """For each whether another one beats it: is at most as large everywhere, and smaller somewhere.

    In ascending order only an earlier vector can beat a later one; an equal one shares the fate of the one before.
    ``seconds`` and ``thirds`` hold the steps of those seen so far: the higher the second number, the lower the third.
    """
    beaten = [False] * len(vectors)
    seconds: list[float] = []
    thirds: list[float] = []
    before = -1
    for index in sorted(range(len(vectors)), key=vectors.__getitem__):
        _, second, third = vectors[index]
        if before >= 0 and vectors[before] == vectors[index]:
            beaten[index] = beaten[before]
            continue
        before = index
        place = bisect_right(seconds, second)
        if place and thirds[place - 1] <= third:
            beaten[index] = True
            continue
        if place and seconds[place - 1] == second:
            place -= 1
        end = place
        while end < len(thirds) and thirds[end] >= third:
            end += 1
        seconds[place:end], thirds[place:end] = [second], [third]
    return beaten


@hookimpl
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:
    """Build the backend; it takes no parameters."""
    refuse_parameters("pareto", parameters)
    return ParetoBackend()
