"""A choice by pairs in the simulator: killed at every append, with accounts that refuse, and with a cache."""

from functools import cache

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.decide.strategies import STRATEGIES
from orchestrator.models import TaskType
from orchestrator.testing.simulation.equal_outcomes import same_outcome
from orchestrator.testing.simulation.simulator import WHERE, CrashPoint, Scenario, SimulationReport
from tests.simulation.plays import played, steady


def scenario() -> Scenario:
    """One task in ``best_of``."""
    drawn = evolve(steady(4, given=True, faulty=False), tasks=1)
    return evolve(drawn, settings=evolve(drawn.settings, loop=dict.fromkeys(TaskType, STRATEGIES["best_of"])))


@cache
def whole() -> SimulationReport:
    """The run that is never killed."""
    report = played(scenario())
    (choice,) = [event for _, event in report.histories["run-1"] if isinstance(event, e.Compared)]
    assert len(choice.pairs) >= 2
    return report


@pytest.mark.parametrize("where", WHERE)
def test_a_choice_that_is_killed_at_any_append_comes_to_the_same_end(where: str) -> None:
    """The same result is chosen, of the same verdicts, and no answer that is on disk is asked for again."""
    expected, appends = whole().outcome("run-1"), whole().world.store.appends
    first = [event for _, event in whole().histories["run-1"] if isinstance(event, e.Compared)]
    for append in range(1, appends + 1):
        report = played(evolve(scenario(), crashes=(CrashPoint(append, where),)))
        assert report.crashes == 1
        assert same_outcome(expected, report.outcome("run-1")) == [], f"killed {where} append {append}"
        again = [event for _, event in report.histories["run-1"] if isinstance(event, e.Compared)]
        assert [_verdicts(each) for each in again] == [_verdicts(each) for each in first]
        assert len(report.world.vendor.bills) - len(whole().world.vendor.bills) <= report.outcome("run-1").lost
        report.world.close()


def _verdicts(choice: e.Compared) -> tuple[object, ...]:
    """All but the version of a call, which a session more changes."""
    return choice.candidates, choice.pairs, choice.iteration, choice.stopped


@pytest.mark.parametrize("seed", [3758, 7664])
def test_worlds_that_once_broke_a_law(seed: int) -> None:
    """Time ends while a comparison is in flight: the choice waits for it. A cut answer is asked for again, shrunk."""
    played(Scenario.draw(seed))
