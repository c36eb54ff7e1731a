"""Checking a bundle: that it is as it was made, who signed it, and every law over the run in it."""

import hashlib
import re
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import orjson
from attrs import Factory, define

from orchestrator.errors import LogError, OrchestrateError, UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Head
from orchestrator.log.heads import open_regular
from orchestrator.log.sqlite import SqliteStore, schema
from orchestrator.log.sqlite.connections import LARGEST_VALUE
from orchestrator.log.texts import LARGEST_TEXT, pack
from orchestrator_audit.bundles import signing
from orchestrator_audit.bundles.writing import (
    BLOCK,
    CHUNK,
    COLUMNS,
    EVENTS,
    FORMAT,
    MANIFEST,
    SIGNATURE,
    SUMS,
    TEXTS,
    Member,
    header,
    manifest_of,
)
from orchestrator_audit.checks import AuditReport, Problem
from orchestrator_audit.log_audit import audit

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

_ORDERS: Final = (
    (MANIFEST, EVENTS, TEXTS, SUMS),
    (MANIFEST, EVENTS, TEXTS, SIGNATURE, SUMS),
    (MANIFEST, EVENTS, SUMS),
    (MANIFEST, EVENTS, SIGNATURE, SUMS),
)
_LONGEST: Final = {MANIFEST: 4 << 20, SIGNATURE: 6 << 20, SUMS: 4096, EVENTS: 8 << 20, TEXTS: 2 * LARGEST_TEXT}
"""Bytes of a member that is read as a whole, or of one line of it: what is parsed can take thirty times as much."""

_TEXT_LINE: Final = re.compile(rb'\{"run":"[^"\\]*+","digest":"[0-9a-f]{64}","text":"(?:[^"\\]++|\\.)*+"\}\n')
"""A line of texts as it is written: one long text, and nothing that unfolds to more."""

_MALFORMED: Final = (
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    sqlite3.Error,
    LogError,
)
"""What reading content of another form than a bundle's raises."""


class _BadBundleError(Exception):
    """The file is not as a bundle is made."""


@define
class _Opened:
    """The members of a bundle: their places in the file and their digests."""

    file: IO[bytes]
    places: dict[str, tuple[int, int]] = Factory(dict)
    digests: dict[str, str] = Factory(dict)

    def content(self, name: str) -> bytes:
        start, size = self.places[name]
        if size > _LONGEST[name]:
            raise _BadBundleError(f"{name} has more than {_LONGEST[name]:,} bytes")
        self.file.seek(start)
        return self.file.read(size)

    def lines(self, name: str) -> Iterator[Any]:
        start, size = self.places[name]
        self.file.seek(start)
        while size > 0:
            line = self.file.readline(min(size, _LONGEST[name]))
            if not line.endswith(b"\n"):
                raise _BadBundleError(f"a line of {name} is cut off, or longer than {_LONGEST[name]:,} bytes")
            if name == TEXTS and _TEXT_LINE.fullmatch(line) is None:
                raise _BadBundleError(f"a line of {name} is not as it is written")
            size -= len(line)
            at = self.file.tell()
            yield orjson.loads(line)
            self.file.seek(at)


def verify(
    path: Path,
    *,
    key: "Ed25519PublicKey | None" = None,
    is_own_key: bool = False,
    head: str | None = None,
    heads: Sequence[Head] | None = None,
    take: Callable[[Path], None] | None = None,
) -> AuditReport:
    """Check a bundle by itself: that it is whole, that it is signed with the key, and every law over the run in it.

    Args:
        path: the file.
        key: it must be signed with this one; None: a signature is only checked for damage.
        is_own_key: whether the key is only what bundles of this data folder have: where the bundle is not signed, or
            by another key, its signature could not be checked.
        head: a hash that must be that of one of its events.
        heads: what was written down elsewhere; None: nothing could have been.
        take: called with a database of what the bundle holds, where nothing is wrong with it.

    Raises:
        UsageError: the file cannot be read.
    """
    report = AuditReport()
    try:
        with open_regular(path) as file, tempfile.TemporaryDirectory(prefix="orchestrate-") as scratch:
            try:
                opened = _open(file)
                manifest = _manifest(opened)
                _check_signature(opened, key, str(manifest["run"]), report, is_own_key=is_own_key)
                database = Path(scratch) / "bundle.db"
                _audit(opened, manifest, database, head, heads, report)
            except _BadBundleError as error:
                report.add("", {"bundle": [Problem(0, str(error))]})
            else:
                report.add(str(manifest["run"]), {"bundle": []})
                if take is not None and not report.failed:
                    take(database)
    except OSError as error:
        raise UsageError(f"{path}: {error.strerror}; name a run, or the file of a bundle") from error
    return report


