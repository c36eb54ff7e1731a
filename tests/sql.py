"""SQL over a log in SQLite, for tests that look at its rows or damage them."""

from orchestrator.ledger.event_log import EventLog
from orchestrator.log.sqlite import SqliteStore


def sqlite_of(log: EventLog) -> SqliteStore:
    """The store of a log in SQLite."""
    assert isinstance(log.store, SqliteStore)
    return log.store
