"""The two figures of statistics that the report needs."""

from math import comb, sqrt
from typing import Final

_Z: Final = 1.959963984540054
"""The normal quantile of 97.5 %."""


def wilson(successes: int, n: int) -> tuple[float, float]:
    """The Wilson interval of a proportion at 95 %; (0, 1) where nothing was tried.

    Raises:
        ValueError: there are more successes than tries.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} of {n}")
    if n == 0:
        return 0.0, 1.0
    p, z2 = successes / n, _Z * _Z
    middle = (p + z2 / (2 * n)) / (1 + z2 / n)
    half = _Z / (1 + z2 / n) * sqrt(p * (1 - p) / n + z2 / (4 * n * n))
    return max(0.0, middle - half), min(1.0, middle + half)


def sign_test(gained: int, lost: int) -> float:
    """The two-sided p of McNemar's exact test: how likely discordant pairs divide at least so unevenly by chance."""
    n = gained + lost
    tail = sum(comb(n, k) for k in range(min(gained, lost) + 1))
    return float(min(1.0, 2 * tail / 2**n))
