"""What a store keeps and gives: events as rows, verbatim, the rows beside them, and which of them are read."""

from collections.abc import Iterable
from typing import NamedTuple

from attrs import evolve, frozen


class StoredRow(NamedTuple):
    """One stored event, verbatim."""

    position: int
    """Its place in the whole log, from 1; grows in the order of commits and may have gaps."""
    stream: str
    version: int
    """Its place in its stream, from 1; unique there."""
    type: str
    schema: int
    at: int
    """Microseconds UTC."""
    data: str
    """Compact JSON, byte for byte as it was given: ``1e5``, ``\\u0000``, repeated keys and 2**53 + 1 stay so."""
    hash: str


class NewRow(NamedTuple):
    """An event to be stored; its position is the store's."""

    stream: str
    version: int
    type: str
    schema: int
    at: int
    data: str
    hash: str


class Last(NamedTuple):
    """The last event of a stream: its version, its hash and its time."""

    version: int
    hash: str
    at: int


class Extent(NamedTuple):
    """A stream: its name, the position of its first event, and its last version."""

    stream: str
    first: int
    last: int


class Hold(NamedTuple):
    """Money that an account holds for a call in flight, or as a run's advance for calls to come."""

    run: str
    call: int
    """Version of its CallStarted; 0: an advance."""
    account: str
    """The account's stream."""
    nano: int


class StoredText(NamedTuple):
    """A text of a run, as it is stored: compressed, perhaps encrypted."""

    digest: str
    size: int
    """Bytes."""
    start: bytes
    """Its first 16 bytes."""


class CacheRow(NamedTuple):
    """An answer that can be reused."""

    key: str
    run: str
    call: int


class MailboxRow(NamedTuple):
    """What another process asks of a run."""

    number: int
    """Grows; may be used again once the request is taken out."""
    at: int
    kind: str
    text: str


@frozen
class Contents:
    """Everything that one store has and another takes in, verbatim; what is read is read once.

    Attributes:
        rows: the events, in the order of their positions.
        salts: (run, salt); the secret of the cache is that of the empty name.
        texts: (run, digest, bytes).
        cached: rows of the response cache.
        holds: the open holds.
        asked: (run, request).
        pace: (scope, number).
    """

    rows: Iterable[StoredRow]
    salts: Iterable[tuple[str, bytes]]
    texts: Iterable[tuple[str, str, bytes]]
    cached: Iterable[CacheRow]
    holds: Iterable[Hold]
    asked: Iterable[tuple[str, MailboxRow]]
    pace: Iterable[tuple[str, int]]


class RawRow(NamedTuple):
    """A stored event as an audit reads it: past every index, as bytes, with the types of its columns.

    ``types`` is ``"text integer text integer integer text text"`` where every column is of the type it was written
    with: stream, version, type, schema, at, data, hash. Where a database enforces types it is a constant.
    """

    position: int
    stream: bytes
    version: int
    type: bytes
    schema: int
    at: int
    data: bytes
    hash: bytes
    types: str


class Page(NamedTuple):
    """Rows of a selection, and whether they are the last ones."""

    rows: list[StoredRow]
    is_last: bool


@frozen
class Select:
    """Which rows are read. All conditions hold together.

    Attributes:
        streams: of these streams; None: of all.
        types: of these stored types; None: of all.
        after: only positions above it.
        before: only positions below it; None: all.
        after_version: only versions above it.
        upto_version: only versions up to it; None: all.
        by_version: in the order of versions (of one stream), not of positions.
        reverse: the last ones first.
        limit: at most so many; None: a page of the store's own size, by number and bytes.
        search: only rows whose data or type has this text (in lower case; the case of the data does not count), or
            whose position it is, or, after a ``v``, whose version; empty: all.
    """

    streams: tuple[str, ...] | None = None
    types: tuple[str, ...] | None = None
    after: int = 0
    before: int | None = None
    after_version: int = 0
    upto_version: int | None = None
    by_version: bool = False
    reverse: bool = False
    limit: int | None = None
    search: str = ""

    def following(self, row: StoredRow) -> "Select":
        """The same after a row, in the order of the selection, which is not reversed."""
        return evolve(self, after_version=row.version) if self.by_version else evolve(self, after=row.position)


class Space(NamedTuple):
    """What a store takes, in bytes; 0 where it cannot say."""

    file: int
    pending: int
    """Not yet folded into the file."""
    free: int
    """Of the file, used by nothing."""


class StreamSize(NamedTuple):
    """What one stream takes: events and their bytes, texts and their bytes, cached answers."""

    stream: str
    events: int
    event_bytes: int
    """Data, name of the stream, type, hash, and 24 for the rest."""
    texts: int
    text_bytes: int
    """Data, digest and name of the run."""
    cached: int
