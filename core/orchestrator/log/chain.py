"""The hash chain: every event carries the hash of the one before it in its stream, over the bytes as stored.

A chain shows any change, removal, swap or insertion inside it. It cannot show a cut tail, nor a forger who computes
it anew, unless a head is kept elsewhere.
"""

import hashlib
import json
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, Final, Protocol

from attrs import define, evolve, field, frozen

from orchestrator.errors import DamagedLogError, LogError
from orchestrator.log.naming import event_name
from orchestrator.log.texts import unpack

_DOMAIN: Final = b"multi-llm-orchestrator event 1\n"
_LINKED: Final = _DOMAIN + b"%d:%b" * 7
"""What is hashed: seven columns, each after its length."""

GENESIS: Final = hashlib.sha256(b"multi-llm-orchestrator genesis 1\n").hexdigest()
"""The hash before the first event of every stream."""

_TYPES: Final = "text integer text integer integer text text"
_COLUMNS: Final = (
    "position, CAST(stream AS BLOB), version, CAST(type AS BLOB), schema, at, CAST(data AS BLOB), CAST(hash AS BLOB),"
    " typeof(stream) || ' ' || typeof(version) || ' ' || typeof(type) || ' ' || typeof(schema) || ' ' || typeof(at)"
    " || ' ' || typeof(data) || ' ' || typeof(hash)"
)
_OF_STREAM: Final = "WHERE position IN (SELECT position FROM events WHERE stream = ?)"
_TEXT: Final = "SELECT CAST(data AS BLOB), typeof(data) FROM blobs WHERE run = ? AND digest = ?"
_MISSING: Final = "is missing"
_DIGEST: Final = re.compile(rb'"([0-9a-f]{64})"')
_WITHOUT_TEXTS: Final = frozenset({b"session.opened"})  # has parameters of plugins, which may look like digests
_FORKED: Final = b"run.forked"
_BEGINNINGS: Final = (b"run.started", _FORKED)
_HASH: Final = re.compile(rb'"hash":"[0-9a-f]{64}"')


UNREADABLE: Final = (sqlite3.Error, UnicodeDecodeError)
"""What ``sqlite3`` raises where a file is damaged; the second where its message quotes damaged bytes."""


Opener = Callable[[str, str, bytes], bytes]
"""Given a run, a name and what is stored under it, returns what that was made of; see ``sealing.Keys.open``."""


def plain(run: str, name: str, stored: bytes) -> bytes:
    """What is stored as it is; nothing is decrypted."""
    return stored


class Queryable(Protocol):
    """What can be asked in SQL: a ``sqlite3.Connection``, or a wrapper of one."""

    def execute(self, sql: str, parameters: Any = ..., /) -> sqlite3.Cursor:
        """Run one statement."""


@frozen
class LogFinding:
    """Something wrong with a log.

    Attributes:
        position: the bad event; for a missing one the position after which it is missing; for a bad text the first
            event that refers to it; 0 where no event can be named.
        stream: the stream it is in, empty where that cannot be said.
        message: what is wrong, on one line.
        check: the check that found it: ``chain``, ``texts`` or ``heads``.
        version: what the row at the position says its version is; None where none can be read.
    """

    position: int
    stream: str
    message: str
    check: str = "chain"
    version: int | None = None

    @property
    def event(self) -> str:
        """The event for people, by position and version."""
        return event_name(self.position, self.version)


@frozen
class _Row:
    position: int
    stream: bytes
    version: int
    type: bytes
    schema: int
    at: int
    data: bytes
    hash: bytes
    types: str

    def linked(self, previous: bytes) -> bytes:
        return _link(previous, self.stream, self.version, self.type, self.schema, self.at, self.data)

    @property
    def name(self) -> str:
        return self.stream.decode(errors="replace")


@define
class _Stream:
    """How far a stream is verified."""

    version: int = 0
    hash: bytes = GENESIS.encode()
    position: int = 0
    broken: bool = False
    deleted: bool = False
    """Whether the run's texts were deleted, and an event says so."""
    parent: str | None = None
    """The run whose past a fork shares."""
    shared: int = 0
    """How many versions of it."""
    refers: dict[bytes, int] = field(factory=dict)
    """Digest to the position of the first event that refers to it."""
    needed: set[bytes] = field(factory=set)
    """Those of them that may not be missing."""

    def refer(self, row: "_Row") -> None:
        """Take in the digests of an event's texts."""
        found = referred(row.type, row.data)
        for digest in found:
            self.refers.setdefault(digest, row.position)
        self.needed.update(found if row.type not in _BEGINNINGS else set(found) - private(row.type, row.data))


