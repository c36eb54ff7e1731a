"""Bundles made a database again, so that their recipient can ask it what the sender can ask a log."""

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.errors import LogError, UsageError
from orchestrator.log import Head
from orchestrator.log.sqlite import is_database, schema
from orchestrator.log.sqlite.error_messages import explained
from orchestrator_audit.bundles.checking import verify
from orchestrator_audit.checks import AuditReport

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_OTHERWISE: Final = (
    "SELECT stream, version FROM found.events AS f JOIN main.events AS m USING (stream, version)"
    " WHERE f.hash != m.hash ORDER BY f.position LIMIT 1"
)
_EVENTS: Final = (
    "INSERT INTO main.events SELECT position + (SELECT coalesce(max(position), 0) FROM main.events), stream, version,"
    " type, schema, at, data, hash FROM found.events AS f WHERE NOT EXISTS"
    " (SELECT 1 FROM main.events AS m WHERE m.stream = f.stream AND m.version = f.version) ORDER BY position"
)
_COPIES: Final = (
    _EVENTS,
    "INSERT OR IGNORE INTO main.salts SELECT run, salt FROM found.salts",
    "INSERT OR IGNORE INTO main.blobs SELECT run, digest, data FROM found.blobs",
)


def import_bundle(
    path: Path,
    target: Path,
    *,
    key: "Ed25519PublicKey | None" = None,
    heads: Sequence[Head] | None = None,
) -> AuditReport:
    """Verify a bundle and, where nothing is wrong with it, put its run into a database that is only read.

    Args:
        path: the bundle.
        target: a new file, or a database that holds imported runs already; what it has is kept.
        key: the bundle must be signed with this one.
        heads: what was written down of the run elsewhere.

    Returns:
        What verifying found; where anything failed, nothing is written.

    Raises:
        UsageError: the bundle cannot be read, or the file is something else.
        LogError: the file cannot be written, or has another past of the run.
    """
    if target.exists() and not is_database(target):
        raise UsageError(f"{target} exists, and is no database; name a new file ending in .db")
    return verify(path, key=key, heads=heads, take=lambda database: _put(database, target))


def _put(found: Path, target: Path) -> None:
    """Make the target anew from what it holds and what was found; at no moment is half of it there."""
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".orchestrate-", dir=target.parent) as scratch:
            made = Path(scratch) / target.name
            shutil.copyfile(target if target.exists() else found, made)
            made.chmod(0o600)
            _merge(made, found, target)
            with made.open("rb") as file:
                os.fsync(file.fileno())
            made.replace(target)
    except OSError as error:
        raise LogError(f"{target}: {error.strerror}; choose another place for the database") from error
    except sqlite3.Error as error:
        raise LogError(f"{target}: {explained(error)}") from error


def _merge(made: Path, found: Path, target: Path) -> None:
    with closing(sqlite3.connect(made, isolation_level=None)) as connection:
        if not target.exists():
            connection.execute(f"PRAGMA application_id = {schema.IMPORTED}")
            return
        if not schema.is_current(connection) or not schema.is_imported(connection):
            raise UsageError(f"{target} holds runs of its own; name a new file ending in .db")
        connection.execute("ATTACH ? AS found", (str(found),))
        other = connection.execute(_OTHERWISE).fetchone()
        if other is not None:
            raise LogError(f"{target} has another event v{other[1]} of {other[0]}: it is another run; name a new file")
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _COPIES:
                connection.execute(statement)
            connection.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
