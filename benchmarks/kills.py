"""Many runs under ``kill -9``: workers killed one after another, then the database server, until every run has ended.

``python -m benchmarks.kills [--runs 200] [--workers 4] [--jobs 10] [--every 2] [--postgres]`` prints what came of it:
how many ended as an untouched run does, what the organisation's account, the runs and the vendor say of the money, and
how soon a killed worker's runs had another one. A worker that has ended is started again, as its keeper would do.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any, Final

from attrs import define, evolve, field, frozen
from tests.servers.openai_server import Fault, OpenAIServer
from tests.servers.roles import play

from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.log.stored_rows import Select
from orchestrator.money import Price, Usd
from orchestrator.state.fold import fold
from orchestrator.testing.simulation.equal_outcomes import RunOutcome, outcome_of, same_outcome
from orchestrator_fleet.worker_registry import workers_of
from orchestrator_postgres.store import PostgresStore
from orchestrator_postgres.temporary_server import TemporaryServer, temporary_server

_ANSWER: Final = 0.2
"""Seconds that the vendor takes for an answer, so that a kill meets calls in flight."""
_UNTOUCHED: Final = "run-9999"
_PATIENCE: Final = 1200.0
_PRICES: Final = {"alpha": ("0.25", "1.25"), "beta": ("0.75", "3.75"), "gamma": ("2.25", "11.25")}
"""So far apart that what is measured of a model changes no choice: runs are compared with one that learned nothing."""
_SLOTS: Final = {
    "alpha": ["deepseek-chat", "deepseek-reasoner", "gemini-2.5-flash"],
    "beta": ["moonshot-v1", "claude-opus", "gpt-4o-mini"],
    "gamma": ["gpt-4o", "claude-sonnet"],
}


@frozen
class Figures:
    """How much is tried.

    Attributes:
        runs: how many are submitted.
        workers: processes.
        jobs: runs at once in each.
        every: seconds between two kills.
        kills: after how many no worker is killed any more; None: until all runs have ended.
        postgres: whether the log is on a server, which is killed once, too.
    """

    runs: int = 200
    workers: int = 4
    jobs: int = 10
    every: float = 2.0
    kills: int | None = None
    postgres: bool = False


@frozen
class Found:
    """What came of it.

    Attributes:
        seconds: from the first worker's start to the last run's end.
        kills: workers killed.
        server_kills: how often the database server was.
        differences: what distinguishes any run from an untouched one, apart from sessions; a line each.
        account: settled and unreconciled, as the organisation's account says.
        runs: the same, as the sum over the runs.
        billed: by the vendor.
        wrong: runs whose money is not the vendor's: unequal where nothing was in flight at a kill, else out of bounds.
        undisturbed: runs in which nothing was in flight at a kill.
        first: seconds from each kill to the first take-over of one of that worker's runs.
        every: seconds to each take-over; those that wait for a worker with room included.
    """

    seconds: float
    kills: int
    server_kills: int
    differences: Sequence[str]
    account: tuple[Usd, Usd]
    runs: tuple[Usd, Usd]
    billed: Usd
    wrong: Sequence[str]
    undisturbed: int
    first: Sequence[float]
    every: Sequence[float]


@define
class World:
    """A data folder, a store, a vendor, and the workers.

    Attributes:
        folder: scratch.
        figures: how much is tried.
        vendor: keeps the ledger.
        server: of the database; None: SQLite.
    """

    folder: Path
    figures: Figures
    vendor: OpenAIServer
    server: TemporaryServer | None
    killed: list[tuple[int, int]] = field(factory=list)
    """Which process was killed, and when, in microseconds UTC."""
    _fleet: list["subprocess.Popen[bytes]"] = field(factory=list)

    @property
    def home(self) -> Path:
        """The data folder."""
        return self.folder / "home"

    def environ(self) -> dict[str, str]:
        """That of every command; nothing of the caller's but where programs are."""
        kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
        own = {"HOME": str(self.home), "ORCHESTRATE_HOME": str(self.home), "LC_ALL": "C.UTF-8"}
        store = {"ORCHESTRATE_STORE": self.server.url()} if self.server is not None else {}
        return {**kept, **own, **store, "OPENAI_COMPATIBLE_BASE_URL": self.vendor.base_url}

    def do(self, *arguments: str) -> str:
        """Run a command to its end; returns its output.

        Raises:
            RuntimeError: it failed.
        """
        command = [sys.executable, "-m", "orchestrator", *arguments]
        ended = subprocess.run(command, env=self.environ(), capture_output=True, text=True, check=False)
        if ended.returncode:
            raise RuntimeError(f"{arguments}: {ended.returncode}: {ended.stdout[-1000:]}{ended.stderr[-2000:]}")
        return ended.stdout

    @contextmanager
    def log(self) -> Iterator[EventLog]:
        """The log, for reading."""
        store = PostgresStore(self.server.url(), write=False) if self.server is not None else None
        found = EventLog.open_to_read(self.home, store)
        try:
            yield found
        finally:
            found.close()

    def submit(self, names: Sequence[str]) -> None:
        """Submit a run of each name."""
        self.home.mkdir(parents=True, exist_ok=True)
        specs = [str(_spec(self.folder, name)) for name in names]
        self.do("submit", *specs, "--models", str(_models(self.folder)), "--no-cache")

    def play(self) -> None:
        """Keep workers and kill one after another, until all runs have ended."""
        self._fleet = [self._worker() for _ in range(self.figures.workers)]
        try:
            self._kill_until_all_have_ended()
        finally:
            for worker in self._fleet:
                worker.kill()
                worker.wait()

    def _worker(self) -> "subprocess.Popen[bytes]":
        with (self.folder / "workers.log").open("ab") as log:
            command = [sys.executable, "-m", "orchestrator", "worker", "--jobs", str(self.figures.jobs)]
            return subprocess.Popen(command, env=self.environ(), stdin=subprocess.DEVNULL, stdout=log, stderr=log)

    def _kill_until_all_have_ended(self) -> None:
        rng, until = random.Random(25), time.monotonic() + _PATIENCE
        next_kill = time.monotonic() + self.figures.every
        server_dies = self.server is not None
        while (ended := self.ended()) < self.figures.runs:
            if time.monotonic() > until:
                raise RuntimeError(f"{ended} of {self.figures.runs} ended; see {self.folder / 'workers.log'}")
            if server_dies and self.server is not None and ended >= self.figures.runs // 2:
                self.server.kill()
                self.server.start()
                server_dies = False
            if time.monotonic() >= next_kill and self.figures.kills in (None, *range(len(self.killed) + 1, 10_000)):
                busy = self._busy()
                if busy:
                    self._kill(rng.choice(busy))
                    next_kill = time.monotonic() + self.figures.every
            for place, worker in enumerate(self._fleet):
                if worker.poll() is not None:
                    self._fleet[place] = self._worker()
            time.sleep(0.1)

    def _busy(self) -> list[int]:
        """The places of the workers that have runs; on a slow machine others may not have begun."""
        with self.log() as log:
            working = {each.process for each in workers_of(log) if each.status == "working"}
        return [place for place, worker in enumerate(self._fleet) if worker.pid in working]

    def _kill(self, place: int) -> None:
        worker = self._fleet[place]
        worker.kill()
        self.killed.append((worker.pid, time.time_ns() // 1000))
        worker.wait()

    def ended(self) -> int:
        """How many runs have ended."""
        with self.log() as log:
            return len(_rows(log, "run.finished"))

    def found(self, seconds: float, untouched: RunOutcome) -> Found:
        """Compare, add up and measure."""
        with self.log() as log:
            names = [each for each in log.streams() if each.startswith("run-")]
            outcomes = {name: _outcome(log, name) for name in names}
            runs = {row["run_id"]: (Usd(row["settled_nano"]), Usd(row["held_nano"])) for row in log.store.view("runs")}
            delays = _take_overs(log, self.killed)
        shown = json.loads(self.do("budget", "show", "--json"))
        (account,) = [each for each in shown["items"] if each["account"] == "org"]
        billed = _ledger(self.vendor, names)
        return Found(
            seconds=seconds,
            kills=len(self.killed),
            server_kills=int(self.server is not None),
            differences=[
                f"{name}: {line}" for name, found in outcomes.items() for line in same_outcome(untouched, found)
            ],
            account=(Usd.parse(account["settled_usd"]), Usd.parse(account["unreconciled_usd"])),
            runs=_sums(runs.values()),
            billed=self.vendor.billed,
            wrong=[name for name in names if not _is_right(*runs[name], billed[name], outcomes[name].lost)],
            undisturbed=sum(not outcome.lost for outcome in outcomes.values()),
            first=[min(each) for each in delays if each],
            every=sorted(delay for each in delays for delay in each),
        )


def _sums(pairs: Iterable[tuple[Usd, Usd]]) -> tuple[Usd, Usd]:
    settled, held = zip(*pairs, strict=True)
    return sum(settled, Usd.ZERO), sum(held, Usd.ZERO)


def _is_right(settled: Usd, held: Usd, billed: Usd, lost: int) -> bool:
    """Whether a run's money is the vendor's: to the nano-dollar, or, with calls that were cut, within their holds."""
    return settled <= billed <= settled + held if lost else (settled, held) == (billed, Usd.ZERO)


def _rows(log: EventLog, *types: str) -> list[Any]:
    rows, after = [], 0
    while True:
        page = log.store.page(Select(after=after, types=types))
        rows += page.rows
        if page.is_last:
            return rows
        after = page.rows[-1].position


def _outcome(log: EventLog, run: str) -> RunOutcome:
    state = fold((record.at, record.event) for record in log.read(run))
    found = outcome_of(state, Texts(log, run, os.urandom, Redactor()).get)
    return evolve(found, tasks={name: evolve(task, prompt="") for name, task in found.tasks.items()})


def _take_overs(log: EventLog, killed: Sequence[tuple[int, int]]) -> list[list[float]]:
    """For each kill, the seconds until each run that the worker had was opened by another one."""
    rows = _rows(log, "worker.started", "session.opened", "run.finished", "run.interrupted")
    names = {json.loads(row.data)["process"]: row.stream for row in rows if row.type == "worker.started"}
    of_runs: dict[str, list[Any]] = defaultdict(list)
    for row in rows:
        of_runs[row.stream].append(row)
    found = []
    for process, at in killed:
        worker = names.get(process, "/").partition("/")[2]
        delays = []
        for own in of_runs.values():
            before = [row for row in own if row.at <= at]
            after = [row for row in own if row.at > at and row.type == "session.opened"]
            is_its = before and before[-1].type == "session.opened" and json.loads(before[-1].data)["by"] == worker
            if is_its and worker and after:
                delays.append((after[0].at - at) / 1e6)
        found.append(delays)
    return found


def _ledger(vendor: OpenAIServer, names: Sequence[str]) -> dict[str, Usd]:
    """What the vendor charged for each run; every prompt has the run's name in it.

    A request that was cut in the middle by a kill is none, has no name, and costs nothing.
    """
    billed = dict.fromkeys(names, Usd.ZERO)
    for served in (each for each in vendor.ledger if each.billed):
        text = served.body.decode()
        start = text.index("run-")
        billed[text[start : start + len(_UNTOUCHED)]] += served.billed
    return billed


def _slowly(request: Mapping[str, Any]) -> str | Fault:
    """An answer that takes its time and depends on no run's name."""
    time.sleep(_ANSWER)
    text = json.dumps(request)
    start = text.find("run-")
    return play(json.loads(text.replace(text[start : start + len(_UNTOUCHED)], _UNTOUCHED)))


def _vendor() -> OpenAIServer:
    prices = {name: Price(Usd.parse(given), Usd.parse(made)) for name, (given, made) in _PRICES.items()}
    return OpenAIServer(_slowly, prices=prices)


def _spec(folder: Path, name: str) -> Path:
    path = folder / f"{name}.json"
    spec = {
        "project_id": name,
        "project": "Write it.",
        "criteria": "it is there",
        "budget_usd": 0.5,
        "routing": {"backend": "weighted_sum", "parameters": {"w_quality": 0, "w_trust": 0, "w_cost": 1}},
        "tasks": [{"id": "only", "type": "summarization", "prompt": f"Sum up {name}."}],
    }
    path.write_text(json.dumps(spec))
    return path


def _models(folder: Path) -> Path:
    path = folder / "models.json"
    common = {"provider": "openai_compatible", "context": 131072, "max_output": 16384, "trains_on_data": False}
    models = [
        {
            "id": name,
            "vendor": name,
            **common,
            "slots": _SLOTS[name],
            "price": {"input": float(given), "output": float(made)},
        }
        for name, (given, made) in _PRICES.items()
    ]
    path.write_text(json.dumps({"models": models}))
    return path


def untouched(folder: Path) -> RunOutcome:
    """How a run ends that no kill meets."""
    with _vendor() as vendor:
        world = World(folder, Figures(runs=1, workers=1, kills=0), vendor, None)
        world.submit([_UNTOUCHED])
        world.do("worker", "--until-idle")
        with world.log() as log:
            return _outcome(log, _UNTOUCHED)


def try_out(figures: Figures, folder: Path) -> Found:
    """Submit, play, kill, and see what came of it; the log is verified, too.

    Raises:
        RuntimeError: a command failed, or not all runs ended.
    """
    (folder / "untouched").mkdir()
    expected = untouched(folder / "untouched")
    with ExitStack() as stack:
        vendor = stack.enter_context(_vendor())
        server = stack.enter_context(temporary_server(())) if figures.postgres else None
        world = World(folder, figures, vendor, server)
        world.home.mkdir()
        world.do("budget", "set", "org", "1000")
        world.submit([f"run-{number:04}" for number in range(figures.runs)])
        began = time.monotonic()
        world.play()
        seconds = time.monotonic() - began
        world.do("audit", "verify")
        return world.found(seconds, expected)


def _show(figures: Figures, found: Found) -> None:
    workers = f"{figures.workers} workers of {figures.jobs} jobs"
    print(f"{figures.runs} runs, {workers}, one killed every {figures.every:g} s")
    print(f"{found.kills} workers and {found.server_kills} servers killed in {found.seconds:.0f} s; all runs ended")
    print(f"other than untouched: {len(found.differences)}", *found.differences[:20], sep="\n  ")
    print(f"account: settled {found.account[0]}, unreconciled {found.account[1]}")
    print(f"runs:    settled {found.runs[0]}, unreconciled {found.runs[1]}")
    print(f"vendor:  billed {found.billed}; {found.undisturbed} runs with nothing in flight at a kill")
    print(f"runs whose money is wrong: {len(found.wrong)}", *found.wrong[:20])
    for what, delays in (("first take-over after a kill", found.first), ("every take-over", found.every)):
        if delays:
            print(f"{what}: median {median(delays):.2f} s, longest {max(delays):.2f} s, {len(delays)} of them")


def main() -> None:
    """Try it at the size of the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Figures()
    for name in ("runs", "workers", "jobs"):
        parser.add_argument(f"--{name}", type=int, default=getattr(usual, name))
    parser.add_argument("--every", type=float, default=usual.every)
    parser.add_argument("--kills", type=int)
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--folder", type=Path, help="an empty one, which is kept")
    given = vars(parser.parse_args())
    kept = given.pop("folder")
    figures = Figures(**given)
    with tempfile.TemporaryDirectory() as folder:
        _show(figures, try_out(figures, kept or Path(folder)))


if __name__ == "__main__":
    main()
