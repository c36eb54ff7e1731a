"""The tiers of models: their order, and the quality that is assumed of each."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

USUAL_QUALITY: Final[Mapping[str | None, float]] = MappingProxyType({"economy": 0.7, "standard": 0.8, "premium": 0.9})
"""The mean score that is assumed of a model by its tier, from 0 to 1, until it is measured."""

_SIZES: Final[Mapping[str | None, int]] = MappingProxyType(
    {"economy": 0, "small": 0, "standard": 1, "medium": 1, "premium": 2, "large": 2}
)
"""The tiers that have an order, smallest first."""


def is_lower_tier(tier: str | None, other: str | None) -> bool:
    """Whether a tier is below another one; one that is unknown or a vendor's own is below none, and none below it."""
    return tier in _SIZES and other in _SIZES and _SIZES[tier] < _SIZES[other]


def usual_quality(tier: str | None) -> float:
    """The quality assumed of a tier; of one that is unknown or a vendor's own that of ``standard``."""
    return USUAL_QUALITY.get(tier, 0.8)
