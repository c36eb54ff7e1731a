"""What other rules would have done: nothing changes nothing, and what changes is exact or said to be unknown."""

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.decide.strategies import STRATEGIES
from orchestrator.models import ModelInfo, ProjectStatus, Role, TaskType, is_comparison
from orchestrator.money import Price, Usd
from orchestrator.policy import Policy
from orchestrator.state.calls import CallKey
from orchestrator.testing.simulation.simulator import (
    CrashPoint,
    History,
    Scenario,
    SimulationReport,
    simulate,
    sound_rank,
)
from orchestrator_insight.rehearsal.recorded import Basis, record
from orchestrator_insight.rehearsal.whatif import ChangeReason, Rules, Whatif, whatif
from tests.simulation.plays import steady


def _again(history: History, rules: Rules) -> Whatif:
    return whatif(history, rules, sound_rank(), sound_rank())


def _alone(seed: int) -> Scenario:
    """A drawn world with all its faults and tight budgets, but one run that nothing kills and no account binds."""
    drawn = Scenario.draw(seed)
    return evolve(
        drawn,
        runs=1,
        settings=evolve(drawn.settings, accounts=()),
        account_caps={},
        crashes=(),
        interrupt_after=(),
        decide_fails=0.0,
        backend_fails=0.0,
        raises=0,
        reconciles=0.0,
        messages=(),
    )


@pytest.mark.parametrize("seed", range(24))
def test_without_another_rule_nothing_is_different(seed: int) -> None:
    """The play under the run's own rules is the run: the same calls, the same spend, the same end."""
    report = simulate(_alone(seed))
    found = _again(report.histories["run-1"], Rules())
    state = report.states["run-1"]
    assert state.finished is not None
    assert (found.changes, found.difference, found.repriced, found.faithful) == ((), Usd.ZERO, Usd.ZERO, True)
    assert (found.was.status, found.was.spend) == (state.finished.status, state.spend.total)
    assert found.was == found.now
    report.world.close()


@pytest.fixture(scope="module")
def report() -> SimulationReport:
    """A run of five tasks without trouble."""
    found = simulate(steady(4, given=True, faulty=False))
    found.world.close()
    return found


def _models(report: SimulationReport) -> tuple[ModelInfo, ...]:
    return report.world.scenario.models


def test_other_prices_cost_exactly_the_recorded_tokens(report: SimulationReport) -> None:
    """Twice the price of every model is twice the cost of every call, and no other model is called."""
    twice = {
        each.id: Price(Usd(2 * each.price.input.nano), Usd(2 * each.price.output.nano))
        for each in _models(report)
        if each.price is not None
    }
    history = report.histories["run-1"]
    found = _again(history, Rules(prices=twice))
    usages = [event.usage for _, event in history if isinstance(event, e.CallSucceeded)]
    called = [event.model for _, event in history if isinstance(event, e.CallStarted)]
    assert found.changes == ()
    asked = {version: event for version, (_, event) in enumerate(history, 1) if isinstance(event, e.CallStarted)}
    expected = sum(
        twice[asked[event.call].model].cost(event.usage).nano
        for _, event in history
        if isinstance(event, e.CallSucceeded) and event.usage is not None
    )
    assert len(usages) == len(called) == found.now.calls
    assert found.now.spend == found.now.exact == Usd(expected)
    assert found.repriced == found.difference


def test_a_policy_changes_what_it_forbids_and_the_quality_is_unknown(report: SimulationReport) -> None:
    """Who was asked is asked no more, the reason is told, and the stand-ins are no part of what is exact."""
    history = report.histories["run-1"]
    forbidden = next(event.model for _, event in history if isinstance(event, e.CallStarted))
    found = _again(history, Rules(policies=(Policy("not_that_one", blocked_models=(forbidden,)),)))
    drafts = [change for change in found.changes if change.key.role is Role.GENERATOR]
    assert drafts
    assert {change.was for change in drafts} == {forbidden}
    assert {change.policy for change in drafts} == {"not_that_one"}
    assert forbidden not in found.now.models.values()
    assert found.now.exact < found.now.spend
    assert found.was.exact == found.was.spend


