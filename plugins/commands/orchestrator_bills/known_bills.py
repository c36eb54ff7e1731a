"""The columns of each vendor's own bill."""

from collections.abc import Mapping
from typing import Final

BILLS: Final[Mapping[str, Mapping[str, str]]] = {
    "openai": {
        "time": "start_time_iso",
        "model": "line_item",
        "amount": "amount_value",
        "currency": "amount_currency",
    },
    "anthropic": {"time": "usage_date_utc", "model": "model", "amount": "cost_usd"},
    "google": {"time": "Usage start date", "model": "SKU description", "amount": "Cost ($)"},
    "deepseek": {"time": "utc_date", "model": "model", "amount": "cost", "currency": "currency"},
    "openrouter": {
        "time": "created_at",
        "model": "model_permaslug",
        "amount": "cost_total",
        "request": "generation_id",
    },
}
"""By vendor what ``--mapping`` would name. Vendors change their exports: a bill without these columns is refused."""