def _link(previous: bytes, stream: bytes, version: int, kind: bytes, schema: int, at: int, data: bytes) -> bytes:
    v, s, a = b"%d" % version, b"%d" % schema, b"%d" % at
    columns = (len(previous), previous, len(stream), stream, len(v), v, len(kind), kind, len(s), s, len(a), a)
    return hashlib.sha256(_LINKED % (*columns, len(data), data)).hexdigest().encode()


def link(previous: str, stream: str, version: int, kind: str, schema: int, at: int, data: str) -> str:
    """The hash of an event, as 64 hexadecimal digits: over the hash before it and every column but the position."""
    return _link(previous.encode(), stream.encode(), version, kind.encode(), schema, at, data.encode()).decode()


def referred(kind: bytes, data: bytes) -> list[bytes]:
    """The digests of the texts that an event of a stored type refers to, in the order of its data."""
    if kind in _WITHOUT_TEXTS:
        return []
    return _DIGEST.findall(_HASH.sub(b"", data) if kind == _FORKED else data)


def private(kind: bytes, data: bytes) -> set[bytes]:
    """The digests of texts that may be missing, as they name a machine: where a run reads and writes, its grants."""
    if kind not in _BEGINNINGS:
        return set()
    with suppress(ValueError, TypeError, AttributeError):
        fields = json.loads(data)
        values = [fields.get("place"), *(each.get("value") for each in fields.get("grants") or ())]
        return {value.encode() for value in values if isinstance(value, str)}
    return set()


def verify(
    connection: Queryable,
    stream: str | None = None,
    head: str | None = None,
    *,
    texts: bool = True,
    opened: Opener = plain,
) -> list[LogFinding]:
    """Everything wrong with one stream, or with all: at most one break of the chain and one bad text each.

    Args:
        connection: the log; it is only read.
        stream: the stream to look at; None for all of them.
        head: a hash that must be that of some event looked at, so that the log goes on from there.
        texts: whether the texts are looked at; without, only the events count.
        opened: decrypts what is stored of a run: the name of a text is its digest, that of its salt is empty.

    Returns:
        The findings by position; none means that everything holds.
    """
    streams: dict[bytes, _Stream] = {}
    findings: dict[int, LogFinding] = {}
    last, seen = 0, head is None
    try:
        for row in _rows(connection, stream):
            state = streams.setdefault(row.stream, _Stream())
            last = row.position
            if state.broken:
                continue
            finding = _advance(connection, state, row)
            if finding is not None:
                findings.setdefault(finding.position, finding)
            elif head is not None and row.hash == head.encode():
                seen = True
        if stream is not None and not findings:
            for finding in _strayed(connection, stream, streams.get(stream.encode(), _Stream())):
                findings[finding.position] = finding
        for name, state in streams.items() if texts else ():
            for finding in _texts(connection, name, state, opened):
                findings.setdefault(finding.position, finding)
        if stream is None and not findings:
            for problem in _integrity(connection):
                findings[0] = LogFinding(0, "", f"the database file: {problem}")
    except UNREADABLE as error:
        findings.setdefault(last, LogFinding(last, stream or "", f"the database file is damaged after it: {error}"))
    if not seen:
        message = f"no event has the head {head}: events after it are missing, or the head is of another log"
        findings.setdefault(last, LogFinding(last, stream or "", message, "heads"))
    return [_located(connection, findings[position]) for position in sorted(findings)]


def _located(connection: Queryable, finding: LogFinding) -> LogFinding:
    """The finding with the version of its event."""
    query = "SELECT version FROM events NOT INDEXED WHERE position = ? AND version BETWEEN 1 AND position"
    with suppress(*UNREADABLE):
        row = connection.execute(query, (finding.position,)).fetchone()
        return finding if row is None else evolve(finding, version=row[0])
    return finding


