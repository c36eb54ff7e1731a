"""The write transaction: members one after the other, each in a savepoint, with plain prepared statements."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from orchestrator.errors import OrchestrateError, present
from orchestrator.log.locks import Locks
from orchestrator.log.protocol import Changes, Member, Written
from orchestrator.log.sqlite.connections import Queryable
from orchestrator.log.sqlite.reads import SqliteReads
from orchestrator.log.sqlite.schema import NEVER_DELETED, has_stored, renew_stored
from orchestrator.log.stored_call_tables import DELETE, insert

_INSERT: Final = "INSERT INTO events(stream, version, type, schema, at, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"
_TEXT: Final = "INSERT OR IGNORE INTO blobs(run, digest, data) VALUES (?, ?, ?)"
_SALT: Final = "INSERT OR IGNORE INTO salts(run, salt) VALUES (?, ?)"
_CACHED: Final = "INSERT OR REPLACE INTO cache(key, run, call) VALUES (?, ?, ?)"
_HOLD: Final = "INSERT INTO open_holds(run, call, account, nano) VALUES (?, ?, ?, ?)"
_ASKED: Final = "INSERT INTO requests(run, kind, text, at) VALUES (?, ?, ?, ?)"
_PACE: Final = "INSERT OR REPLACE INTO pace(scope, reserved) VALUES (?, ?)"
_SECRET: Final = ""
"""Under this name, which no run has, the secret of the response cache stands among the salts."""


class SqliteTails(SqliteReads):
    """What a member may read inside the transaction."""

    def __init__(self, connection: Queryable, locks: Locks) -> None:
        super().__init__(connection)
        self._locks = locks

    def now(self, at: int) -> int:
        """The writer's own clock: all are on one machine."""
        return at

    def in_flight(self, account: str, run: str) -> int:
        """What an account holds for calls of live runs; ``run`` counts as live."""
        found = self.query("SELECT run, sum(nano) FROM open_holds WHERE account = ? GROUP BY run", (account,))
        return sum(nano for name, nano in found if name == run or self._locks.is_held(name))


def write_group(connection: Queryable, locks: Locks, members: Sequence[Member]) -> list[Written]:
    """Write members in one transaction; see ``Store.write``."""
    tails = SqliteTails(connection, locks)
    connection.execute("BEGIN IMMEDIATE")
    try:
        written = [_attempt(connection, tails, member) for member in members]
        connection.execute("COMMIT")
    except BaseException:
        with suppress(Exception):
            connection.execute("ROLLBACK")
        raise
    return written


def replace_calls(connection: Queryable, runs: Sequence[tuple[Any, ...]], calls: Sequence[tuple[Any, ...]]) -> None:
    """Put rows of calls in the place of those of the same runs; see ``Store.store_calls``."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        renew_stored(connection)
        for run in runs:
            for statement in DELETE:
                connection.execute(f"{statement} ?", run[:1])
        for name, rows in (("stored_runs", runs), ("stored_calls", calls)):
            for row in rows:
                connection.execute(insert(name, "?"), row)
        connection.execute("COMMIT")
    except BaseException:
        with suppress(Exception):
            connection.execute("ROLLBACK")
        raise


def _attempt(connection: Queryable, tails: SqliteTails, member: Member) -> Written:
    connection.execute("SAVEPOINT member")
    try:
        changes = member.make(tails)
        written = Written(changes, _apply(connection, changes))
    except OrchestrateError as error:
        written = Written(error=error)
        connection.execute("ROLLBACK TO member")
    connection.execute("RELEASE member")
    return written


def _apply(connection: Queryable, changes: Changes) -> tuple[int, ...]:
    """Write what a member made; the positions of its rows."""
    _delete(connection, changes)
    for salt in changes.salts:
        connection.execute(_SALT, salt)
    for text in changes.texts:
        connection.execute(_TEXT, text)
    positions = tuple(present(connection.execute(_INSERT, row).lastrowid, "position") for row in changes.rows)
    for hold in changes.holds:
        connection.execute(_HOLD, hold)
    if changes.secret is not None:
        connection.execute(_SALT, (_SECRET, changes.secret))
        [kept] = connection.execute("SELECT salt FROM salts WHERE run = ?", (_SECRET,)).fetchone()
        for row in changes.cached if kept == changes.secret else ():
            connection.execute(_CACHED, row)
    for request in changes.asked:
        connection.execute(_ASKED, request)
    for reserved in changes.pace.items():
        connection.execute(_PACE, reserved)
    return positions


def _delete(connection: Queryable, changes: Changes) -> None:
    if changes.archived:  # the guard is away for this transaction only
        connection.execute("DROP TRIGGER IF EXISTS events_are_never_deleted")
        for stream in changes.archived:
            connection.execute("DELETE FROM events WHERE stream = ?", (stream,))
        connection.execute(NEVER_DELETED)
        for statement in DELETE if has_stored(connection) else ():
            for stream in changes.archived:
                connection.execute(f"{statement} ?", (stream,))
    for run in changes.forgotten:
        connection.execute("DELETE FROM blobs WHERE run = ?", (run,))
        connection.execute("DELETE FROM salts WHERE run = ?", (run,))
    for text in changes.dropped_texts:
        connection.execute("DELETE FROM blobs WHERE run = ? AND digest = ?", text)
    for run in (*changes.forgotten, *changes.dropped_cache):
        connection.execute("DELETE FROM cache WHERE run = ?", (run,))
    if changes.clear_cache:
        connection.execute("DELETE FROM salts WHERE run = ?", (_SECRET,))
        connection.execute("DELETE FROM cache")
    for ended in changes.ended:
        connection.execute("DELETE FROM open_holds WHERE run = ? AND call = ?", ended)
    for run, kind, number in changes.taken:
        connection.execute(
            "DELETE FROM requests WHERE run = ?1 AND (?2 IS NULL OR kind = ?2) AND (?3 IS NULL OR id <= ?3)",
            (run, kind, number),
        )
