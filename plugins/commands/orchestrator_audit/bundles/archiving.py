"""Moving old runs out of the log: a signed bundle for each, and one event in the place of all of its events.

A run leaves the log in this order: its bundle is written under another name, verified as any bundle is, made durable,
and given its name; then one transaction deletes its events and texts and writes what is left. Whatever interrupts
that, the run is in the log, or in its bundle, or in both; the next archive makes the same bundle again.
"""

import asyncio
import hashlib
import os
from collections.abc import Iterable, Mapping
from contextlib import closing, suppress
from itertools import chain, count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, define, evolve, frozen

from orchestrator.engine.content_retention import held_runs
from orchestrator.engine.runs import Engine
from orchestrator.errors import DamagedLogError, LogError, OutputError, RunLockedError, present
from orchestrator.events import RunArchived
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts, append_head
from orchestrator.log.texts import MISSING, NoText
from orchestrator.past_runs.run_list import runs_in
from orchestrator.plugins.store_of_folder import open_log_to_read
from orchestrator.policy import Retention
from orchestrator.policy_dsl import retention_in_force
from orchestrator_audit.bundles import signing, writing
from orchestrator_audit.bundles.archived_runs import remains
from orchestrator_audit.bundles.checking import verify

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OPEN: Final = "it is open"
HELD: Final = "a policy or a spec holds it"
LIVE: Final = "a process has it"
ENCRYPTED: Final = "its texts are encrypted, and would be readable in the bundle"
UNRECONCILED: Final = "the cost of some calls is unknown: reconcile them first, with orchestrate costs reconcile"
SHARED: Final = "forks share its events"
FOREIGN: Final = "its bundle cannot be verified"


@frozen
class ArchivedBundle:
    """A run that was archived, or would be."""

    run: str
    path: Path
    events: int
    size: int
    """Bytes of the bundle; in a dry run 0."""
    sha256: str = ""
    head: str = ""
    """The hash of the last event in the bundle."""


@define
class Archived:
    """What was archived, and what was old enough and was left."""

    bundles: list[ArchivedBundle] = Factory(list)
    left: dict[str, str] = Factory(dict)
    """By run why it was left."""
    remains: str = ""
    """Where the deleted bytes still are: a line for people; empty where they are gone from the files of the store."""

    def plain(self, *, dry_run: bool) -> dict[str, Any]:
        """It as JSON has it."""
        return {
            "dry_run": dry_run,
            "archived": [
                {
                    "run_id": each.run,
                    "path": str(each.path),
                    "events": each.events,
                    "bytes": each.size,
                    "sha256": each.sha256,
                    "head": each.head,
                }
                for each in self.bundles
            ],
            "left": dict(self.left),
        }


def archive_runs(
    home: Path, folder: Path, age: int, *, key: "Ed25519PrivateKey | None", files: Iterable[Path] = ()
) -> Archived:
    """Archive the old runs of a data folder; see ``Archive``.

    Args:
        home: the data folder.
        folder: where the bundles go.
        age: microseconds.
        key: signs them; None: nothing is archived, only what would be is found.
        files: policy files that may hold runs, besides those of the user's configuration.
    """
    retention = retention_in_force(files, os.environ)
    engine = Engine.open(home)
    try:
        return asyncio.run(Archive(engine, folder, key, retention).run(age))
    finally:
        engine.close()


