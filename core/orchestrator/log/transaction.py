"""What an append makes: rows, chained on the tails of their streams, for the store to write."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from html import escape
from typing import Any, Final, NamedTuple

from attrs import frozen

from orchestrator.errors import LogError, UnknownEventError
from orchestrator.events import Event, RunForked
from orchestrator.log import chain
from orchestrator.log.codec import CODEC, Codec
from orchestrator.log.protocol import Changes, Tails
from orchestrator.log.redaction import Redactor
from orchestrator.log.stored_rows import CacheRow, Hold, Last, NewRow

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


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


class Encoder:
    """Gives events their stored form.

    Args:
        redactor: takes the values of keys out of every event.
        codec: how events are stored.
    """

    def __init__(self, redactor: Redactor, codec: Codec = CODEC) -> None:
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


class AppendDraft:
    """What one append writes: it reads as if its rows were stored already. Hashes are made here and nowhere else.

    Args:
        tails: what the store says, inside its transaction.
        encoder: gives events their stored form.
    """

    def __init__(self, tails: Tails, encoder: Encoder) -> None:
        self.tails = tails
        self.encode = encoder.encode
        self.rows: list[NewRow] = []
        self.events: list[Event] = []
        """Of the rows, in their order."""
        self.texts: list[tuple[str, str, bytes]] = []
        self.salts: list[tuple[str, bytes]] = []
        self.archived: list[str] = []
        self.forgotten: list[str] = []
        self.taken: list[tuple[str, str | None, int | None]] = []
        self.secret: bytes | None = None
        self.cached: tuple[CacheRow, ...] = ()
        self.pace: dict[str, int] = {}
        self._lasts: dict[str, tuple[Last, Event]] = {}
        self._holds: list[Hold] = []
        self._ended: list[Hold] = []

    def last(self, stream: str) -> Last | None:
        """The last event of a stream, or None where there is no such stream."""
        found = self._lasts.get(stream)
        return self.tails.last(stream) if found is None else found[0]

    def last_event(self, stream: str) -> tuple[int, Event] | None:
        """The version and the event that a stream ends with."""
        found = self._lasts.get(stream)
        if found is not None:
            return found[0].version, found[1]
        row = self.tails.last_row(stream)
        if row is None:
            return None
        event = Recorded(*row).event
        self._lasts[stream] = Last(row.version, row.hash, row.at), event
        return row.version, event

    def event(self, stream: str, version: int) -> Event | None:
        """One stored event of a stream, or None where it has none of that version."""
        row = self.tails.row(stream, version)
        return None if row is None else Recorded(*row).event

    def write(self, stream: str, at: int, encoded: Encoded) -> NewRow:
        """Add an event after the last one of its stream."""
        last = self.last(stream)
        version, previous = (
            (_shared(encoded.event) + 1, chain.GENESIS) if last is None else (last.version + 1, last.hash)
        )
        name, schema, data, event = encoded
        row = NewRow(
            stream, version, name, schema, at, data, chain.link(previous, stream, version, name, schema, at, data)
        )
        self._lasts[stream] = Last(version, row.hash, at), event
        self.rows.append(row)
        self.events.append(event)
        return row

    def write_next(self, stream: str, at: int, event: Event) -> NewRow:
        """The same for an event that is not encoded yet."""
        return self.write(stream, at, self.encode(event))

    def holds(self, run: str) -> list[Hold]:
        """The open holds of a run, by call and account."""
        stored = [hold for hold in self.tails.holds(run=run) if hold not in self._ended]
        return sorted([*stored, *(hold for hold in self._holds if hold.run == run)])

    def hold(self, hold: Hold) -> None:
        """Add an open hold."""
        self._holds.append(hold)

    def end(self, holds: Sequence[Hold]) -> None:
        """Take open holds away."""
        self._ended += [hold for hold in holds if hold not in self._holds]
        self._holds = [hold for hold in self._holds if hold not in holds]

    def in_flight(self, account: str, run: str) -> int:
        """The nano-dollars that an account holds for calls of live runs; ``run`` counts as live."""
        stored = self.tails.in_flight(account, run)
        return stored + _held(self._holds, account) - _held(self._ended, account)

    def changes(self) -> Changes:
        """What the store is to write."""
        return Changes(
            archived=tuple(self.archived),
            forgotten=tuple(self.forgotten),
            ended=tuple(dict.fromkeys((hold.run, hold.call) for hold in self._ended)),
            taken=tuple(self.taken),
            salts=tuple(self.salts),
            texts=tuple(self.texts),
            rows=tuple(self.rows),
            holds=tuple(self._holds),
            secret=self.secret,
            cached=self.cached,
            pace=self.pace,
        )


def recorded(rows: Sequence[NewRow], events: Sequence[Event], positions: Sequence[int]) -> list[Recorded]:
    """Rows that were written, with their positions; their events need no decoding."""
    found = []
    for row, event, position in zip(rows, events, positions, strict=True):
        record = Recorded(position, *row)
        record.__dict__["decoded"] = event
        found.append(record)
    return found


def _shared(event: Event) -> int:
    """How many versions come before the first event of a stream: those a fork shares with its parent."""
    return event.version if isinstance(event, RunForked) else 0


def _held(holds: Sequence[Hold], account: str) -> int:
    return sum(hold.nano for hold in holds if hold.account == account)
