"""Whole runs in one seeded loop with virtual time: the real engine, decide, log and SQL, a pretended vendor, crashes.

``Scenario.draw(seed)`` draws everything from a seed; ``simulate(scenario)`` plays it to its end. Equal seeds give equal
histories, byte for byte. The log is an in-memory SQLite database whose connection outlives a crash.
"""

import asyncio
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from random import Random
from typing import Any, Final, cast

from attrs import Factory, define, evolve, field, frozen

from orchestrator import events as e
from orchestrator.decide import Rank
from orchestrator.engine.connect import Connected
from orchestrator.engine.ports import Ports, in_place
from orchestrator.engine.rank import guard, run_here
from orchestrator.engine.reading import content_of
from orchestrator.engine.session import RunLog, Session, append_remedies, raised_budget, raised_time
from orchestrator.errors import OrchestrateError
from orchestrator.log import EventLog, MemoryLocks, Texts
from orchestrator.log.redaction import Redactor
from orchestrator.log.schema import create
from orchestrator.models import SLOTS, ModelInfo, PlannedTask, ProjectStatus, TaskType, Verdict
from orchestrator.money import Price, Usd
from orchestrator.settings import SECOND, RunSettings
from orchestrator.spi import Candidate, Finding, ModelTelemetry, Ranked, RoutingCandidate, ValidatorContext
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from orchestrator.testing.vendor import FAULTS, ODDITIES, SimulatedVendor, plan
from orchestrator.testing.virtual_time import VirtualLoop

EPOCH: Final = 1_800_000_000 * SECOND
WHERE: Final = ("before", "inside", "after")
_MOST_EVENTS: Final = 60_000
_MOST_SESSIONS: Final = 60


class Crash(BaseException):
    """The process dies here."""


class PlantedError(Exception):
    """A bug planted into deciding."""


@frozen
class CrashPoint:
    """The process dies at its n-th append (from 1), before, inside or after the transaction."""

    append: int
    where: str


@frozen
class Scenario:
    """One world: runs, models, money, faults and what goes wrong with the process."""

    seed: int
    runs: int
    settings: RunSettings
    models: tuple[ModelInfo, ...]
    tasks: int
    given: bool
    """Whether the plan is given; otherwise it is asked for."""
    faults: tuple[str, ...] = ()
    fault_rate: float = 0.0
    slowest: float = 20.0
    crashes: tuple[CrashPoint, ...] = ()
    interrupt_after: tuple[float, ...] = ()
    """Seconds after which each of the first sessions is interrupted."""
    raises: int = 0
    """How often a halted run gets more money or time."""
    account_caps: Mapping[str, Usd] = Factory(dict)
    backend_fails: float = 0.0
    decide_fails: float = 0.0
    by_model: bool = False
    files_fail: float = 0.0
    lost_by_other: bool = False
    """Whether another process notices the dead session first."""
    check_faults: float = 0.0

    @classmethod
    def draw(cls, seed: int) -> "Scenario":
        """The scenario of a seed: 3 to 30 tasks, 2 to 5 models, budgets that bind, 0 to 4 crashes."""
        draw = Random(f"scenario/{seed}")
        accounts = ("org", "team/eng") if draw.random() < 0.3 else ()
        kinds = draw.sample([*FAULTS, *ODDITIES], draw.randint(0, 6)) if draw.random() < 0.8 else []
        tasks = draw.choice([3, 4, 5, 6, 8, 12, 20, 30]) if not accounts else draw.choice([3, 4, 5, 6])
        cap = Usd(round(10 ** (draw.uniform(6.5, 9.0) if draw.random() < 0.45 else draw.uniform(9.5, 11.5))))
        return cls(
            seed=seed,
            runs=draw.choice([1, 2, 3]) if accounts else 1,
            settings=RunSettings(
                cap=cap,
                time_limit=draw.choice([5400, 5400, 5400, 600, 90]) * SECOND,
                concurrency=draw.choice([1, 2, 3, 3, 5, 8]),
                accounts=accounts,
                simulated=True,
                backend_named=draw.random() < 0.3,
            ),
            models=tuple(_models(draw)),
            tasks=tasks,
            given=draw.random() < 0.5,
            faults=tuple(kinds),
            fault_rate=draw.choice([0.05, 0.15, 0.4]),
            slowest=draw.choice([0.5, 20.0, 100.0]),
            crashes=tuple(
                CrashPoint(round(1 + draw.random() ** 2 * 120), draw.choice(WHERE)) for _ in range(draw.randint(0, 4))
            ),
            interrupt_after=tuple(draw.uniform(1, 120) for _ in range(draw.choice([0, 0, 1, 2]))),
            raises=draw.choice([0, 1, 2]),
            account_caps={name: cap.part(draw.randint(30, 250), 100) for name in accounts},
            backend_fails=draw.choice([0.0, 0.0, 0.1]),
            decide_fails=draw.choice([0.0, 0.0, 0.0, 0.02]),
            by_model=draw.random() < 0.5,
            files_fail=draw.choice([0.0, 0.2]),
            lost_by_other=draw.random() < 0.3,
            check_faults=draw.choice([0.0, 0.1]),
        )


