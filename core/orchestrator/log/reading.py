"""Reading an event log: histories, pages of everything, single rows, and whether they are whole."""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any, Final, TypeVar

from orchestrator.errors import DamagedLogError, LogError
from orchestrator.events import TYPES, Event, Totals
from orchestrator.log import accounts as accounting
from orchestrator.log import cache as caching
from orchestrator.log import chain, lineage, schema
from orchestrator.log.connections import Connection
from orchestrator.log.redaction import Redactor
from orchestrator.log.requests import MailboxRequest
from orchestrator.log.sealing import SALT, Keys, NoKeyError
from orchestrator.log.transaction import COLUMNS, Last, Recorded, Transaction, explained

T = TypeVar("T")

_PAGE: Final = 1000
_PAGE_BYTES: Final = 16 * 1024 * 1024
_NAMES: Final = {kind: name for name, kind in TYPES.items()}


class LogReader:
    """What can be asked of a log.

    Args:
        reader: the database.
        guard: held while it is used.
        redactor: takes the values of keys out of every event.
        stands_still: whether nothing can be appended while something is read.
    """

    def __init__(
        self, reader: Connection, guard: AbstractContextManager[Any], redactor: Redactor, is_exclusive: bool
    ) -> None:
        self._reader = reader
        self._read_guard = guard
        self.redactor = redactor
        self._is_exclusive = is_exclusive
        self.keys = Keys()
        self._segments: dict[str, list[lineage.Segment]] = {}

    @property
    def is_on_disk(self) -> bool:
        """Whether it is the log of a data folder; not one of a moment in this process alone, as of a bundle."""
        return not self._is_exclusive

    def read(
        self, stream: str, after: int = 0, upto: int | None = None, types: Sequence[type[Event]] | None = None
    ) -> Iterator[Recorded]:
        """The history of a run (or of any stream) in order, decoded when asked for.

        Of a fork it begins with what it shares with its ancestors, under their names; its versions have no gap.

        Args:
            stream: its name.
            after: the version after which to begin.
            upto: the last version to read; None for all.
            types: only events of these classes; the others are not even fetched.
        """
        for segment in self.segments(stream):
            limits = [limit for limit in (upto, segment.upto) if limit is not None]
            yield from self.read_own(segment.stream, after, min(limits) if limits else None, types)

    def read_own(
        self, stream: str, after: int = 0, upto: int | None = None, types: Sequence[type[Event]] | None = None
    ) -> Iterator[Recorded]:
        """The events of a stream itself, as ``read`` gives them; without what a fork shares."""
        where, values = "stream = ? AND version > ? AND version <= ?", [stream]
        if types is not None:
            where += f" AND type IN ({', '.join('?' * len(types))})"
        names = [_NAMES[kind] for kind in types or ()]
        while True:
            limits = [*values, after, 2**62 if upto is None else upto, *names]
            rows, is_last = self._page(f"{where} ORDER BY version", limits)
            for row in rows:
                yield Recorded(*row)
            if is_last:
                return
            after = rows[-1][2]

    def segments(self, stream: str) -> list[lineage.Segment]:
        """The parts of a run's history, oldest first: one, and for a fork one more for each ancestor."""
        found = self._segments.get(stream)
        if found is None:
            try:
                with self._read_guard:
                    found = lineage.segments(self._reader, stream)
            except chain.UNREADABLE as error:
                raise LogError(f"the event log cannot be read: {explained(error)}") from error
            if len(found) > 1 or self.last(stream) is not None:  # what a run shares never changes
                self._segments[stream] = found
        return found

    def forks(self, run: str) -> list[str]:
        """The runs that share the past of a run directly, oldest first."""
        with self._read_guard:
            return lineage.descendants(self._reader, run)

    def tail(
        self, after: int = 0, stream: str | None = None, types: Sequence[type[Event]] | None = None
    ) -> Iterator[Recorded]:
        """Every event after a position, of one stream or of all, as far as there are any; for following a log.

        With ``types`` only events of these classes; the others are not even fetched.
        """
        where = "position > ? AND stream = ?" if stream is not None else "position > ?"
        if types is not None:
            where += f" AND type IN ({', '.join('?' * len(types))})"
        names = [_NAMES[kind] for kind in types or ()]
        while True:
            limits = [after, *([] if stream is None else [stream]), *names]
            rows, is_last = self._page(f"{where} ORDER BY position", limits)
            yield from (Recorded(*row) for row in rows)
            if is_last:
                return
            after = rows[-1][0]

    def streams(self, prefix: str = "") -> list[str]:
        """The names of the streams that begin with ``prefix``, oldest first."""
        query = (
            "SELECT stream FROM events WHERE (version = 1 OR type = 'run.forked') AND substr(stream, 1, ?) = ?"
            " ORDER BY position"
        )
        return [str(row[0]) for row in self._fetch(query, [len(prefix), prefix])]

    def last(self, stream: str) -> Last | None:
        """The last version of a stream, its hash and its time; None where there is no such stream."""
        rows = self._fetch(
            "SELECT version, hash, at FROM events WHERE stream = ? ORDER BY version DESC LIMIT 1", [stream]
        )
        return Last(*rows[0]) if rows else None

    def account(self, name: str, simulated: bool = False) -> Totals:
        """How an account stands.

        Raises:
            UsageError: there is no such account.
        """
        with self._read_guard:
            return accounting.totals_of(Transaction(self._reader, self.redactor), name, simulated)[1]

    def salt(self, run: str) -> bytes | None:
        """The salt of a run's texts, or None where it has none, or the key of an encrypted one is not here."""
        rows = self._fetch("SELECT salt FROM salts WHERE run = ?", [run])
        return self._opened(run, SALT, rows[0][0]) if rows else None

    def _opened(self, run: str, name: str, stored: Any) -> bytes | None:
        if not isinstance(stored, bytes):
            if name == SALT:
                return None
            raise DamagedLogError(0, f"the text {name[:12]} is not stored as it was written")
        try:
            return self.keys.open(run, name, stored)
        except NoKeyError:
            return None

    def blob(self, run: str, digest: str) -> bytes | None:
        """The compressed text that a run, or an ancestor of a fork, stored under a digest; or None."""
        for segment in reversed(self.segments(run)):
            rows = self._fetch("SELECT data FROM blobs WHERE run = ? AND digest = ?", [segment.stream, digest])
            if rows:
                return self._opened(segment.stream, digest, rows[0][0])
        return None

    def cache_secret(self) -> bytes | None:
        """The secret of the data folder, or None before a session or an answer needed one."""
        return self._reading(caching.secret_of)

    def cached(self, key: str) -> caching.Found | None:
        """The answer that the response cache has under a key, or None."""
        return self._reading(lambda connection: caching.find(connection, key))

    def cache_stats(self) -> list[caching.CacheStats]:
        """What the response cache holds and has saved: of real providers, then of simulated ones."""
        return self._reading(caching.stats)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query over the tables and views."""
        return self._fetch(sql, parameters)

    def inspect(self, work: Callable[[chain.Queryable], T]) -> T:
        """What a function finds in the database; it must only read.

        Raises:
            LogError: the database cannot be read.
        """
        return self._reading(work)

    def asked(self, run: str) -> list[MailboxRequest]:
        """What other processes ask of a run, in the order in which they did."""
        rows = self.query("SELECT id, at, kind, text FROM requests WHERE run = ? ORDER BY id", [run])
        return [MailboxRequest(int(number), int(at), str(kind), str(text)) for number, at, kind, text in rows]

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the log as it stands at one moment, whatever is appended meanwhile; not where it is written, too."""
        if self._is_exclusive:
            yield
            return
        with self._read_guard:
            self._reader.execute("BEGIN")
        try:
            yield
        finally:
            with self._read_guard, suppress(sqlite3.Error):  # of a damaged file not even that can be done
                self._reader.execute("COMMIT")

    def verify(
        self, stream: str | None = None, head: str | None = None, *, texts: bool = True
    ) -> list[chain.LogFinding]:
        """Everything wrong with one stream, what a fork shares included, or with all; see ``chain.verify``."""
        with self._read_guard:
            found = lineage.verify(self._reader, stream, head, texts=texts, opened=self.keys.open)
        without: dict[str, bool] = {}
        for each in found:
            if each.check == "texts" and each.stream not in without:
                without[each.stream] = self.why_unread(each.stream) is not None
        return [each for each in found if each.check != "texts" or not without[each.stream]]

    def why_unread(self, run: str) -> str | None:
        """Why the texts of a run cannot be looked at, though they are not deleted; None where they can be."""
        if self._reading(schema.is_imported):
            return "there are no texts here" if self.salt(run) is None else None
        if not self.is_on_disk:
            return None
        for segment in self.segments(run):
            if self.is_encrypted(segment.stream) and self.keys.of(segment.stream) is None:
                return f"they are encrypted, and the key of {segment.stream} is not here"
        return None

    def is_encrypted(self, run: str) -> bool:
        """Whether the first event of a run says that its texts are encrypted at rest."""
        query = "SELECT json_extract(data, '$.settings.encrypt') FROM events WHERE stream = ? ORDER BY version LIMIT 1"
        rows = self._fetch(query, [run])
        return bool(rows and rows[0][0])

    def _page(self, where: str, parameters: Sequence[Any]) -> tuple[list[tuple[Any, ...]], bool]:
        """The next rows, as many as a page and the memory may hold, and whether they are the last."""

        def fetched(connection: chain.Queryable) -> tuple[list[tuple[Any, ...]], bool]:
            rows, size = [], 0
            for row in connection.execute(f"SELECT {COLUMNS} FROM events WHERE {where} LIMIT {_PAGE}", parameters):
                rows.append(row)
                size += len(str(row[6]))
                if size > _PAGE_BYTES:
                    return rows, False
            return rows, len(rows) < _PAGE

        return self._reading(fetched)

    def _fetch(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._reading(lambda connection: connection.execute(sql, parameters).fetchall())

    def _reading(self, work: Callable[[chain.Queryable], T]) -> T:
        try:
            with self._read_guard:
                return work(self._reader)
        except chain.UNREADABLE as error:
            raise LogError(f"the event log cannot be read: {explained(error)}") from error
