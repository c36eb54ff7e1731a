"""Reading 200,000 events back, beside the ``eventsourcing`` library and bare orjson."""

import sqlite3
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import orjson
from eventsourcing.application import Application

from benchmarks.append import VALUES, plain
from benchmarks.history import calls_of, make_run
from benchmarks.measure import Row, alternate, cpu, rate
from benchmarks.peer import History, application
from orchestrator.events import TYPES, CallFailed, CallStarted, CallSucceeded, Event
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import DATABASE
from orchestrator.state.fold import fold

EVENTS: Final = 200_000
_SPEND: Final = (CallStarted, CallSucceeded, CallFailed)
"""What a projection of the spend reads."""


def _fold(log: EventLog, run: str) -> int:
    return fold((record.at, record.event) for record in log.read(run)).version


def _project(log: EventLog, run: str) -> int:
    """What has been settled, as a projection adds it up."""
    total = 0
    for record in log.read(run, types=_SPEND):
        event = record.event
        if not isinstance(event, CallStarted):
            total += event.settled.nano  # type: ignore[attr-defined]
    return total


def _orjson(connection: sqlite3.Connection, run: str, kinds: tuple[type[Event], ...] = ()) -> int:
    """The same out of bare JSON: of the rows of these types, or of all."""
    names = [name for name, kind in TYPES.items() if kind in kinds]
    where = f" AND type IN ({', '.join('?' * len(names))})" if names else ""
    query = f"SELECT data FROM events WHERE stream = ?{where} ORDER BY version"
    return sum(orjson.loads(data).get("settled", 0) for (data,) in connection.execute(query, [run, *names]))


def _notifications(app: Application[Any]) -> int:
    """Every stored event read and decoded, with the default JSON transcoder; nothing is folded."""
    start, count = 1, 0
    while True:
        page = app.recorder.select_notifications(start, limit=1000)
        for notification in page:
            app.mapper.to_domain_event(notification)
        count += len(page)
        if len(page) < 1000:
            return count
        start = int(page[-1].id) + 1


def _fill(app: Application[Any], facts: list[Any], count: int) -> None:
    history = History()
    for number in range(count):
        history.tell(facts[number % len(facts)])
        if number % 1000 == 999:
            app.save(history)
    app.save(history)


def run(rounds: int, events: int = EVENTS) -> Iterator[Row]:
    """Compare a full replay, and reading what a projection needs."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        name = make_run(home, events)
        log, connection = EventLog.open_to_read(home), sqlite3.connect(home / DATABASE)
        facts = calls_of(home, name, 2400)
        for typed in (True, False):
            app = application(home / f"peer-{typed}.db", typed=typed)
            _fill(app, list(facts) if typed else plain(facts), events)
            pairs = alternate(
                partial(cpu, partial(_fold, log, name)), partial(cpu, partial(_notifications, app)), rounds
            )
            note = f"ours is decoded and folded, the peer's only decoded; {VALUES[typed]}"
            what = f"replay of {events:,} events, beside eventsourcing"
            yield pairs.row(what, rate(events), 6.0, most=False, note=note)
            app.close()
        project = partial(cpu, partial(_project, log, name))
        pairs = alternate(project, partial(cpu, partial(_orjson, connection, name)), rounds)
        what = "reading what a projection needs, beside orjson over"
        note = f"both rates count all {events:,}: the peer has to parse them to know"
        yield pairs.row(f"{what} the whole log", rate(events), 0.5, most=False, note=note)
        pairs = alternate(project, partial(cpu, partial(_orjson, connection, name, _SPEND)), rounds)
        count = sum(1 for _ in log.read(name, types=_SPEND))
        note = f"the stricter reading: {count:,} rows, selected by type on both sides"
        yield pairs.row(f"{what} the same rows", rate(count), 0.5, most=False, note=note)
        connection.close()
        log.close()
