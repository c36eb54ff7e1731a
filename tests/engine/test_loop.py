"""The loop of one session, on the simulated machine."""

import asyncio
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.deadlines import run_in_thread
from orchestrator.decide import BackendError
from orchestrator.engine.backend_guard import guard, run_here
from orchestrator.engine.loop import Loop
from orchestrator.engine.session import Session, append_remedies, left_open, raised_budget
from orchestrator.errors import ConcurrencyError, ErrorKind, LogError
from orchestrator.models import PlannedTask, TaskType
from orchestrator.money import Price, Usd
from orchestrator.spi import Ranked, RoutingCandidate
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from orchestrator.testing.simulation.simulator import CheapestFirst, Scenario, World
from orchestrator.testing.simulation.virtual_time import DeadlockError, VirtualLoop
from tests.simulation.plays import steady
from tests.sql import sqlite_of


def scenario() -> Scenario:
    """Five given tasks, nothing goes wrong."""
    return steady(4, given=True, faulty=False)


def first_session(
    world: World, body: Callable[[Session, Loop, Sequence[e.Outcome]], Any], observers: Sequence[Any] = ()
) -> list[tuple[int, e.Event]]:
    """Give ``body`` the first session of a run, its loop and what opens it; returns the history afterwards."""

    async def run() -> None:
        session = world.process().session("run-1", RunState(), observers)
        put = session.stream.texts.put
        plan = tuple(PlannedTask(f"t{n}", TaskType.SUMMARIZATION, put(f"p{n}"), 2) for n in range(3))
        started = e.RunStarted(1, world.scenario.settings, put("{}"), put("p"), put("c"), plan)
        await body(session, session.loop(), [started, session.opening()])

    with asyncio.Runner(loop_factory=lambda: VirtualLoop(world.now)) as runner:
        runner.run(run())
    return world.history("run-1")


def test_a_session_runs_to_the_end_of_the_run() -> None:
    """With nothing in its way the last event is RunFinished, and every effect is closed."""

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        await loop.run(opening)
        assert session.state.pending == {}

    history = first_session(World(scenario()), body)
    assert isinstance(history[-1][1], e.RunFinished)


def test_an_interrupted_session_ends_its_calls_and_can_be_resumed() -> None:
    """The calls in flight are unreconciled, RunInterrupted is last, and no effect of a call stays open."""

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        asyncio.get_running_loop().call_later(1.0, loop.interrupt, "SIGTERM")
        await loop.run(opening)

    history = first_session(World(evolve(scenario(), slowest=100.0)), body)
    assert history[-1][1] == e.RunInterrupted("SIGTERM")
    cancelled = [event for _, event in history if isinstance(event, e.CallFailed)]
    assert {event.kind for event in cancelled} == {ErrorKind.CANCELLED}
    assert all(event.unreconciled and not event.by_vendor for event in cancelled)
    assert left_open(fold(history)) == ()


