"""The hash chain: every event carries the hash of the one before it in its stream, over the bytes as stored.

A chain shows any change, removal, swap or insertion inside it. It cannot show a cut tail, nor a forger who computes
it anew, unless a head is kept elsewhere.
"""

import hashlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Final

from attrs import define, evolve, field, frozen

from orchestrator.errors import DamagedLogError, LogError
from orchestrator.log.event_ids import event_name
from orchestrator.log.protocol import Store, StoreError, StoreReads
from orchestrator.log.stored_rows import RawRow
from orchestrator.log.texts import unpack

_DOMAIN: Final = b"multi-llm-orchestrator event 1\n"
_LINKED: Final = _DOMAIN + b"%d:%b" * 7
"""What is hashed: seven columns, each after its length."""

GENESIS: Final = hashlib.sha256(b"multi-llm-orchestrator genesis 1\n").hexdigest()
"""The hash before the first event of every stream."""

_TYPES: Final = "text integer text integer integer text text"
_MISSING: Final = "is missing"
_DIGEST: Final = re.compile(rb'"([0-9a-f]{64})"')
_WITHOUT_TEXTS: Final = frozenset({b"session.opened"})  # has parameters of plugins, which may look like digests
_FORKED: Final = b"run.forked"
_ARCHIVED: Final = b"run.archived"
_BEGINNINGS: Final = (b"run.started", _FORKED)
_HASHES: Final = {
    _FORKED: re.compile(rb'"hash":"[0-9a-f]{64}"'),
    _ARCHIVED: re.compile(rb'"(?:head|bundle|key)":"[0-9a-f]{64}"'),
}
"""What looks like the digest of a text and is none, by the type of the event."""


Opener = Callable[[str, str, bytes], bytes]
"""Given a run, a name and what is stored under it, returns what that was made of; see ``sealing.Keys.open``."""


def plain(run: str, name: str, stored: bytes) -> bytes:
    """What is stored as it is; nothing is decrypted."""
    return stored


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

    def refer(self, row: RawRow) -> None:
        """Take in the digests of an event's texts."""
        found = referred(row.type, row.data)
        for digest in found:
            self.refers.setdefault(digest, row.position)
        self.needed.update(found if row.type not in _BEGINNINGS else set(found) - private(row.type, row.data))


def _link(previous: bytes, stream: bytes, version: int, kind: bytes, schema: int, at: int, data: bytes) -> bytes:
    v, s, a = b"%d" % version, b"%d" % schema, b"%d" % at
    columns = (len(previous), previous, len(stream), stream, len(v), v, len(kind), kind, len(s), s, len(a), a)
    return hashlib.sha256(_LINKED % (*columns, len(data), data)).hexdigest().encode()


def _linked(row: RawRow, previous: bytes) -> bytes:
    return _link(previous, row.stream, row.version, row.type, row.schema, row.at, row.data)


def _name(row: RawRow) -> str:
    return row.stream.decode(errors="replace")


def link(previous: str, stream: str, version: int, kind: str, schema: int, at: int, data: str) -> str:
    """The hash of an event, as 64 hexadecimal digits: over the hash before it and every column but the position."""
    return _link(previous.encode(), stream.encode(), version, kind.encode(), schema, at, data.encode()).decode()


def referred(kind: bytes, data: bytes) -> list[bytes]:
    """The digests of the texts that an event of a stored type refers to, in the order of its data."""
    if kind in _WITHOUT_TEXTS:
        return []
    return _DIGEST.findall(_HASHES[kind].sub(b"", data) if kind in _HASHES else data)


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
    store: Store,
    stream: str | None = None,
    head: str | None = None,
    *,
    texts: bool = True,
    opened: Opener = plain,
) -> list[LogFinding]:
    """Everything wrong with one stream, or with all: at most one break of the chain and one bad text each.

    Args:
        store: the log; it is only read.
        stream: the stream to look at; None for all of them.
        head: a hash that must be that of some event looked at, so that the log goes on from there.
        texts: whether the texts are looked at; without, only the events count.
        opened: decrypts what is stored of a run: the name of a text is its digest, that of its salt is empty.

    Returns:
        The findings by position; none means that everything holds.

    Raises:
        StoreError: the store does not answer, and nothing is known of what is in it.
    """
    streams: dict[bytes, _Stream] = {}
    findings: dict[int, LogFinding] = {}
    last, seen = 0, head is None
    try:
        for row in store.raw(stream):
            state = streams.setdefault(row.stream, _Stream())
            last = row.position
            if state.broken:
                continue
            finding = _advance(store, state, row)
            if finding is not None:
                findings.setdefault(finding.position, finding)
            elif head is not None and head.encode() in (row.hash, (_end_of_archived(row) or (0, b""))[1]):
                seen = True
        if stream is not None and not findings:
            for finding in _strayed(store, stream, streams.get(stream.encode(), _Stream())):
                findings[finding.position] = finding
        for name, state in streams.items() if texts else ():
            for finding in _texts(store, name, state, opened):
                findings.setdefault(finding.position, finding)
        if stream is None and not findings:
            for problem in store.integrity():
                findings[0] = LogFinding(0, "", f"the database file: {problem}")
    except StoreError as error:
        if not error.is_damage:
            raise
        findings.setdefault(
            last, LogFinding(last, stream or "", f"the database file is damaged after it: {error.detail}")
        )
    if not seen:
        message = f"no event has the head {head}: events after it are missing, or the head is of another log"
        findings.setdefault(last, LogFinding(last, stream or "", message, "heads"))
    return [_located(store, findings[position]) for position in sorted(findings)]


