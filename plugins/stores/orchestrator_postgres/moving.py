"""A log that moves to another store: closing the tables it leaves, and filling those it comes to.

Closed tables refuse writers by triggers, which PostgreSQL makes or drops within a transaction as it does with rows.
"""

import time
from collections.abc import Iterable
from typing import Any, Final

from psycopg import Connection, errors

from orchestrator.log.protocol import StoreError
from orchestrator.log.stored_rows import Contents

_TABLES: Final = ("events", "blobs", "salts", "cache", "open_holds", "requests", "pace")
_BESIDE: Final = _TABLES[1:]
_PATIENCE: Final = 10.0
_PAUSE: Final = 0.05
_ALONE: Final = (
    "SET LOCAL lock_timeout = '50ms'",  # of what the grant waits for, too
    "GRANT DELETE ON events TO CURRENT_USER",  # to lock a table takes a right that its owner gave away
    f"LOCK TABLE {', '.join(_TABLES)} IN SHARE ROW EXCLUSIVE MODE NOWAIT",
    "REVOKE DELETE ON events FROM CURRENT_USER",
    "SET LOCAL lock_timeout TO DEFAULT",
)
WHY: Final = """
SELECT obj_description(oid, 'pg_proc') FROM pg_proc
WHERE proname = 'log_is_closed' AND pronamespace = current_schema()::regnamespace
"""
_FUNCTION: Final = """
CREATE FUNCTION log_is_closed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state',
    MESSAGE = (SELECT obj_description(CAST(TG_ARGV[0] AS oid), 'pg_proc')); END $$
"""


def lock(connection: Connection[Any]) -> None:
    """Have the tables alone with the transaction that is open; reading goes on.

    Nothing is waited for with locks in hand, so that no writer and this one wait for each other.

    Raises:
        StoreError: others write all the time.
    """
    until = time.monotonic() + _PATIENCE
    while True:
        connection.execute("SAVEPOINT alone")
        try:
            for statement in _ALONE:
                connection.execute(statement)
        except (errors.LockNotAvailable, errors.InternalError_) as error:  # the second where two grant at once
            connection.execute("ROLLBACK TO alone")
            if time.monotonic() > until:
                raise StoreError("other processes write the log all the time: stop them, then try again") from error
            time.sleep(_PAUSE)
        else:
            return


def close(connection: Connection[Any], why: str) -> None:
    """Refuse every later write, as part of the transaction that is open."""
    reopen(connection)
    connection.execute(_FUNCTION)
    text = why.replace("'", "''")
    connection.execute(f"COMMENT ON FUNCTION log_is_closed() IS '{text}'")
    [number] = connection.execute("SELECT CAST('log_is_closed'::regproc AS oid)").fetchone() or (0,)
    for table in _TABLES:
        connection.execute(
            f"CREATE TRIGGER log_is_closed BEFORE INSERT OR DELETE ON {table}"
            f" EXECUTE FUNCTION log_is_closed('{number}')"
        )


def reopen(connection: Connection[Any]) -> None:
    """Take writes again, as part of the transaction that is open."""
    for table in _TABLES:
        connection.execute(f"DROP TRIGGER IF EXISTS log_is_closed ON {table}")
    connection.execute("DROP FUNCTION IF EXISTS log_is_closed()")


def take_in(connection: Connection[Any], contents: Contents) -> None:
    """Write what another store has, as part of the transaction that is open."""
    reopen(connection)
    for table in _BESIDE:
        connection.execute(f"DELETE FROM {table}")
    _copy(connection, "events(position, stream, version, type, schema, at, data, hash)", contents.rows)
    _copy(connection, "salts(run, salt)", contents.salts)
    _copy(connection, "blobs(run, digest, data)", contents.texts)
    _copy(connection, "cache(key, run, call)", contents.cached)
    _copy(connection, "open_holds(run, call, account, nano)", contents.holds)
    _copy(connection, "requests(run, id, at, kind, text)", ((run, *each) for run, each in contents.asked))
    _copy(connection, "pace(scope, reserved)", contents.pace)
    for table, column in (("events", "position"), ("requests", "id")):  # the next one comes after those taken in
        last = f"SELECT max({column}) AS last FROM {table}"
        connection.execute(
            f"SELECT setval(pg_get_serial_sequence('{table}', '{column}'), last) FROM ({last}) AS found"
            " WHERE last IS NOT NULL"
        )


def _copy(connection: Connection[Any], target: str, rows: Iterable[Any]) -> None:
    with connection.cursor().copy(f"COPY {target} FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)
