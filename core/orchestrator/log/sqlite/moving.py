"""A log that moves to another store: closing the database it leaves, and filling the one it comes to.

A closed database refuses writers by triggers: whatever has it open, also a program that knows nothing of closing, is
refused by SQLite itself.
"""

import re
from typing import TYPE_CHECKING, Final

from orchestrator.log.stored_rows import Contents

if TYPE_CHECKING:
    from orchestrator.log.sqlite.connections import Queryable

_TABLES: Final = ("events", "blobs", "salts", "cache", "open_holds", "requests", "pace")
_BESIDE: Final = _TABLES[1:]
TRIGGERS: Final = {f"closed_{table}_{what}": (what, table) for table in _TABLES for what in ("insert", "delete")}
"""The triggers of a closed database, with what they refuse."""

_WHY: Final = re.compile(r"RAISE\(ABORT, '((?:[^']|'')*)'\)")
_EVENT: Final = (
    "INSERT INTO events(position, stream, version, type, schema, at, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)


def close(connection: "Queryable", why: str) -> None:
    """Refuse every later write, as part of the caller's transaction."""
    reopen(connection)
    text = why.replace("'", "''")
    for name, (what, table) in TRIGGERS.items():
        body = f"BEGIN SELECT RAISE(ABORT, '{text}'); END"
        connection.execute(f"CREATE TRIGGER {name} BEFORE {what.upper()} ON {table} {body}")


def reopen(connection: "Queryable") -> None:
    """Take writes again, as part of the caller's transaction."""
    for name in TRIGGERS:
        connection.execute(f"DROP TRIGGER IF EXISTS {name}")


def closed(connection: "Queryable") -> str:
    """Why nothing may be written, or nothing."""
    row = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'closed_events_insert'").fetchone()
    found = None if row is None else _WHY.search(row[0])
    return "" if found is None else found[1].replace("''", "'")


def take_in(connection: "Queryable", contents: Contents) -> None:
    """Write what another store has, as part of the caller's transaction."""
    reopen(connection)
    for table in _BESIDE:
        connection.execute(f"DELETE FROM {table}")
    for statement, rows in (
        (_EVENT, contents.rows),
        ("INSERT INTO salts(run, salt) VALUES (?, ?)", contents.salts),
        ("INSERT INTO blobs(run, digest, data) VALUES (?, ?, ?)", contents.texts),
        ("INSERT INTO cache(key, run, call) VALUES (?, ?, ?)", contents.cached),
        ("INSERT INTO open_holds(run, call, account, nano) VALUES (?, ?, ?, ?)", contents.holds),
        (
            "INSERT INTO requests(run, id, at, kind, text) VALUES (?, ?, ?, ?, ?)",
            ((run, *each) for run, each in contents.asked),
        ),
        ("INSERT INTO pace(scope, reserved) VALUES (?, ?)", contents.pace),
    ):
        for row in rows:
            connection.execute(statement, row)