def signer_of(path: Path) -> str | None:
    """Who signed a bundle that was verified; None where it is not signed, or that cannot be checked here."""
    with open_regular(path) as file, suppress(OrchestrateError):
        opened = _open(file)
        if SIGNATURE in opened.places:
            return signing.check(opened.content(SIGNATURE), opened.content(MANIFEST), None)
    return None


def _open(file: IO[bytes]) -> _Opened:
    """Read the tar, every byte of which must be as it is written."""
    opened = _Opened(file)
    while True:
        block = file.read(BLOCK)
        if block == bytes(BLOCK):
            break
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "strict")
            expected = header(info.name, info.size) if info.size >= 0 else b""
        except (tarfile.HeaderError, ValueError) as error:
            raise _BadBundleError(f"it is no bundle, or is damaged: {error}") from error
        if info.name in opened.places or info.name not in _LONGEST or block != expected:
            raise _BadBundleError(f"the head of its member {info.name!r} is not as it is written")
        start, digest = file.tell(), hashlib.sha256()
        left = info.size
        while left:
            chunk = file.read(min(left, CHUNK))
            if not chunk:
                raise _BadBundleError(f"it is cut off in {info.name}")
            digest.update(chunk)
            left -= len(chunk)
        if any(file.read(-info.size % BLOCK)):
            raise _BadBundleError(f"there is something after {info.name} that is no part of it")
        opened.places[info.name] = (start, info.size)
        opened.digests[info.name] = digest.hexdigest()
    if file.read() != bytes(BLOCK):
        raise _BadBundleError("it does not end as a bundle ends")
    if tuple(opened.places) not in _ORDERS:
        raise _BadBundleError(f"its members are {', '.join(opened.places) or 'none'}")
    sums = "".join(f"{opened.digests[name]}  {name}\n" for name in opened.places if name != SUMS)
    given = opened.content(SUMS)
    if given != sums.encode():
        lines = given.decode(errors="replace").splitlines()
        bad = [line.partition("  ")[2] for line in sums.splitlines() if line not in lines]
        raise _BadBundleError(f"{', '.join(bad) or SUMS} is not what {SUMS} says")
    return opened


def _manifest(opened: _Opened) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = orjson.loads(opened.content(MANIFEST))
        number = manifest["format"]
        if type(number) is not int or number != FORMAT:
            raise _BadBundleError(f"it has format {number}, this program knows {FORMAT}; use the newer program")
        named = {EVENTS: manifest["events"], TEXTS: manifest["texts"]}
        for name, about in named.items():
            if opened.digests.get(name) != (None if about is None else about["sha256"]):
                raise _BadBundleError(f"{name} is not what the manifest says")
        heads = {each["stream"]: (each["from"], each["to"], each["head"]) for each in manifest["streams"]}
        if not all(isinstance(name, str) for name in (manifest["run"], *heads)):
            raise TypeError("a run's name is no text")
        if manifest["head"] != heads[manifest["run"]][2]:
            raise _BadBundleError("its head is not the run's")
    except _MALFORMED as error:
        raise _BadBundleError(f"the manifest cannot be read: {_said(error)}") from error
    return manifest


def _said(error: BaseException) -> str:
    """What is wrong, on one line."""
    return f"it has no {error}" if isinstance(error, KeyError) else " ".join(str(error).split())[:200]


