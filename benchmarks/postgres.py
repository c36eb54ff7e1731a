"""Appending on a PostgreSQL server: grouped by twenty runs, from several processes, and over a slow network.

Every figure is of processes of their own that write for the same seconds, beside a peer that does it in the next turn.
The network is a proxy in Python between both sides: it passes bytes on half a round-trip time later.
"""

import asyncio
import itertools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final
from uuid import uuid4

import psycopg

from benchmarks.append import plain
from benchmarks.history import calls_of, make_run
from benchmarks.measure import Row
from benchmarks.peer import History, postgres_application
from orchestrator.engine.ports import real_ports
from orchestrator.events import Event
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, encode
from orchestrator_postgres import temporary_server, writing
from orchestrator_postgres.store import PostgresStore

_RUNS: Final = 20
_EVENTS: Final = 3
_SECONDS: Final = 3.0
_ROUND_TRIP: Final = 0.0024
DURABLE: Final = ("shared_buffers=256MB",)
_PORT: Final = "5432"


def _events() -> list[Event]:
    """Three events of a call, as a run has them most often."""
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as scratch:
        return list(calls_of(Path(scratch), make_run(Path(scratch), 60), 30))[6 : 6 + _EVENTS]


def _ours(url: str, events: Sequence[Event]) -> Iterator[Callable[[float], int]]:
    """Through the public path: every law on, texts aside."""
    log = EventLog(PostgresStore(url, write=True), offload=real_ports().offload, redactor=Redactor())
    counts = itertools.count(1)

    async def write(run: str, until: float, versions: "itertools.count[int]") -> None:
        while time.monotonic() < until:
            await log.append(run, next(versions) * _EVENTS, next(counts), events)

    runs = {uuid4().hex: itertools.count() for _ in range(_RUNS)}

    async def all_of_them(seconds: float) -> None:
        until = time.monotonic() + seconds
        await asyncio.gather(*(write(run, until, versions) for run, versions in runs.items()))

    def work(seconds: float) -> int:
        before = next(counts)
        asyncio.run(all_of_them(seconds))
        return next(counts) - before - 1

    yield work
    log.close()


def _raw(url: str, events: Sequence[Event]) -> Iterator[Callable[[float], int]]:
    """Finished rows of twenty runs in the store's own statement, one transaction each."""
    PostgresStore(url, write=True).close()
    stored = [encode(event) for event in events]
    runs = [uuid4().hex for _ in range(_RUNS)]

    def rows(first: int) -> list[list[Any]]:
        made = [
            (run, first + n, name, schema, 1, data, "0" * 64)
            for run in runs
            for n, (name, schema, data) in enumerate(stored)
        ]
        return [list(column) for column in zip(*made, strict=True)]

    versions = itertools.count(1, _EVENTS)
    with psycopg.connect(url, autocommit=True) as connection:

        def work(seconds: float) -> int:
            until, groups = time.monotonic() + seconds, 0
            while time.monotonic() < until:
                connection.execute(writing.INSERT, [[], [], [], [], [], [], *rows(next(versions))]).fetchall()
                groups += 1
            return groups * _RUNS

        yield work


def _peer(url: str, events: Sequence[Event]) -> Iterator[Callable[[float], int]]:
    """The ``eventsourcing`` library: twenty aggregates, three events of each saved at once."""
    app, facts = postgres_application(url, create=False), plain(events)
    histories = [History() for _ in range(_RUNS)]
    app.save(*histories)

    def work(seconds: float) -> int:
        until, saved = time.monotonic() + seconds, 0
        while time.monotonic() < until:
            for history in histories:
                for fact in facts:
                    history.tell(fact)
                app.save(history)
                saved += 1
        return saved

    yield work
    app.close()


_KINDS: Final = {"ours": _ours, "raw": _raw, "peer": _peer}


def _child(kind: str, url: str) -> None:
    """A process that writes when it is asked to, and says how many appends it made."""
    for work in _KINDS[kind](url, _events()):
        work(0.3)  # what is prepared once does not count
        print("ready", flush=True)
        sys.stdin.readline()
        began = time.monotonic()
        count = work(_SECONDS)
        print(count / (time.monotonic() - began), flush=True)


