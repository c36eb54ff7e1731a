"""The tables of the database. Built once per data folder; never on the way of an append."""

import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Final

from orchestrator.errors import DamagedLogError, LogError
from orchestrator.log.sqlite.moving import TRIGGERS
from orchestrator.log.stored_call_tables import CREATE, TABLES
from orchestrator.log.views import VIEWS

if TYPE_CHECKING:
    from sqlite_utils import Database

    from orchestrator.log.sqlite.connections import Queryable

VERSION: Final = 1
"""The layout's number, kept in ``PRAGMA user_version``."""

IMPORTED: Final = 0x4D4C4F62
"""``PRAGMA application_id`` of a database whose runs came out of bundles."""

NEVER_CHANGED: Final = """
CREATE TRIGGER events_are_never_changed BEFORE UPDATE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
"""
NEVER_DELETED: Final = """
CREATE TRIGGER events_are_never_deleted BEFORE DELETE ON events
BEGIN SELECT RAISE(ABORT, 'events are append-only'); END
"""

_REQUESTS: Final = "requests"
_PACE: Final = "pace"
_LATER: Final = {
    _REQUESTS: """
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY, run TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL DEFAULT '', at INTEGER NOT NULL
)
""",
    _PACE: "CREATE TABLE IF NOT EXISTS pace (scope TEXT PRIMARY KEY, reserved INTEGER NOT NULL)",
}
"""Tables that the first programs did not make; they are made where they are missing."""

_QUOTED: Final = re.compile(r'[\["`](\w+)[\]"`]')
_BEFORE_QUERY: Final = re.compile(r"CREATE VIEW \w+ AS ")


def is_current(connection: sqlite3.Connection) -> bool:
    """Whether the database has this program's layout; False for an empty one.

    Raises:
        LogError: a newer program laid it out.
    """
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > VERSION:
        raise LogError(
            f"the event log has layout {version}, this program knows {VERSION}; "
            "use the newer program, or another data folder with --home"
        )
    return version == VERSION


def is_imported(connection: "sqlite3.Connection | Queryable") -> bool:
    """Whether the runs of a database came out of bundles; they have no accounts, and may have no texts."""
    return int(connection.execute("PRAGMA application_id").fetchone()[0]) == IMPORTED


def refuse_imported(connection: sqlite3.Connection) -> None:
    """Make sure that a database may be written.

    Raises:
        LogError: its runs came out of bundles.
    """
    if is_imported(connection):
        raise LogError("its runs were imported from bundles, and are only read; name another data folder with --home")


def refuse_disguised(connection: sqlite3.Connection) -> None:
    """Make sure that what is read as a table is one: a view or a virtual table in its place may have no end.

    Raises:
        LogError: it is not.
    """
    query = "SELECT name, type, sql FROM sqlite_master WHERE name COLLATE NOCASE IN (?, ?, ?, ?, ?, ?, ?)"
    for name, kind, sql in connection.execute(query, _NAMES):
        if kind != "table" or not str(sql).lstrip().upper().startswith("CREATE TABLE"):
            raise DamagedLogError(0, f"{name} is no table of this program's: restore the file from a backup")


def _tables(database: "Database") -> None:
    database.create_table(
        "events",
        {
            "position": int,
            "stream": str,
            "version": int,
            "type": str,
            "schema": int,
            "at": int,
            "data": str,
            "hash": str,
        },
        pk="position",
        not_null={"stream", "version", "type", "schema", "at", "data", "hash"},
    )
    database.table("events").create_index(["stream", "version"], unique=True)
    database.create_table("blobs", {"run": str, "digest": str, "data": bytes}, pk=("run", "digest"), not_null={"data"})
    database.create_table("salts", {"run": str, "salt": bytes}, pk="run", not_null={"salt"})
    database.create_table("cache", {"key": str, "run": str, "call": int}, pk="key", not_null={"run", "call"})
    database.create_table(
        "open_holds",
        {"run": str, "call": int, "account": str, "nano": int},
        pk=("run", "call", "account"),
        not_null={"nano"},
    )
    database.table("open_holds").create_index(["account"])


