"""The mailbox of live runs: what other processes ask of the one that has a run.

A table ``requests(id, run, kind, text, at)``. Any process puts a request in; the process that has the run looks for
them. The transaction with which its session ends, or with which the next one opens, takes out those that ask for its
end; that of an answer or of an edited plan takes out what brought it, and the end of the run everything.
"""

from collections.abc import Iterable, Iterator
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

CANCEL: Final = "cancel"
"""Asks for the end of the session; the run can be resumed."""

RELEASE: Final = "release"
"""Asks for the end of the session, so that another process goes on with the run."""

ANSWER: Final = "answer"
"""Answers an open question; see ``engine.replies``."""

EDIT: Final = "edit"
"""Brings another plan; see ``engine.editing``."""

Taken = tuple[str, str | None, int | None]
"""A run, the kind of requests that are taken out (None: all), and up to which number (None: all)."""

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


def taken_by(run: str, events: Iterable[Event]) -> Iterator[Taken]:
    """What these events of a run take out of its mailbox: what they end, open, or answer."""
    for event in events:
        match event:
            case RunFinished():
                yield run, None, None
            case PlanEdited(request=number):
                yield run, EDIT, number
            case QuestionAnswered():
                yield run, ANSWER, None
            case _ if isinstance(event, _ENDING):
                yield run, CANCEL, None
                yield run, RELEASE, None
