"""Bundles: one file that holds a run for an auditor who has no database.

A bundle is an uncompressed tar of fixed members in a fixed order, every byte of which is determined by the run:

* ``manifest.json`` - the run, its streams with their heads, the salts of the texts, the programs and plugins of its
  sessions, and the digests of the next two;
* ``events.jsonl`` - the stored events: those of the run and, for a fork, those it shares, oldest first;
* ``texts.jsonl`` - the texts they refer to, unless it was made without; never the one with the run's folders;
* ``signature.json`` - a DSSE envelope over the manifest, where it is signed;
* ``SHA256SUMS`` - the digest of each member before it.
"""

import hashlib
import tarfile
import tempfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final

import orjson
from attrs import Factory, define, frozen

from orchestrator.errors import LogError, MissingError, UsageError
from orchestrator.events import SessionOpened
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import chain
from orchestrator.log.texts import unpack
from orchestrator_audit.bundles import signing

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

FORMAT: Final = 1
"""The bundle's own version."""

MANIFEST, EVENTS, TEXTS, SIGNATURE, SUMS = (
    "manifest.json",
    "events.jsonl",
    "texts.jsonl",
    "signature.json",
    "SHA256SUMS",
)
COLUMNS: Final = ("position", "stream", "version", "type", "schema", "at", "data", "hash")
BLOCK: Final = 512
"""Bytes; a tar is made of these."""

CHUNK: Final = 1 << 20
"""How much is read or written at once."""


@frozen
class Bundled:
    """What was put into a bundle."""

    run: str
    events: int
    texts: int
    head: str
    size: int
    """Bytes."""
    key: str | None
    """The id of the key it was signed with."""


@define
class Member:
    """A member while it is written."""

    file: IO[bytes]
    digest: Any = Factory(hashlib.sha256)
    lines: int = 0

    def add(self, value: object) -> None:
        """Write a line."""
        line = orjson.dumps(value) + b"\n"
        self.file.write(line)
        self.digest.update(line)
        self.lines += 1

    def described(self) -> dict[str, object]:
        """What the manifest says of it."""
        return {"lines": self.lines, "sha256": self.digest.hexdigest()}


def make(log: EventLog, run: str, path: Path, *, texts: bool = True, key: "Ed25519PrivateKey | None" = None) -> Bundled:
    """Write a run's bundle.

    Args:
        log: it has the run, whole.
        run: the run's id.
        path: a new file.
        texts: whether the texts go with it, and the salts that prove them.
        key: signs it.

    Raises:
        UsageError: the file exists.
        DamagedLogError: the run's history is damaged.
        LogError: the file cannot be written.
    """
    with log.snapshot(), tempfile.TemporaryFile() as first, tempfile.TemporaryFile() as second:
        log.check(run)
        events, stored = Member(first), Member(second)
        manifest = manifest_of(log, run, events, stored if texts else None)
        described = orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n"
        members: dict[str, IO[bytes] | bytes] = {MANIFEST: described, EVENTS: first}
        if texts:
            members[TEXTS] = second
        if key is not None:
            members[SIGNATURE] = signing.sign(described, key)
        size = _write(path, members)
    name = None if key is None else signing.key_id(key.public_key())
    return Bundled(run, events.lines, stored.lines, str(manifest["head"]), size, name)


def manifest_of(log: EventLog, run: str, events: Member, texts: Member | None) -> dict[str, Any]:
    """Write the events and the texts, and describe them: the manifest."""
    streams: dict[str, dict[str, object]] = {}
    sessions: list[dict[str, object]] = []
    refers: dict[str, str] = {}
    salts: dict[str, str] = {}
    for record in log.read(run):
        events.add({name: getattr(record, name) for name in COLUMNS})
        about = streams.setdefault(record.stream, {"stream": record.stream, "from": record.version})
        about |= {"to": record.version, "head": record.hash}
        kind, data = record.type.encode(), record.data.encode()
        private = chain.private(kind, data)
        for digest in chain.referred(kind, data):
            if digest not in private:
                refers.setdefault(digest.decode(), record.stream)
        if record.type == "session.opened":
            sessions.append(_session(record.event))
    if texts is not None:
        _texts(log, streams, refers, texts, salts)
    return {
        "format": FORMAT,
        "run": run,
        "head": list(streams.values())[-1]["head"],
        "streams": list(streams.values()),
        "salts": salts,
        "sessions": sessions,
        "events": events.described(),
        "texts": None if texts is None else texts.described(),
    }


def _session(event: object) -> dict[str, object]:
    if not isinstance(event, SessionOpened):
        raise MissingError("SessionOpened")
    return {
        "number": event.number,
        "program": event.program,
        "rules": event.rules,
        "plugins": [
            {"kind": used.kind, "name": used.name, "distribution": used.distribution, "version": used.version}
            for used in event.plugins
        ],
    }


def _texts(
    log: EventLog, streams: Iterable[str], refers: Mapping[str, str], member: Member, salts: dict[str, str]
) -> None:
    """The texts that are there, and the salts that prove them.

    Each stands under the run that refers to it first, or, where that has deleted its texts, under the next that has
    not: there this run and every later fork find it.
    """
    order = list(streams)
    for stream in order:
        salt = log.salt(stream)
        if salt is not None:
            salts[stream] = salt.hex()
    for digest, first in refers.items():
        keeper = next((stream for stream in order[order.index(first) :] if stream in salts), None)
        packed = next((each for stream in order if (each := log.blob(stream, digest)) is not None), None)
        if packed is not None and keeper is not None:
            text = unpack(bytes.fromhex(salts[keeper]), digest, packed).decode()
            member.add({"run": keeper, "digest": digest, "text": text})


def _write(path: Path, members: Mapping[str, IO[bytes] | bytes]) -> int:
    sums = []
    try:
        with path.open("xb") as target:
            for name, content in members.items():
                digest = _put(target, name, content)
                sums.append(f"{digest}  {name}\n")
            _put(target, SUMS, "".join(sums).encode())
            target.write(bytes(2 * BLOCK))
            return target.tell()
    except FileExistsError as error:
        raise UsageError(f"{path} exists: choose a new file for the bundle") from error
    except OSError as error:
        with suppress(OSError):
            path.unlink()
        raise LogError(f"{path}: {error.strerror}; choose another place for the bundle") from error


def _put(target: IO[bytes], name: str, content: IO[bytes] | bytes) -> str:
    """Write a member, and return its digest."""
    digest = hashlib.sha256()
    if isinstance(content, bytes):
        size, chunks = len(content), iter([content])
    else:
        size = content.tell()
        content.seek(0)
        chunks = iter(lambda: content.read(CHUNK), b"")
    target.write(header(name, size))
    for chunk in chunks:
        digest.update(chunk)
        target.write(chunk)
    target.write(bytes(-size % BLOCK))
    return digest.hexdigest()


def header(name: str, size: int) -> bytes:
    """The block before a member in the tar."""
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.USTAR_FORMAT)
