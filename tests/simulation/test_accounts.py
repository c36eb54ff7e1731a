"""Accounts over several runs: two levels, one process after another, and no run starves."""

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.models import ProjectStatus
from orchestrator.money import Price, Usd
from orchestrator.settings import RunSettings
from orchestrator.testing.decide_by_hand import model
from orchestrator.testing.simulation.simulator import Scenario, SimulationReport
from tests.simulation.plays import played, steady


def _world(seed: int, org: Usd, team: Usd, runs: int = 3) -> Scenario:
    """Several runs below a team below an organisation, with ample money of their own."""
    base = steady(seed, given=True, faulty=False)
    return evolve(
        base,
        runs=runs,
        tasks=3,
        settings=evolve(base.settings, accounts=("org", "team/eng")),
        account_caps={"org": org, "team/eng": team},
    )


def _statuses(report: SimulationReport) -> list[ProjectStatus]:
    return [state.finished.status for state in report.states.values() if state.finished is not None]


def _refusals(report: SimulationReport, kind: type[e.AccountRefused] | type[e.SpendRefused]) -> list[e.Event]:
    return [event for history in report.histories.values() for _, event in history if isinstance(event, kind)]


def _starts(report: SimulationReport) -> list[e.CallStarted]:
    return [event for history in report.histories.values() for _, event in history if isinstance(event, e.CallStarted)]


def test_ample_accounts_refuse_nothing() -> None:
    """With enough for all no call waits, and both levels count the same."""
    report = played(_world(3, Usd.parse(1000), Usd.parse(900)))
    assert _refusals(report, e.AccountRefused) == []
    totals = {name: history[-1][1].totals for name, history in report.accounts.items()}  # type: ignore[attr-defined]
    assert (
        totals["org"].settled
        == totals["team/eng"].settled
        == Usd(sum(state.spend.settled.nano for state in report.states.values()))
    )


def test_the_tighter_level_binds() -> None:
    """Whichever of the two has less free refuses, by its name."""
    for org, team, name in (("1000", "0.000001", "team/eng"), ("0.000001", "1000", "org")):
        report = played(_world(3, Usd.parse(org), Usd.parse(team)))
        refused = [event for event in _refusals(report, e.SpendRefused) if isinstance(event, e.SpendRefused)]
        assert {event.name for event in refused} == {name}
        assert set(_statuses(report)) == {ProjectStatus.BUDGET_EXHAUSTED}


@pytest.mark.parametrize("part", [0, 1, 10])
def test_runs_that_can_take_turns_all_come_to_their_end(part: int) -> None:
    """An account that fits one large hold at a time: every run waits, none is refused for good.

    Nor where runs take a part of it at once, in hundredths.
    """
    waited = 0
    for seed in range(8):
        quick = evolve(_world(seed, Usd.parse(1000), Usd.parse(1000)), slowest=2.0)
        free = played(quick)
        largest = max(event.hold for event in _starts(free))
        spent = sum(state.spend.total.nano for state in free.states.values())
        cap = Usd(spent + 2 * largest.nano)
        advance = cap.part(part, 100)
        report = played(evolve(quick, account_caps={"org": cap, "team/eng": cap}, account_advance=advance))
        assert _refusals(report, e.SpendRefused) == [], f"seed {seed}"
        assert all(status.is_closed for status in _statuses(report)), f"seed {seed}"
        waited += len(_refusals(report, e.AccountRefused))
    assert waited > 0


def test_a_run_that_can_afford_a_cheaper_model_is_not_refused() -> None:
    """The dear model first in the row does not fit the account; the cheap one does, and does the work."""
    dear = model("dear", "north", price=Price(Usd.parse(500), Usd.parse(2000)), slots=("gemini-2.5-flash",))
    cheap = model("cheap", "south")
    world = evolve(
        _world(2, Usd.parse(1), Usd.parse(1), runs=2),
        models=(dear, cheap),
        settings=RunSettings(cap=Usd.parse(1000), accounts=("org", "team/eng"), simulated=True),
    )
    report = played(world)
    assert {event.model for event in _starts(report)} == {"cheap"}
    assert all(task.output is not None for state in report.states.values() for task in state.tasks.values())
