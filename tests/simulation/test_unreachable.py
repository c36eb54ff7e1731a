"""Dead accounts and hosts in whole simulated runs: how many attempts and how much virtual time they take."""

from itertools import pairwise
from typing import Any

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import ProjectStatus
from orchestrator.money import Price, Usd
from orchestrator.settings import SECOND
from orchestrator.testing.decide_by_hand import model
from orchestrator.testing.laws import broken_laws
from orchestrator.testing.simulation.simulator import CrashPoint, Scenario, SimulationReport
from tests.simulation.plays import played, steady

CHEAP = Price(Usd.parse("0.1"), Usd.parse("0.4"))
NORTH = [model(f"n{number}", "north", price=CHEAP, account="north", host="north.example") for number in range(24)]
SOUTH = [model(f"s{number}", "south", price=CHEAP, account="south", host="south.example") for number in range(4)]
FOREVER = 1e9


def world(**changes: object) -> Scenario:
    """Five given tasks on twenty-four models of one vendor and four of another, in the routing table's order."""
    base = steady(4, given=True, faulty=False)
    settings = evolve(base.settings, routing={}, concurrency=3, verify=False)
    given: dict[str, object] = {"models": (*NORTH, *SOUTH), "settings": settings, "check_faults": 0.0, "slowest": 2.0}
    return evolve(base, **{**given, **changes})  # type: ignore[arg-type]


def failures(report: SimulationReport, kind: ErrorKind) -> list[int]:
    """When calls failed so."""
    history = report.histories["run-1"]
    return [at for at, event in history if isinstance(event, e.CallFailed) and event.kind is kind]


def span(report: SimulationReport) -> float:
    """Virtual seconds from the first event to the last."""
    history = report.histories["run-1"]
    return (history[-1][0] - history[0][0]) / SECOND


def opened(report: SimulationReport) -> list[e.BreakerOpened]:
    """The circuits that were opened."""
    return [event for _, event in report.histories["run-1"] if isinstance(event, e.BreakerOpened)]


def status(report: SimulationReport) -> ProjectStatus:
    """How the run ended."""
    finished = report.states["run-1"].finished
    assert finished is not None
    return finished.status


def test_a_broke_account_costs_no_more_calls_than_are_in_flight() -> None:
    """Of twenty-four models at most three calls, one circuit, no pause; the other vendor does all the work."""
    report = played(world(broke=("north",)))
    assert 1 <= len(failures(report, ErrorKind.QUOTA)) <= 3
    assert [(event.reason, event.account, event.until) for event in opened(report)] == [("quota", "north", None)]
    assert status(report) in (ProjectStatus.SUCCESS, ProjectStatus.PARTIAL_SUCCESS)
    calls = [event.model for _, event in report.histories["run-1"] if isinstance(event, e.CallStarted)]
    assert set(calls[6:]) <= {each.id for each in SOUTH}


def test_with_every_account_broke_the_run_ends_at_once() -> None:
    """At most three calls an account, in the seconds that these take; nothing is spent."""
    report = played(world(broke=("north", "south")))
    assert len(failures(report, ErrorKind.QUOTA)) <= 6
    assert span(report) < 15
    assert status(report) is ProjectStatus.SYSTEM_FAILURE
    assert report.states["run-1"].spend.total == Usd.ZERO


def test_offline_from_the_start_is_known_in_ten_seconds() -> None:
    """No host answers: ten to thirteen virtual seconds and at most a dozen attempts per host for five tasks."""
    report = played(world(outages=(("north.example", 0.0, FOREVER), ("south.example", 0.0, FOREVER))))
    assert status(report) is ProjectStatus.SYSTEM_FAILURE
    assert 10 <= span(report) <= 13
    assert len(failures(report, ErrorKind.UNREACHABLE)) <= 24
    given_up = [event.host for event in opened(report) if event.until is None]
    assert sorted(given_up, key=str) == ["north.example", "south.example"]


