"""The page of the log: events with search and types, and verification on demand."""

import json
from collections.abc import Iterator
from functools import cache
from typing import Any, Final
from urllib.parse import urlencode

from attrs import fields, frozen

from orchestrator.cli.kit import Catalogue, Reader, money, rank_of, whole_steps
from orchestrator.errors import LogError
from orchestrator.money import Usd
from orchestrator.reading import Select, UnavailableBackendError, events, read_heads, verify
from orchestrator_view.source import Source

PAGE: Final = 50
_LONGEST: Final = 300


@frozen
class EventRow:
    """An event in the table."""

    position: int
    stream: str
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
        yield EventRow(row.position, row.stream, row.version, row.type, row.at, list(_fields(row.type, row.data)))


def _fields(kind: str, data: str) -> Iterator[tuple[str, str]]:
    """Names and values of an event; money is readable."""
    try:
        stored = json.loads(data)
    except ValueError:
        yield "damaged", data[:_LONGEST]
        return
    for name, value in stored.items() if isinstance(stored, dict) else [("value", stored)]:
        if value in (None, [], {}, ""):
            continue
        yield name, _shown(value, name in _amounts(kind))


@cache
def _amounts(kind: str) -> frozenset[str]:
    """The fields of a type of events that are money."""
    known = events.TYPES.get(kind)
    return frozenset() if known is None else frozenset(each.name for each in fields(known) if each.type is Usd)


def _shown(value: Any, is_money: bool) -> str:
    if is_money and isinstance(value, int) and not isinstance(value, bool):
        return money(Usd(value))
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    if len(text) == 64 and all(each in "0123456789abcdef" for each in text):
        return f"{text[:12]}…"
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


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
        history = ((each.at, each.event) for each in whole_steps(list(log.read(run)), None))
        values["verified"] = verify(history, rank_of(Catalogue.discover()))
    except (UnavailableBackendError, LogError) as error:
        values["problem"] = str(error)
    return values
