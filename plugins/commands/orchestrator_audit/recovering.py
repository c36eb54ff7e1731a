"""Saving what a damaged log still proves of one run: its good prefix, copied into a new file."""

import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, nullcontext, suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from attrs import Factory, define, frozen

from orchestrator.errors import LogError, RunLockedError, UsageError
from orchestrator.events import TYPES, RunStarted
from orchestrator.ledger import lineage
from orchestrator.log import chain
from orchestrator.log.heads import read_heads
from orchestrator.log.locks import FileLocks, TransactionLock
from orchestrator.log.protocol import StoreError
from orchestrator.log.sqlite import DATABASE, SqliteStore, configure, schema
from orchestrator.log.sqlite.error_messages import UNREADABLE, explained
from orchestrator.log.text_encryption import SALT, Keys, copy_key
from orchestrator.log.texts import unpack
from orchestrator.log.transaction import Recorded

_MISSING: Final = "is missing"
_SCANS: Final = ("INDEXED BY idx_events_stream_version", "NOT INDEXED")
"""Two ways to the rows: a damaged page is seldom in the way of both."""

_ROWS: Final = (
    "SELECT position, version, CAST(type AS BLOB), schema, at, CAST(data AS BLOB), CAST(hash AS BLOB),"
    " typeof(version) || ' ' || typeof(type) || ' ' || typeof(schema) || ' ' || typeof(at) || ' ' || typeof(data)"
    " || ' ' || typeof(hash)"
    " FROM events {scan} WHERE stream = ? ORDER BY {order}"
)
_TYPES: Final = "integer text integer integer text text"
_INSERT: Final = "INSERT INTO events(stream, version, type, schema, at, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"
_SUFFIXES: Final = (".db", ".sqlite", ".sqlite3")


@frozen
class BadText:
    """A text of the run that is missing, or not what its digest says."""

    digest: str
    problem: str
    versions: tuple[int, ...]
    """Of the events that refer to it."""


@frozen
class Recovered:
    """What was saved of a run, and what was not."""

    run: str
    path: Path
    """The new file."""
    events: int
    """How many were copied: versions 1 to this one. They have new positions."""
    head: str
    """The hash of the last of them."""
    texts: int
    """How many texts were copied."""
    last_position: int
    """Where the last of the events stands in the damaged log."""
    findings: tuple[chain.LogFinding, ...]
    """What ``verify`` finds wrong with the run in the damaged log; the first names the first bad event."""
    known: int
    """The highest version that anything, ``heads.jsonl`` included, tells of."""
    lost: tuple[int, ...]
    """The positions of rows that are still there and were not copied."""
    lost_types: Mapping[str, int]
    """How many of them are of each type."""
    bad_texts: tuple[BadText, ...]
    accounts: tuple[str, ...]
    """The run's accounts. They are shared with other runs, and were not copied."""

    @property
    def home(self) -> Path | None:
        """The data folder in which the run can be gone on with; None where the new file is no log of a folder."""
        return self.path.parent if self.path.name == DATABASE else None

    @property
    def lost_events(self) -> int:
        """How many versions are known to be lost."""
        return max(0, self.known - self.events)

    @property
    def is_complete(self) -> bool:
        """Whether nothing of the run is known to be lost."""
        return not (self.lost_events or self.lost or self.bad_texts)

    def lines(self) -> list[str]:
        """The report, a sentence a line."""
        lines = [f"copied versions 1 to {self.events} of {self.run} and {self.texts} texts into {self.path}"]
        lines.extend(f"wrong at event {each.event}: {each.message}" for each in self.findings)
        if self.lost_events:
            lines.append(f"lost: versions {self.events + 1} to {self.known}, after event {self.last_position}")
        if self.lost:
            first, last = self.lost[0], self.lost[-1]
            kinds = ", ".join(f"{count} {name}" for name, count in sorted(self.lost_types.items()))
            lines.append(f"not copied: {len(self.lost)} rows at positions {first} to {last} ({kinds})")
        for bad in self.bad_texts:
            versions = ", ".join(map(str, bad.versions))
            lines.append(f"the text {bad.digest[:12]} {bad.problem}; versions {versions} refer to it")
        if any(name.startswith("call.") for name in self.lost_types):
            lines.append("what the lost calls cost is in no total of the recovered run")
        if self.accounts:
            lines.append(f"the accounts {', '.join(self.accounts)} were not copied: open them where you resume")
        if self.is_complete:
            lines.append("nothing of the run is known to be lost")
        return lines


