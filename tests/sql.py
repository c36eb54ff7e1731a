"""SQL over a log in SQLite, for tests that look at its rows or damage them."""

from collections.abc import Sequence
from typing import Any

from orchestrator.log import EventLog
from orchestrator.log.sqlite import SqliteStore


def sqlite_of(log: EventLog) -> SqliteStore:
    """The store of a log in SQLite."""
    assert isinstance(log.store, SqliteStore)
    return log.store


def sql(log: EventLog, text: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    return sqlite_of(log).query(text, parameters)
