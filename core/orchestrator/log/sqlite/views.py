"""The views of a log as SQLite writes them."""

from typing import Final

from orchestrator.log import views
from orchestrator.log.views import Dialect, definitions


def _extract(column: str, path: str) -> str:
    return f"json_extract({column}, '$.{path}')"


def _time(column: str) -> str:
    seconds = f"strftime('%Y-%m-%dT%H:%M:%S', {column} / 1000000, 'unixepoch')"
    return f"{seconds} || printf('.%06dZ', {column} % 1000000)"


SQLITE: Final = Dialect(
    text=_extract,
    whole=_extract,
    real=_extract,
    length=lambda column, path: f"json_array_length({column}, '$.{path}')",
    each=lambda column, path, name: f"json_each({column}, '$.{path}') AS {name}",
    word=lambda name: f"{name}.value",
    time=_time,
    least=lambda one, other: f"min({one}, {other})",
    once="LIMIT -1",  # limits nothing
    events="main.events",
    mark="?",
)

VIEWS: Final = definitions(SQLITE)
"""The views, by name."""


def own(name: str, streams: int = 0) -> str:
    """A clause that defines a view by this program's query; see ``views.own``."""
    return views.own(name, SQLITE, streams)