def test_a_cancelled_session_records_it() -> None:
    """A task that is cancelled from outside leaves a closed session behind, and stays cancelled."""

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        running = asyncio.ensure_future(loop.run(opening))
        await asyncio.sleep(1.0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    history = first_session(World(evolve(scenario(), slowest=100.0)), body)
    assert history[-1][1] == e.RunInterrupted("cancelled")


def test_a_session_that_is_cancelled_after_its_last_event_has_none_after_it() -> None:
    """Cancelled while its last step waits for other runs, a finished run stays as it is."""
    world = World(scenario())

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        async def pace() -> None:
            if session.state.finished is not None:
                running.cancel()
            await asyncio.sleep(0)

        loop.ports = evolve(loop.ports, pace=pace)
        running = asyncio.ensure_future(loop.run(opening))
        with pytest.raises(asyncio.CancelledError):
            await running

    assert isinstance(first_session(world, body)[-1][1], e.RunFinished)


def test_what_has_arrived_is_recorded_where_the_wait_for_calls_is_cancelled() -> None:
    """An interruption with patience, then a cancellation: what came in with the interruption is in the log."""
    raised = e.TimeRaised(10**12, ())

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        running = asyncio.ensure_future(loop.run(opening))
        await asyncio.sleep(1.0)
        loop.bring(raised)
        loop.interrupt("SIGTERM", patience=50.0)
        await asyncio.sleep(1.0)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    history = [event for _, event in first_session(World(evolve(scenario(), slowest=100.0)), body)]
    assert history.count(raised) == 1
    assert history[-1] == e.RunInterrupted("SIGTERM")


def test_a_refused_append_ends_the_session() -> None:
    """When another writer was first, nothing more is appended and the error reaches the caller."""
    world = World(scenario())

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        other = world.process().session("run-1", RunState())
        put = other.stream.texts.put
        await other.stream.append(0, 1, [e.RunStarted(1, world.scenario.settings, put("{}"), put("p"), put("c"))])
        with pytest.raises(ConcurrencyError):
            await loop.run(opening)

    assert [type(event) for _, event in first_session(world, body)] == [e.RunStarted]


def test_a_log_that_fails_ends_the_session_and_every_later_append() -> None:
    """After an I/O error the process writes nothing any more."""
    world = World(scenario())

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        connection = sqlite_of(world.log()).connection
        connection.execute("DROP TABLE events")
        with pytest.raises(LogError, match="cannot be written"):
            await loop.run(opening)
        with pytest.raises(LogError, match="nothing more is written"):
            await session.stream.append(0, 1, opening)
        connection.execute("CREATE TABLE events(stream, at, version, position, type, schema, data, hash)")

    first_session(world, body)


def test_an_error_of_decide_is_recorded_with_what_the_step_has_so_far() -> None:
    """SessionFailed ends the step and the session; the error reaches the caller."""

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        def broken(candidates: object, telemetry: object, draw: float) -> Sequence[Ranked]:
            raise ZeroDivisionError("planted")

        loop.rank = broken
        with pytest.raises(ZeroDivisionError):
            await loop.run(opening)
        failed = session.state
        assert not failed.is_open

    base = scenario()
    named = evolve(base, settings=evolve(base.settings, backend_named=True))
    world = World(named)
    history = first_session(world, body)
    last = history[-1][1]
    assert isinstance(last, e.SessionFailed)
    assert world.texts("run-1").get(last.error) == "ZeroDivisionError: planted"
    assert any(isinstance(event, e.PlanMade) for _, event in history)


def test_an_observer_that_raises_harms_nothing() -> None:
    """Observers are called after the commit, once per event; what they raise is swallowed."""
    seen: list[int] = []

    def observer(version: int, at: int, event: e.Event) -> None:
        seen.append(version)
        raise RuntimeError("planted")

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        await loop.run(opening)

    history = first_session(World(scenario()), body, [observer])
    assert seen == list(range(1, len(history) + 1))


def test_a_remedy_closes_a_dead_session_first() -> None:
    """More money for a run whose process died: SessionLost with what it left, then BudgetRaised, in one step."""
    world = World(evolve(scenario(), slowest=100.0))

    async def body(session: Session, loop: Loop, opening: Sequence[e.Outcome]) -> None:
        running = asyncio.ensure_future(loop.run(opening))
        await asyncio.sleep(1.0)
        state = fold(world.history("run-1"))
        lost = left_open(state)
        assert lost
        await append_remedies(session.stream, state, session.ports, [raised_budget(state, Usd(5))])
        assert not state.is_open
        with pytest.raises(ConcurrencyError):
            await running
        reported = [event for _, event in world.history("run-1")][-2:]
        assert reported == [e.SessionLost(1, lost), e.BudgetRaised(Usd(world.scenario.settings.cap.nano + 5))]

    first_session(world, body)


# ── the guard around a backend ─────────────────────────────────────────────────────────────────────────────────


class _Backend:
    def __init__(self, ranking: Callable[[], Any]) -> None:
        self.rank = lambda candidates, telemetry, draw: ranking()


def _fails() -> Any:
    raise ValueError("planted")


@pytest.mark.parametrize("score", [float("nan"), float("inf"), float("-inf"), None, "1.0", 10**400])
def test_a_score_that_is_no_finite_number_is_no_ranking(score: Any) -> None:
    """The candidate itself is right, so only the score can be what is refused."""
    offered = [RoutingCandidate("a", "p", "v", Price(Usd(1), Usd(1)), 0)]
    assert guard(_Backend(lambda: [Ranked("a", 0.5)]), run_here)(offered, {}, 0.5) == (Ranked("a", 0.5),)
    with pytest.raises(BackendError) as caught:
        guard(_Backend(lambda: [Ranked("a", score)]), run_here)(offered, {}, 0.5)
    assert caught.value.problem == "not_a_permutation"


@pytest.mark.parametrize(
    ("ranking", "problem"),
    [
        (_fails, "raised"),
        (lambda: [Ranked("other", 1.0)], "not_a_permutation"),
        (lambda: ["rubbish"], "not_a_permutation"),
        (lambda: None, "raised"),
    ],
)
@pytest.mark.parametrize("runner", [run_here, run_in_thread])
def test_a_backend_can_only_rank_or_fail(ranking: Callable[[], Any], problem: str, runner: Any) -> None:
    """Whatever it does wrong has a code."""
    with pytest.raises(BackendError) as caught:
        guard(_Backend(ranking), runner)([], {}, 0.5)
    assert caught.value.problem == problem


def test_a_sound_backend_ranks_in_a_thread_too() -> None:
    """The runner of real sessions gives back what the backend returned."""
    assert guard(CheapestFirst(), run_in_thread)([], {}, 0.5) == ()


def test_a_thread_that_takes_too_long_is_left_behind() -> None:
    """One that does not come back in time raises TimeoutError."""
    gate = threading.Event()
    with pytest.raises(TimeoutError):
        run_in_thread(gate.wait, 0.01)
    gate.set()


def test_virtual_time_costs_nothing_and_finds_deadlocks() -> None:
    """A year of sleep is a number; waiting for nothing is an error."""

    async def body() -> float:
        await asyncio.sleep(31_536_000)
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        assert runner.run(body()) == pytest.approx(31_536_000)

    async def forever() -> None:
        await asyncio.Event().wait()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner, pytest.raises(DeadlockError):
        runner.run(forever())