def _models(draw: Random) -> list[ModelInfo]:
    slots = list(SLOTS)
    draw.shuffle(slots)
    count = draw.randint(2, 5)
    models = []
    for number in range(count):
        cheap = draw.choice([0.1, 0.3, 1.0, 5.0])
        models.append(
            ModelInfo(
                id=f"model-{number}",
                provider="simulated",
                vendor=draw.choice(["north", "south", "east"]),
                price=Price(Usd.rounded(cheap), Usd.rounded(cheap * draw.choice([1, 4, 8]))),
                context=draw.choice([None, 4096, 128_000]),
                max_output=draw.choice([None, 1024, 8192]),
                tier=draw.choice([None, "small", "large"]),
                slots=tuple(slots[number::count]),
                trains_on_data=draw.choice([None, False, True]),
                regions=draw.choice([(), ("eu",), ("us",)]),
            )
        )
    return models


# ── the machine ────────────────────────────────────────────────────────────────────────────────────────────────


@define
class CrashingConnection:
    """A connection that kills the process at chosen transactions, and counts what it killed."""

    inner: sqlite3.Connection
    crashed: bool = False
    """Whether the current process is dead."""
    points: list[CrashPoint] = Factory(list)
    hits: Counter[tuple[str, str]] = Factory(Counter)
    """(event type, where) of the events of killed transactions."""
    appends: int = 0
    _types: list[str] = Factory(list)
    _armed: str | None = None

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Like the connection's own; a transaction may end in a Crash."""
        if sql.startswith("BEGIN"):
            self._begin()
        elif sql.startswith("INSERT INTO events"):
            self._types.append(str(parameters[2]))
        elif sql.startswith("COMMIT"):
            return self._commit(sql)
        return self.inner.execute(sql, parameters)

    def executemany(self, sql: str, parameters: Any) -> sqlite3.Cursor:
        """Like the connection's own."""
        return self.inner.executemany(sql, parameters)

    def close(self) -> None:
        """Close the database."""
        self.inner.close()

    def _begin(self) -> None:
        self.appends += 1
        self._types.clear()
        self._armed = next((point.where for point in self.points if point.append == self.appends), None)

    def _commit(self, sql: str) -> sqlite3.Cursor:
        where, self._armed = self._armed, None
        if where is None:
            return self.inner.execute(sql)
        self.points = [point for point in self.points if point.append > self.appends]
        self.hits.update((name, where) for name in self._types)
        if where == "after":
            self.inner.execute(sql)
        # "before" leaves no trace of the transaction, "inside" breaks it off: in both nothing of it remains.
        self.crashed = True
        raise Crash


@define
class World:
    """What outlives a process: the database, the vendor, the locks, time."""

    scenario: Scenario
    vendor: SimulatedVendor = field(init=False)
    connection: CrashingConnection = field(init=False)
    locks: MemoryLocks = Factory(MemoryLocks)
    now: float = 0.0
    """Virtual seconds."""
    draw: Random = field(init=False)
    events: Counter[str] = Factory(Counter)
    raised: Counter[str] = Factory(Counter)
    files: dict[str, dict[str, str]] = Factory(dict)

    def __attrs_post_init__(self) -> None:
        scenario = self.scenario
        self.draw = Random(f"world/{scenario.seed}")
        self.vendor = SimulatedVendor(
            scenario.seed,
            scenario.models,
            scenario.faults,
            scenario.fault_rate,
            by_model=scenario.by_model,
            tasks=scenario.tasks,
            slowest=scenario.slowest,
        )
        inner = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
        create(inner)
        self.connection = CrashingConnection(inner, points=sorted(scenario.crashes, key=lambda point: point.append))

    def process(self) -> "Process":
        """A new process on this world."""
        log = EventLog(self.connection, offload=in_place, locks=self.locks, redactor=Redactor())
        return Process(self, log)

    def history(self, run: str) -> list[tuple[int, e.Event]]:
        """The run's history so far: pairs of at and event."""
        log = EventLog(self.connection.inner, offload=in_place, locks=self.locks)
        return [(record.at, record.event) for record in log.read(run)]

    def close(self) -> None:
        """Let go of the database."""
        self.connection.close()


