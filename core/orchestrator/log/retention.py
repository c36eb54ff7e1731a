"""Keeping a log small: what it takes, by run; content that is deleted, texts that nothing refers to."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from orchestrator.errors import UsageError
from orchestrator.events import ContentDeleted, Event
from orchestrator.log import cache, chain, lineage
from orchestrator.log.sealing import Keys, NoKeyError
from orchestrator.log.transaction import Transaction

LARGE: Final = 100_000
"""Events from which on a run's history is reported as large, and again at each doubling."""

_LOGGER: Final = logging.getLogger("orchestrator.log")
_EVENTS: Final = (
    "SELECT stream, count(*), sum(length(CAST(data AS BLOB)) + length(stream) + length(type) + length(hash) + 24)"
    " FROM events GROUP BY stream ORDER BY min(position)"
)
_TEXTS: Final = "SELECT run, count(*), sum(length(data) + length(digest) + length(run)) FROM blobs GROUP BY run"
_SALT: Final = "SELECT 1 FROM salts WHERE run = ?"
_ROWS: Final = "SELECT CAST(type AS BLOB), CAST(data AS BLOB) FROM events WHERE stream = ? AND version <= ?"


@frozen
class Size:
    """What a run takes."""

    run: str
    events: int
    event_bytes: int
    texts: int
    text_bytes: int
    """As stored: compressed."""
    cached: int
    """Answers of it that other runs may reuse."""
    deleted: bool
    """Whether its content is gone."""

    @property
    def is_large(self) -> bool:
        """Whether its history has grown so long that reading it is slow."""
        return self.events >= LARGE


@frozen
class LogStats:
    """What a log takes."""

    runs: tuple[Size, ...]
    """Every stream, those of accounts included, oldest first."""
    file: int
    """Bytes of the database."""
    wal: int
    """Bytes not yet folded into it."""
    free: int
    """Bytes of it that nothing uses."""


@frozen
class Collected:
    """What ``log gc`` took away."""

    texts: int
    size: int
    """Bytes of them, as stored."""
    cached: int
    skipped: tuple[str, ...]
    """Runs that were live."""
    before: int
    """Bytes of the database and its WAL."""
    after: int


def sizes(connection: chain.Queryable) -> tuple[Size, ...]:
    """What every stream takes, oldest first."""
    texts = {run: (count, size) for run, count, size in connection.execute(_TEXTS)}
    cached = dict(connection.execute("SELECT run, count(*) FROM cache GROUP BY run"))
    deleted = {run for (run,) in connection.execute("SELECT stream FROM events WHERE type = 'content.deleted'")}
    return tuple(
        Size(run, events, size, *texts.get(run, (0, 0)), cached.get(run, 0), run in deleted)
        for run, events, size in connection.execute(_EVENTS)
    )


def stats(connection: chain.Queryable, database: Path) -> LogStats:
    """What a log takes, on disk and by run."""
    pages = {
        name: int(connection.execute(f"PRAGMA {name}").fetchone()[0])
        for name in ("page_size", "page_count", "freelist_count")
    }
    wal = database.with_name(f"{database.name}-wal")
    return LogStats(
        runs=sizes(connection),
        file=pages["page_size"] * pages["page_count"],
        wal=wal.stat().st_size if wal.exists() else 0,
        free=pages["page_size"] * pages["freelist_count"],
    )


def delete_content(transaction: Transaction, run: str, expected: int, at: int, keys: Keys) -> ContentDeleted:
    """Delete a run's texts, their salt and its cached answers, and append that it was done.

    Forks that share its past get the texts they need under their own names first, encrypted with their own keys where
    they have some. For a transaction of the caller's, who then deletes the key.

    Raises:
        UsageError: the run is not at the expected version, or its content is deleted already.
    """
    connection = transaction.connection
    last = transaction.last(run)
    if last is None or last.version != expected:
        raise UsageError(f"{run} has gone on meanwhile; try again")
    if connection.execute(_SALT, (run,)).fetchone() is None:
        raise UsageError(f"the content of {run} is deleted already")
    for fork in _heirs(connection, run):
        for digest in needed(connection, fork):
            found = connection.execute("SELECT data FROM blobs WHERE run = ? AND digest = ?", (run, digest)).fetchone()
            with suppress(NoKeyError):  # what cannot be read is gone already
                if found is None:
                    continue
                data = keys.seal(fork, digest, keys.open(run, digest, bytes(found[0])))
                transaction.store_texts(fork, [(digest, data)], None)
    gone: tuple[int, int | None] = connection.execute(
        "SELECT count(*), sum(length(data)) FROM blobs WHERE run = ?", (run,)
    ).fetchone()
    connection.execute("DELETE FROM blobs WHERE run = ?", (run,))
    connection.execute("DELETE FROM salts WHERE run = ?", (run,))
    cache.forget(connection, run)
    event = ContentDeleted(gone[0], gone[1] or 0)
    transaction.write(run, last, max(at, last.at + 1), transaction.encode(event))
    return event


def _heirs(connection: chain.Queryable, run: str) -> list[str]:
    """The forks that go on needing a run's texts; where a fork's own content is deleted, those of that fork."""
    found, seen, left = [], {run}, lineage.descendants(connection, run)
    while left:
        fork = left.pop()
        if fork in seen:
            continue
        seen.add(fork)
        if connection.execute(_SALT, (fork,)).fetchone() is not None:
            found.append(fork)
        else:
            left += lineage.descendants(connection, fork)
    return found


def needed(connection: chain.Queryable, run: str) -> Iterator[str]:
    """The digests that a run's history refers to, what it shares as a fork included; some more than once."""
    for segment in lineage.segments(connection, run):
        upto = 2**62 if segment.upto is None else segment.upto
        for kind, data in connection.execute(_ROWS, (segment.stream, upto)):
            for digest in chain.referred(kind, data):
                yield digest.decode()


def collect(connection: chain.Queryable, run: str) -> tuple[int, int]:
    """Delete the texts of a run that nothing refers to: how many, and their bytes. No session may be open."""
    wanted = set(needed(connection, run))
    count = size = 0
    for digest, length in connection.execute("SELECT digest, length(data) FROM blobs WHERE run = ?", (run,)).fetchall():
        if digest not in wanted:
            connection.execute("DELETE FROM blobs WHERE run = ? AND digest = ?", (run, digest))
            count, size = count + 1, size + length
    return count, size


def collect_cache(connection: chain.Queryable) -> int:
    """Delete the cached answers whose run has no content any more; how many."""
    return connection.execute("DELETE FROM cache WHERE run NOT IN (SELECT run FROM salts)").rowcount


def shrink(connection: Any, *, vacuum: bool) -> bool:
    """Fold the WAL in, so that nothing deleted is left in it, and give unused pages back; whether that was possible.

    Not inside a transaction.
    """
    try:
        if vacuum:
            connection.execute("VACUUM")
        busy = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    except sqlite3.OperationalError:
        return False
    return not busy


class Growth:
    """An observer of a run that warns when its history has grown large."""

    def __init__(self, run: str, large: int = LARGE) -> None:
        self._run = run
        self._next = large

    def __call__(self, version: int, at: int, event: Event) -> None:
        """Take in a committed event."""
        if version < self._next:
            return
        while self._next <= version:
            self._next *= 2
        _LOGGER.warning(
            "the history of %s has %d events: reading it takes longer and longer; split the project into several runs",
            self._run,
            version,
        )
