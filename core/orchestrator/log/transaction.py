"""What an append does inside its transaction: rows, chained, with plain prepared statements."""

import json
import sqlite3
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any, Final, NamedTuple

from attrs import frozen

from orchestrator.errors import LogError, UnknownEventError, present
from orchestrator.events import Event, RunForked
from orchestrator.log import chain
from orchestrator.log.codec import CODEC, Codec
from orchestrator.log.redaction import Redactor

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
COLUMNS: Final = "position, stream, version, type, schema, at, data, hash"

_LAST: Final = "SELECT version, hash, at FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1"
_INSERT: Final = "INSERT INTO events(stream, version, type, schema, at, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"


class Last(NamedTuple):
    """The last event of a stream: its version, its hash and its time."""

    version: int
    hash: str
    at: int


class Encoded(NamedTuple):
    """An event in its stored form; ``event`` is what reading it back gives."""

    type: str
    schema: int
    data: str
    event: Event


@frozen(slots=False)
class Recorded:
    """One stored event."""

    position: int
    """Its place in the whole log, from 1."""
    stream: str
    version: int
    """Its place in its stream, from 1."""
    type: str
    """The stored name of its class."""
    schema: int
    at: int
    """Microseconds UTC."""
    data: str
    """Its fields as compact JSON, as stored."""
    hash: str

    @property
    def event(self) -> Event:
        """The event itself, decoded when it is first asked for.

        Raises:
            UnknownEventError: a newer program wrote it.
            LogError: the data is not what its type says.
        """
        event: Event | None = self.__dict__.get("decoded")
        if event is not None:
            return event
        try:
            event = self.__dict__["decoded"] = CODEC.decode(self.type, self.schema, self.data)
        except UnknownEventError as error:
            raise UnknownEventError(f"event {self.position}: {error}") from error
        except LogError as error:
            raise LogError(f"event {self.position}: {error}") from error
        return event

    @property
    def name(self) -> str:
        """The stable name of what has happened, such as ``task.finished``; ``docs/events.md`` has them all."""
        return self.type

    def to_dict(self) -> dict[str, Any]:
        """The event as plain data, as ``orchestrate log show --json`` has it.

        ``at`` is ISO 8601 in UTC; in ``data`` durations are microseconds, amounts nano-dollars, texts their digests.
        """
        return {
            "position": self.position,
            "stream": self.stream,
            "version": self.version,
            "type": self.type,
            "schema": self.schema,
            "at": iso(self.at),
            "data": json.loads(self.data),
        }

    def _repr_html_(self) -> str:
        cells = (f"v{self.version}", iso(self.at), self.type, self.data)
        return f"<table><tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr></table>"


def iso(at: int) -> str:
    """A time of the log, in microseconds UTC, as ISO 8601."""
    return f"{(_EPOCH + timedelta(microseconds=at)).isoformat(timespec='microseconds').removesuffix('+00:00')}Z"


class Transaction:
    """Reads tails and writes events; the caller holds the transaction open.

    Args:
        connection: in autocommit mode, so that BEGIN and COMMIT are the caller's.
        redactor: takes the values of keys out of every event.
        codec: how events are stored.
    """

    def __init__(self, connection: chain.Queryable, redactor: Redactor, codec: Codec = CODEC) -> None:
        self.connection = connection
        self._redactor = redactor
        self._codec = codec

    def encode(self, event: Event) -> Encoded:
        """The stored form of an event, without any key in it.

        Raises:
            LogError: it cannot be stored.
        """
        name, schema, data = self._codec.encode(event)
        redacted = self._redactor.data(data)
        if redacted != data:
            event = self._codec.decode(name, schema, redacted)
        return Encoded(name, schema, redacted, event)

    def last(self, stream: str) -> Last | None:
        """The last event of a stream, or None where there is no such stream."""
        row = self.connection.execute(_LAST, (stream,)).fetchone()
        return None if row is None else Last(*row)

    def last_event(self, stream: str) -> tuple[int, Event] | None:
        """The version and the event that a stream ends with."""
        row = self.connection.execute(
            f"SELECT {COLUMNS} FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1", (stream,)
        ).fetchone()
        return None if row is None else (row[2], Recorded(*row).event)

    def event(self, stream: str, version: int) -> Event | None:
        """One event of a stream, or None where it has none of that version."""
        row = self.connection.execute(
            f"SELECT {COLUMNS} FROM events WHERE stream = ? AND version = ?", (stream, version)
        ).fetchone()
        return None if row is None else Recorded(*row).event

    def write(self, stream: str, last: Last | None, at: int, encoded: Encoded) -> Recorded:
        """Insert an event after the last one of its stream."""
        version, previous = (
            (_shared(encoded.event) + 1, chain.GENESIS) if last is None else (last.version + 1, last.hash)
        )
        name, schema, data, _ = encoded
        digest = chain.link(previous, stream, version, name, schema, at, data)
        row = (stream, version, name, schema, at, data, digest)
        position = present(self.connection.execute(_INSERT, row).lastrowid, "position")
        return Recorded(position, *row)

    def write_next(self, stream: str, at: int, event: Event) -> Recorded:
        """Insert an event at the end of its stream, wherever that is."""
        return self.write(stream, self.last(stream), at, self.encode(event))

    def store_texts(self, run: str, packed: list[tuple[str, bytes]], salt: bytes | None) -> None:
        """Store compressed texts by digest, and the salt of a run that has none."""
        if salt is not None:
            self.connection.execute("INSERT OR IGNORE INTO salts(run, salt) VALUES (?, ?)", (run, salt))
        for digest, data in packed:
            self.connection.execute(
                "INSERT OR IGNORE INTO blobs(run, digest, data) VALUES (?, ?, ?)", (run, digest, data)
            )


def _shared(event: Event) -> int:
    """How many versions come before the first event of a stream: those a fork shares with its parent."""
    return event.version if isinstance(event, RunForked) else 0


def explained(error: BaseException) -> str:
    """Why the database cannot be used, and what to do, on one line."""
    text = str(error)
    if isinstance(error, UnicodeDecodeError):
        return "the file is damaged: restore it, or choose another folder with --home"
    if isinstance(error, sqlite3.Error):
        if "full" in text:
            return "the disk is full: free some space, then resume"
        if "readonly" in text or "unable to open" in text:
            return f"the data folder cannot be written ({text}): make it writable, or choose another with --home"
        if "not a database" in text or "malformed" in text:
            return f"the file is damaged or no event log ({text}): restore it, or choose another folder with --home"
        if "locked" in text:
            return f"another program keeps the event log locked ({text}): close it, then resume"
    return f"{text or type(error).__name__}: remove the cause, then resume"
