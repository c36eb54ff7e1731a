"""The input stage in simulated worlds: killed anywhere, answered by anybody."""

from functools import cache

import pytest
from attrs import evolve

from orchestrator.events import ArchitectureDecided, PlanMade, QuestionAnswered, QuestionAsked, SpecEnhanced
from orchestrator.models import Role
from orchestrator.testing.simulation.equal_outcomes import same_outcome
from orchestrator.testing.simulation.simulator import WHERE, CrashPoint, Scenario, SimulationReport
from tests.simulation.plays import played, steady


@cache
def world() -> Scenario:
    """Suggestions, some taken and some refused, then advice, then a plan of five tasks."""
    scenario = steady(8, given=False, faulty=False)
    return evolve(scenario, settings=evolve(scenario.settings, enhance=True, advise=True, verify=False), person=True)


@cache
def whole() -> SimulationReport:
    """The world without a crash."""
    return played(world())


def appends_before_the_plan(report: SimulationReport) -> int:
    """The append that writes the plan; all of the input stage is before it."""
    history = report.histories["run-1"]
    end = next(at for at, event in history if isinstance(event, PlanMade))
    return len({at for at, _ in history if at <= end})


def test_the_world_has_both_answers() -> None:
    """What the other test kills is worth killing: several questions, a yes and a no, and advice that could be read."""
    history = [event for _, event in whole().histories["run-1"]]
    answers = {event.accepted for event in history if isinstance(event, QuestionAnswered)}
    assert answers == {True, False}
    ended = next(event for event in history if isinstance(event, SpecEnhanced))
    assert len(ended.taken) + len(ended.refused) >= 3
    assert next(event for event in history if isinstance(event, ArchitectureDecided)).problem is None


@pytest.mark.parametrize("where", WHERE)
def test_killed_in_the_input_stage_it_comes_to_the_same_end(where: str) -> None:
    """Whatever append kills it: the same suggestions are taken, the same texts stand, no question is answered twice."""
    expected, appends = whole().outcome("run-1"), appends_before_the_plan(whole())
    assert appends > 8
    for append in range(1, appends + 1):
        report = played(evolve(world(), crashes=(CrashPoint(append, where),)))
        assert report.crashes == 1
        assert same_outcome(expected, report.outcome("run-1")) == [], f"killed {where} append {append}"
        history = [event for _, event in report.histories["run-1"]]
        asked = [event.number for event in history if isinstance(event, QuestionAsked)]
        assert asked == list(range(1, len(asked) + 1))
        more = len(report.world.vendor.bills) - len(whole().world.vendor.bills)
        assert 0 <= more <= 1
        report.world.close()


def test_later_prompts_show_what_was_agreed_on() -> None:
    """Decomposer, authors and judges get the enhanced description, and the decomposer the architecture."""
    report = whole()
    texts, state = report.world.texts("run-1"), report.states["run-1"]
    assert state.start is not None
    assert texts.get(state.project) != texts.get(state.start.project)
    for node in (state.advise, state.plan, *state.tasks.values()):
        for key, call in node.calls.items():
            assert call.prepared is not None
            prompt = texts.get(call.prepared.prompt)
            assert texts.get(state.project) in prompt, key
            assert ("BEGIN ARCHITECTURE" in prompt) is (key.role is Role.DECOMPOSER)


def test_a_question_takes_no_time_of_the_run() -> None:
    """The person took minutes, the run's active time has none of them."""
    history = whole().histories["run-1"]
    waited, asked_at = 0, 0
    for at, event in history:
        if isinstance(event, QuestionAsked):
            asked_at = at
        elif isinstance(event, QuestionAnswered):
            waited += at - asked_at
    (first, _), (last, _) = history[0], history[-1]
    assert waited > 60_000_000
    assert whole().states["run-1"].active(last) == last - first - waited