@define
class Files:
    """A folder that only pretends, and sometimes is full."""

    world: World
    run: str

    def write(self, name: str, content: str) -> int:
        """Keep a file, or fail as a full disk does."""
        if self.world.draw.random() < self.world.scenario.files_fail:
            raise OSError(28, "No space left on device")
        self.world.files.setdefault(self.run, {})[name] = content
        return len(content)


@define
class Process:
    """One process: it may take several runs, and dies as a whole."""

    world: World
    log: EventLog

    def ports(self) -> Ports:
        """The simulated machine."""
        loop = asyncio.get_running_loop()
        return Ports(
            clock=lambda: EPOCH + round(loop.time() * SECOND),
            monotonic=loop.time,
            sleep=asyncio.sleep,
            random_bytes=self.world.draw.randbytes,
            offload=in_place,
            offload_foreign=in_place,
        )

    def session(self, run: str, state: RunState, observers: Sequence[Any] = ()) -> Session:
        """A session of a run."""
        scenario = self.world.scenario
        texts = Texts(self.log, run, self.world.draw.randbytes, self.log.redactor)
        connected = Connected(
            providers={"simulated": self.world.vendor},
            models=scenario.models,
            slots={slot: model.id for model in scenario.models for slot in model.slots},
            backend=CheapestFirst(),
            plugins=(e.PluginUsed("backend", "cheapest_first", "simulator", "1"),),
            simulated=True,
            validators=("never_empty",),
        )
        return Session(
            stream=RunLog(self.log, run, texts, scenario.settings.accounts, simulated=True),
            state=state,
            connected=connected,
            ports=self.ports(),
            rank=self.rank(),
            validator=lambda name: self.validator,
            writer=Files(self.world, run),
            http=cast("Any", None),  # the simulated vendor opens no connection
            observers=observers,
        )

    def rank(self) -> Rank:
        """The guard around the backend, with planted failures."""
        sound, draw, scenario = guard(CheapestFirst(), run_here), self.world.draw, self.world.scenario
        broken = guard(Forgetful(), run_here)

        def rank(candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
            if draw.random() < scenario.decide_fails:
                raise PlantedError("a bug")
            return (broken if draw.random() < scenario.backend_fails else sound)(candidates, telemetry)

        return rank

    def validator(self, candidate: Candidate, context: ValidatorContext) -> Finding:
        """Fails some drafts, cannot judge others, and passes the rest: by the text alone."""
        draw = Random(f"check/{self.world.scenario.seed}/{content_of(candidate.text)}")
        if draw.random() < self.world.scenario.check_faults:
            return Finding(draw.choice([Verdict.FAILED, Verdict.UNKNOWN, Verdict.SKIPPED]), "simulated")
        return Finding.passed()


class CheapestFirst:
    """A backend: by blended price."""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """Cheapest first; among equals the earlier place."""
        ordered = sorted(candidates, key=lambda candidate: (candidate.price.blended, candidate.place))
        return [Ranked(candidate.model, -float(candidate.price.blended)) for candidate in ordered]


class Forgetful:
    """A backend that loses candidates."""

    def rank(self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> Sequence[Ranked]:
        """Nothing."""
        return []


# ── playing ────────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class Report:
    """What became of a world."""

    world: World
    histories: dict[str, list[tuple[int, e.Event]]]
    sessions: int
    crashes: int
    states: dict[str, RunState]


def simulate(scenario: Scenario, observer: Callable[[str, Session, int, int, e.Event], None] | None = None) -> Report:
    """Play a scenario to its end.

    Args:
        scenario: see ``Scenario.draw``.
        observer: called with (run, session, version, at, event) for every committed event.

    Raises:
        DeadlockError: every task waits and no timer is set.
        AssertionError: it does not end within its limits of sessions and events.
    """
    world = World(scenario)
    runs = [f"run-{number}" for number in range(1, scenario.runs + 1)]
    crashes = sessions = 0
    while True:
        sessions += 1
        assert sessions <= _MOST_SESSIONS, f"seed {scenario.seed} takes more than {_MOST_SESSIONS} sessions"
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(world.now)) as runner:
            loop = runner.get_loop()
            try:
                if runner.run(_process(world, runs, sessions, observer)):
                    break
            except BaseException:
                if not world.connection.crashed:
                    raise  # only a process that was killed may end like this
                crashes += 1
            finally:
                world.connection.crashed = False
                world.now = loop.time() + 1.0
                world.locks.clear()
    histories = {run: world.history(run) for run in runs}
    return Report(world, histories, sessions, crashes, {run: fold(history) for run, history in histories.items()})


async def _process(
    world: World, runs: Sequence[str], number: int, observer: Callable[[str, Session, int, int, e.Event], None] | None
) -> bool:
    """One process that goes on with every run that is not over. Returns whether all are."""
    process = world.process()
    scenario = world.scenario
    for name, cap in scenario.account_caps.items():
        if process.log.last(f"sim/account/{name}") is None:
            await process.log.open_account(name, cap, at=process.ports().clock(), simulated=True)
            await process.log.set_cap(name, cap + Usd(1), at=process.ports().clock(), simulated=True)
    results: list[bool] = []
    async with asyncio.TaskGroup() as group:
        for run in runs:
            group.create_task(_play(process, run, number, observer, results))
    return all(results)


async def _play(
    process: Process,
    run: str,
    number: int,
    observer: Callable[[str, Session, int, int, e.Event], None] | None,
    results: list[bool],
) -> None:
    """One session of one run; appends True when nothing is left to do."""
    world, scenario = process.world, process.world.scenario
    state = fold((record.at, record.event) for record in process.log.read(run))
    assert state.version < _MOST_EVENTS, f"seed {scenario.seed} writes more than {_MOST_EVENTS} events"
    lock = world.locks.acquire(run)
    observers: list[Any] = []
    session = process.session(run, state, observers)
    if observer is not None:
        observers.append(lambda version, at, event: observer(run, session, version, at, event))
    remedies = _remedies(world, run, state)
    if state.finished is not None and not remedies:
        lock.release()
        results.append(True)
        return
    opening: list[e.Outcome] = []
    if state.version == 0:
        opening.append(_started(session, scenario, run))
    if remedies or (state.is_open and scenario.lost_by_other):
        await append_remedies(session.stream, state, session.ports, remedies)
    loop = session.loop()
    if number <= len(scenario.interrupt_after):
        asyncio.get_running_loop().call_later(scenario.interrupt_after[number - 1], loop.interrupt, "SIGINT")
    with suppress(PlantedError):
        await loop.run([*opening, session.opening(scenario.account_caps)])
    lock.release()
    results.append(False)


def _remedies(world: World, run: str, state: RunState) -> list[e.Outcome]:
    """More money or time for a halted run, as often as the scenario says."""
    if state.finished is None or world.raised[run] >= world.scenario.raises:
        return []
    if state.finished.status is ProjectStatus.BUDGET_EXHAUSTED:
        world.raised[run] += 1
        return [raised_budget(state, Usd(state.cap.nano + 1))]
    if state.finished.status is ProjectStatus.TIMEOUT:
        world.raised[run] += 1
        return [raised_time(state, 5400 * SECOND)]
    return []


def _started(session: Session, scenario: Scenario, run: str) -> e.RunStarted:
    put = session.stream.texts.put
    given = None
    if scenario.given:
        draw = Random(f"plan/{scenario.seed}/{run}")
        given = tuple(
            PlannedTask(
                id=item["id"],
                type=TaskType(item["type"]),
                prompt=put(item["prompt"]),
                prompt_bytes=len(item["prompt"]),
                dependencies=tuple(item["dependencies"]),
                validators=tuple(item["hard_validators"]),
            )
            for item in plan(scenario.tasks, draw, validators=("never_empty",))
        )
    return e.RunStarted(
        seed=scenario.seed,
        settings=scenario.settings,
        spec=put("{}"),
        project=put(f"A simulated project for {run}."),
        criteria=put("It ends."),
        given_plan=given,
    )


def ample(scenario: Scenario) -> Scenario:
    """The same world with more money and time than it can use."""
    return evolve(
        scenario,
        settings=evolve(scenario.settings, cap=Usd.parse(1_000_000), time_limit=10_000_000 * SECOND),
        account_caps={name: Usd.parse(10_000_000) for name in scenario.account_caps},
    )


__all__ = [
    "Crash",
    "CrashPoint",
    "OrchestrateError",
    "Report",
    "Scenario",
    "World",
    "ample",
    "simulate",
]
