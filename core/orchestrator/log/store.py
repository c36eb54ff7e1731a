"""The event log: append with an expected version, read, follow, verify. One SQLite file in WAL mode."""

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol, TypeVar
from urllib.parse import quote

from attrs import frozen

from orchestrator.errors import ConcurrencyError, DamagedLogError, LogError, RunLockedError
from orchestrator.events import TYPES, AccountRefused, CallStarted, ContentDeleted, Event, RunForked, Totals
from orchestrator.log import accounts as accounting
from orchestrator.log import cache as caching
from orchestrator.log import chain, lineage, retention, schema
from orchestrator.log.commits import GroupCommit, Offload, TransactionLockFactory
from orchestrator.log.locks import FileLocks, Locks, TransactionLock, no_lock
from orchestrator.log.redaction import Redactor
from orchestrator.log.texts import pack
from orchestrator.log.transaction import COLUMNS, Encoded, Last, Recorded, Transaction, explained
from orchestrator.money import Usd

T = TypeVar("T")

DATABASE: Final = "events.db"
"""The file's name in the data folder."""

_PAGE: Final = 1000
_BUSY_MILLISECONDS: Final = 60_000
_NAMES: Final = {kind: name for name, kind in TYPES.items()}


class Connection(chain.Queryable, Protocol):
    """A ``sqlite3.Connection`` in autocommit mode (``isolation_level=None``), or a wrapper of one."""

    def close(self) -> None:
        """Close the database."""


@frozen
class Committed:
    """What an append wrote, durably.

    Attributes:
        events: the events as written: with accounts filled in, or AccountRefused in the place of the CallStarted.
        version: of the last of them.
        position: of the last of them.
        hash: the head of the stream.
        records: the stored rows, one per event.
    """

    events: tuple[Event, ...]
    version: int
    position: int
    hash: str
    records: tuple[Recorded, ...]


@frozen
class _Request:
    stream: str
    expected: int
    at: int
    encoded: tuple[Encoded, ...]
    texts: Mapping[str, str]
    salt: bytes | None
    accounts: tuple[str, ...]
    simulated: bool
    reusable: caching.Entries | None = None


