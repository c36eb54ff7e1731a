"""A log on a PostgreSQL server: one connection that writes and holds the process's lock, and one that reads."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from itertools import count
from typing import Any, Final, TypeVar

import psycopg

from orchestrator.errors import LogError
from orchestrator.log.locks import Locks
from orchestrator.log.protocol import Member, StoreError, Written
from orchestrator.log.stored_call_tables import DELETE, READ_CALLS, READ_RUNS
from orchestrator.log.stored_rows import Contents, Space, StreamSize
from orchestrator_postgres import connections, moving, tables
from orchestrator_postgres.group_writes import Writer
from orchestrator_postgres.reads import Reads
from orchestrator_postgres.run_owners import Owners

T = TypeVar("T")

_FETCHED: Final = 1000
_SIZES: Final = """
SELECT e.stream, e.events, e.size, coalesce(t.texts, 0), coalesce(t.size, 0), coalesce(c.cached, 0)
FROM (
    SELECT stream, min(position) AS first, count(*) AS events, CAST(sum(octet_length(data::text)
        + octet_length(stream) + octet_length(type) + octet_length(hash) + 24) AS bigint) AS size
    FROM events GROUP BY stream
) AS e LEFT JOIN (
    SELECT run, count(*) AS texts,
        CAST(sum(octet_length(data) + octet_length(digest) + octet_length(run)) AS bigint) AS size
    FROM blobs GROUP BY run
) AS t ON t.run = e.stream
LEFT JOIN (SELECT run, count(*) AS cached FROM cache GROUP BY run) AS c ON c.run = e.stream ORDER BY e.first
"""
_SPACE: Final = """
SELECT CAST(coalesce(sum(pg_total_relation_size(oid)), 0) AS bigint) FROM pg_class
WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'
"""
_IDENTITY: Final = "SELECT 'events'::regclass::oid"


class PostgresStore(Reads):
    """A log on a server; see ``Store``.

    Args:
        url: its address.
        write: whether it is written, too; its tables are then made where there are none.

    Attributes:
        locks: who has a run.
        is_shared: others can append while something is read.
        is_imported: never.
        remains: where what was deleted still is.
        url: the address for people.
    """

    is_shared: bool = True
    is_imported: bool = False
    remains: str = "the server's write-ahead log and its backups keep what was deleted until they are recycled"

    def __init__(self, url: str, *, write: bool) -> None:
        self.url = connections.shown(url)
        self._address = url
        self._guard = threading.RLock()
        self._write_guard = threading.RLock()
        self._snapshots = threading.local()
        self._cursors = count()
        self._writing: psycopg.Connection[Any] | None = None
        self._reading = connections.connect(url)
        try:
            self._prepare(write)
        except LogError as error:
            self.close()
            raise error if isinstance(error, StoreError) else StoreError(f"{self.url}: {error}") from error
        self.locks: Locks = Owners(self._rows, self._exclusive if write else None)

    def _prepare(self, write: bool) -> None:
        with connections.explained(self._address):
            if not write:
                if not tables.check(self._reading):
                    raise StoreError(f"there is no event log at {self.url}: run something there first")
                return
            self._writing = connections.connect(self._address, writes=True)
            tables.create(self._writing)
            [identity] = self._writing.execute(_IDENTITY).fetchone() or ("",)
            self._writer = Writer(self._writing, str(identity))

    @contextmanager
    def _exclusive(self) -> Iterator[psycopg.Connection[Any]]:
        """The connection that writes, for one thread."""
        if self._writing is None:
            raise StoreError("the event log was opened for reading only")
        with self._write_guard, connections.explained(self._address):
            yield self._writing

    def write(self, members: Sequence[Member]) -> list[Written]:
        """Write a group in one transaction; see ``Store.write``."""
        with self._exclusive():
            return self._writer.write(members)

    @contextmanager
    def _alone(self) -> Iterator[psycopg.Connection[Any]]:
        """A transaction that no other writer comes into; an exception takes back what was done in it."""
        with self._write_guard:
            try:
                with self._exclusive() as connection:
                    connection.execute("BEGIN")
                    connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0")  # a copy takes its time
                    moving.lock(connection)
                yield connection
                with self._exclusive() as connection:
                    connection.execute("COMMIT")
            except BaseException:
                with suppress(StoreError), self._exclusive() as connection:
                    connection.execute("ROLLBACK")
                raise

    @contextmanager
    def closing(self, why: str) -> Iterator[None]:
        """Close it for writing with the end of the context; see ``Store``."""
        with self._alone():
            with self._exclusive() as connection:
                moving.close(connection, why)
            yield

    @property
    def closed(self) -> str:
        """Why nothing can be written any more; empty: it can."""
        return str(self._first(moving.WHY) or "")

    def take_in(self, contents: Contents, why: str) -> None:
        """Take in what another store has; see ``Store``."""
        with self._alone(), self._exclusive() as connection:
            moving.take_in(connection, contents)
            moving.close(connection, why)

    def reopen(self) -> None:
        """Let it be written again."""
        with self._alone(), self._exclusive() as connection:
            moving.reopen(connection)

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        return self._names_and_rows(query, values)[1]

    def _names_and_rows(
        self, query: str, values: Sequence[Any] = (), setting: str = ""
    ) -> tuple[list[str], list[tuple[Any, ...]]]:
        def ask(connection: psycopg.Connection[Any]) -> tuple[list[str], list[tuple[Any, ...]]]:
            with connection.transaction() if setting else nullcontext():
                if setting:
                    connection.execute(setting)
                cursor = connection.execute(query, values)
                return [each.name for each in cursor.description or ()], cursor.fetchall()

        return self._asking(ask)

    def _asking(self, work: Callable[[psycopg.Connection[Any]], T]) -> T:
        """Read by this thread's snapshot, else by the connection that all share; it is made anew where it broke."""
        with connections.explained(self._address):
            own = self._snapshot()
            if own is not None:
                return work(own)
            with self._guard:
                try:
                    return work(self._reading)
                except psycopg.OperationalError:
                    if not self._reading.broken:
                        raise
                    self._reading = connections.connect(self._address)  # the server was started again
                    return work(self._reading)

    def _snapshot(self) -> psycopg.Connection[Any] | None:
        connection: psycopg.Connection[Any] | None = getattr(self._snapshots, "connection", None)
        return connection

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Read the log as it is at one moment, whatever is appended meanwhile: in this thread alone."""
        if self._snapshot() is not None:
            yield
            return
        with connections.explained(self._address):
            connection = connections.connect(self._address)
            connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        self._snapshots.connection = connection
        try:
            yield
        finally:
            self._snapshots.connection = None
            connection.close()

    def _raw_rows(self, query: str, values: Sequence[Any]) -> Iterator[tuple[Any, ...]]:
        """By a plan without indexes; in a snapshot, where an audit reads a whole log, some rows at a time."""

        def all_at_once(reading: psycopg.Connection[Any]) -> list[tuple[Any, ...]]:
            with reading.transaction():
                self._use_indexes(reading, False)
                return psycopg.ClientCursor(reading).execute(query, values).fetchall()

        connection = self._snapshot()
        yield from self._asking(all_at_once) if connection is None else self._page_by_page(connection, query, values)

    def _page_by_page(
        self, connection: psycopg.Connection[Any], query: str, values: Sequence[Any]
    ) -> Iterator[tuple[Any, ...]]:
        name = f"raw_{next(self._cursors)}"
        with connections.explained(self._address):
            self._use_indexes(connection, False)
            psycopg.ClientCursor(connection).execute(f"DECLARE {name} CURSOR FOR {query}", values)
            self._use_indexes(connection, True)
        while rows := self._rows(f"FETCH {_FETCHED} FROM {name}"):
            yield from rows
        connection.execute(f"CLOSE {name}")

    @staticmethod
    def _use_indexes(connection: psycopg.Connection[Any], use: bool) -> None:
        for setting in ("enable_indexscan", "enable_bitmapscan", "enable_indexonlyscan"):
            connection.execute(f"SET LOCAL {setting} = {'on' if use else 'off'}")

    def integrity(self) -> list[str]:
        """Nothing: a server's files are looked at by its owner's tools, such as ``pg_amcheck``."""
        return []

    def layout(self) -> list[str]:
        """How the tables differ from this program's, a line each."""
        return self._asking(tables.differences)

    def sizes(self) -> list[StreamSize]:
        """What every stream takes, oldest first."""
        return [StreamSize(*row) for row in self._rows(_SIZES)]

    def space(self) -> Space:
        """What the tables and their indexes take; what is unused of them the server does not say."""
        return Space(int(self._first(_SPACE)), 0, 0)

    def shrink(self, *, compact: bool) -> bool:
        """Have the server clean up. Its write-ahead log and its backups keep what was deleted: never True."""
        if self._writing is not None:
            with suppress(StoreError), self._exclusive() as connection:
                for table in ("blobs", "salts", "cache"):
                    connection.execute(f"VACUUM {'(FULL) ' if compact else ''}{table}")
        return False

    def stored_runs(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        """The rows of the table ``stored_runs``; see ``Store``."""
        return self._rows(f"{READ_RUNS} LIMIT %s", (limit,)) if self._has_stored() else []

    def stored_calls(self) -> list[tuple[Any, ...]]:
        """The rows of the table ``stored_calls``; see ``Store``."""
        return self._rows(READ_CALLS) if self._has_stored() else []

    def _has_stored(self) -> bool:
        with self._guard, connections.explained(self._address):
            return tables.has_stored(self._reading)

    def store_calls(self, runs: Sequence[tuple[Any, ...]], calls: Sequence[tuple[Any, ...]]) -> None:
        """Put rows in the place of those of the same runs; see ``Store``."""
        with suppress(StoreError, psycopg.Error), self._exclusive() as connection, connection.transaction():
            for statement in DELETE:
                connection.execute(f"{statement} ANY(%s::text[])", ([row[0] for row in runs],))
            for name, rows in (("stored_runs", runs), ("stored_calls", calls)):
                with connection.cursor().copy(f"COPY {name} FROM STDIN") as copy:
                    for row in rows:
                        copy.write_row(row)

    def memo(self, name: str) -> bytes | None:
        """A disposable value that was kept under a name."""
        found = self._first("SELECT value FROM memos WHERE name = %s", (name,))
        return None if found is None else bytes(found)

    def keep_memo(self, name: str, value: bytes) -> None:
        """Keep a disposable value; where that is not possible, nothing happens."""
        query = "INSERT INTO memos(name, value) VALUES (%s, %s) ON CONFLICT (name) DO UPDATE SET value = excluded.value"
        with suppress(StoreError), self._exclusive() as connection:
            connection.execute(query, (name, value))

    def close(self) -> None:
        """Let go of the database, after what is being written; the runs of this process are then free."""
        with self._guard:
            self._reading.close()
        if self._writing is not None:
            with self._write_guard:
                self._writing.close()


def exists(url: str) -> bool:
    """Whether there is a log at an address.

    Raises:
        StoreError: that cannot be found out.
    """
    connection = connections.connect(url)
    try:
        with connections.explained(url):
            return tables.number_of(connection) != 0
    except StoreError:
        raise
    except LogError:
        return False
    finally:
        connection.close()
