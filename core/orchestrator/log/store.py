"""The event log: append with an expected version, read, follow, verify. One SQLite file in WAL mode."""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

from attrs import frozen

from orchestrator.deadlines.awaiting import Offload
from orchestrator.errors import ConcurrencyError, DamagedLogError, LogError, RunLockedError
from orchestrator.events import CallStarted, ContentDeleted, Event, RunForked, Totals
from orchestrator.log import accounts as accounting
from orchestrator.log import cache as caching
from orchestrator.log import chain, pacing, requests, retention, schema
from orchestrator.log.commits import GroupCommit, TransactionLockFactory
from orchestrator.log.connections import (
    DATABASE,
    Connection,
    configure,
    connect,
    connect_to_read,
    create_private,
    database_of,
    is_database,
)
from orchestrator.log.locks import FileLocks, Locks, MemoryLocks, TransactionLock, no_lock
from orchestrator.log.reading import LogReader
from orchestrator.log.redaction import Redactor
from orchestrator.log.sealing import SALT, Keys
from orchestrator.log.texts import pack
from orchestrator.log.transaction import Encoded, Last, Recorded, Transaction, explained
from orchestrator.models import Allowances
from orchestrator.money import Usd

T = TypeVar("T")


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
    pace: pacing.PaceChanges | None = None


