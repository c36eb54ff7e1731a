"""Whole runs in one seeded loop with virtual time: the real engine, decide, log and SQL, a pretended vendor, crashes.

``simulate(Scenario.draw(seed))`` plays a world to its end. Equal seeds give equal histories, byte for byte. The log is
a store that outlives a crash (SQLite in memory, or any other); only files, the process and the vendor are faulted.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from inspect import signature
from random import Random
from typing import Any, Final

from attrs import define, frozen

from orchestrator import events as e
from orchestrator.engine.loop import Loop
from orchestrator.engine.session import Session, append_remedies, raised_budget, raised_time
from orchestrator.log.protocol import Store
from orchestrator.log.sqlite import SqliteStore
from orchestrator.models import PlannedTask, ProjectStatus, TaskType
from orchestrator.money import Usd
from orchestrator.settings import SECOND
from orchestrator.spi import Backend, Provider
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from orchestrator.testing.simulation.crashing_store import Crash
from orchestrator.testing.simulation.equal_outcomes import RunOutcome, outcome_of
from orchestrator.testing.simulation.machine import CheapestFirst, PlantedError, Process, World, sound_rank
from orchestrator.testing.simulation.scenario import WHERE, CrashPoint, Scenario, ample
from orchestrator.testing.simulation.simulated_vendor import plan
from orchestrator.testing.simulation.virtual_time import VirtualLoop

__all__ = [
    "WHERE",
    "CheapestFirst",
    "Crash",
    "CrashPoint",
    "History",
    "Observer",
    "Player",
    "Scenario",
    "SimulationReport",
    "World",
    "ample",
    "simulate",
    "sound_rank",
]

_MOST_EVENTS: Final = 60_000
_MOST_SESSIONS: Final = 80
_LONGEST: Final = 50_000_000.0
"""Virtual seconds: a year and a half, five times what the longest pretended hang takes."""

History = list[tuple[int, e.Event]]
"""Pairs of at and event."""

Observer = Callable[[str, Session, int, int, e.Event], None]
"""Called with (run, session, version, at, event) for every committed event."""


@frozen
class SimulationReport:
    """What became of a world."""

    world: World
    histories: dict[str, History]
    accounts: dict[str, History]
    """The same of every account's stream."""
    sessions: int
    """Processes that were started."""
    crashes: int
    states: dict[str, RunState]

    def outcome(self, run: str) -> RunOutcome:
        """The outcome of one run."""
        return outcome_of(self.states[run], self.world.texts(run).get)


@define
class Player:
    """One process that goes on with every run that is not over."""

    process: Process
    number: int
    observer: Observer | None
    failures: list[BaseException]
    """What observers raised: the loop swallows it, a simulation must not."""

    async def prepare(self) -> None:
        """Open the accounts of the world, and set its pace."""
        process, scenario = self.process, self.process.world.scenario
        for name, cap in scenario.account_caps.items():
            if process.log.last(f"sim/account/{name}") is None:
                at, advance = process.ports().clock(), scenario.account_advance
                await process.log.open_account(name, cap, at=at, simulated=True, advance=advance)
                await process.log.set_cap(name, cap + Usd(1), at=process.ports().clock(), simulated=True)
        if scenario.pace is not None:
            await process.log.set_pace("sim/simulated", scenario.pace)

    async def play_all(self, runs: Sequence[str]) -> bool:
        """Play every run; returns whether all were over before."""
        await self.prepare()
        if self.process.world.scenario.one_by_one:
            return all([await self.play(run) for run in runs])
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(self.play(run)) for run in runs]
        return all(each.result() for each in running)

    async def play(self, run: str) -> bool:
        """One session of one run; returns True where nothing was left to do."""
        process, world = self.process, self.process.world
        scenario = world.scenario
        state = fold((record.at, record.event) for record in process.log.read(run))
        assert state.version < _MOST_EVENTS, f"seed {scenario.seed} writes more than {_MOST_EVENTS} events"
        lock = world.store.locks.acquire(run)
        observers: list[Any] = []
        session = process.session(run, state, observers)
        if self.observer is not None:
            observers.append(self._observe(run, session))
        found_out = world.found_out(run, state) if scenario.reconciles and state.unreconciled else []
        if found_out:
            await append_remedies(session.stream, state, session.ports, found_out)
        if state.finished is not None and not self._is_tried_again(run, state):
            lock.release()
            return True
        opening: list[e.Outcome] = []
        if state.version == 0:
            opening.append(_started(session, scenario, run))
        remedies = _remedies(state)
        if remedies or (state.is_open and scenario.lost_by_other):
            await append_remedies(session.stream, state, session.ports, remedies)
        loop = session.loop()
        if self.number <= len(scenario.interrupt_after):
            after = scenario.interrupt_after[self.number - 1]
            asyncio.get_running_loop().call_later(after, loop.interrupt, "SIGINT")
        for after in scenario.messages:
            asyncio.get_running_loop().call_later(after, _put, loop, session)
            asyncio.get_running_loop().call_later(2 * after, _take, loop, session)
        with suppress(PlantedError):
            await loop.run([*opening, session.opening(scenario.account_caps, scenario.priors)])
        lock.release()
        return False

    def _is_tried_again(self, run: str, state: RunState) -> bool:
        """Whether a halted run gets what it lacks, as often as the scenario says."""
        world = self.process.world
        assert state.finished is not None
        if state.finished.status.is_closed or world.raised[run] >= world.scenario.raises:
            return False
        world.raised[run] += 1
        return True

    def _observe(self, run: str, session: Session) -> Callable[[int, int, e.Event], None]:
        def observe(version: int, at: int, event: e.Event) -> None:
            assert self.observer is not None
            try:
                self.observer(run, session, version, at, event)
            except BaseException as error:
                self.failures.append(error)

        return observe


