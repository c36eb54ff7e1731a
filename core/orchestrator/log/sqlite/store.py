"""A store in one file of SQLite in WAL mode: the default, for the processes of one machine."""

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from tempfile import mkstemp
from typing import Any, Final, TypeVar

from orchestrator.errors import DamagedLogError, LogError
from orchestrator.log.locks import FileLocks, Locks, MemoryLocks, TransactionLock, no_lock
from orchestrator.log.protocol import Member, StoreError, Written
from orchestrator.log.sqlite import moving, schema
from orchestrator.log.sqlite.connections import (
    DATABASE,
    Connection,
    Queryable,
    configure,
    connect,
    connect_to_read,
    create_private,
    database_of,
    is_database,
)
from orchestrator.log.sqlite.error_messages import UNREADABLE, explained, unreadable
from orchestrator.log.sqlite.grouped_writes import replace_calls, write_group
from orchestrator.log.sqlite.reads import SqliteReads
from orchestrator.log.stored_call_tables import READ_CALLS, READ_RUNS
from orchestrator.log.stored_rows import Contents, Space, StreamSize

T = TypeVar("T")

_SIZES: Final = (
    "SELECT stream, count(*), sum(length(CAST(data AS BLOB)) + length(stream) + length(type) + length(hash) + 24)"
    " FROM events GROUP BY stream ORDER BY min(position)"
)
_TEXTS: Final = "SELECT run, count(*), sum(length(data) + length(digest) + length(run)) FROM blobs GROUP BY run"

TransactionLockFactory = Callable[[], AbstractContextManager[None]]
"""Makes the context in which write transactions of all processes exclude each other."""


