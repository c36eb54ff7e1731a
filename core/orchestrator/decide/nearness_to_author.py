"""How near a judge is to the author of what it judges: those of another vendor come first, a lower tier last of all."""

from collections.abc import Mapping
from typing import Final

from orchestrator.models import ModelInfo
from orchestrator.models.offers import is_lower_tier

LOWER_TIER: Final = 4
"""The distance of a model that is of the author's vendor and of a lower tier."""


def distances(models: Mapping[str, ModelInfo], author: ModelInfo) -> Mapping[str, int]:
    """By model, how near it is to the author: 1: another tier; 2: another model; 3: itself; 4: a lower tier.

    A judge is no weaker than the author, and so one of a lower tier comes last of all. Those of another vendor are left
    out.
    """
    near = ((name, _distance(model, author)) for name, model in models.items())
    return {name: distance for name, distance in near if distance}


def _distance(model: ModelInfo, author: ModelInfo) -> int:
    if model.vendor != author.vendor:
        return 0
    if model.id == author.id:
        return 3
    if is_lower_tier(model.tier, author.tier):
        return LOWER_TIER
    return 1 if model.tier != author.tier else 2
