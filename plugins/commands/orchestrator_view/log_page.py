"""The page of the log: events with search and types, and verification on demand."""

from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import urlencode

from attrs import frozen

from orchestrator.cli.kit import Catalogue, Reader, kind_of, rank_of, whole_steps
from orchestrator.errors import LogError, UsageError
from orchestrator.reading import Select, UnavailableBackendError, events, read_heads, verify
from orchestrator_insight.event_fields import readable_fields
from orchestrator_view.log_source import Source

PAGE: Final = 50


@frozen
class EventRow:
    """An event in the table."""

    position: int
    stream: str
    kind: str
    """What the stream is of."""
    version: int
    type: str
    at: int
    fields: list[tuple[str, str]]


@frozen
class LogQuery:
    """Which events are shown.

    Attributes:
        run: of this run only; empty: of all.
        search: a text in the fields, a position, or a version such as ``v24``.
        type: of this type only; empty: of all.
        before: only events before this position; 0: the latest.
    """

    run: str = ""
    search: str = ""
    type: str = ""
    before: int = 0


def log_values(source: Source, wanted: LogQuery) -> dict[str, Any]:
    """What the page shows, newest first."""
    found = list(_rows(source.log, wanted)) if source.has_log else []
    rows, more = found[:PAGE], len(found) > PAGE
    kept = {"q": wanted.search, "type": wanted.type}
    return {
        "run": wanted.run,
        "search": wanted.search,
        "wanted": wanted.type,
        "types": sorted(events.TYPES),
        "rows": rows,
        "older": urlencode({**kept, "before": rows[-1].position}) if more else "",
        "newer": urlencode(kept) if wanted.before else "",
    }


def _rows(log: Reader, wanted: LogQuery) -> Iterator[EventRow]:
    streams = tuple(each.stream for each in log.segments(wanted.run)) if wanted.run else None
    select = Select(
        streams,
        (wanted.type,) if wanted.type else None,
        before=wanted.before or None,
        search=wanted.search.strip().lower(),
        reverse=True,
        limit=PAGE + 1,
    )
    for row in log.select(select):
        shown = list(readable_fields(row.type, row.data))
        yield EventRow(row.position, row.stream, kind_of(row.stream), row.version, row.type, row.at, shown)


def verify_values(source: Source, run: str) -> dict[str, Any]:
    """The chain, the texts, and every decision computed again; of all streams without the decisions."""
    log = source.log
    heads = {each.run: each.head for each in read_heads(source.folder)}
    findings = log.verify(run or None, heads.get(run) if run else None)
    values: dict[str, Any] = {"run": run, "findings": findings, "verified": None, "problem": "", "head": ""}
    if not run:
        return values
    last = log.last(run)
    values["head"] = "" if last is None else last.hash
    if findings:
        return {**values, "problem": "the log is damaged: nothing follows from it"}
    try:
        log.refuse_archived(run)
        history = ((each.at, each.event) for each in whole_steps(list(log.read(run)), None))
        values["verified"] = verify(history, rank_of(Catalogue.discover()))
    except (UnavailableBackendError, LogError, UsageError) as error:
        values["problem"] = str(error)
    return values
