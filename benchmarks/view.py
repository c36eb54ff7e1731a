"""The web application beside datasette on the same file: the first page of each after it has started."""

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from statistics import median
from typing import Final

import httpx

from benchmarks.measure import Row, milliseconds
from benchmarks.tasks import play, spec_of

_RUNS: Final = 10_000
_TASKS: Final = 850
"""About 20,000 events."""
_PATIENCE: Final = 120.0
_LIMIT: Final = 1.0
"""Seconds in which the page *Models* opens."""
_COPIES: Final = {
    "events": "(stream, version, type, schema, at, data, hash) SELECT ?, version, type, schema, at, data, hash",
    "blobs": "(run, digest, data) SELECT ?, digest, data",
    "salts": "(run, salt) SELECT ?, salt",
}


def _many_runs(folder: Path) -> None:
    """Fill a data folder with copies of a run of one task."""
    play(folder, spec_of(folder, 1))
    with closing(sqlite3.connect(folder / "events.db", isolation_level=None)) as database:
        [run] = database.execute("SELECT stream FROM events LIMIT 1").fetchone()
        database.execute("BEGIN")
        for table, columns in _COPIES.items():
            owner = "stream" if table == "events" else "run"
            copy = f"INSERT INTO {table}{columns} FROM {table} WHERE {owner} = ? ORDER BY rowid"
            for number in range(_RUNS):
                database.execute(copy.replace(" ORDER BY rowid", "") if owner == "run" else copy, [f"r{number}", run])
        database.execute("COMMIT")


def _long_run(folder: Path) -> str:
    """Play a run of many tasks in a data folder; returns its id."""
    play(folder, spec_of(folder, _TASKS))
    with closing(sqlite3.connect(folder / "events.db")) as database:
        return str(database.execute("SELECT stream FROM events LIMIT 1").fetchone()[0])


@contextmanager
def _ours(folder: Path) -> Iterator[httpx.Client]:
    """The application, started on a data folder."""
    command = [sys.executable, "-m", "orchestrator", "view", "--home", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdout is not None
        base, token = re.split(r"/\?token=", process.stdout.readline().strip())
        headers = {"Authorization": f"Bearer {token}"}
        with httpx.Client(base_url=base, headers=headers, timeout=_PATIENCE, trust_env=False) as client:
            client.get("/static/view.js")  # it answers now
            yield client
        process.terminate()


@contextmanager
def _peer(folder: Path) -> Iterator[httpx.Client]:
    """Datasette, started on the same file."""
    port = 20_000 + os.getpid() % 10_000
    limits = ["--setting", "sql_time_limit_ms", "60000", "--setting", "num_sql_threads", "1"]
    command = [sys.executable, "-m", "datasette", str(folder / "events.db"), "-p", str(port), *limits]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=_PATIENCE, trust_env=False) as client:
            until = time.monotonic() + _PATIENCE
            while time.monotonic() < until:
                try:
                    client.get("/-/versions.json")
                    break
                except httpx.TransportError:
                    time.sleep(0.1)
            yield client
        process.terminate()


def _first(started: Callable[[Path], object], folder: Path, path: str) -> float:
    """Seconds to the first page after a start."""
    with started(folder) as client:  # type: ignore[attr-defined]
        began = time.perf_counter()
        client.get(path).raise_for_status()
        return time.perf_counter() - began


def _row(what: str, folder: Path, path: str, theirs: str, rounds: int, target: float) -> Row:
    pairs = [(_first(_ours, folder, path), _first(_peer, folder, theirs)) for _ in range(rounds)]
    ratios = [a / b for a, b in pairs]
    ours, peer = (median(each[at] for each in pairs) for at in (0, 1))
    note = "time on the wall, the first page after a start"
    return Row(
        what, milliseconds(ours), milliseconds(peer), ours / peer, (min(ratios), max(ratios)), target, True, note
    )


def _models(what: str, folder: Path, rounds: int) -> Row:
    """The page *Models* beside the time it may take."""
    seconds = [_first(_ours, folder, "/models") for _ in range(rounds)]
    note = "time on the wall, the first page after a start"
    found, spread = median(seconds), (min(seconds) / _LIMIT, max(seconds) / _LIMIT)
    return Row(what, milliseconds(found), milliseconds(_LIMIT), found / _LIMIT, spread, 1.0, True, note)


def run(rounds: int) -> Iterator[Row]:
    """Compare the pages *Runs* and a run with datasette's pages of the same views; *Models* has a limit."""
    if shutil.which("datasette") is None and not _has_datasette():
        raise SystemExit("this benchmark needs datasette: pip install '.[bench]'")
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        _many_runs(folder)
        yield _row("Runs with 10,000 runs, beside datasette's view", folder, "/", "/events/runs?_size=50", rounds, 1.0)
        play(folder, spec_of(folder, 1))  # a run that ends keeps the calls of those before it
        yield _models("Models with 10,000 runs, beside the 1 s it may take", folder, rounds)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run_id = _long_run(folder)
        theirs = f"/events/tasks?run_id={run_id}&_size=1000"
        yield _row("a run of 20,000 events, beside its tasks there", folder, f"/runs/{run_id}", theirs, rounds, 10.0)
        yield _models("Models with a run of 20,000 events, beside the 1 s it may take", folder, rounds)


def _has_datasette() -> bool:
    from importlib.util import find_spec

    return find_spec("datasette") is not None
