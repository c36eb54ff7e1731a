"""Appending with every law on, beside bare SQLite and the ``eventsourcing`` library."""

import asyncio
import itertools
import sqlite3
import tempfile
import time
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import orjson
from eventsourcing.application import Application

from benchmarks.history import calls_of, make_run
from benchmarks.measure import Row, alternate, cpu, rate
from benchmarks.peer import History, application
from orchestrator.engine.ports import real_ports
from orchestrator.events import Event
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, configure, create, encode

_BATCHES: Final = {100: 100, 1: 1500}
"""How many appends are measured, by events per append."""

_WRITERS: Final = 50

VALUES: Final = {True: "the same typed values on both sides", False: "the peer keeps plain dictionaries"}
"""What the peer's events hold."""

_INSERT: Final = "INSERT INTO events(stream, version, type, schema, at, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"
_KEY: Final = "benchmark-key-0123456789"


def plain(events: Sequence[Event]) -> list[Any]:
    """Events as plain data."""
    stored = (encode(event) for event in events)
    return [{"kind": name, "data": orjson.loads(data)} for name, _, data in stored]


def _ours(home: Path, events: Sequence[Event], batches: int, writers: int = 1) -> float:
    """CPU seconds of so many appends of these events through the public path, by so many runs at once."""
    ports, redactor = real_ports(), Redactor()
    redactor.add(_KEY)
    log = EventLog.open(home, redactor=redactor, offload=ports.offload)

    async def write(batches: int) -> None:
        run, size = uuid4().hex, len(events)
        for number in range(batches):
            await log.append(run, number * size, number + 1, events)

    async def work() -> None:
        await asyncio.gather(*(write(batches // writers) for _ in range(writers)))

    try:
        asyncio.run(write(1))
        return cpu(lambda: asyncio.run(work()))
    finally:
        log.close()


def _raw(home: Path, events: Sequence[Event], batches: int) -> float:
    """CPU seconds of inserting finished rows of the same schema, under the same pragmas."""
    connection = sqlite3.connect(home / "raw.db", isolation_level=None)
    configure(connection)
    create(connection)
    stored = [encode(event) for event in events]
    numbers, run = itertools.count(1), uuid4().hex

    def rows() -> list[tuple[Any, ...]]:
        return [(run, next(numbers), name, schema, 1, data, "0" * 64) for name, schema, data in stored]

    finished = [rows() for _ in range(batches)]

    def work() -> None:
        for batch in finished:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(_INSERT, batch)
            connection.execute("COMMIT")

    try:
        return cpu(work)
    finally:
        connection.close()


def _eventsourcing(home: Path, events: Sequence[Event], batches: int, *, typed: bool) -> float:
    """CPU seconds of saving as many pending events; making them is not counted."""
    app = application(home / f"peer-{typed}.db", typed=typed)
    facts = list(events) if typed else plain(events)
    history = History()
    app.save(history)
    spent = 0.0
    for _ in range(batches):
        for fact in facts:
            history.tell(fact)
        spent += _saving(app, history)
    app.close()
    return spent


def _saving(app: Application[Any], history: History) -> float:
    began = time.process_time()
    app.save(history)
    return time.process_time() - began


def run(rounds: int) -> Iterator[Row]:
    """Compare at 100 and at 1 events per append, and at 1 by many runs."""
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        typical = calls_of(home / "source", make_run(home / "source", 400), 240)
        for size, batches in _BATCHES.items():
            events, count = typical[100 : 100 + size], size * batches
            what = f"append, {size} a transaction"
            ours = partial(_ours, home / "ours", events, batches)
            pairs = alternate(ours, partial(_raw, home, events, batches), rounds)
            note = "the peer inserts finished rows"
            yield pairs.row(f"{what}, beside bare sqlite3", rate(count), 0.25, most=False, note=note)
            for typed in (True, False):
                pairs = alternate(ours, partial(_eventsourcing, home, events, batches, typed=typed), rounds)
                yield pairs.row(f"{what}, beside eventsourcing", rate(count), 2.0, most=False, note=VALUES[typed])
        ours = partial(_ours, home / "ours", events, batches, _WRITERS)
        pairs = alternate(ours, partial(_eventsourcing, home, events, batches, typed=True), rounds)
        what = f"append, one at a time by {_WRITERS} runs at once, beside eventsourcing"
        note = f"{VALUES[True]}; it writes for one after the other"
        yield pairs.row(what, rate(count), 2.0, most=False, note=note)