def _renew_views(connection: sqlite3.Connection) -> None:
    """Replace the views that an older program made otherwise: they hold nothing."""
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
    old = [name for name, query in VIEWS.items() if query.strip() not in found.get(name, "")]
    if not old:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        for name in old:
            connection.execute(f"DROP VIEW IF EXISTS {name}")
            connection.execute(f"CREATE VIEW {name} AS {VIEWS[name].strip()}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def has_stored(connection: "sqlite3.Connection | Queryable") -> bool:
    """Whether the tables of stored calls are there as this program makes them."""
    found = dict(connection.execute("SELECT name, sql FROM sqlite_master").fetchall())
    return all(found.get(name) == statement for name, statement in CREATE.items())


def renew_stored(connection: "sqlite3.Connection | Queryable") -> None:
    """Make the tables of stored calls, which are disposable, in the place of any that are missing or otherwise."""
    if has_stored(connection):
        return
    for kind, name in connection.execute("SELECT type, name FROM sqlite_master").fetchall():
        if str(name).lower() in TABLES:
            connection.execute(f"DROP {kind} {name}")
    for statement in CREATE.values():
        connection.execute(statement)


def create(connection: sqlite3.Connection) -> None:
    """Lay out an empty database; of one that is laid out only the views are brought up to this program's."""
    if is_current(connection):
        _renew_views(connection)
        _add_later(connection)
        return
    from sqlite_utils import Database  # costs a tenth of a second, and is needed once per data folder

    database = Database(connection, execute_plugins=False)
    connection.execute("BEGIN IMMEDIATE")
    try:
        if not is_current(connection):
            _tables(database)
            _add_later(connection)
            connection.execute(NEVER_CHANGED)
            connection.execute(NEVER_DELETED)
            for name, query in VIEWS.items():
                database.create_view(name, query.strip())
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


_NAMES: Final = ("events", "blobs", "salts", "cache", "open_holds", *_LATER)
_ADDED: Final = {("table", name) for name in _LATER}
"""What a log has only once this program has written to it: earlier ones made none."""
_CLOSED: Final = {("trigger", name) for name in TRIGGERS}
"""What a log has that was moved to another store."""


def _add_later(connection: sqlite3.Connection) -> None:
    for statement in _LATER.values():
        connection.execute(statement)


def differences(connection: "sqlite3.Connection | Queryable") -> list[str]:
    """How the tables, indexes, triggers and views of a database differ from this program's, one line each."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as fresh:
        create(fresh)
        wanted = _layout(fresh)
    found = _layout(connection)
    stored = {("table" if name in TABLES else "index", name): _plain(CREATE[name]) for name in CREATE}
    wanted |= {key: stored[key] for key in stored.keys() & found.keys()}
    return [
        *(f"the {kind} {name} is missing" for kind, name in wanted.keys() - found.keys() - _ADDED),
        *(f"the {kind} {name} is none of this program's" for kind, name in found.keys() - wanted.keys() - _CLOSED),
        *(
            f"the {kind} {name} is not as this program makes it"
            for kind, name in wanted.keys() & found.keys()
            if wanted[kind, name] != found[kind, name]
        ),
    ]


def _layout(connection: "sqlite3.Connection | Queryable") -> dict[tuple[str, str], str]:
    """By kind and name the statement that makes an object, in one way of quoting and spacing."""
    rows = connection.execute("SELECT type, name, sql FROM sqlite_master WHERE substr(name, 1, 7) != 'sqlite_'")
    return {(str(kind), str(name)): _plain(str(sql)) for kind, name, sql in rows}


def _plain(sql: str) -> str:
    return _BEFORE_QUERY.sub("", " ".join(_QUOTED.sub(r"\1", sql).split()), count=1)
