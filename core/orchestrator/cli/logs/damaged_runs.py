"""Reading a damaged run: one line on stderr says so, what is shown is marked, and the command exits with 6."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, Self, TypeVar

from attrs import define, frozen

from orchestrator.cli.options.shared_options import command, existing_run, home
from orchestrator.cli.terminal.terminal_output import clean, notice
from orchestrator.errors import DamagedLogError, LogError, NoTextError
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.lineage import Segment
from orchestrator.log import LogFinding, Texts, read_heads
from orchestrator.log.protocol import Store
from orchestrator.log.stored_rows import Extent
from orchestrator.plugins.store_of_folder import chosen_store

T = TypeVar("T")

FAILED: Final = 6
"""What a command exits with where a verification failed."""

UNREADABLE: Final = (LogError, ValueError, LookupError, AssertionError, TypeError, AttributeError)
"""What reading a history raises that is not as it was written."""


class Reader(EventLog):
    """The log as the commands read it: of a damaged run only the intact part, where it is cut."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._cuts: dict[str, Segment] = {}

    @classmethod
    def open_to_read(cls, folder: Path, store: Store | None = None) -> Self:
        """The log of a data folder wherever its store is; see ``EventLog``."""
        return super().open_to_read(folder, chosen_store(write=False) if store is None else store)

    def cut(self, run: str, stream: str, position: int) -> None:
        """Let the history of a run end before a bad event of a stream: its own, or that of an ancestor."""
        versions = [row.version for row in self.store.raw(stream, before=position) if isinstance(row.version, int)]
        self._cuts[run] = Segment(stream, max(versions, default=0))

    def view(
        self, name: str, where: Mapping[str, Any] | None = None, *, streams: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """The rows of one of the views; see ``EventLog``."""
        with _pointing():
            return super().view(name, where, streams=streams)

    def extents(self) -> list[Extent]:
        """Every stream; see ``EventLog``."""
        with _pointing():
            return super().extents()

    def segments(self, stream: str) -> list[Segment]:
        """The parts of a run's history, up to where it is cut."""
        found, cut = super().segments(stream), self._cuts.get(stream)
        for place, each in enumerate(found):
            if cut is not None and each.stream == cut.stream:
                return [*found[:place], cut]
        return found if cut is None else []


@contextmanager
def _pointing() -> Iterator[None]:
    """Let the error of a log that cannot be read say which command names what is damaged."""
    try:
        yield
    except LogError as error:
        text = f"{error}; what is damaged is named by: {command('audit verify')}"
        raise (
            DamagedLogError(error.position, text) if isinstance(error, DamagedLogError) else LogError(text)
        ) from error


@frozen
class Damage:
    """A run that is not as it was written."""

    run: str
    findings: Sequence[LogFinding]
    """What is wrong, by position; at least one."""

    @property
    def finding(self) -> LogFinding:
        """The first thing that is wrong."""
        return self.findings[0]

    @property
    def end(self) -> LogFinding:
        """Where the intact part ends: a bad text leaves the events whole."""
        return next((each for each in self.findings if each.check != "texts"), self.finding)

    @property
    def place(self) -> str:
        """The first bad event, as people name it."""
        return f"event {self.finding.event}"

    @property
    def is_of_texts(self) -> bool:
        """Whether every event is as it was written, and only texts are not."""
        return all(each.check == "texts" for each in self.findings)

    def warning(self, shown: str) -> str:
        """The line about it."""
        what = f"{self.run} is damaged at {self.place} ({self.finding.message})"
        return f"{what}: {shown}; see: {command(f'audit verify {self.run}')}"

    def plain(self) -> dict[str, Any]:
        """It as JSON has it."""
        first = self.finding
        return {
            "run_id": self.run,
            "position": first.position,
            "version": first.version,
            "message": clean(first.message),
        }


@define
class Trust:
    """How far the runs that a command shows can be trusted."""

    log: Reader
    damage: Sequence[Damage]
    is_cut: bool = False
    """Whether only the events before the damage can be read."""
    _warned: bool = False

    @property
    def code(self) -> int:
        """What the command exits with, if nothing else is wrong."""
        return FAILED if self.damage else 0

    @property
    def mark(self) -> str:
        """What stands beside every sum of money and status; empty where all is well."""
        if not self.damage:
            return ""
        if self.is_cut:
            return f"only before event {self.damage[0].end.event}, damaged"
        return "texts damaged" if all(each.is_of_texts for each in self.damage) else "damaged, unverified"

    def plain(self) -> dict[str, Any]:
        """What JSON has beside what is shown; nothing where all is well."""
        if not self.damage:
            return {}
        return {"damaged": [{**each.plain(), "shown": "part" if self.is_cut else "all"} for each in self.damage]}

    def read(self, work: Callable[[], T]) -> T:
        """What ``work`` reads of the runs; where that fails, what it reads of their intact parts. Says which.

        Raises:
            DamagedLogError: not even that can be read.
        """
        if not self.damage:
            return work()
        try:
            found = work()
        except UNREADABLE:
            found = self._of_intact_parts(work)
        self.warn()
        return found

    def _of_intact_parts(self, work: Callable[[], T]) -> T:
        self.is_cut = True
        for each in self.damage:
            self.log.cut(each.run, each.end.stream, each.end.position)
        try:
            return work()
        except UNREADABLE:
            first = self.damage[0]
            raise DamagedLogError(first.finding.position, first.warning("nothing of it can be shown")) from None

    def warn(self) -> None:
        """Say on stderr, once, what is damaged and what is shown all the same."""
        if self._warned:
            return
        self._warned = True
        for each in self.damage:
            shown = "nothing shown of it can be trusted"
            if self.is_cut:
                shown = "only the events before that are shown"
            elif each.is_of_texts:
                shown = "its events are whole, its texts are not"
            notice(f"! {each.warning(shown)}")


def trust_in(log: Reader, *runs: str) -> Trust:
    """Verify the chain and the texts of runs, and their latest known heads, before they are shown."""
    heads = {each.run: each.head for each in read_heads(home()) if each.run in runs}
    found = []
    for run in dict.fromkeys(runs):
        try:
            problems = log.verify(run, heads.get(run))
        except LogError as error:
            problems = [LogFinding(0, run, str(error))]
        if problems:
            found.append(Damage(run, problems))
    return Trust(log, found)


def whole_run(log: Reader, run: str, *, or_account: bool = False) -> str:
    """The id of a run that is in the log, and as it was written; ``or_account``: see ``existing_run``.

    Raises:
        UsageError: there never was one.
        DamagedLogError: it is damaged.
    """
    trust = trust_in(log, existing_run(log, run, or_account=or_account))
    if trust.damage:
        first = trust.damage[0]
        raise DamagedLogError(first.finding.position, first.warning("nothing follows from it"))
    return run


def is_readable(texts: Texts, digest: str) -> bool:
    """Whether a text is there, and is what was written."""
    try:
        Texts.get(texts, digest)
    except (KeyError, DamagedLogError):
        return False
    return True


class ReadableTexts(Texts):
    """The texts of a damaged run, with a note in the place of those that cannot be read."""

    def get(self, digest: str) -> str:
        """The text of a digest, or a note."""
        try:
            return super().get(digest)
        except NoTextError as error:
            return error.mark
        except DamagedLogError:
            return DAMAGED


DAMAGED: Final = "(damaged)"
"""What stands in the place of a text that is not what was written."""
