"""Comparing scores as the decimals they are written as: 0.90 and 0.85 are 0.05 apart, which binary floats are not."""

from fractions import Fraction
from typing import Final

PLACES: Final = 6
"""Decimal places that count: scores that are equal to six places are equal."""


def decimal_of(value: float) -> Fraction:
    """The decimal that a finite number is written as, rounded to six places."""
    return round(Fraction(repr(value)), PLACES)


def is_within(one: float, other: float, distance: float) -> bool:
    """Whether two scores are at most this far apart."""
    return abs(decimal_of(one) - decimal_of(other)) <= decimal_of(distance)


def is_nearer(one: float, other: float, distance: float) -> bool:
    """Whether two scores are less than this far apart."""
    return abs(decimal_of(one) - decimal_of(other)) < decimal_of(distance)


def reaches(score: float, threshold: float) -> bool:
    """Whether a score is at least as high as a threshold."""
    return decimal_of(score) >= decimal_of(threshold)