@define
class _Salvage:
    """What can be read of a run."""

    run: str
    keys: Keys
    good: list[Recorded] = Factory(list)
    """Proved by the chain, in order."""
    rows: dict[int, tuple[Any, str]] = Factory(dict)
    """Every row of the run by position: what it says is its version, and its type."""
    texts: dict[str, bytes] = Factory(dict)
    bad: dict[str, BadText] = Factory(dict)
    salt: bytes | None = None


def recover_run(source: Path, run: str, target: Path) -> Recovered:
    """Copy the good prefix of a run out of a damaged log.

    The prefix ends before the first event that the chain does not prove, that cannot be read, or that refers to a text
    which is missing or bad. Its texts and its salt are copied with it; accounts, cached answers, other runs, locks and
    ``heads.jsonl`` are not.

    Args:
        source: the damaged data folder, or its database; it is only read.
        run: the run's id.
        target: a folder to hold the new ``events.db``, or a new file ending in ``.db``. Nothing is overwritten.

    Raises:
        UsageError: the new file exists, or there is no such run.
        RunLockedError: the run is being run.
        LogError: nothing can be recovered, or a file cannot be read or written.
    """
    database = source / DATABASE if source.is_dir() else source
    path = target if target.suffix in _SUFFIXES and not target.is_dir() else target / DATABASE
    if not database.is_file():
        raise LogError(f"there is no event log at {database}: name its folder with --home")
    if path.exists() or path.is_symlink():
        raise UsageError(f"{path} exists: choose a new file or folder for what is recovered")
    if FileLocks(database.parent).is_held(run):
        raise RunLockedError(f"{run} is being run by another process; wait for it to end, or stop it")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".recover-", dir=path.parent) as scratch:
            copy = _copied(database, Path(scratch))
            with closing(sqlite3.connect(copy, isolation_level=None)) as connection:
                _refuse_fork(connection, run)
                salvage = _salvaged(connection, run, Keys(database.parent))
                findings = chain.verify(SqliteStore(connection), run, opened=salvage.keys.open)
        salvaged = _cut(salvage)
        head = _known_head(database.parent, run)
        _refuse_nothing(salvage, salvaged, findings, head)
        texts = {digest: salvage.texts[digest] for record in salvaged for digest in _referred(record)}
        copy_key(database.parent, path.parent, run)
        _write(path, run, salvaged, texts, salvage)
    except OSError as error:
        where = error.filename or path
        raise LogError(f"{where}: {error.strerror}; choose another place for what is recovered") from error
    except StoreError as error:
        raise LogError(f"{path}: {error}") from error
    except UNREADABLE as error:
        raise LogError(f"{path}: {explained(error)}") from error
    return _report(path, salvage, salvaged, len(texts), findings, head)


def _refuse_fork(connection: sqlite3.Connection, run: str) -> None:
    """A fork's own events mean nothing without those it shares."""
    try:
        found = lineage.origin(SqliteStore(connection), run)
    except StoreError:
        return
    if found is not None:
        raise UsageError(f"{run} is a fork: recover {found.parent}, whose past it shares, and fork that again")


def _copied(database: Path, scratch: Path) -> Path:
    """A copy of the database with what its WAL adds; looking into the original would write beside it."""
    copy = scratch / DATABASE
    with _without_writers(database.parent / "write.lock"):
        shutil.copyfile(database, copy)
        wal = database.with_name(database.name + "-wal")
        if wal.exists():
            shutil.copyfile(wal, copy.with_name(copy.name + "-wal"))
    return copy


