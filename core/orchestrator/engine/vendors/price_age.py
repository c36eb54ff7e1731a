"""How old the prices are that a run would count by."""

from collections.abc import Iterable
from datetime import date
from typing import Final

from orchestrator.models import ModelInfo

OLD: Final = 90
"""Days after which a price is said to be old: vendors change theirs several times a year."""

_SHOWN: Final = 5


def old_prices(models: Iterable[ModelInfo], today: date) -> str | None:
    """One line about the models whose prices were last known to hold more than 90 days ago; None where there is none.

    A price without a date has no age.
    """
    dated = [(date.fromisoformat(each.price_date), each.id) for each in models if each.price and each.price_date]
    old = sorted((day, name) for day, name in dated if (today - day).days > OLD)
    if not old:
        return None
    names = ", ".join(name for _, name in old[:_SHOWN])
    more = f" and {len(old) - _SHOWN} more" if len(old) > _SHOWN else ""
    return (
        f"prices older than {OLD} days: {names}{more} (the oldest of {old[0][0].isoformat()}); "
        "update multi-llm-orchestrator, or declare price and price_date in models:"
    )