@frozen
class Archive:
    """Archives the runs of a data folder.

    Args:
        engine: of the data folder.
        folder: where the bundles go; it is made where it does not exist.
        key: signs them; None: nothing is archived, only what would be is found.
        retention: says which runs are held.
    """

    engine: Engine
    folder: Path
    key: "Ed25519PrivateKey | None"
    retention: Retention

    async def run(self, age: int) -> Archived:
        """Archive every run that has ended and whose last event is older than so many microseconds.

        Forks go before the runs whose events they share. A run that is open, live, held, damaged or encrypted, that
        has calls of unknown cost, or that a fork in the log needs, is left.

        Raises:
            OutputError: the folder cannot be written.
            LogError: the log cannot be written.
        """
        found, old = Archived(), self._old(age)
        held = held_runs(self.engine, self.retention) if old else set()
        rows = {row["run_id"]: row for row in self.engine.log.view("runs")} if old else {}
        gone, key = set[str](), self.key
        if old and key is not None:
            _make(self.folder)
        for run in reversed(old):
            why = HELD if run in held else self._obstacle(run, rows.get(run), gone)
            if why is None and key is None:
                # versions count on along the history, and a fork's bundle has the events it shares, too
                events = present(self.engine.log.last(run), "last event").version
                found.bundles.append(ArchivedBundle(run, self._path(run), events, 0))
                gone.add(run)
            elif why is None and key is not None:
                why = await self._one(run, key, found)
            if why is not None:
                found.left[run] = why
        return found

    def _old(self, age: int) -> list[str]:
        """The runs in the log that are old enough, oldest first."""
        log, now = self.engine.log, self.engine.ports.clock()
        found = []
        for run in runs_in(log):
            last = log.last(run)
            if last is not None and now - last.at >= age and log.archived(run) is None:
                found.append(run)
        return found

    def _obstacle(self, run: str, row: Mapping[str, Any] | None, gone: set[str]) -> str | None:
        """Why a run cannot be archived, as its events say; None: it can."""
        if row is None or row["status"] == "open":
            return OPEN
        if row["held_nano"]:
            return UNRECONCILED
        if self.engine.log.is_encrypted(run):
            return ENCRYPTED
        if set(self.engine.log.forks(run)) - gone:
            return SHARED
        return LIVE if self.engine.log.locks.is_held(run) else None

    async def _one(self, run: str, key: "Ed25519PrivateKey", found: Archived) -> str | None:
        """Archive a run; or why that cannot be done."""
        try:
            lock = self.engine.log.locks.acquire(run)
        except RunLockedError:
            return LIVE
        try:
            with closing(open_log_to_read(self.engine.folder, EventLog)) as log:
                row = next(iter(log.view("runs", {"run_id": run})), None)
                why = self._obstacle_of_own(run, row)
                if why is not None or row is None:
                    return why or OPEN
                self.engine.check(run)
                made = self._bundle(log, run, key)
                if made is None:
                    return FOREIGN
                event, texts = self._event(log, run, row, made, key)
            await self._replace(run, event, texts, found)
        except DamagedLogError as error:
            return f"it is damaged: {error}"
        finally:
            lock.release()
        found.bundles.append(made)
        return None

    def _obstacle_of_own(self, run: str, row: Mapping[str, Any] | None) -> str | None:
        """The same, now that no other process can have the run."""
        why = self._obstacle(run, row, set())
        return None if why == LIVE else why

    def _path(self, run: str) -> Path:
        return self.folder / f"{run}.bundle"

    def _bundle(self, log: EventLog, run: str, key: "Ed25519PrivateKey") -> ArchivedBundle | None:
        """Write the bundle of a run, durably; None where it does not verify."""
        path = self._path(run)
        beside = path.with_name(f".{path.name}.new")
        try:
            beside.unlink(missing_ok=True)
            made = writing.make(log, run, beside, key=key)
            beside.chmod(0o600)
            if verify(beside, key=key.public_key(), head=made.head).failed:
                return None
            digest = _synced(beside)
            path = _free(path, digest)
            beside.replace(path)
            _synced_folder(self.folder)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}; choose another folder for the bundles") from error
        finally:
            with suppress(OSError):
                beside.unlink(missing_ok=True)
        return ArchivedBundle(run, path, made.events, made.size, digest, made.head)

    def _event(
        self, log: EventLog, run: str, row: Mapping[str, Any], made: ArchivedBundle, key: "Ed25519PrivateKey"
    ) -> tuple[RunArchived, Texts]:
        """What is left of a run, and the texts that it refers to."""
        texts = Texts(_Nothing(), run, self.engine.ports.random_bytes, log.redactor)
        place, signer = texts.put(str(made.path)), signing.key_id(key.public_key())
        event = evolve(remains(log, run, row), bundle=made.sha256, place=place, key=signer)
        return event, texts

    async def _replace(self, run: str, event: RunArchived, texts: Texts, found: Archived) -> None:
        """Leave one event of a run in the log, and its hash among the heads."""
        last, is_gone = await self.engine.log.archive(run, event, self.engine.ports.clock(), texts.take(), texts.salt)
        found.remains = found.remains if is_gone else self.engine.log.store.remains
        with suppress(LogError):  # the bundle and the event prove themselves
            append_head(self.engine.folder, run, last.hash, last.version)


def _make(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: {error.strerror}; choose another folder for the bundles") from error


def _free(path: Path, digest: str) -> Path:
    """The first name like a bundle's that is not taken by another file: it may be of another log."""
    names = chain([path], (path.with_name(f"{path.stem}-{number}{path.suffix}") for number in count(2)))
    return next(each for each in names if not each.exists() or _digest(each) == digest)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _synced(path: Path) -> str:
    """Make a file durable; its digest."""
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return hashlib.file_digest(file, "sha256").hexdigest()


def _synced_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Nothing:
    """Has no texts: what is left of a run has a salt of its own."""

    def salt(self, run: str) -> None:
        """There is none."""

    def blob(self, run: str, digest: str) -> None:
        """There is none."""

    def no_text(self, run: str) -> NoText:
        """There never was one."""
        return MISSING
