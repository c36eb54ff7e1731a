"""The backend ``pareto``: nobody comes before a candidate that beats it in quality, trust and cost at once.

The candidates that none dominates stand first, ordered by how near each is to the ideal: the best quality, the best
trust and the lowest cost found among all, as if one model had them. Each counts as its share of the ideal (a cost as
the lowest divided by it); the score is 1 less the quadratic mean of what is missing. So a candidate that is fair in
everything comes before one that is best in one thing and poor in the others. The dominated follow, by the same score
less 1: below zero means dominated.
"""

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from math import sqrt
from typing import Any, Final

from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate, hookimpl
from orchestrator_backends.measures import UNMEASURED, cost_of, quality_of, refuse_parameters, trust_of

DOMINATED: Final = "dominated"
"""The reason of a candidate that another one beats."""

_Vector = tuple[float, float, float]
_Keyed = tuple[float, _Vector, int, str]
"""What is missing of the ideal, what was compared, place, model."""


class ParetoBackend:
    """Ranks the non-dominated first, by their distance to the ideal; equal scores keep the row's order."""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """Every candidate once, best first; the dominated have the reason ``dominated``."""
        vectors = [_vector(each, telemetry.get(each.model, UNMEASURED)) for each in candidates]
        if not vectors:
            return []
        front = _front(vectors)
        lowest = [min(column) for column in zip(*vectors, strict=True)]
        quality, trust, cost = lowest[0] or -1.0, lowest[1] or -1.0, lowest[2]
        leading: list[_Keyed] = []
        dominated: list[_Keyed] = []
        for each, vector in zip(candidates, vectors, strict=True):
            worth, belief, price = vector
            poorer, doubtful, dearer = 1 - worth / quality, 1 - belief / trust, 1 - cost / price
            missing = sqrt((poorer * poorer + doubtful * doubtful + dearer * dearer) / 3)
            (leading if vector in front else dominated).append((missing, vector, each.place, each.model))
        leading.sort()
        dominated.sort()
        return [
            *(Ranked(model, 1 - missing) for missing, _, _, model in leading),
            *(Ranked(model, -missing, DOMINATED) for missing, _, _, model in dominated),
        ]


def _vector(candidate: RoutingCandidate, measured: ModelTelemetry) -> _Vector:
    """What is compared, less being better in every place."""
    return -quality_of(measured), -trust_of(measured), cost_of(candidate, measured)


def _front(vectors: Iterable[_Vector]) -> set[_Vector]:
    """Those that no other one beats: at most as large everywhere, and smaller somewhere.

    In ascending order only an earlier vector can beat a later one; an equal one has been decided on before. ``seconds``
    and ``thirds`` hold the steps of those seen so far: the higher the second number, the lower the third.
    """
    front: set[_Vector] = set()
    seconds: list[float] = []
    thirds: list[float] = []
    for vector in sorted(vectors):
        _, second, third = vector
        place = bisect_right(seconds, second)
        if place and thirds[place - 1] <= third:
            continue
        if place and seconds[place - 1] == second:
            place -= 1
        end = place
        while end < len(thirds) and thirds[end] >= third:
            end += 1
        seconds[place:end], thirds[place:end] = [second], [third]
        front.add(vector)
    return front


@hookimpl
def orchestrator_backend(parameters: Mapping[str, Any]) -> Backend:
    """Build the backend; it takes no parameters."""
    refuse_parameters("pareto", parameters)
    return ParetoBackend()
