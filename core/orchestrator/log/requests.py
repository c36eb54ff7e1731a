"""The mailbox of live runs: what other processes ask of the one that has a run.

A table ``requests(id, run, kind, text, at)``. Any process puts a request in; the process that has the run looks for
them, and the transaction with which its session ends, or with which the next one opens, takes them out.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

from orchestrator.events import Event, RunFinished, RunInterrupted, SessionFailed, SessionLost, SessionOpened
from orchestrator.log.chain import Queryable

NAME: Final = "requests"
"""The table."""

CANCEL: Final = "cancel"
"""Asks for the end of the session; the run can be resumed."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL DEFAULT '', at INTEGER NOT NULL
)
"""
_ENDING: Final = (SessionOpened, SessionFailed, SessionLost, RunInterrupted, RunFinished)


def create(connection: sqlite3.Connection) -> None:
    """Make the table where it does not exist: logs of earlier programs have none."""
    connection.execute(_TABLE)


def put(connection: Queryable, run: str, kind: str, text: str, at: int) -> None:
    """Put a request in; inside a transaction."""
    connection.execute("INSERT INTO requests(run, kind, text, at) VALUES (?, ?, ?, ?)", (run, kind, text, at))


def take_out(connection: Queryable, run: str, events: Iterable[Event]) -> None:
    """Take out what is asked of a run where these events end or open its session; inside their transaction."""
    if any(isinstance(event, _ENDING) for event in events):
        connection.execute("DELETE FROM requests WHERE run = ?", (run,))