@pytest.mark.parametrize("crashes", [(), (CrashPoint(40, "after"), CrashPoint(70, "before"))])
def test_an_outage_in_the_middle_is_waited_for(crashes: tuple[CrashPoint, ...]) -> None:
    """Both hosts are away for two minutes: the run waits, uses no try up, and ends as it would have."""
    away = tuple((host, 4.0, 124.0) for host in ("north.example", "south.example"))
    report, undisturbed = played(world(outages=away)), played(world())
    assert status(report) is status(undisturbed)
    assert failures(report, ErrorKind.UNREACHABLE)
    assert all(event.until is not None for event in opened(report))
    assert span(report) <= span(undisturbed) + 120 + 15
    waits = [
        event.until - at
        for at, event in report.histories["run-1"]
        if isinstance(event, e.BreakerOpened) and event.until is not None
    ]
    assert max(waits) <= 10 * SECOND
    history = [event for _, event in report.histories["run-1"]]
    assert all(not event.by_vendor for event in history if isinstance(event, e.CallFailed))
    if crashes:
        crashed = played(world(outages=away, crashes=crashes))
        assert crashed.states["run-1"].finished is not None


def test_the_first_host_that_comes_back_does_the_work() -> None:
    """Both are away, one for half a minute and one for good: calls that were left waiting for that one return."""
    away = (("north.example", 4.0, 34.0), ("south.example", 4.0, FOREVER))
    alone = (NORTH[0], SOUTH[0])
    report, undisturbed = played(world(outages=away, models=alone)), played(world(models=alone))
    assert status(report) is status(undisturbed)
    assert span(report) <= span(undisturbed) + 30 + 30


def test_a_host_that_stays_away_is_given_up_after_the_outage() -> None:
    """Five minutes from the first failure; each attempt, and so each line, at most ten seconds after the other."""
    report = played(world(outages=(("north.example", 4.0, FOREVER), ("south.example", 4.0, FOREVER))))
    times = [at for at, event in report.histories["run-1"] if isinstance(event, e.BreakerOpened)]
    assert 300 <= (times[-1] - times[0]) / SECOND <= 312
    assert max(later - earlier for earlier, later in pairwise(times)) <= 11 * SECOND
    assert len(failures(report, ErrorKind.UNREACHABLE)) <= 80


def test_one_host_away_delays_nothing() -> None:
    """The other vendor's models are asked at once; the dead host is probed in passing, and given up."""
    report, undisturbed = played(world(outages=(("north.example", 0.0, FOREVER),))), played(world())
    assert status(report) in (ProjectStatus.SUCCESS, ProjectStatus.PARTIAL_SUCCESS)
    assert span(report) <= span(undisturbed) + 30
    assert len(failures(report, ErrorKind.UNREACHABLE)) <= 12


def _refused(event: e.CallFailed) -> e.Event:
    return evolve(event, unreconciled=Usd(1))


def _by_vendor(event: e.CallFailed) -> e.Event:
    return evolve(event, kind=ErrorKind.SERVER, by_vendor=True, status=500)


def _for_good(event: e.BreakerOpened) -> e.Event:
    return evolve(event, until=None)


def _elsewhere(event: e.BreakerOpened) -> e.Event:
    return evolve(event, host=None)


@pytest.mark.parametrize(
    ("kind", "change", "breach"),
    [
        (e.CallFailed, _refused, "money of an attempt that reached no host"),
        (e.CallFailed, _by_vendor, "is given up, and no attempt failed to reach it"),
        (e.BreakerOpened, _for_good, "is given up too soon or too late"),
        (e.BreakerOpened, _elsewhere, "a probe, and no breaker is open, or the reverse"),
    ],
)
def test_an_audit_finds_what_is_wrong_with_a_host(kind: type[e.Event], change: Any, breach: str) -> None:
    """Each planted breach in the history of an outage that passed."""
    away = tuple((host, 4.0, 24.0) for host in ("north.example", "south.example"))
    history = played(world(outages=away)).histories["run-1"]
    index = next(number for number, (_, event) in enumerate(history) if isinstance(event, kind))
    at, event = history[index]
    planted = [*history[:index], (at, change(event)), *history[index + 1 :]]
    assert any(breach in problem for problem in broken_laws(planted))


def test_an_audit_finds_a_call_to_a_model_of_a_broke_account() -> None:
    """Whichever of its models it is."""
    history = played(world(broke=("north",))).histories["run-1"]
    index = next(number for number, (_, event) in enumerate(history) if isinstance(event, e.BreakerOpened))
    before = next(event for _, event in history if isinstance(event, e.ModelSelected) and event.model == "n0")
    called = evolve(before, node="t5", model="n7")
    planted = [*history[: index + 1], (history[index][0], called)]
    assert any("n7 is off for the session" in problem for problem in broken_laws(planted))