def _without_writers(lock: Path) -> AbstractContextManager[None]:
    return TransactionLock(lock)() if os.access(lock, os.W_OK) else nullcontext()


def _salvaged(connection: sqlite3.Connection, run: str, keys: Keys) -> _Salvage:
    salvage = _Salvage(run, keys)
    for scan in _SCANS:
        versions: dict[int, list[tuple[Any, ...]]] = {}
        for row in _readable(connection, scan, run):
            kind = _text(row[2]) or ""
            salvage.rows[row[0]] = (row[1], kind if kind in TYPES else "of no known type")
            versions.setdefault(row[1], []).append(row)
        good = list(_proved(run, versions))
        if len(good) > len(salvage.good):
            salvage.good = good
    salvage.salt = _salt(connection, run, keys)
    for record in salvage.good:
        for digest in _referred(record):
            _take_text(connection, salvage, digest, record.version)
        for private in chain.private(record.type.encode(), record.data.encode()):
            bad = salvage.bad.get(private.decode())
            if bad is not None and bad.problem == _MISSING:
                del salvage.bad[private.decode()]  # it names a machine, and may be missing
    return salvage


def _readable(connection: sqlite3.Connection, scan: str, run: str) -> Iterator[tuple[Any, ...]]:
    """The rows up to the first that cannot be read."""
    query = _ROWS.format(scan=scan, order="version" if scan.startswith("INDEXED") else "position")
    with suppress(*UNREADABLE):
        yield from connection.execute(query, (run,))


def _proved(run: str, versions: Mapping[int, Sequence[tuple[Any, ...]]]) -> Iterator[Recorded]:
    """The events from the first on, as long as one of the rows that claim a version is linked to the one before."""
    version, previous = 1, chain.GENESIS
    while True:
        rows = versions.get(version, ())
        found = next((each for row in rows if (each := _linked(run, row, previous)) is not None), None)
        if found is None:
            return
        yield found
        version, previous = version + 1, found.hash


def _linked(run: str, row: tuple[Any, ...], previous: str) -> Recorded | None:
    """The event of a row, where every column is as it was written after the event with the hash ``previous``."""
    position, version, kind, number, at, data, digest, types = row
    name, content, claimed = _text(kind), _text(data), _text(digest)
    if types != _TYPES or name is None or content is None or claimed is None:
        return None
    if chain.link(previous, run, version, name, number, at, content) != claimed:
        return None
    return Recorded(position, run, version, name, number, at, content, claimed)


def _text(stored: bytes | None) -> str | None:
    try:
        return None if stored is None else stored.decode()
    except UnicodeDecodeError:
        return None


def _salt(connection: sqlite3.Connection, run: str, keys: Keys) -> bytes | None:
    row = _row(connection, "SELECT salt FROM salts {scan} WHERE run = ?", (run,))
    if row is None or not isinstance(row[0], bytes):
        return None
    with suppress(LogError):
        return keys.open(run, SALT, row[0])
    return None


def _take_text(connection: sqlite3.Connection, salvage: _Salvage, digest: str, version: int) -> None:
    """Look for a text that an event refers to, and note what is wrong with it."""
    known = salvage.bad.get(digest)
    if known is not None:
        salvage.bad[digest] = BadText(digest, known.problem, (*known.versions, version))
    if known is not None or digest in salvage.texts:
        return
    row = _row(connection, "SELECT data FROM blobs {scan} WHERE run = ? AND digest = ?", (salvage.run, digest))
    problem = _MISSING if row is None else "cannot be proved: the salt of the run is missing"
    if row is not None and salvage.salt is not None:
        try:
            unpack(salvage.salt, digest, salvage.keys.open(salvage.run, digest, row[0]))
        except (LogError, TypeError, AttributeError):
            problem = "is damaged"
        else:
            salvage.texts[digest] = row[0]
            return
    salvage.bad[digest] = BadText(digest, problem, (version,))


