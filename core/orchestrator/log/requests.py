"""The mailbox of live runs: what other processes ask of the one that has a run.

A table ``requests(id, run, kind, text, at)``. Any process puts a request in; the process that has the run looks for
them. The transaction with which its session ends, or with which the next one opens, takes out those that ask for its
end; that of an answer or of an edited plan takes out what brought it, and the end of the run everything.
"""

import sqlite3
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from orchestrator.events import (
    Event,
    PlanEdited,
    QuestionAnswered,
    RunFinished,
    RunInterrupted,
    SessionFailed,
    SessionLost,
    SessionOpened,
)
from orchestrator.log.chain import Queryable

NAME: Final = "requests"
"""The table."""

CANCEL: Final = "cancel"
"""Asks for the end of the session; the run can be resumed."""

RELEASE: Final = "release"
"""Asks for the end of the session, so that another process goes on with the run."""

ANSWER: Final = "answer"
"""Answers an open question; see ``engine.replies``."""

EDIT: Final = "edit"
"""Brings another plan; see ``engine.editing``."""

_TABLE: Final = """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL DEFAULT '', at INTEGER NOT NULL
)
"""
_ENDING: Final = (SessionOpened, SessionFailed, SessionLost, RunInterrupted)


@frozen
class MailboxRequest:
    """What another process asks of a run."""

    number: int
    """Used again once the request is taken out; with ``at`` it is unique."""
    at: int
    """Microseconds UTC."""
    kind: str
    text: str


def create(connection: sqlite3.Connection) -> None:
    """Make the table where it does not exist: logs of earlier programs have none."""
    connection.execute(_TABLE)


def put(connection: Queryable, run: str, kind: str, text: str, at: int) -> None:
    """Put a request in; inside a transaction."""
    connection.execute("INSERT INTO requests(run, kind, text, at) VALUES (?, ?, ?, ?)", (run, kind, text, at))


def take_out(connection: Queryable, run: str, events: Iterable[Event]) -> None:
    """Take out what is asked of a run where these events end or open its session; inside their transaction."""
    for event in events:
        match event:
            case RunFinished():
                connection.execute("DELETE FROM requests WHERE run = ?", (run,))
            case PlanEdited(request=number):
                connection.execute("DELETE FROM requests WHERE run = ? AND kind = ? AND id <= ?", (run, EDIT, number))
            case QuestionAnswered():
                connection.execute("DELETE FROM requests WHERE run = ? AND kind = ?", (run, ANSWER))
            case _ if isinstance(event, _ENDING):
                connection.execute("DELETE FROM requests WHERE run = ? AND kind IN (?, ?)", (run, CANCEL, RELEASE))