def _check_signature(
    opened: _Opened, key: "Ed25519PublicKey | None", run: str, report: AuditReport, *, is_own_key: bool
) -> None:
    if SIGNATURE not in opened.places:
        if is_own_key and key is not None:
            report.skip(run, ["signature"], "the bundle is not signed, and this data folder has a key")
        elif key is not None:
            report.add(run, {"signature": [Problem(0, "the bundle is not signed")]})
        else:
            report.skip(run, ["signature"], "the bundle is not signed")
        return
    try:
        signer = signing.check(opened.content(SIGNATURE), opened.content(MANIFEST), None if is_own_key else key)
        if is_own_key and key is not None and signer != signing.key_id(key):
            key = None
    except signing.SigningUnavailableError as error:
        report.skip(run, ["signature"], str(error))
    except OrchestrateError as error:
        report.add(run, {"signature": [Problem(0, str(error))]})
    else:
        if key is not None:
            report.add(run, {"signature": []})
        else:
            report.skip(run, ["signature"], f"signed by {signer}; give that key with --key")


def _audit(
    opened: _Opened,
    manifest: dict[str, Any],
    database: Path,
    head: str | None,
    heads: Sequence[Head] | None,
    report: AuditReport,
) -> None:
    """Put everything into a database for a moment, and audit that."""
    connection = sqlite3.connect(database, isolation_level=None)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, LARGEST_VALUE)
    try:
        connection.execute("PRAGMA journal_mode = OFF")
        connection.execute("PRAGMA synchronous = OFF")
        schema.create(connection)
        connection.execute("BEGIN")
        try:
            ends = _load(connection, opened, manifest)
        except _MALFORMED as error:
            raise _BadBundleError(f"its content cannot be read: {_said(error)}") from error
        connection.execute("COMMIT")
        wanted = {each["stream"]: (each["from"], each["to"], each["head"]) for each in manifest["streams"]}
        if ends != wanted:
            raise _BadBundleError("its events are not those the manifest names")
        log = EventLog(SqliteStore(connection), offload=_nowhere)
        try:
            texts = manifest["texts"] is not None
            found = audit(log, manifest["run"], head=head, heads=heads, texts=texts, accounts=False)
            if not found.failed:
                _compare(log, manifest)
        except _MALFORMED as error:
            raise _BadBundleError(f"its events cannot be read: {_said(error)}") from error
    finally:
        connection.close()
    report.checks += found.checks
    report.heads = found.heads


def _compare(log: EventLog, manifest: dict[str, Any]) -> None:
    """The manifest is what its events and texts give; its digests cover their bytes."""
    with tempfile.TemporaryFile() as first, tempfile.TemporaryFile() as second:
        texts = None if manifest["texts"] is None else Member(second)
        again = manifest_of(log, manifest["run"], Member(first), texts)
    # as text: True is equal to 1 in Python, and not in a manifest
    wrong = sorted(name for name in again.keys() | manifest.keys() if _text(again, name) != _text(manifest, name))
    if not wrong and list(again) != list(manifest):
        wrong = ["the order of the fields"]
    if wrong:
        raise _BadBundleError(f"in the manifest {', '.join(wrong)} is not what its events and texts give")


def _text(manifest: dict[str, Any], name: str) -> bytes:
    return orjson.dumps(manifest[name]) if name in manifest else b""


def _load(connection: sqlite3.Connection, opened: _Opened, manifest: dict[str, Any]) -> dict[str, tuple[int, int, str]]:
    ends: dict[str, tuple[int, int, str]] = {}
    position = -1
    insert = f"INSERT INTO events({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"
    for row in opened.lines(EVENTS):
        if set(row) != set(COLUMNS):
            raise ValueError(f"an event has the columns {sorted(row)}")
        if row["position"] <= position:
            raise ValueError(f"event {row['position']} comes after event {position}")
        position = row["position"]
        connection.execute(insert, [row[name] for name in COLUMNS])
        first = ends.get(row["stream"], (row["version"],))[0]
        ends[row["stream"]] = (first, row["version"], row["hash"])
    for run, salt in manifest["salts"].items():
        connection.execute("INSERT INTO salts(run, salt) VALUES (?, ?)", (run, bytes.fromhex(salt)))
    for text in opened.lines(TEXTS) if manifest["texts"] is not None else ():
        blob = (text["run"], text["digest"], pack(text["text"]))
        connection.execute("INSERT INTO blobs(run, digest, data) VALUES (?, ?, ?)", blob)
    return ends


async def _nowhere(work: Any, /) -> Any:
    raise LogError("a bundle is only read")