def _located(store: StoreReads, finding: LogFinding) -> LogFinding:
    """The finding with the version of its event."""
    with suppress(StoreError):
        row = next(store.raw(after=finding.position - 1, before=finding.position + 1), None)
        named = None if row is None else row.version
        return evolve(finding, version=named) if isinstance(named, int) and 0 < named <= finding.position else finding
    return finding


def _advance(store: StoreReads, state: _Stream, row: RawRow) -> LogFinding | None:
    """Take the next event of a stream, or say what is wrong with it."""
    if not state.position and row.type == _FORKED:
        _take_origin(state, row)
    elif not state.position:
        state.version, state.hash = _end_of_archived(row) or (state.version, state.hash)
    if row.types == _TYPES and row.version == state.version + 1 and _linked(row, state.hash) == row.hash:
        state.version, state.hash, state.position = row.version, row.hash, row.position
        state.refer(row)
        state.deleted = state.deleted or row.type == b"content.deleted"
        if row.type == _FORKED and state.parent is not None and row.version == state.shared + 1:
            return _against_parent(store, state, row)
        return None
    state.broken = True
    position, message = _diagnose(store, state, row)
    return LogFinding(position, _name(row), message)


def _end_of_archived(row: RawRow) -> tuple[int, bytes] | None:
    """Version and hash of the last event that an archived run had, as the one that is left of it says."""
    if row.type == _ARCHIVED:
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            fields = json.loads(row.data)
            version, head = fields["version"], fields["head"].encode()
            if isinstance(version, int) and version > 0:
                return version, head
    return None


def _take_origin(state: _Stream, row: RawRow) -> None:
    """A fork's stream begins after what it shares with its parent."""
    try:
        fields = json.loads(row.data)
        parent, version = fields["parent"], fields["version"]
    except (ValueError, TypeError, KeyError):
        return
    if isinstance(parent, str) and isinstance(version, int) and version > 0:
        state.parent, state.shared, state.version = parent, version, version


def _against_parent(store: StoreReads, state: _Stream, row: RawRow) -> LogFinding | None:
    """The event of the parent that a fork names must be there, with the hash it names."""
    found = next(store.raw(state.parent, version=state.shared), None)
    named = json.loads(row.data).get("hash")
    what = f"the event {state.shared} of {state.parent}, whose past it shares,"
    if found is None:
        return LogFinding(row.position, _name(row), f"{what} is missing")
    if not isinstance(named, str) or found.hash != named.encode():
        return LogFinding(row.position, _name(row), f"{what} has another hash than it names: the past was changed")
    return None


def _diagnose(store: StoreReads, state: _Stream, row: RawRow) -> tuple[int, str]:
    expected = state.version + 1
    if row.types != _TYPES:
        return row.position, "a column of this event has another type than was written"
    if row.version == expected:
        return row.position, "this event, or its hash, was changed"
    if not state.position and _linked(row._replace(type=_FORKED), state.hash) == row.hash:
        return row.position, "this event's type was changed; it was run.forked"
    if _linked(row._replace(version=expected), state.hash) == row.hash:
        return row.position, f"this event's version was changed; it was {expected}"
    if not state.position and row.type == _FORKED:
        return row.position, "this event, or its hash, was changed"
    if row.version < expected:
        return row.position, f"this event stands where version {expected} of its stream should be"
    moved = _moved(store, row, expected)
    if moved is not None:
        return moved, "this event does not stand in the order of its stream"
    if any(_linked(row._replace(stream=name), digest) == row.hash for name, digest in _before(store, row)):
        return row.position, "this event was moved here from another stream"
    for other in _between(store, state.position, row.position):
        first = other.version if not state.position and other.type == _FORKED else expected
        if _linked(other._replace(stream=row.stream, version=first), state.hash) == other.hash:
            return other.position, f"this event was moved here from the stream {_name(row)}"
    return state.position, f"version {expected} is missing after this event"