def _rows(connection: Queryable, stream: str | None) -> Iterator[_Row]:
    # With an index at hand SQLite takes columns from it that may differ from those of a damaged row.
    which, values = ("", ()) if stream is None else (_OF_STREAM, (stream,))
    for row in connection.execute(f"SELECT {_COLUMNS} FROM events NOT INDEXED {which} ORDER BY position", values):
        yield _Row(row[0], row[1] or b"", *row[2:])


def _advance(connection: Queryable, state: _Stream, row: _Row) -> LogFinding | None:
    """Take the next event of a stream, or say what is wrong with it."""
    if not state.position and row.type == _FORKED:
        _take_origin(state, row)
    if row.types == _TYPES and row.version == state.version + 1 and row.linked(state.hash) == row.hash:
        state.version, state.hash, state.position = row.version, row.hash, row.position
        state.refer(row)
        state.deleted = state.deleted or row.type == b"content.deleted"
        if row.type == _FORKED and state.parent is not None and row.version == state.shared + 1:
            return _against_parent(connection, state, row)
        return None
    state.broken = True
    position, message = _diagnose(connection, state, row)
    return LogFinding(position, row.name, message)


def _take_origin(state: _Stream, row: _Row) -> None:
    """A fork's stream begins after what it shares with its parent."""
    try:
        fields = json.loads(row.data)
        parent, version = fields["parent"], fields["version"]
    except (ValueError, TypeError, KeyError):
        return
    if isinstance(parent, str) and isinstance(version, int) and version > 0:
        state.parent, state.shared, state.version = parent, version, version


def _against_parent(connection: Queryable, state: _Stream, row: _Row) -> LogFinding | None:
    """The event of the parent that a fork names must be there, with the hash it names."""
    query = "SELECT CAST(hash AS BLOB), position FROM events WHERE stream = ? AND version = ?"
    found = connection.execute(query, (state.parent, state.shared)).fetchone()
    named = json.loads(row.data).get("hash")
    what = f"the event {state.shared} of {state.parent}, whose past it shares,"
    if found is None:
        return LogFinding(row.position, row.name, f"{what} is missing")
    if not isinstance(named, str) or found[0] != named.encode():
        return LogFinding(row.position, row.name, f"{what} has another hash than it names: the past was changed")
    return None


def _diagnose(connection: Queryable, state: _Stream, row: _Row) -> tuple[int, str]:
    expected = state.version + 1
    if row.types != _TYPES:
        return row.position, "a column of this event has another type than was written"
    if row.version == expected:
        return row.position, "this event, or its hash, was changed"
    if not state.position and evolve(row, type=_FORKED).linked(state.hash) == row.hash:
        return row.position, "this event's type was changed; it was run.forked"
    if evolve(row, version=expected).linked(state.hash) == row.hash:
        return row.position, f"this event's version was changed; it was {expected}"
    if not state.position and row.type == _FORKED:
        return row.position, "this event, or its hash, was changed"
    if row.version < expected:
        return row.position, f"this event stands where version {expected} of its stream should be"
    moved = _moved(connection, row, expected)
    if moved is not None:
        return moved, "this event does not stand in the order of its stream"
    if any(evolve(row, stream=name).linked(digest) == row.hash for name, digest in _before(connection, row)):
        return row.position, "this event was moved here from another stream"
    for other in _between(connection, state.position, row.position):
        first = other.version if not state.position and other.type == _FORKED else expected
        if evolve(other, stream=row.stream, version=first).linked(state.hash) == other.hash:
            return other.position, f"this event was moved here from the stream {row.name}"
    return state.position, f"version {expected} is missing after this event"


def _moved(connection: Queryable, row: _Row, expected: int) -> int | None:
    """The misplaced event, where the expected one stands later: itself if it alone was moved, else the one found."""
    later = connection.execute(
        "SELECT position, version FROM events WHERE stream = ? AND position >= ? ORDER BY position",
        (row.name, row.position),
    )
    passed: list[int] = []
    for position, version in later:
        if version == expected:
            alone = len(passed) > 1 and passed == list(range(row.version, row.version + len(passed)))
            return int(position) if alone else row.position
        passed.append(version)
    return None


def _before(connection: Queryable, row: _Row) -> Iterator[tuple[bytes, bytes]]:
    """Name and hash of the events of other streams that this one may once have followed."""
    query = (
        "SELECT CAST(stream AS BLOB), CAST(hash AS BLOB) FROM events"
        " WHERE version = ? AND typeof(stream) = 'text' AND typeof(hash) = 'text' AND position < ?"
    )
    yield from connection.execute(query, (row.version - 1, row.position))


