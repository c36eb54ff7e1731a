"""The backend ``pareto``: no candidate comes before one that beats it in quality, trust and cost at once.

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
from orchestrator_backends.measures import measures_of, ranked, refuse_parameters

DOMINATED: Final = "dominated"
"""The reason of a candidate that another one beats."""

_Key = tuple[float, float, float, float, int, str]
"""What is missing of the ideal; quality, trust and cost, less being better in every place; place and model."""


class ParetoBackend:
    """Ranks the non-dominated first, by their distance to the ideal; equal scores keep the row's order."""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """Every candidate once, best first; the dominated have the reason ``dominated``."""
        if not candidates:
            return []
        qualities, trusts, costs = measures_of(candidates, telemetry)
        quality, trust, cost = max(qualities) or 1.0, max(trusts) or 1.0, min(costs)
        keys = [
            (
                sqrt(
                    (
                        (poorer := 1 - worth / quality) * poorer
                        + (doubtful := 1 - belief / trust) * doubtful
                        + (dearer := 1 - cost / price) * dearer
                    )
                    / 3
                ),
                -worth,
                -belief,
                price,
                each.place,
                each.model,
            )
            for each, worth, belief, price in zip(candidates, qualities, trusts, costs, strict=True)
        ]
        keys.sort()
        beaten = _beaten(keys)
        return [
            *[ranked(key[5], 1 - key[0]) for key, is_beaten in zip(keys, beaten, strict=True) if not is_beaten],
            *[ranked(key[5], -key[0], DOMINATED) for key, is_beaten in zip(keys, beaten, strict=True) if is_beaten],
        ]


def _beaten(keys: Sequence[_Key]) -> list[bool]:
    """For each whether another one beats it: is at most as large in its three numbers, and smaller in one.

    The keys ascend, so that none beats the first, the nearest to the ideal. It beats most of them, and also those that
    one of them would beat: only what it leaves is compared. In ascending order of the three only an earlier one can
    beat a later one; an equal one is beaten where the one before is. ``seconds`` and ``thirds`` hold the steps of
    those seen so far: the higher the second number, the lower the third.
    """
    beaten = [True] * len(keys)
    _, worth, belief, price, _, _ = keys[0]
    left = {
        index: (first, second, third)
        for index, (_, first, second, third, _, _) in enumerate(keys)
        if first < worth or second < belief or third < price or (first == worth and second == belief and third == price)
    }
    seconds: list[float] = []
    thirds: list[float] = []
    before = -1
    for index in sorted(left, key=left.__getitem__):
        _, second, third = left[index]
        if before >= 0 and left[before] == left[index]:
            beaten[index] = beaten[before]
            continue
        before = index
        place = bisect_right(seconds, second)
        if place and thirds[place - 1] <= third:
            continue
        beaten[index] = False
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