def simulate(
    scenario: Scenario,
    observer: Observer | None = None,
    make_backend: Callable[[], Backend] = CheapestFirst,
    make_provider: Callable[..., Provider] | None = None,
    make_store: Callable[[], Store] = SqliteStore.in_memory,
) -> SimulationReport:
    """Play a scenario to its end.

    Args:
        scenario: the world.
        observer: gets every committed event.
        make_backend: builds the backend that ranks in every session, under the guard of a run but without its clock.
        make_provider: builds the provider that is called in every session, for the models of the scenario. It is given
            the simulated vendor, to wrap it, unless it takes no argument.
        make_store: makes the empty store that everything is written to.

    Raises:
        DeadlockError: every task waits and no timer is set.
        AssertionError: it does not end within its limits of sessions, events and virtual time, or an observer's own.
    """
    world = World(scenario, make_backend, _wrapping(make_provider), make_store)
    runs = [f"run-{number}" for number in range(1, scenario.runs + 1)]
    failures: list[BaseException] = []
    crashes = sessions = 0
    over = False
    while not over:
        sessions += 1
        assert sessions <= _MOST_SESSIONS, f"seed {scenario.seed} takes more than {_MOST_SESSIONS} sessions"
        assert world.now < _LONGEST, f"seed {scenario.seed} takes more than {_LONGEST:g} seconds"
        with asyncio.Runner(loop_factory=lambda: VirtualLoop(world.now)) as runner:
            loop = runner.get_loop()
            try:
                over = runner.run(Player(world.process(), sessions, observer, failures).play_all(runs))
            except BaseException:
                if not world.store.crashed:
                    raise  # only a process that was killed may end like this
                crashes += 1
            finally:
                world.store.revive()
                world.now = loop.time() + 1.0
                world.release_locks()
        if failures:
            raise failures[0]
    histories = {run: world.history(run) for run in runs}
    accounts = {name: world.history(f"sim/account/{name}") for name in scenario.account_caps}
    states = {run: fold(history) for run, history in histories.items()}
    return SimulationReport(world, histories, accounts, sessions, crashes, states)


def _wrapping(make: Callable[..., Provider] | None) -> Callable[[Provider], Provider] | None:
    """A function from the simulated vendor to what is called in its place."""
    if make is None or signature(make).parameters:
        return make
    return lambda vendor: make()


def _put(loop: Loop, session: Session) -> None:
    """Put a message into one of two channels."""
    if session.state.is_open:
        channel = "odd" if session.state.version % 2 else "even"
        loop.bring(e.ChannelPut(channel, session.stream.texts.put(f'{{"at": {session.state.at}}}')))


def _take(loop: Loop, session: Session) -> None:
    """Take the newest message out of the channel that has the most of them."""
    waiting = [(len(channel.waiting), name) for name, channel in session.state.channels.items() if channel.waiting]
    if session.state.is_open and waiting:
        name = max(waiting)[1]
        loop.bring(e.ChannelTaken(name, max(session.state.channels[name].waiting)))


def _remedies(state: RunState) -> list[e.Outcome]:
    """What takes the cause of a halt away: money, time; a want of models is tried again as it is."""
    if state.finished is None:
        return []
    match state.finished.status:
        case ProjectStatus.BUDGET_EXHAUSTED:
            return [raised_budget(state, Usd(state.cap.nano + 1))]
        case ProjectStatus.TIMEOUT:
            return [raised_time(state, 5400 * SECOND)]
        case _:
            return []


def _started(session: Session, scenario: Scenario, run: str) -> e.RunStarted:
    put = session.stream.texts.put
    given = None
    if scenario.given:
        draw = Random(f"plan/{scenario.seed}/{'run-1' if scenario.alike else run}")
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
        project=put("A simulated project." if scenario.alike else f"A simulated project for {run}."),
        criteria=put("It ends."),
        given_plan=given,
        words=scenario.seed % 100,
    )
