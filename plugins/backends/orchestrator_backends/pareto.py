"""The backend ``pareto``: nobody comes before a candidate that beats it in quality, trust and cost at once.

The candidates that none dominates stand first, ordered by how near each is to the ideal: the best quality, the best
trust and the lowest cost found among all, as if one model had them. Each counts as its share of the ideal (a cost as
the lowest divided by it); the score is 1 less the quadratic mean of what is missing. So a candidate that is fair in
everything comes before one that is best in one thing and poor in the others. The dominated follow, by the same score
less 1: below zero means dominated.
"""

import math
from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate, hookimpl
from orchestrator_backends.measures import UNMEASURED, cost_of, quality_of, refuse_parameters, trust_of

DOMINATED: Final = "dominated"
"""The reason of a candidate that another one beats."""

_Vector = tuple[float, float, float]


class ParetoBackend:
    """Ranks the non-dominated first, by their distance to the ideal; equal scores keep the row's order."""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """Every candidate once, best first; the dominated have the reason ``dominated``."""
        vectors = [_vector(each, telemetry.get(each.model, UNMEASURED)) for each in candidates]
        if not vectors:
            return []
        front = _front(set(vectors))
        quality = min(vector[0] for vector in vectors) or -1.0
        trust = min(vector[1] for vector in vectors) or -1.0
        cost = min(vector[2] for vector in vectors)
        keyed = []
        for each, vector in zip(candidates, vectors, strict=True):
            poorer, doubtful, dearer = 1 - vector[0] / quality, 1 - vector[1] / trust, 1 - cost / vector[2]
            score = 1 - math.sqrt((poorer * poorer + doubtful * doubtful + dearer * dearer) / 3)
            keyed.append((vector not in front, -score, vector, each.place, each.model))
        keyed.sort()
        return [
            Ranked(model, -score - 1, DOMINATED) if dominated else Ranked(model, -score)
            for dominated, score, _, _, model in keyed
        ]


def _vector(candidate: RoutingCandidate, measured: ModelTelemetry) -> _Vector:
    """What is compared, less being better in every place."""
    return -quality_of(measured), -trust_of(measured), cost_of(candidate, measured)


def _front(vectors: Iterable[_Vector]) -> set[_Vector]:
    """Those of different vectors that no other one beats: at most as large everywhere, and smaller somewhere.

    In ascending order only an earlier vector can beat a later one. ``seconds`` and ``thirds`` hold the steps of those
    seen so far: the higher the second number, the lower the third.
    """
    front: set[_Vector] = set()
    seconds: list[float] = []
    thirds: list[float] = []
    for vector in sorted(vectors):
        _, second, third = vector
        place = bisect_left(seconds, second)
        equal = place < len(seconds) and seconds[place] == second
        below = place if equal else place - 1
        if below >= 0 and thirds[below] <= third:
            continue
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
