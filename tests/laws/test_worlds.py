"""The laws over worlds that Hypothesis chooses."""

from attrs import evolve as changed
from hypothesis import given

from orchestrator import events as e
from orchestrator.money import Usd
from orchestrator.replay import verify
from orchestrator.state.fold import evolve, fold
from orchestrator.testing.laws import Laws, broken_laws
from orchestrator.testing.ledgers import broken_accounts, broken_books
from orchestrator.testing.simulator import Scenario, simulate, sound_rank
from orchestrator.testing.strategies import scenarios
from tests.simulation.test_live_state import Shadow


@given(scenarios())
def test_no_run_breaks_a_law_of_money_order_or_review(scenario: Scenario) -> None:
    """Holds, conservation, dependencies, concurrency, tries, breakers, policies: whatever the world."""
    report = simulate(scenario)
    assert [problem for history in report.histories.values() for problem in broken_laws(history)] == []
    assert broken_accounts(report.accounts, report.histories) == []
    assert broken_books(report.world.vendor.books, report.histories) == []
    report.world.close()


@given(scenarios())
def test_every_decision_of_every_run_is_computed_again(scenario: Scenario) -> None:
    """``verify`` finds no difference in any generated run, and computes every decision."""
    report = simulate(scenario)
    for history in report.histories.values():
        found = verify(history, lambda session: sound_rank())
        assert (found.differences, found.foreign, found.not_recomputable) == ((), (), ())
        assert found.decisions == sum(isinstance(event, e.Decision | e.AccountRefused) for _, event in history)
    report.world.close()


@given(scenarios())
def test_the_live_state_is_the_fold_of_every_prefix(scenario: Scenario) -> None:
    """At the end of every step the state of the session equals the fold of what is on disk."""
    shadow = Shadow()
    report = simulate(scenario, shadow)
    # where nothing can be asked the run ends in its first step: killed just after it, there is nothing to compare
    assert shadow.compared or scenario.crashes or scenario.decide_fails
    report.world.close()


@given(scenarios())
def test_the_fold_goes_on_from_any_prefix(scenario: Scenario) -> None:
    """Folding a history in two parts gives what folding it at once gives."""
    report = simulate(scenario)
    for history in report.histories.values():
        middle = len(history) // 2
        assert fold(history[middle:], fold(history[:middle])) == fold(history)
    report.world.close()


@given(scenarios())
def test_an_excess_needs_a_vendor_that_bills_beyond_its_bound(scenario: Scenario) -> None:
    """Excess is 0 in a world whose vendor keeps to its bounds, and settled + held stays within the cap."""
    honest = changed(scenario, faults=tuple(fault for fault in scenario.faults if fault != "over_bound"))
    report = simulate(honest)
    for history in report.histories.values():
        laws, state = Laws(), None
        for at, event in history:
            laws.take(at, event)
            assert laws.excess == Usd.ZERO
            state = evolve(state if state is not None else fold([]), at, event)
            assert state.spend.settled + state.held <= state.cap
    report.world.close()