def _between(connection: Queryable, after: int, before: int) -> Iterator[_Row]:
    query = f"SELECT {_COLUMNS} FROM events WHERE position > ? AND position < ? ORDER BY position"
    for row in connection.execute(query, (after, before)):
        if row[-1].partition(" ")[2] == _TYPES.partition(" ")[2]:  # the stream may be anything
            yield _Row(row[0], row[1] or b"", *row[2:])


def _strayed(connection: Queryable, stream: str, state: _Stream) -> Iterator[LogFinding]:
    """The event that should follow the last one of a stream, and is now in another."""
    query = f"SELECT {_COLUMNS} FROM events WHERE position > ? AND version = ? ORDER BY position"
    for row in connection.execute(query, (state.position, state.version + 1)):
        other = _Row(row[0], stream.encode(), *row[2:])
        if row[1] != other.stream and other.types == _TYPES and other.linked(state.hash) == other.hash:
            yield LogFinding(other.position, stream, f"this event was moved here from the stream {stream}")


def _texts(connection: Queryable, name: bytes, state: _Stream, opened: Opener) -> Iterable[LogFinding]:
    """The first event of a stream that refers to a text which is missing or not what its digest says."""
    if state.deleted:
        return []
    run = name.decode(errors="replace")
    heirs = [run, *_ancestors(connection, state)]
    salt = _blob(connection, "SELECT CAST(salt AS BLOB), typeof(salt) FROM salts WHERE run = ?", (run,), opened)
    for digest, position in state.refers.items():
        text = digest.decode()
        if not isinstance(salt, bytes):
            return [LogFinding(position, run, f"the salt of the run's texts {salt}", "texts")]
        data = _blob(connection, _TEXT, (run, text), opened)
        for ancestor in heirs[1:]:
            if data == _MISSING:
                data = _blob(connection, _TEXT, (ancestor, text), opened)
        if data == _MISSING and digest not in state.needed:
            continue
        if not isinstance(data, bytes):
            return [LogFinding(position, run, f"the text {text[:12]} it refers to {data}", "texts")]
        try:
            unpack(salt, text, data)
        except DamagedLogError as error:
            return [LogFinding(position, run, str(error), "texts")]
    return []


def _ancestors(connection: Queryable, state: _Stream) -> list[str]:
    """The runs in which a fork's texts are looked for, too; what they have deleted must be among its own."""
    found: list[str] = []
    parent, shared, position = state.parent, state.shared, min(state.refers.values(), default=0)
    while parent is not None and parent not in found:
        found.append(parent)
        above = _Stream()
        rows = connection.execute(
            f"SELECT {_COLUMNS} FROM events WHERE stream = ? AND version <= ? ORDER BY version", (parent, shared)
        )
        first = next((_Row(row[0], row[1] or b"", *row[2:]) for row in rows), None)
        if connection.execute("SELECT 1 FROM salts WHERE run = ?", (parent,)).fetchone() is None:
            for row in rows:
                _need(state, row[3], row[6], position)
            if first is not None:
                _need(state, first.type, first.data, position)
        if first is not None and first.type == _FORKED:
            _take_origin(above, first)
        parent, shared = above.parent, min(shared, above.shared)
    return found


def _need(state: _Stream, kind: bytes, data: bytes, position: int) -> None:
    """A fork must have the texts of an ancestor's event."""
    found = referred(kind, data)
    for digest in found:
        state.refers.setdefault(digest, position)
    state.needed.update(set(found) - private(kind, data))


def _blob(connection: Queryable, query: str, values: tuple[str, ...], opened: Opener) -> bytes | str:
    """The bytes that a query finds of a run and a name, decrypted; or what is wrong with them."""
    try:
        row = connection.execute(query, values).fetchone()
    except UNREADABLE as error:
        return f"cannot be read: {error}"
    if row is None:
        return _MISSING
    if row[1] != "blob":
        return "is not stored as it was written"
    try:
        return opened(values[0], values[1] if len(values) > 1 else "", bytes(row[0]))
    except LogError as error:
        return f"cannot be decrypted: {error}"


def _integrity(connection: Queryable) -> list[str]:
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(1)")]
    return [] if found == ["ok"] else found
