"""The quality that is assumed of a model until it is measured."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

USUAL_QUALITY: Final[Mapping[str | None, float]] = MappingProxyType({"economy": 0.7, "standard": 0.8, "premium": 0.9})
"""The mean score that is assumed of a model by its tier, from 0 to 1, until it is measured."""


def usual_quality(tier: str | None) -> float:
    """The quality assumed of a tier; of one that is unknown or a vendor's own that of ``standard``."""
    return USUAL_QUALITY.get(tier, 0.8)