class EventLog(LogReader):
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
        self._guard = threading.Lock()
        read_guard = threading.Lock() if reader else self._guard
        super().__init__(reader or connection, read_guard, redactor or Redactor(), is_exclusive=reader is None)
        self._connection = connection
        self._transaction_lock = transaction_lock
        self.locks = locks
        self._transaction = Transaction(connection, self.redactor)
        self._commits: GroupCommit | None = GroupCommit(connection, self._guard, transaction_lock, offload)
        self._damaged: dict[str, DamagedLogError] = {}

    @classmethod
    def open(
        cls, folder: Path, *, redactor: Redactor | None = None, offload: Offload = asyncio.to_thread
    ) -> "EventLog":
        """The log of a data folder, for reading and appending; both are made where they do not exist.

        Raises:
            LogError: the folder or the file cannot be used; the message says what to do.
        """
        path = folder / DATABASE
        if is_database(folder):
            raise LogError(f"{folder} is a database alone, which is only read; name a data folder with --home")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = TransactionLock(folder / "write.lock")
            create_private(path)
            connection = connect(path, "rwc")
            try:
                with lock():
                    schema.refuse_imported(connection)
                    configure(connection)
                    schema.create(connection)
                reader = connect(path, "ro")
            except BaseException:
                connection.close()
                raise
        except OSError as error:
            raise LogError(f"{folder}: {error.strerror}; choose another data folder with --home") from error
        except chain.UNREADABLE as error:
            raise LogError(f"{path}: {explained(error)}") from error
        except LogError as error:
            raise LogError(f"{path}: {error}") from error
        log = cls(
            connection,
            offload=offload,
            transaction_lock=lock,
            locks=FileLocks(folder),
            redactor=redactor,
            reader=reader,
        )
        log.keys = Keys(folder)
        return log

    @classmethod
    def open_to_read(cls, folder: Path) -> "EventLog":
        """The log of a data folder, or of a database alone, for reading only, also while another process writes it.

        Raises:
            LogError: there is no log in the folder, or it cannot be read.
        """
        path = database_of(folder)
        if not path.exists():
            raise LogError(f"there is no event log in {folder}: run something first, or name its folder with --home")
        try:
            connection = connect_to_read(path)
        except chain.UNREADABLE as error:
            raise LogError(f"{path}: {explained(error)}") from error
        except DamagedLogError:
            raise
        except LogError as error:
            raise LogError(f"{path}: {error}") from error
        locks = FileLocks(folder) if path != folder else MemoryLocks()
        log = cls(connection, offload=asyncio.to_thread, locks=locks)
        log.keys = Keys(path.parent)
        log._commits = None
        log._is_exclusive = False
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
        # Without the lock the WAL may not be folded in: the next process that opens the file will do it.
        with suppress(OSError), self._transaction_lock(), self._guard:
            self._connection.close()

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
        pace: pacing.PaceChanges | None = None,
    ) -> Committed:
        """Write events to the end of a stream, durably, in one transaction.

        Args:
            stream: a run's id.
            expected: the last version the writer knows; 0: the stream must not exist.
            at: microseconds UTC, stored with every event.
            events: at least one. With accounts, or with a pace, only the last may be a CallStarted.
            texts: texts to store for the run, by digest.
            salt: the run's salt, stored where the run has none.
            accounts: names of the accounts that a CallStarted's hold must fit.
            simulated: whether the accounts are those of simulated providers.
            reusable: answers that these events make reusable, for the response cache.
            pace: what the events change in the paces of vendors' accounts.

        Raises:
            ConcurrencyError: the stream is not at the expected version; nothing is written.
            UsageError: an account does not exist; nothing is written.
            DamagedLogError: ``check`` found the stream damaged.
            LogError: the log cannot be written; nor can anything later.
        """
        if not events:
            raise ValueError("an append has events")
        asks = accounts or pace is not None
        if asks and any(isinstance(each, CallStarted) for each in events[:-1]):
            raise ValueError("with accounts or a pace, only the last event may be a CallStarted")
        if stream in self._damaged:
            raise self._damaged[stream]
        encoded = tuple(self._transaction.encode(each) for each in events)
        request = _Request(stream, expected, at, encoded, texts or {}, salt, tuple(accounts), simulated, reusable, pace)
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
        """Give an account a cap that is higher by ``extra``, whatever else changes it at the same time.

        Raises:
            UsageError: there is no such account.
            LogError: the log cannot be written.
        """
        return await self._submit(lambda: accounting.raise_cap(self._transaction, name, extra, at, simulated))

    async def set_pace(self, provider: str, said: Allowances, burst: int | None = None) -> None:
        """Set how much every account of a provider allows; see ``pacing.PaceLedger.set``.

        Raises:
            LogError: the log cannot be written.
        """

        def work() -> None:
            pace = self._pace()
            pace.set(provider, said, burst)
            self._keep(pace)

        await self._submit(work)

    async def ask(self, run: str, kind: str, *, at: int, text: str = "") -> None:
        """Put a request into the mailbox of a live run; see ``requests``.

        Raises:
            LogError: the log cannot be written.
        """
        await self._submit(lambda: requests.put(self._transaction.connection, run, kind, text, at))

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
        event = await self._submit(lambda: retention.delete_content(self._transaction, run, expected, at, self.keys))
        self.keys.delete(run)
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

    def stats(self, database: Path) -> retention.LogStats:
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
        seal = partial(self.keys.seal, stream)
        packed = [(key, seal(key, pack(text))) for key, text in request.texts.items()]
        transaction.store_texts(stream, packed, None if request.salt is None else seal(SALT, request.salt))
        ledger = accounting.Accounts(transaction, self.locks, stream)
        pace = self._pace()
        if request.pace is not None:
            pace.follow(request.pace)
        records: list[Recorded] = []
        written: list[Event] = []
        for encoded in request.encoded:
            movements: list[accounting.Movement] = []
            if isinstance(encoded.event, CallStarted) and (request.accounts or request.pace is not None):
                version = last.version + 1 if last else 1  # a fork's first event is no call
                event, movements = self._admitted(request, ledger, pace, version, encoded.event)
                encoded = transaction.encode(event)
            record = transaction.write(stream, last, request.at, encoded)
            last = Last(record.version, record.hash, record.at)
            records.append(record)
            written.append(encoded.event)
            ledger.record(request.at, movements)
            ledger.follow(request.at, encoded.event, request.simulated)
        requests.take_out(transaction.connection, stream, written)
        self._keep(pace)
        if request.reusable is not None:
            caching.keep(transaction.connection, stream, request.reusable)
        return Committed(tuple(written), record.version, record.position, record.hash, tuple(records))

    def _admitted(
        self,
        request: _Request,
        ledger: accounting.Accounts,
        pace: pacing.PaceLedger,
        version: int,
        started: CallStarted,
    ) -> tuple[Event, list[accounting.Movement]]:
        """A CallStarted with its accounts and what to append to them, or what is written in its place."""
        held, movements = ledger.reserve(version, started, request.accounts, request.simulated)
        need = None if request.pace is None else request.pace.need
        if need is None or not isinstance(held, CallStarted):
            return held, movements
        reservation = pace.admit(need, started, request.at)
        return (held, movements) if isinstance(reservation, CallStarted) else (reservation, [])

    def _pace(self) -> pacing.PaceLedger:
        def read(scope: str) -> int | None:
            row = self._connection.execute("SELECT until FROM pace WHERE scope = ?", (scope,)).fetchone()
            return None if row is None else int(row[0])

        return pacing.PaceLedger(read)

    def _keep(self, pace: pacing.PaceLedger) -> None:
        for scope, until in pace.changes.items():
            self._connection.execute("INSERT OR REPLACE INTO pace(scope, until) VALUES (?, ?)", (scope, until))

    def check(self, stream: str, head: str | None = None) -> None:
        """Make sure that a stream is whole and, where a head is known, has it; else it is never appended to.

        Raises:
            DamagedLogError: it is not; names the first bad event.
        """
        findings = self.verify(stream, head)
        if findings:
            first = findings[0]
            error = DamagedLogError(first.position, f"{stream} is damaged at event {first.event}: {first.message}")
            self._damaged[stream] = error
            raise error