def _rate(kind: str, url: str, processes: int) -> float:
    """Appends a second of so many processes together."""
    command = [sys.executable, "-m", "benchmarks.postgres", kind, url]
    started = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(processes)
    ]
    try:
        for each in started:
            if each.stdout is None or each.stdout.readline() != "ready\n":
                raise RuntimeError(f"a process that writes as {kind} ended early")
        for each in started:
            assert each.stdin is not None
            each.stdin.write("\n")
            each.stdin.flush()
        return sum(float(each.communicate()[0]) for each in started)
    finally:
        for each in started:
            each.kill()
            each.wait()


def _row(
    what: str,
    sides: tuple[Callable[[], float], Callable[[], float]],
    rounds: int,
    target: float | None,
    note: str,
) -> Row:
    measured = [(sides[0](), sides[1]()) for _ in range(rounds)]
    ours, peer = (median(side) for side in zip(*measured, strict=True))
    ratios = [one / other for one, other in measured]
    spread = (min(ratios), max(ratios))
    return Row(what, _shown(ours), _shown(peer), ours / peer, spread, target, most=False, note=note)


def _shown(rate: float) -> str:
    return f"{rate:,.0f} appends/s"


@contextmanager
def _distant(server: temporary_server.TemporaryServer) -> Iterator[str]:
    """The server's address behind a network with a round-trip time."""
    command = [sys.executable, "-m", "benchmarks.postgres", "proxy", str(server.folder / f".s.PGSQL.{_PORT}")]
    proxy = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert proxy.stdout is not None
        yield f"postgresql://postgres@127.0.0.1:{int(proxy.stdout.readline())}/postgres"
    finally:
        proxy.kill()
        proxy.wait()


async def _proxy(socket: str) -> None:
    async def pump(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        waiting: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

        async def deliver() -> None:
            while (found := await waiting.get())[1]:
                await asyncio.sleep(max(0.0, found[0] - time.monotonic()))
                target.write(found[1])
            target.close()

        delivering = asyncio.ensure_future(deliver())
        data = b"."
        while data:
            data = await source.read(1 << 18)
            waiting.put_nowait((time.monotonic() + _ROUND_TRIP / 2, data))
        await delivering

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(socket)
        await asyncio.gather(pump(reader, to_server), pump(from_server, writer), return_exceptions=True)

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    print(listener.sockets[0].getsockname()[1], flush=True)
    await listener.serve_forever()


def run(rounds: int) -> Iterator[Row]:
    """Compare with the raw statement, with the library, and with a slow network."""
    with temporary_server.temporary_server(DURABLE) as server:
        rate = partial(_rate, url=server.url())
        PostgresStore(server.url(), write=True).close()  # tables are made before several processes need them
        postgres_application(server.url(), create=True).close()
        yield _row(
            f"PostgreSQL: appends of {_EVENTS} events grouped by {_RUNS} runs, beside the raw grouped statement",
            (partial(rate, "ours", processes=1), partial(rate, "raw", processes=1)),
            rounds,
            0.5,
            "the peer inserts finished rows",
        )
        yield _row(
            "PostgreSQL: the same from 8 processes, beside eventsourcing with its PostgreSQL module",
            (partial(rate, "ours", processes=8), partial(rate, "peer", processes=8)),
            rounds,
            3.0,
            "the peer saves one aggregate after the other, plain dictionaries",
        )
        with _distant(server) as distant:
            yield _row(
                f"PostgreSQL: the same from 4 processes, {_ROUND_TRIP * 1000:g} ms of round-trip time, beside 5,000",
                (partial(_rate, "ours", distant, 4), lambda: 5000.0),
                rounds,
                1.0,
                f"{os.cpu_count()} cores do the server's, the writers' and the network's work",
            )


if __name__ == "__main__":
    if sys.argv[1] == "proxy":
        asyncio.run(_proxy(sys.argv[2]))
    else:
        _child(sys.argv[1], sys.argv[2])