def _row(connection: sqlite3.Connection, query: str, values: Sequence[str]) -> tuple[Any, ...] | None:
    """The first row, looked for with the index and, where that fails or finds nothing, without."""
    for scan in ("", "NOT INDEXED"):
        with suppress(*UNREADABLE):
            row: tuple[Any, ...] | None = connection.execute(query.format(scan=scan), values).fetchone()
            if row is not None:
                return row
    return None


def _cut(salvage: _Salvage) -> list[Recorded]:
    """The proved events before the first that refers to a bad text."""
    end = min((bad.versions[0] for bad in salvage.bad.values()), default=len(salvage.good) + 1)
    return salvage.good[: end - 1]


def _refuse_nothing(
    salvage: _Salvage, salvaged: Sequence[Recorded], findings: Sequence[chain.LogFinding], head: int
) -> None:
    if salvaged:
        return
    if not salvage.rows and not findings and not head:
        raise UsageError(f"there is no run {salvage.run!r} in this log; see: orchestrate runs list")
    why = findings[0].message if findings else f"its {head} events are gone"
    raise LogError(f"nothing of {salvage.run} can be recovered: {why}; restore the data folder from a backup")


def _known_head(folder: Path, run: str) -> int:
    """The last version of the run that ``heads.jsonl`` tells of, or 0."""
    with suppress(LogError, ValueError, TypeError):
        return max((int(head.version) for head in read_heads(folder) if head.run == run), default=0)
    return 0


def _write(path: Path, run: str, salvaged: Sequence[Recorded], texts: Mapping[str, bytes], salvage: _Salvage) -> None:
    """Make the new database and make sure that it is whole; a file that is not is not left behind."""
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError as error:
        raise UsageError(f"{path} exists: choose a new file or folder for what is recovered") from error
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            configure(connection)
            schema.create(connection)
            connection.execute("BEGIN IMMEDIATE")
            rows = [(run, r.version, r.type, r.schema, r.at, r.data, r.hash) for r in salvaged]
            connection.executemany(_INSERT, rows)
            blobs = [(run, digest, data) for digest, data in texts.items()]
            connection.executemany("INSERT INTO blobs(run, digest, data) VALUES (?, ?, ?)", blobs)
            if salvage.salt is not None:
                salt = salvage.keys.seal(run, SALT, salvage.salt)
                connection.execute("INSERT INTO salts(run, salt) VALUES (?, ?)", (run, salt))
            connection.execute("COMMIT")
            findings = chain.verify(SqliteStore(connection), opened=salvage.keys.open)
        if findings:
            raise LogError(f"{path} was not written as it should be: {findings[0].message}; try another disk")
    except BaseException:
        for name in (path.name, f"{path.name}-wal", f"{path.name}-shm"):
            path.with_name(name).unlink(missing_ok=True)
        raise


def _report(
    path: Path,
    salvage: _Salvage,
    salvaged: Sequence[Recorded],
    texts: int,
    findings: Sequence[chain.LogFinding],
    head: int,
) -> Recovered:
    copied = {record.position for record in salvaged}
    lost = tuple(sorted(salvage.rows.keys() - copied))
    # No version is above its position: a changed one, which may say anything, is believed up to there.
    claimed = [version for at in lost if isinstance(version := salvage.rows[at][0], int) and version <= at]
    first = salvaged[0].event
    return Recovered(
        run=salvage.run,
        path=path,
        events=len(salvaged),
        head=salvaged[-1].hash,
        texts=texts,
        last_position=salvaged[-1].position,
        findings=tuple(findings),
        known=max(len(salvage.good), head, *claimed),
        lost=lost,
        lost_types=Counter(salvage.rows[position][1] for position in lost),
        bad_texts=tuple(salvage.bad.values()),
        accounts=first.settings.accounts if isinstance(first, RunStarted) else (),
    )


def _referred(record: Recorded) -> list[str]:
    """The digests of the texts an event refers to, each once."""
    return list(dict.fromkeys(digest.decode() for digest in chain.referred(record.type.encode(), record.data.encode())))