def _moved(store: StoreReads, row: RawRow, expected: int) -> int | None:
    """The misplaced event, where the expected one stands later: itself if it alone was moved, else the one found."""
    passed: list[int] = []
    for position, version in ((each.position, each.version) for each in store.raw(_name(row), after=row.position - 1)):
        if version == expected:
            alone = len(passed) > 1 and passed == list(range(row.version, row.version + len(passed)))
            return int(position) if alone else row.position
        passed.append(version)
    return None


def _before(store: StoreReads, row: RawRow) -> Iterator[tuple[bytes, bytes]]:
    """Name and hash of the events of other streams that this one may once have followed."""
    for other in store.raw(before=row.position, version=row.version - 1):
        if other.types.startswith("text ") and other.types.endswith(" text"):
            yield other.stream, other.hash


def _between(store: StoreReads, after: int, before: int) -> Iterator[RawRow]:
    for row in store.raw(after=after, before=before):
        if row.types.partition(" ")[2] == _TYPES.partition(" ")[2]:  # the stream may be anything
            yield row


def _strayed(store: StoreReads, stream: str, state: _Stream) -> Iterator[LogFinding]:
    """The event that should follow the last one of a stream, and is now in another."""
    for row in store.raw(after=state.position, version=state.version + 1):
        other = row._replace(stream=stream.encode())
        if row.stream != other.stream and other.types == _TYPES and _linked(other, state.hash) == other.hash:
            yield LogFinding(other.position, stream, f"this event was moved here from the stream {stream}")


def _texts(store: StoreReads, name: bytes, state: _Stream, opened: Opener) -> Iterable[LogFinding]:
    """The first event of a stream that refers to a text which is missing or not what its digest says."""
    if state.deleted:
        return []
    run = name.decode(errors="replace")
    heirs = [run, *_ancestors(store, state)]
    salt = _opened(run, "", lambda: store.raw_salt(run), opened)
    for digest, position in state.refers.items():
        text = digest.decode()
        if not isinstance(salt, bytes):
            return [LogFinding(position, run, f"the salt of the run's texts {salt}", "texts")]
        data = _text(store, run, text, opened)
        for ancestor in heirs[1:]:
            if data == _MISSING:
                data = _text(store, ancestor, text, opened)
        if data == _MISSING and digest not in state.needed:
            continue
        if not isinstance(data, bytes):
            return [LogFinding(position, run, f"the text {text[:12]} it refers to {data}", "texts")]
        try:
            unpack(salt, text, data)
        except DamagedLogError as error:
            return [LogFinding(position, run, str(error), "texts")]
    return []


def _ancestors(store: StoreReads, state: _Stream) -> list[str]:
    """The runs in which a fork's texts are looked for, too; what they have deleted must be among its own."""
    found: list[str] = []
    parent, shared, position = state.parent, state.shared, min(state.refers.values(), default=0)
    while parent is not None and parent not in found:
        found.append(parent)
        above = _Stream()
        rows = store.raw(parent, upto_version=shared)
        first = next(rows, None)
        if store.raw_salt(parent) is None:
            for row in rows:
                _need(state, row.type, row.data, position)
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


def _text(store: StoreReads, run: str, digest: str, opened: Opener) -> bytes | str:
    return _opened(run, digest, lambda: store.raw_blob(run, digest), opened)


def _opened(run: str, name: str, find: Callable[[], tuple[bytes, bool] | None], opened: Opener) -> bytes | str:
    """The bytes stored of a run under a name, decrypted; or what is wrong with them."""
    try:
        found = find()
    except StoreError as error:
        return f"cannot be read: {error.detail}"
    if found is None:
        return _MISSING
    content, is_as_written = found
    if not is_as_written:
        return "is not stored as it was written"
    try:
        return opened(run, name, content)
    except LogError as error:
        return f"cannot be decrypted: {error}"