class SqliteStore(SqliteReads):
    """A database of SQLite.

    Args:
        connection: to it, laid out by ``schema.create``, in autocommit mode; used by one thread at a time.
        locks: the locks of runs.
        transaction_lock: makes the lock that excludes the write transactions of other processes.
        reader: a second connection, so that readers do not wait for commits.
        folder: where memos are kept; None: nowhere.
        url: its address, for people.
    """

    remains: str = "another process reads the log: what was deleted may be in its WAL until orchestrate log gc"

    def __init__(
        self,
        connection: Connection,
        *,
        locks: Locks | None = None,
        transaction_lock: TransactionLockFactory = no_lock,
        reader: Connection | None = None,
        folder: Path | None = None,
        url: str = "memory:",
    ) -> None:
        super().__init__(reader or connection)
        self.connection = connection
        self.reader = reader or connection
        self.locks: Locks = locks or MemoryLocks()
        self.is_shared = reader is not None
        self.url = url
        self._guard = threading.RLock()
        self._read_guard = threading.RLock() if reader else self._guard
        self._transaction_lock = transaction_lock
        self._folder = folder
        self._is_writable = True

    @classmethod
    def in_memory(cls, locks: Locks | None = None) -> "SqliteStore":
        """A store that lives in this process alone."""
        connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        schema.create(connection)
        return cls(connection, locks=locks)

    @classmethod
    def open(cls, folder: Path) -> "SqliteStore":
        """The store of a data folder, for reading and writing; both are made where they do not exist.

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
        except UNREADABLE as error:
            raise StoreError(f"{path}: {explained(error)}", str(error)) from error
        except LogError as error:
            raise LogError(f"{path}: {error}") from error
        return cls(
            connection,
            locks=FileLocks(folder),
            transaction_lock=lock,
            reader=reader,
            folder=folder,
            url=f"sqlite:{folder}",
        )

    @classmethod
    def open_to_read(cls, folder: Path) -> "SqliteStore":
        """The store of a data folder, or a database alone, for reading only, also while another process writes it.

        Raises:
            LogError: there is no log in the folder, or it cannot be read.
        """
        path = database_of(folder)
        if not path.exists():
            raise LogError(f"there is no event log in {folder}: run something first, or name its folder with --home")
        try:
            connection = connect_to_read(path)
        except UNREADABLE as error:
            raise StoreError(f"{path}: {explained(error)}", str(error)) from error
        except DamagedLogError:
            raise
        except LogError as error:
            raise LogError(f"{path}: {error}") from error
        locks = FileLocks(folder) if path != folder else MemoryLocks()
        store = cls(connection, locks=locks, folder=folder if path != folder else None, url=f"sqlite:{folder}")
        store.is_shared = True
        store._is_writable = False
        return store

    @property
    def is_imported(self) -> bool:
        """Whether its runs came out of bundles."""
        return self._asking(schema.is_imported)

    def _asking(self, work: Callable[[Queryable], T]) -> T:
        try:
            with self._read_guard:
                return work(self._reader)
        except UNREADABLE as error:
            raise unreadable(error) from error

    def write(self, members: Sequence[Member]) -> list[Written]:
        """Write a group in one transaction; see ``Store``."""
        if not self._is_writable:
            raise LogError("the event log was opened for reading only")
        try:
            with self._transaction_lock(), self._guard:
                return write_group(self.connection, self.locks, members)
        except UNREADABLE as error:
            raise StoreError(explained(error), str(error)) from error

    @contextmanager
    def _alone(self) -> Iterator[Connection]:
        """A transaction that no other writer comes into; an exception takes back what was done in it."""
        with self._transaction_lock(), self._guard:
            try:
                self.connection.execute("BEGIN IMMEDIATE")
            except UNREADABLE as error:
                raise StoreError(explained(error), str(error)) from error
            try:
                yield self.connection
                self.connection.execute("COMMIT")
            except BaseException:
                with suppress(sqlite3.Error):
                    self.connection.execute("ROLLBACK")
                raise

    @contextmanager
    def closing(self, why: str) -> Iterator[None]:
        """Close it for writing with the end of the context; see ``Store``."""
        with self._alone() as connection:
            moving.close(connection, why)
            yield

    @property
    def closed(self) -> str:
        """Why nothing can be written any more; empty: it can."""
        return self._asking(moving.closed)

    def take_in(self, contents: Contents, why: str) -> None:
        """Take in what another store has; see ``Store``."""
        with self._alone() as connection:
            try:
                moving.take_in(connection, contents)
                moving.close(connection, why)
            except UNREADABLE as error:
                raise StoreError(explained(error), str(error)) from error

    def reopen(self) -> None:
        """Let it be written again."""
        with self._alone() as connection:
            moving.reopen(connection)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the store as it is at one moment; not where it is written over the same connection."""
        if not self.is_shared:
            yield
            return
        with self._read_guard:
            self._reader.execute("BEGIN")
        try:
            yield
        finally:
            with self._read_guard, suppress(sqlite3.Error):  # of a damaged file not even that can be done
                self._reader.execute("COMMIT")

    def integrity(self) -> list[str]:
        """What SQLite finds wrong with the file."""
        found = [str(row[0]) for row in self.query("PRAGMA integrity_check(1)")]
        return [] if found == ["ok"] else found

    def layout(self) -> list[str]:
        """How tables, indexes, triggers and views differ from this program's."""
        return self._asking(schema.differences)

    def sizes(self) -> list[StreamSize]:
        """What every stream takes, oldest first."""
        texts = {run: (count, size) for run, count, size in self.query(_TEXTS)}
        cached = dict(self.query("SELECT run, count(*) FROM cache GROUP BY run"))
        return [
            StreamSize(run, events, size, *texts.get(run, (0, 0)), cached.get(run, 0))
            for run, events, size in self.query(_SIZES)
        ]

    def space(self) -> Space:
        """What the file takes, and its WAL."""
        size, pages, free = (
            int(self.query(f"PRAGMA {name}")[0][0]) for name in ("page_size", "page_count", "freelist_count")
        )
        wal = None if self._folder is None else self._folder / f"{DATABASE}-wal"
        return Space(size * pages, wal.stat().st_size if wal and wal.exists() else 0, size * free)

    def shrink(self, *, compact: bool) -> bool:
        """Fold the WAL in, so that nothing deleted is left in it, and give unused pages back."""
        with self._transaction_lock(), self._guard:
            try:
                if compact:
                    self.connection.execute("VACUUM")
                busy = self.connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            except sqlite3.OperationalError:
                return False
        return not busy

    def stored_runs(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        """The rows of the table ``stored_runs``; see ``Store``."""
        return self._stored(f"{READ_RUNS} LIMIT {-1 if limit is None else limit}")

    def stored_calls(self) -> list[tuple[Any, ...]]:
        """The rows of the table ``stored_calls``; see ``Store``."""
        return self._stored(READ_CALLS)

    def _stored(self, query: str) -> list[tuple[Any, ...]]:
        return self.query(query) if self._asking(schema.has_stored) else []

    def store_calls(self, runs: Sequence[tuple[Any, ...]], calls: Sequence[tuple[Any, ...]]) -> None:
        """Put rows in the place of those of the same runs; see ``Store``."""
        if self._is_writable:
            with suppress(sqlite3.Error, OSError), self._transaction_lock(), self._guard:
                replace_calls(self.connection, runs, calls)

    def memo(self, name: str) -> bytes | None:
        """A disposable value: a file in the data folder."""
        with suppress(OSError):
            return None if self._folder is None else (self._folder / name).read_bytes()
        return None

    def keep_memo(self, name: str, value: bytes) -> None:
        """Put a disposable value in the place of the old one, whole."""
        if self._folder is not None:
            with suppress(OSError):
                _replace(self._folder / name, value)

    def close(self) -> None:
        """Close the database, after the transaction that is running. The last to close folds the WAL in."""
        if self.reader is not self.connection:
            with self._read_guard:
                self.reader.close()
        if not self._is_writable:
            self.connection.close()
            return
        # Without the lock the WAL may not be folded in: the next process that opens the file will do it.
        with suppress(OSError), self._transaction_lock(), self._guard:
            self.connection.close()


def _replace(path: Path, content: bytes) -> None:
    """Put content in the place of a file, whole."""
    descriptor, name = mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(name).replace(path)
    except OSError:
        Path(name).unlink(missing_ok=True)
