"""The mailbox of live runs: what other processes ask of the one that has a run.

A table ``requests(id, run, kind, text, at)``. Any process puts a request in; the process that has the run looks for
them. The transaction with which its session ends, or with which the next one opens, takes out those that ask for its
end; that of an answer or of an edited plan takes out what brought it, and the end of the run everything.
"""

import binascii
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Final

from attrs import frozen

from orchestrator.errors import DamagedLogError
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
from orchestrator.log.text_encryption import Keys

CANCEL: Final = "cancel"
"""Asks for the end of the session; the run can be resumed."""

RELEASE: Final = "release"
"""Asks for the end of the session, so that another process goes on with the run."""

ANSWER: Final = "answer"
"""Answers an open question; see ``engine.answers_from_outside``."""

EDIT: Final = "edit"
"""Brings another plan; see ``engine.plan_editing``."""

KINDS: Final = (CANCEL, RELEASE, ANSWER, EDIT)
"""Every kind that this program puts in."""

_SEALED: Final = "sealed:"
"""How the text of a request begins that is encrypted; what follows is base64."""

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


def sealed(keys: Keys, run: str, kind: str, text: str) -> str:
    """The text of a request as it is stored: encrypted where the run has a key."""
    if keys.of(run) is None:
        return text
    return _SEALED + b64encode(keys.seal(run, _bound(kind), text.encode())).decode()


def opened(keys: Keys, run: str, kind: str, stored: str) -> str:
    """The text of a request; see ``sealed``.

    Raises:
        NoKeyError: it is encrypted, and the key of the run is not here.
        DamagedLogError: it was not encrypted with the key of the run.
    """
    if not is_sealed(stored):
        return stored
    try:
        content = b64decode(stored.removeprefix(_SEALED), validate=True)
    except binascii.Error as error:
        raise DamagedLogError(0, f"a request of {run} cannot be read: {error}") from error
    return keys.open(run, _bound(kind), content).decode(errors="replace")


def is_sealed(stored: str) -> bool:
    """Whether the stored text of a request is encrypted."""
    return stored.startswith(_SEALED)


def _bound(kind: str) -> str:
    """What stands in place of a digest, so that no request stands in a text's place, or another's."""
    return f"request {kind}"
