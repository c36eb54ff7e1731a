"""The figures of statistics that results rest on: intervals, exact tests clustered by case, and how many cases suffice.

A case is the unit of evidence: repetitions of a case say more of that case, and nothing of another.
"""

from collections.abc import Iterable, Mapping, Sequence
from fractions import Fraction
from math import ceil, comb, lcm, sqrt
from typing import Final

from attrs import frozen

_Z95: Final = 1.959963984540054
"""The normal quantile of 97.5 %."""
_Z80: Final = 0.8416212335729143
"""The normal quantile of 80 %: the power of a comparison that is large enough."""
LEVEL: Final = 0.05
"""Below this p a difference is no chance."""


def wilson(successes: float, n: float) -> tuple[float, float]:
    """The Wilson interval of a proportion at 95 %; (0, 1) where nothing was tried.

    Both may be fractions: cases may have weights, and a case may be solved in some of its repetitions.

    Raises:
        ValueError: there are more successes than tries.
    """
    if not 0 <= successes <= n + 1e-9:
        raise ValueError(f"{successes} of {n}")
    if n == 0:
        return 0.0, 1.0
    p, z2 = min(1.0, successes / n), _Z95 * _Z95
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z95 / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, min(p, middle - half)), min(1.0, max(p, middle + half))


def sign_test(gained: int, lost: int) -> float:
    """The two-sided p of McNemar's exact test: how likely discordant pairs divide at least so unevenly by chance."""
    n = gained + lost
    tail = sum(comb(n, k) for k in range(min(gained, lost) + 1))
    return float(min(1.0, 2 * tail / 2**n))


@frozen
class Share:
    """What a share of solved cases is worth.

    Attributes:
        value: from 0 to 1; None where no case was tried.
        low: of the interval at 95 %.
        high: the same.
        cases: how many were tried.
    """

    value: float | None
    low: float
    high: float
    cases: int


def share_of(rates: Mapping[str, Fraction], weights: Mapping[str, float]) -> Share:
    """The weighted mean of the rates of cases, with the Wilson interval of as many cases as the weights amount to."""
    if not rates:
        return Share(None, 0.0, 1.0, 0)
    total = sum(weights[case] for case in rates)
    mean = sum(weights[case] * float(rate) for case, rate in rates.items()) / total
    effective = total * total / sum(weights[case] ** 2 for case in rates)
    low, high = wilson(min(mean, 1.0) * effective, effective)
    return Share(mean, low, high, len(rates))


def pass_all(results: Iterable[Sequence[bool]], k: int) -> float | None:
    """pass^k: the chance that k answers to a case are all right, as a mean over the cases with k results or more."""
    found = [comb(sum(each), k) / comb(len(each), k) for each in results if len(each) >= k > 0]
    return sum(found) / len(found) if found else None


@frozen
class Comparison:
    """An arm beside another one, case by case.

    Attributes:
        cases: how many both have.
        gained: cases in which the arm is better.
        lost: those in which it is worse.
        difference: the mean over the cases, from -1 to 1.
        p: of the exact test, both sides; how likely so much arises where both are the same.
        p_worse: that of one side: how likely the arm does so badly where it is no worse.
        needs: cases with which a difference of this size would be found in 80 of 100 comparisons; None where there is
            no difference.
    """

    cases: int
    gained: int
    lost: int
    difference: float
    p: float
    p_worse: float
    needs: int | None

    @property
    def proved(self) -> bool:
        """Whether the difference is no chance, at a level of 5 %."""
        return self.p <= LEVEL


def compare(rates: Mapping[str, Fraction], others: Mapping[str, Fraction]) -> Comparison:
    """The comparison on the cases that both have: the exact test of exchanging the arms within each case.

    With one answer a case it is McNemar's exact test.
    """
    differences = [rates[case] - others[case] for case in rates if case in others]
    worse, better = exchange_test(differences)
    return Comparison(
        cases=len(differences),
        gained=sum(each > 0 for each in differences),
        lost=sum(each < 0 for each in differences),
        difference=float(sum(differences, Fraction(0)) / len(differences)) if differences else 0.0,
        p=min(1.0, 2 * min(worse, better)),
        p_worse=worse,
        needs=_needed(differences),
    )


def exchange_test(differences: Sequence[Fraction]) -> tuple[float, float]:
    """How likely a sum at most, and at least, so large is where each difference has either sign by chance.

    Exact: every assignment of signs is counted.
    """
    scale = lcm(1, *(each.denominator for each in differences))
    steps = [int(each * scale) for each in differences if each]
    observed = sum(steps)
    counts: dict[int, int] = {0: 1}
    for step in steps:
        following: dict[int, int] = {}
        for total, count in counts.items():
            for after in (total + step, total - step):
                following[after] = following.get(after, 0) + count
        counts = following
    every = 2 ** len(steps)
    at_most = sum(count for total, count in counts.items() if total <= observed)
    at_least = sum(count for total, count in counts.items() if total >= observed)
    return float(Fraction(at_most, every)), float(Fraction(at_least, every))


def _needed(differences: Sequence[Fraction]) -> int | None:
    """The number of cases for a power of 80 % at the level of 5 %, from the spread that was seen."""
    if not differences:
        return None
    mean = float(sum(differences, Fraction(0)) / len(differences))
    square = float(sum((each * each for each in differences), Fraction(0)) / len(differences))
    if not mean:
        return None
    root = _Z95 * sqrt(square) + _Z80 * sqrt(max(0.0, square - mean * mean))
    return max(len([each for each in differences if each]) and 6, ceil((root / mean) ** 2))
