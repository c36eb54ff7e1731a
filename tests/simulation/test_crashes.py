"""Killing the process: at every append of a run, and at every type of event."""

import sys
from functools import cache

import pytest
from attrs import evolve

from orchestrator.events import TYPES, ArchiveEvent, EvalEvent, SessionLost, SessionOpened, WorkerEvent
from orchestrator.testing.simulation.equal_outcomes import same_outcome
from orchestrator.testing.simulation.simulator import WHERE, CrashPoint, Scenario, SimulationReport, simulate
from tests.simulation.plays import played, steady
from tests.sql import sqlite_of

_heavy = pytest.mark.heavy


@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize(
    ("given", "faulty", "tasks"),
    [
        pytest.param(True, False, 3, id="small"),
        pytest.param(True, False, 5, id="given", marks=_heavy),
        pytest.param(False, True, 5, id="decomposed-faulty", marks=_heavy),
        pytest.param(True, True, 5, id="given-faulty", marks=_heavy),
        pytest.param(False, False, 5, id="decomposed", marks=_heavy),
    ],
)
def test_a_run_killed_at_any_append_comes_to_the_same_end(given: bool, faulty: bool, tasks: int, where: str) -> None:
    """Whatever append kills it, the resumed run ends like the one that was never killed, and asks nothing twice."""
    scenario = evolve(steady(4, given=given, faulty=faulty), tasks=tasks)
    whole = played(scenario)
    expected, appends = whole.outcome("run-1"), whole.world.store.appends
    assert len(expected.tasks) == tasks
    assert any(task.checks for task in expected.tasks.values()) is given
    assert appends > 30
    lost_ever = 0
    for append in range(1, appends + 1):
        report = played(evolve(scenario, crashes=(CrashPoint(append, where),)))
        assert report.crashes == 1
        assert same_outcome(expected, report.outcome("run-1")) == [], f"killed {where} append {append}"
        assert report.world.files == whole.world.files
        lost_ever += _asks_only_the_lost_again(whole, report)
        report.world.close()
    assert lost_ever > 0 or where == "before"


def _asks_only_the_lost_again(whole: SimulationReport, killed: SimulationReport) -> int:
    """The vendor saw as many requests more as calls were in flight at the kill, at most; returns those."""
    history = killed.histories["run-1"]
    ended = [event.ended for _, event in history if isinstance(event, SessionOpened | SessionLost)]
    lost = sum(map(len, ended))
    assert killed.outcome("run-1").lost == lost
    assert lost <= killed.world.scenario.settings.concurrency
    more = len(killed.world.vendor.bills) - len(whole.world.vendor.bills)
    assert 0 <= more <= lost
    return lost


def test_a_run_killed_in_its_verification_goes_on_with_it() -> None:
    """The verification that a dead session began is open, and the next session brings its result."""
    scenario = steady(4, given=True, faulty=False)
    killed = evolve(scenario, crashes=(CrashPoint(1, "after", "verification.started"),))
    report = played(killed)
    assert report.crashes == 1
    reported = [type(event).__name__ for _, event in report.histories["run-1"]][-4:]
    assert reported == ["VerificationStarted", "SessionOpened", "ResultVerified", "RunFinished"]
    assert same_outcome(played(scenario).outcome("run-1"), report.outcome("run-1")) == []


_CHOICE = 2
_NOT_SIMULATED = {
    *("scoring.started", "scoring.ended", "plan.edited"),
    *("batch.started", "batch.submitted", "pace.refused"),
}
"""What the worlds drawn here have not: scorers, a mailbox, batches, a shared pace. ``tests/steering`` edits the plan of
a run that was killed, ``tests/fire/test_batches.py`` kills at every step of a batch, and ``test_shared_pace.py`` at a
refusal by the pace."""
OF_EVALUATIONS = tuple(name for name, cls in TYPES.items() if issubclass(cls, ArchiveEvent | EvalEvent | WorkerEvent))
OF_COMMANDS = ("run.forked", "content.deleted", *OF_EVALUATIONS)
"""What commands append to runs without a session; see the tests of forks and of retention."""


@cache
def _seeds_with() -> dict[str, list[int]]:
    """For every type of event a few seeds whose worlds write one."""
    found: dict[str, list[int]] = {name: [] for name in TYPES if name not in {*OF_COMMANDS, *_NOT_SIMULATED}}
    for seed in range(2_000):
        world = simulate(_drawn(seed)).world
        for (name,) in sqlite_of(world.log()).connection.execute("SELECT DISTINCT type FROM events"):
            found.setdefault(name, []).append(seed)
        world.close()
        if all(len(seeds) >= _CHOICE for seeds in found.values()):
            break
    return {name: seeds[:_CHOICE] for name, seeds in found.items()}


@pytest.mark.heavy
def test_a_crash_hits_every_type_of_event_before_inside_and_after() -> None:
    """For every event the program writes there is a world that dies at it, in each of the three ways, and recovers."""
    seeds = _seeds_with()
    hits = {(name, where): _aim(seeds[name], name, where) for name in seeds for where in WHERE}
    for (name, where), seed in hits.items():
        sys.stdout.write(f"{name} {where}: {'never' if seed is None else f'seed {seed}'}\n")
    assert [pair for pair, seed in hits.items() if seed is None] == []


def _drawn(seed: int) -> Scenario:
    """A world; in every other one runs take money of their accounts at once."""
    scenario = Scenario.draw(seed)
    caps = scenario.account_caps.values()
    return evolve(scenario, account_advance=min(caps).part(1, 50)) if caps and seed % 2 else scenario


def _aim(seeds: list[int], name: str, where: str) -> int | None:
    """The seed whose world died as aimed at; another of its crashes may come in the way."""
    for seed in seeds:
        scenario = _drawn(seed)
        report = played(evolve(scenario, crashes=(*scenario.crashes, CrashPoint(1, where, name))))
        hit = report.world.store.hits[name, where]
        report.world.close()
        if hit:
            return seed
    return None
