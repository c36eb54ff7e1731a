"""The list of runs: a page of it at once, however many there are."""

import os
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from attrs import evolve, frozen

from orchestrator.cli.kit import Reader, runs_in, shown_status, timestamp
from orchestrator.money import Usd
from orchestrator.reading import Select, Texts
from orchestrator.reading import events as e
from orchestrator_view.kept_run import title_of

PAGE: Final = 50
"""Runs on a page."""
ARCHIVED: Final = "archived"
_AT_ONCE: Final = 400


@frozen
class RunRow:
    """A run in the list."""

    run: str
    status: str
    title: str
    started: str
    finished: str | None
    cap: Usd
    settled: Usd
    held: Usd
    """In flight + unreconciled."""
    unreconciled: Usd
    tasks: int
    models: tuple[str, ...]
    """The most called first."""

    @property
    def spent(self) -> Usd:
        """Settled + held."""
        return self.settled + self.held

    @property
    def share(self) -> float:
        """Of the ceiling, from 0 to 100."""
        return min(100.0, 100 * self.spent.nano / self.cap.nano) if self.cap else 0.0


@frozen
class RunPage:
    """A part of the list, newest first."""

    rows: list[RunRow]
    total: int
    """How many runs are like that."""
    first: int
    """The number of the first one shown, from 1."""
    all: int
    """How many runs there are."""


class RunIndex:
    """The runs of a log, each read again only after it has changed.

    Args:
        log: the log.
    """

    def __init__(self, log: Reader) -> None:
        self._log = log
        self._guard = threading.Lock()
        self._known: dict[str, tuple[int, RunRow]] = {}

    def page(self, status: str = "", search: str = "", number: int = 1) -> RunPage:
        """The runs with a status and a text in title, id or models; ``number`` is the page's, from 1."""
        with self._guard:
            lasts = {each.stream: each.last for each in self._log.extents()}
            latest = {run: lasts[run] for run in reversed(runs_in(self._log)) if run in lasts}
            start = (number - 1) * PAGE
            if not (status or search):
                shown = list(latest)[start : start + PAGE]
                return RunPage(self._rows(shown, latest), len(latest), start + 1, len(latest))
            found = [row for row in self._rows(list(latest), latest) if _is_like(row, status, search.casefold())]
            return RunPage(found[start : start + PAGE], len(found), start + 1, len(latest))

    def _rows(self, runs: Sequence[str], latest: dict[str, int]) -> list[RunRow]:
        changed = [run for run in runs if run not in self._known or self._known[run][0] != latest[run]]
        for start in range(0, len(changed), _AT_ONCE):
            for row in self._read(changed[start : start + _AT_ONCE]):
                self._known[row.run] = (latest[row.run], row)
        return [self._current(self._known[run][1]) for run in runs if run in self._known]

    def _current(self, row: RunRow) -> RunRow:
        """An unfinished run with what it does now: its process may have gone without a word."""
        if row.status not in ("open", "running", "interrupted"):
            return row
        return evolve(row, status=shown_status(self._log, row.run, "open"))

    def _read(self, runs: Sequence[str]) -> Iterator[RunRow]:
        streams = {each.stream for run in runs for each in self._log.segments(run)}
        wanted = set(runs)
        calls: dict[str, Counter[str]] = {}
        for record in self._log.select(Select(tuple(runs), ("call.started",))):
            if isinstance(record.event, e.CallStarted):
                calls.setdefault(record.stream, Counter())[record.event.model] += 1
        for found in self._log.view("runs", streams=sorted(streams)):
            if found["run_id"] in wanted:
                wanted.discard(found["run_id"])
                yield self._row(found, calls)
        for run in wanted:
            archived = self._log.archived(run)
            if archived is not None:
                yield _of_archived(run, archived)

    def _row(self, found: Mapping[str, Any], calls: Mapping[str, Counter[str]]) -> RunRow:
        run, digest = found["run_id"], found["project_digest"]
        return RunRow(
            run=run,
            status=found["status"],
            title=title_of(Texts(self._log, run, os.urandom, self._log.redactor), digest),
            started=found["started_at"],
            finished=found["finished_at"],
            cap=Usd(found["cap_nano"]),
            settled=Usd(found["settled_nano"]),
            held=Usd(found["held_nano"]),
            unreconciled=Usd(found["unreconciled_nano"]),
            tasks=found["tasks"],
            models=tuple(model for model, _ in calls.get(run, Counter[str]()).most_common()),
        )


def _of_archived(run: str, archived: e.RunArchived) -> RunRow:
    models: Counter[str] = Counter()
    for each in archived.spend:
        models[each.model] += each.calls
    return RunRow(
        run=run,
        status=ARCHIVED,
        title=f"({ARCHIVED})",
        started=timestamp(archived.began),
        finished=timestamp(archived.ended),
        cap=archived.cap,
        settled=archived.settled,
        held=Usd.ZERO,
        unreconciled=Usd.ZERO,
        tasks=archived.tasks,
        models=tuple(model for model, _ in models.most_common()),
    )


def _is_like(row: RunRow, status: str, search: str) -> bool:
    return status in ("", row.status) and any(search in each.casefold() for each in (row.run, row.title, *row.models))
