"""The question of risk in simulated worlds: killed anywhere around it, answered by somebody who changes their mind."""

from functools import cache

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.models import ProjectStatus, RiskLevel
from orchestrator.testing.simulation.simulator import WHERE, CrashPoint, Scenario, SimulationReport
from tests.simulation.plays import played, steady

_SEEDS = range(4, 40)


def world(seed: int) -> Scenario:
    """Five given tasks, a ceiling that their forecast nearly reaches, and somebody to ask."""
    scenario = steady(seed, given=True, faulty=False)
    history = played(scenario).histories["run-1"]
    expected = next(event.expected for _, event in history if isinstance(event, e.ForecastMade))
    return evolve(scenario, settings=evolve(scenario.settings, cap=expected.part(10, 9), verify=False), person=True)


@cache
def whole() -> SimulationReport:
    """The first world in which the person says no before they say yes."""
    for seed in _SEEDS:
        report = played(world(seed))
        if len(answers(report)) > 1:
            return report
        report.world.close()
    raise AssertionError("no seed has a no")


def answers(report: SimulationReport) -> list[bool]:
    """What was said, in its order."""
    return [event.accepted for _, event in report.histories["run-1"] if isinstance(event, e.QuestionAnswered)]


def test_a_no_ends_the_session_and_the_next_one_asks_again() -> None:
    """Each no interrupts the run in its own step; with the yes the tasks start; no question follows."""
    history = whole().histories["run-1"]
    assert next(event.risk for _, event in history if isinstance(event, e.ForecastMade)) is RiskLevel.HIGH
    said = answers(whole())
    assert said == [False] * (len(said) - 1) + [True]
    events = [event for _, event in history]
    for index, (at, event) in enumerate(history):
        if isinstance(event, e.QuestionAnswered) and not event.accepted:
            assert history[index + 1] == (at, e.RunInterrupted(e.DECLINED))
    assert [event.number for event in events if isinstance(event, e.QuestionAsked)] == list(range(1, len(said) + 1))
    first = next(index for index, event in enumerate(events) if isinstance(event, e.TaskStarted))
    assert not any(isinstance(event, e.QuestionAsked) for event in events[first:])
    assert whole().states["run-1"].finished is not None


def test_the_person_takes_none_of_the_run_s_time() -> None:
    """Minutes at the questions, and those between the sessions, are no active time."""
    state, history = whole().states["run-1"], whole().histories["run-1"]
    waited = asked_at = 0
    for at, event in history:
        if isinstance(event, e.QuestionAsked):
            asked_at = at
        elif isinstance(event, e.QuestionAnswered):
            waited += at - asked_at
    (first, _), (last, _) = history[0], history[-1]
    assert waited > 60_000_000
    assert state.active(last) <= last - first - waited


@pytest.mark.parametrize("where", WHERE)
def test_killed_at_the_question_nothing_is_started_without_a_yes(where: str) -> None:
    """Whatever append kills it: what was said and recorded stays said, and every law holds to the end."""
    history = whole().histories["run-1"]
    begun = next(at for at, event in history if isinstance(event, e.TaskStarted))
    appends = len({at for at, _ in history if at <= begun})
    assert appends >= 4
    for append in range(1, appends + 1):
        report = played(evolve(whole().world.scenario, crashes=(CrashPoint(append, where),)))
        assert report.crashes == 1
        assert answers(report).count(True) == 1
        finished = report.states["run-1"].finished
        assert finished is not None
        assert finished.status is not ProjectStatus.SYSTEM_FAILURE
        report.world.close()