class EventLog:
    """The memory of the program.

    Args:
        connection: the database, laid out by ``schema.create``; used by one thread at a time.
        offload: where transactions run: a thread, or in place.
        transaction_lock: makes the lock that excludes the write transactions of other processes.
        locks: the locks of runs, to tell live ones.
        redactor: takes the values of keys out of every event.
        reader: a second connection for reading, so that readers do not wait for commits.
    """

    def __init__(
        self,
        connection: Connection,
        *,
        offload: Offload,
        transaction_lock: TransactionLockFactory = no_lock,
        locks: Locks,
        redactor: Redactor | None = None,
        reader: Connection | None = None,
    ) -> None:
        self._connection = connection
        self._reader = reader or connection
        self._guard = threading.Lock()
        self._read_guard: AbstractContextManager[Any] = threading.Lock() if reader else self._guard
        self._transaction_lock = transaction_lock
        self.locks = locks
        self.redactor = redactor or Redactor()
        self._transaction = Transaction(connection, self.redactor)
        self._commits: GroupCommit | None = GroupCommit(connection, self._guard, transaction_lock, offload)
        self._damaged: dict[str, DamagedLogError] = {}
        self._segments: dict[str, list[lineage.Segment]] = {}

    # ── opening ────────────────────────────────────────────────────────────────────────────────────────────────

    @classmethod
    def open(
        cls, folder: Path, *, redactor: Redactor | None = None, offload: Offload = asyncio.to_thread
    ) -> "EventLog":
        """The log of a data folder, for reading and appending; both are made where they do not exist.

        Raises:
            LogError: the folder or the file cannot be used; the message says what to do.
        """
        path = folder / DATABASE
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = TransactionLock(folder / "write.lock")
            connection = _connect(f"{_uri(path)}?mode=rwc")
            try:
                with lock():
                    configure(connection)
                    schema.create(connection)
                reader = _connect(f"{_uri(path)}?mode=ro")
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            raise LogError(f"{folder}: {error.strerror}; choose another data folder with --home") from error
        except chain.UNREADABLE as error:
            raise LogError(f"{path}: {explained(error)}") from error
        except LogError as error:
            raise LogError(f"{path}: {error}") from error
        return cls(
            connection,
            offload=offload,
            transaction_lock=lock,
            locks=FileLocks(folder),
            redactor=redactor,
            reader=reader,
        )

    @classmethod
    def open_to_read(cls, folder: Path) -> "EventLog":
        """The log of a data folder, for reading only, also while another process writes it.

        Raises:
            LogError: there is no log in the folder, or it cannot be read.
        """
        path = folder / DATABASE
        if not path.exists():
            raise LogError(f"there is no event log in {folder}: run something first, or name its folder with --home")
        try:
            connection = _connect_to_read(path)
        except chain.UNREADABLE as error:
            raise LogError(f"{path}: {explained(error)}") from error
        except LogError as error:
            raise LogError(f"{path}: {error}") from error
        log = cls(connection, offload=asyncio.to_thread, locks=FileLocks(folder))
        log._commits = None
        return log

    async def flush(self) -> None:
        """Wait until nothing is being written."""
        if self._commits is not None:
            await self._commits.flush()

    def close(self) -> None:
        """Close the database, after the transaction that is running. The last to close folds the WAL in."""
        if self._reader is not self._connection:
            with self._read_guard:
                self._reader.close()
        if self._commits is None:
            self._connection.close()
            return
        # Without the lock the WAL may not be folded in: whoever opens the file next will do it.
        with suppress(OSError), self._transaction_lock(), self._guard:
            self._connection.close()

    # ── appending ──────────────────────────────────────────────────────────────────────────────────────────────

    async def append(
        self,
        stream: str,
        expected: int,
        at: int,
        events: Sequence[Event],
        texts: Mapping[str, str] | None = None,
        *,
        salt: bytes | None = None,
        accounts: Sequence[str] = (),
        simulated: bool = False,
        reusable: caching.Entries | None = None,
    ) -> Committed:
        """Write events to the end of a stream, durably, in one transaction.

        Args:
            stream: a run's id.
            expected: the last version the writer knows; 0: the stream must not exist.
            at: microseconds UTC, stored with every event.
            events: at least one. With accounts, only the last may be a CallStarted.
            texts: texts to store for the run, by digest.
            salt: the run's salt, stored where the run has none.
            accounts: names of the accounts a CallStarted must find room in.
            simulated: whether the accounts are those of simulated providers.
            reusable: answers that these events make reusable, for the response cache.

        Raises:
            ConcurrencyError: the stream is not at the expected version; nothing is written.
            UsageError: an account does not exist; nothing is written.
            DamagedLogError: ``check`` found the stream damaged.
            LogError: the log cannot be written; nor can anything later.
        """
        assert events, "an append has events"
        assert not accounts or not any(isinstance(each, CallStarted) for each in events[:-1])
        if stream in self._damaged:
            raise self._damaged[stream]
        encoded = tuple(self._transaction.encode(each) for each in events)
        request = _Request(stream, expected, at, encoded, texts or {}, salt, tuple(accounts), simulated, reusable)
        return await self._submit(lambda: self._append(request))

    async def open_account(self, name: str, cap: Usd, *, at: int, simulated: bool = False) -> Totals:
        """Open an account.

        Raises:
            UsageError: there is one of this name, or the cap is negative.
            LogError: the log cannot be written.
        """
        return await self._submit(lambda: accounting.open_account(self._transaction, name, cap, at, simulated))

    async def set_cap(self, name: str, cap: Usd, *, at: int, simulated: bool = False) -> Totals:
        """Give an account another cap.

        Raises:
            UsageError: there is no such account, or the cap is below what is settled and held.
            LogError: the log cannot be written.
        """
        return await self._submit(lambda: accounting.set_cap(self._transaction, name, cap, at, simulated))

    async def raise_cap(self, name: str, extra: Usd, *, at: int, simulated: bool = False) -> Totals:
        """Give an account a cap that is higher by ``extra``, whoever else changes it at the same time.

        Raises:
            UsageError: there is no such account.
            LogError: the log cannot be written.
        """
        return await self._submit(lambda: accounting.raise_cap(self._transaction, name, extra, at, simulated))

    async def clear_cache(self) -> int:
        """Forget every answer of the response cache, real and simulated; returns how many there were.

        Raises:
            LogError: the log cannot be written.
        """
        return await self._submit(lambda: caching.clear(self._transaction.connection))

    async def delete_content(self, run: str, expected: int, at: int) -> tuple[ContentDeleted, bool]:
        """Delete a run's texts, salt and cached answers, durably; see ``retention.delete_content``.

        Returns:
            The event that was appended, and whether the deleted bytes are gone from the WAL, too.
        """
        event = await self._submit(lambda: retention.delete_content(self._transaction, run, expected, at))
        return event, await asyncio.to_thread(self._shrink, False)

    async def collect(self, vacuum: bool = True) -> retention.Collected:
        """Delete texts that nothing refers to and cached answers of deleted runs, and give unused space back.

        Live runs are left alone, and as long as there are any the file is not made smaller.
        """
        before = await asyncio.to_thread(self._bytes)
        texts = size = 0
        skipped = []
        for (run,) in self.query("SELECT DISTINCT run FROM blobs ORDER BY run"):
            try:
                lock = self.locks.acquire(run)
            except RunLockedError:
                skipped.append(str(run))
                continue
            try:
                found = await self._submit(partial(retention.collect, self._connection, run))
            finally:
                lock.release()
            texts, size = texts + found[0], size + found[1]
        cached = await self._submit(lambda: retention.collect_cache(self._connection))
        await asyncio.to_thread(self._shrink, vacuum and not skipped)
        after = await asyncio.to_thread(self._bytes)
        return retention.Collected(texts, size, cached, tuple(skipped), before, after)

    def _shrink(self, vacuum: bool) -> bool:
        with self._transaction_lock(), self._guard:
            return retention.shrink(self._connection, vacuum=vacuum)

    def _bytes(self) -> int:
        """Of the database; of its WAL only what will become part of it."""
        [(pages,)], [(size,)] = self.query("PRAGMA page_count"), self.query("PRAGMA page_size")
        return int(pages) * int(size)

    def stats(self, database: Path) -> retention.Stats:
        """What the log takes, on disk and by run."""
        with self._read_guard:
            return retention.stats(self._reader, database)

    async def _submit(self, work: Callable[[], T]) -> T:
        if self._commits is None:
            raise LogError("the event log was opened for reading only")
        return await self._commits.submit(work)

    def _append(self, request: _Request) -> Committed:
        """The part inside the transaction."""
        transaction, stream = self._transaction, request.stream
        last = transaction.last(stream)
        first = request.encoded[0].event
        actual = last.version if last else first.version if isinstance(first, RunForked) else 0
        if actual != request.expected:
            raise ConcurrencyError(stream, request.expected, actual)
        transaction.store_texts(stream, [(key, pack(text)) for key, text in request.texts.items()], request.salt)
        book = accounting.Accounts(transaction, self.locks, stream)
        records: list[Recorded] = []
        written: list[Event] = []
        for encoded in request.encoded:
            movements: list[accounting.Movement] = []
            if request.accounts and isinstance(encoded.event, CallStarted):
                version = last.version + 1 if last else 1  # a fork's first event is no call
                event, movements = book.reserve(version, encoded.event, request.accounts, request.simulated)
                encoded = transaction.encode(event)
            record = transaction.write(stream, last, request.at, encoded)
            last = Last(record.version, record.hash, record.at)
            records.append(record)
            written.append(encoded.event)
            book.record(request.at, movements)
            book.follow(request.at, encoded.event, request.simulated)
        if request.reusable is not None:
            caching.keep(transaction.connection, stream, request.reusable)
        assert not any(isinstance(each, AccountRefused) for each in written[:-1])
        return Committed(tuple(written), record.version, record.position, record.hash, tuple(records))

    # ── reading ────────────────────────────────────────────────────────────────────────────────────────────────

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
            rows = self._page(f"{where} ORDER BY version", [*values, after, 2**62 if upto is None else upto, *names])
            for row in rows:
                yield Recorded(*row)
            if len(rows) < _PAGE:
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

    def tail(self, after: int = 0, stream: str | None = None) -> Iterator[Recorded]:
        """Every event after a position, of one stream or of all, as far as there are any; for following a log."""
        where = "position > ? AND stream = ?" if stream is not None else "position > ?"
        while True:
            rows = self._page(f"{where} ORDER BY position", [after] if stream is None else [after, stream])
            yield from (Recorded(*row) for row in rows)
            if len(rows) < _PAGE:
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
        """The salt of a run's texts, or None where it has none."""
        rows = self._fetch("SELECT salt FROM salts WHERE run = ?", [run])
        return bytes(rows[0][0]) if rows else None

    def blob(self, run: str, digest: str) -> bytes | None:
        """The compressed text that a run, or an ancestor of a fork, stored under a digest; or None."""
        for segment in reversed(self.segments(run)):
            rows = self._fetch("SELECT data FROM blobs WHERE run = ? AND digest = ?", [segment.stream, digest])
            if rows:
                return bytes(rows[0][0])
        return None

    def cache_secret(self) -> bytes | None:
        """What the keys of the response cache are made with, or None before there is an answer in it."""
        return self._reading(caching.secret_of)

    def cached(self, key: str) -> caching.Found | None:
        """The answer that the response cache has under a key, or None."""
        return self._reading(lambda connection: caching.find(connection, key))

    def cache_stats(self) -> list[caching.Stats]:
        """What the response cache holds and has saved: of real providers, then of simulated ones."""
        return self._reading(caching.stats)

    def query(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query over the tables and views."""
        return self._fetch(sql, parameters)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the log as it stands at one moment, whatever is appended meanwhile; not where it is written, too."""
        if self._reader is self._connection and self._commits is not None:
            yield
            return
        with self._read_guard:
            self._reader.execute("BEGIN")
        try:
            yield
        finally:
            with self._read_guard:
                self._reader.execute("COMMIT")

    def verify(self, stream: str | None = None, head: str | None = None, *, texts: bool = True) -> list[chain.Finding]:
        """Everything wrong with one stream, what a fork shares included, or with all; see ``chain.verify``."""
        with self._read_guard:
            return lineage.verify(self._reader, stream, head, texts=texts)

    def check(self, stream: str, head: str | None = None) -> None:
        """Make sure that a stream is whole and, where a head is known, has it; else it is never appended to.

        Raises:
            DamagedLogError: it is not; names the first bad event.
        """
        findings = self.verify(stream, head)
        if findings:
            first = findings[0]
            error = DamagedLogError(first.position, f"{stream} is damaged at event {first.position}: {first.message}")
            self._damaged[stream] = error
            raise error

    def _page(self, where: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._fetch(f"SELECT {COLUMNS} FROM events WHERE {where} LIMIT {_PAGE}", parameters)

    def _fetch(self, sql: str, parameters: Sequence[Any]) -> list[tuple[Any, ...]]:
        return self._reading(lambda connection: connection.execute(sql, parameters).fetchall())

    def _reading(self, work: Callable[[chain.Queryable], T]) -> T:
        try:
            with self._read_guard:
                return work(self._reader)
        except chain.UNREADABLE as error:
            raise LogError(f"the event log cannot be read: {explained(error)}") from error


def configure(connection: chain.Queryable) -> None:
    """Make a connection write durably: WAL, a full sync per commit, deleted content overwritten."""
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")


def _uri(path: Path) -> str:
    return f"file:{quote(str(path.absolute()))}"


def _connect(uri: str) -> sqlite3.Connection:
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    return connection


def _connect_to_read(path: Path) -> sqlite3.Connection:
    """A read-only connection; in a folder that cannot be written, one that takes the file for immutable."""
    error: sqlite3.Error | None = None
    for mode in ("mode=ro", "mode=ro&immutable=1"):
        connection = _connect(f"{_uri(path)}?{mode}")
        try:
            if schema.is_current(connection):
                return connection
            raise LogError("it is not an event log, or is only being made: choose another folder with --home")
        except sqlite3.OperationalError as failure:
            error = failure
            with suppress(sqlite3.Error):
                connection.close()
            wal = path.with_name(path.name + "-wal")
            if wal.exists() and wal.stat().st_size:
                text = f"its latest events are in {wal.name}, which cannot be read in this folder: make it writable"
                raise LogError(f"{text}, or copy it") from failure
        except BaseException:
            connection.close()
            raise
    assert error is not None
    raise error
