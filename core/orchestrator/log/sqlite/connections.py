"""Connections to the database of a log: one that writes durably, and those that only read."""

import os
import sqlite3
import stat
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import quote

from orchestrator.errors import LogError, UnreadableWalError, present
from orchestrator.log.sqlite import schema

DATABASE: Final = "events.db"
"""The file's name in the data folder."""

LARGEST_VALUE: Final = 32 * 1024 * 1024
"""Bytes of one value; a log that holds a larger one is damaged, and reading it could fill the memory."""

_BUSY_MILLISECONDS: Final = 60_000
_MAGIC: Final = b"SQLite format 3\0"


def is_database(path: Path) -> bool:
    """Whether a path is a regular file that begins as a database of SQLite does."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except OSError:
        return False


def database_of(home: Path) -> Path:
    """The database of a data folder; of a database alone, itself."""
    return home if is_database(home) else home / DATABASE


class Queryable(Protocol):
    """What can be asked in SQL: a ``sqlite3.Connection``, or a wrapper of one."""

    def execute(self, sql: str, parameters: Any = ..., /) -> sqlite3.Cursor:
        """Run one statement."""


class Connection(Queryable, Protocol):
    """A ``sqlite3.Connection`` in autocommit mode (``isolation_level=None``), or a wrapper of one."""

    def close(self) -> None:
        """Close the database."""


def configure(connection: Queryable) -> None:
    """Make a connection write durably: WAL, a full sync per commit, deleted content overwritten."""
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA secure_delete = ON")


def create_private(path: Path) -> None:
    """Create an empty file for a database, where there is none: for its owner, in a setgid folder for the group, too.

    SQLite gives the files beside it the same mode.
    """
    mode = 0o660 if path.parent.stat().st_mode & stat.S_ISGID else 0o600
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        try:
            os.fchmod(descriptor, mode)  # the umask may have taken the group's part away
        finally:
            os.close(descriptor)


def connect(path: Path, mode: str) -> sqlite3.Connection:
    """A connection in autocommit mode; ``mode`` is that of SQLite's URIs, such as ``rwc``.

    Raises:
        LogError: there is something else than a file, such as a pipe, which would be waited for.
    """
    if path.exists() and not path.is_file():
        raise LogError("it is no file: choose another folder with --home")
    uri = f"file:{quote(os.fsencode(path.absolute()))}?mode={mode}"
    connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA busy_timeout = {_BUSY_MILLISECONDS}")
    return connection


def connect_to_read(path: Path) -> sqlite3.Connection:
    """A read-only connection; in a folder that cannot be written, one that takes the file for immutable."""
    error: sqlite3.Error | None = None
    for mode in ("ro", "ro&immutable=1"):
        connection = connect(path, mode)
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
        try:
            if schema.is_current(connection):
                schema.refuse_disguised(connection)
                return connection
            raise LogError("it is not an event log, or is only being made: choose another folder with --home")
        except sqlite3.OperationalError as failure:
            error = failure
            with suppress(sqlite3.Error):
                connection.close()
            wal = path.with_name(path.name + "-wal")
            if wal.exists() and wal.stat().st_size:
                text = f"its latest events are in {wal.name}, which cannot be read in this folder: make it writable"
                raise UnreadableWalError(f"{text}, or copy it") from failure
        except BaseException:
            connection.close()
            raise
    error = present(error, "error")
    raise error
