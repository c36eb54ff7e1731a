"""The runs of a data folder: which there are, and how each stands."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape
from itertools import islice
from typing import Any, Final

from attrs import asdict, frozen

from orchestrator.documents.nearest import nearest
from orchestrator.errors import DamagedLogError, NoTextError, UsageError, present
from orchestrator.events import RunForked, SessionOpened
from orchestrator.ledger.accounts import is_run
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.log.stored_rows import Select
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd

ARCHIVED: Final = "archived"
"""The status of a run whose events are in a bundle."""

STATUSES: Final = (*map(str, ProjectStatus), "running", "interrupted", "submitted", ARCHIVED)
"""Every status that a run can have in a list."""

_FIRST: Final = ("run.started", "run.forked")
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


@frozen
class RunSummary:
    """How a run stands, without reading its history.

    ``status`` is that of ``ProjectStatus``, else ``running``, ``interrupted``, ``submitted`` or ``archived``. Times
    are ISO 8601 in UTC, amounts US dollars as texts with nine decimals.
    """

    run_id: str
    title: str
    """The first line of the project's description."""
    status: str
    started_at: str
    finished_at: str | None
    cap_usd: str
    settled_usd: str
    held_usd: str
    """In flight and unreconciled."""
    tasks: int
    """How many the plan has; 0 before there is one."""
    head: str
    """The hash of its last event."""

    def to_dict(self) -> dict[str, Any]:
        """The summary as ``orchestrate runs list --json`` has it."""
        return asdict(self)

    def _repr_html_(self) -> str:
        return RunSummaries([self])._repr_html_()


class RunSummaries(list[RunSummary]):
    """Summaries of runs; a notebook shows them as a table."""

    def _repr_html_(self) -> str:
        heads = ("run", "status", "spend", "tasks", "started", "title")
        rows = "".join(_row(each) for each in self)
        return f"<table><tr>{''.join(f'<th>{head}</th>' for head in heads)}</tr>{rows}</table>"


def _row(run: RunSummary) -> str:
    spend = f"${float(Usd.parse(run.settled_usd) + Usd.parse(run.held_usd)):.4f}"
    cells = (run.run_id, run.status, spend, str(run.tasks), run.started_at[:19].replace("T", " "), run.title)
    return f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>"


@frozen
class RunFilter:
    """Which runs are listed."""

    status: str | None = None
    since: str | None = None
    """ISO 8601 in UTC; times of the log compare with it as texts."""
    limit: int | None = None
    project: str | None = None
    """What the title has, however its letters are written."""

    def among(self, found: Iterator[RunSummary]) -> RunSummaries:
        """The runs that are wanted, of summaries newest first."""
        return RunSummaries(islice(filter(self._is_wanted, found), self.limit))

    def _is_wanted(self, run: RunSummary) -> bool:
        return (
            self.status in (None, run.status)
            and (self.since is None or run.started_at >= self.since)
            and (self.project is None or self.project.casefold() in run.title.casefold())
        )


def known_status(word: str) -> str:
    """A status as the log writes it, however its letters are written.

    Raises:
        UsageError: there is none like it.
    """
    known = {each.casefold(): each for each in STATUSES}
    if word.casefold() not in known:
        near = nearest(word, known.values())
        hint = f"did you mean {near!r}?" if near else f"there are: {', '.join(known.values())}"
        raise UsageError(f"there is no status {word!r}; {hint}")
    return known[word.casefold()]


def summaries(log: EventLog) -> Iterator[RunSummary]:
    """The runs of a log, newest first; a title is read once its run is asked for."""
    archived = [(_iso(found.began), run) for run, (_, found) in log.archived_runs().items()]
    archived.sort()
    for row in reversed(log.view("runs")):
        while archived and archived[-1][0] >= row["started_at"]:
            yield _of_archived(log, archived.pop()[1])
        run = row["run_id"]
        yield RunSummary(
            run_id=run,
            title=first_line(Texts(log, run, os.urandom, log.redactor), row["project_digest"]),
            status=shown_status(log, run, row["status"]),
            started_at=row["started_at"],
            finished_at=row["finished_at"],
            cap_usd=str(Usd(row["cap_nano"])),
            settled_usd=str(Usd(row["settled_nano"])),
            held_usd=str(Usd(row["held_nano"])),
            tasks=row["tasks"],
            head=row["head"],
        )
    for _, run in reversed(archived):
        yield _of_archived(log, run)


def _of_archived(log: EventLog, run: str) -> RunSummary:
    found, last = present(log.archived(run), "archived run"), present(log.last(run), "last event")
    return RunSummary(
        run_id=run,
        title=f"({ARCHIVED})",
        status=ARCHIVED,
        started_at=_iso(found.began),
        finished_at=_iso(found.ended),
        cap_usd=str(found.cap),
        settled_usd=str(found.settled),
        held_usd=str(Usd.ZERO),
        tasks=found.tasks,
        head=last.hash,
    )


def _iso(at: int) -> str:
    """Microseconds UTC as the views write them."""
    return f"{(_EPOCH + timedelta(microseconds=at)):%Y-%m-%dT%H:%M:%S.%fZ}"


def shown_status(log: EventLog, run: str, status: str) -> str:
    """The status of a run; an unfinished one is ``running`` while a process has it, else ``interrupted``.

    One that no process has had yet is ``submitted``.
    """
    if status != "open":
        return status
    if log.locks.is_held(run):
        return "running"
    is_new = next(log.read(run, types=[RunForked, SessionOpened]), None) is None
    return "submitted" if is_new else "interrupted"


def first_line(texts: Texts, digest: str) -> str:
    """The first line of a text, or what stands in its place."""
    try:
        lines = texts.get(digest).strip().splitlines()
    except NoTextError as error:
        return error.mark
    except DamagedLogError:
        return "(damaged)"
    return lines[0] if lines else ""


def runs_in(log: EventLog) -> list[str]:
    """The ids of all runs of a log, in the order in which they began."""
    named = [each.stream for each in log.extents()]  # a damaged database may hold anything
    runs = [run for run in named if isinstance(run, str) and is_run(run)]
    archived = log.archived_runs()
    if not archived:
        return runs
    began = {each.stream: each.at for each in log.select(Select(types=_FIRST))}
    when, at = {run: found.began for run, (_, found) in archived.items()}, 0
    for run in runs:
        if run not in archived:  # what is left of one stands where it was archived, not where it began
            at = when[run] = began.get(run, at)
    return sorted(runs, key=when.__getitem__)
