"""An event log in memory, written in place: no file, no thread."""

import sqlite3
from collections.abc import Callable
from typing import TypeVar

from orchestrator.ledger.event_log import EventLog
from orchestrator.log.locks import Locks
from orchestrator.log.protocol import Store
from orchestrator.log.redaction import Redactor
from orchestrator.log.sqlite import SqliteStore, create
from orchestrator.log.sqlite.connections import Connection

T = TypeVar("T")


async def in_place(work: Callable[[], T], /) -> T:
    """Run a blocking function where it is called; an ``offload`` for simulated time."""
    return work()


def memory_database() -> sqlite3.Connection:
    """A connection to an empty, laid out database in memory, in autocommit mode."""
    connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    create(connection)
    return connection


def memory_log(
    connection: Connection | None = None, locks: Locks | None = None, redactor: Redactor | None = None
) -> EventLog:
    """A log over ``connection`` (a new database where it is None) that commits in place."""
    return log_over(SqliteStore(connection or memory_database(), locks=locks), redactor)


def log_over(store: Store, redactor: Redactor | None = None) -> EventLog:
    """A log over any store that commits in place."""
    return EventLog(store, offload=in_place, redactor=redactor)