def test_a_smaller_budget_refuses_calls_and_a_larger_one_makes_them(report: SimulationReport) -> None:
    """With a tenth of the money calls are refused; the run that had so little would have made them with more."""
    history = report.histories["run-1"]
    poor = _again(history, Rules(cap=report.states["run-1"].spend.total.part(1, 3)))
    assert poor.now.status is not ProjectStatus.SUCCESS
    assert poor.now.refused
    assert poor.now.spend < poor.was.spend
    assert {change.why for change in poor.changes} & {ChangeReason.NOT_CALLED, ChangeReason.NO_MONEY}

    scenario = steady(4, given=True, faulty=False)
    short = simulate(evolve(scenario, settings=evolve(scenario.settings, cap=poor.now.spend)))
    rich = _again(short.histories["run-1"], Rules(cap=Usd.parse(1000)))
    assert rich.was.refused
    assert rich.now.refused == ()
    assert any(change.was is None for change in rich.changes), "calls that were never made"
    assert rich.now.exact < rich.now.spend, "what they would have cost is unknown"
    short.world.close()


def test_a_choice_by_pairs_is_played_as_it_was_and_unknown_verdicts_are_ties(report: SimulationReport) -> None:
    """The recorded verdicts choose the same; where nothing was compared, the earliest of the samples is taken."""
    loops = {name: dict.fromkeys(TaskType, STRATEGIES[name]) for name in ("best_of", "plain")}
    scenario = steady(4, given=True, faulty=False)
    pairs = simulate(evolve(scenario, settings=evolve(scenario.settings, loop=loops["best_of"])))
    pairs.world.close()
    own = _again(pairs.histories["run-1"], Rules())
    assert (own.changes, own.difference, own.faithful) == ((), Usd.ZERO, True)
    plain = _again(pairs.histories["run-1"], Rules(loop=loops["plain"]))
    assert {each.key.role for each in plain.changes if is_comparison(each.key.sample)} == {Role.EVALUATOR}
    found = _again(report.histories["run-1"], Rules(loop=loops["best_of"]))
    assert any(is_comparison(each.key.sample) and each.why is ChangeReason.NEW for each in found.changes)
    assert found.now.status is not None


def test_a_crash_is_left_out_and_said_so() -> None:
    """Of a run that was killed the answers are taken; the attempt that was lost is not in the play."""
    scenario = _alone(9)
    report = simulate(evolve(scenario, crashes=(CrashPoint(20, "after"), CrashPoint(40, "after"))))
    found = _again(report.histories["run-1"], Rules())
    assert report.crashes
    assert (found.changes, found.difference) == ((), Usd.ZERO)
    recording = record(report.histories["run-1"])
    rejection = sum(
        len(event.ended) for _, event in report.histories["run-1"] if isinstance(event, e.SessionOpened | e.SessionLost)
    )
    assert sum(len(ends) for call in recording.calls.values() for ends in call.ends.values()) + rejection == sum(
        isinstance(event, e.CallStarted) for _, event in report.histories["run-1"]
    )
    report.world.close()


def test_a_run_without_a_session_cannot_be_told(report: SimulationReport) -> None:
    """Nothing was decided in it."""
    with pytest.raises(ValueError, match="nothing was decided"):
        _again(report.histories["run-1"][:1], Rules())


def test_what_was_never_asked_is_invented_and_marked(report: SimulationReport) -> None:
    """A call beyond the recording costs what is expected of it, within its hold."""
    recording = record(report.histories["run-1"])
    opened = recording.opened
    state = report.states["run-1"]
    model = opened.models[0]
    beyond = CallKey(next(iter(state.tasks)), Role.GENERATOR, 9, 1)
    started = e.CallStarted(1, *beyond, 1, 1, "simulated", model.id, 500, 800, Usd.parse("0.5"), 10**9)
    delay, end = recording.called(state, 7, started)
    assert recording.basis == {7: Basis.INVENTED}
    assert isinstance(end, e.CallSucceeded)
    assert Usd.ZERO < end.settled <= started.hold
    assert delay > 0


def test_another_ceiling_is_played_as_if_somebody_agreed() -> None:
    """Where a person can be asked, and said no first, a play goes through all the same: its question is what if."""
    scenario = evolve(steady(4, given=True, faulty=False), person=True)
    history = simulate(scenario).histories["run-1"]
    expected = next(event.expected for _, event in history if isinstance(event, e.ForecastMade))
    tight = expected.part(10, 9)
    lower = _again(history, Rules(cap=tight))
    assert not any(isinstance(event, e.QuestionAsked) for _, event in history)
    assert lower.now.status is not None
    asked = simulate(evolve(scenario, settings=evolve(scenario.settings, cap=tight)))
    said = [event.accepted for _, event in asked.histories["run-1"] if isinstance(event, e.QuestionAnswered)]
    assert said[-1]
    assert _again(asked.histories["run-1"], Rules()).was.status is asked.states["run-1"].finished.status  # type: ignore[union-attr]
