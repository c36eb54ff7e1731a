"""The laws over worlds that Hypothesis chooses."""

from attrs import evolve as changed
from hypothesis import given

from orchestrator import events as e
from orchestrator.money import Usd
from orchestrator.replay import verify
from orchestrator.state.fold import apply, fold
from orchestrator.testing.bills_and_accounts import broken_accounts, broken_bills
from orchestrator.testing.laws import Laws, broken_laws
from orchestrator.testing.simulation.simulator import History, Scenario, SimulationReport, simulate, sound_rank
from orchestrator.testing.strategies import scenarios
from tests.simulation.test_live_state import Shadow


@given(scenarios())
def test_no_world_breaks_a_law(scenario: Scenario) -> None:
    """One play of a world, read by every law: they need two hundred worlds each, and not each its own."""
    shadow = Shadow()
    report = simulate(_advancing(scenario), shadow)
    _keeps_the_laws_of_money_order_and_review(report)
    for history in report.histories.values():
        _is_computed_again(history)
        _folds_on_from_its_middle(history)
    # where nothing can be asked the run ends in its first step: killed just after it, there is nothing to compare
    assert shadow.compared or scenario.crashes or scenario.decide_fails
    report.world.close()


def _advancing(scenario: Scenario) -> Scenario:
    """In every other world runs take money of their accounts at once, in small amounts or in large ones."""
    caps = scenario.account_caps.values()
    if not caps or scenario.seed % 2:
        return scenario
    return changed(scenario, account_advance=min(caps).part(1, 200 if scenario.seed % 4 else 20))


def _keeps_the_laws_of_money_order_and_review(report: SimulationReport) -> None:
    """Holds, conservation, dependencies, concurrency, tries, breakers, policies: whatever the world."""
    assert [problem for history in report.histories.values() for problem in broken_laws(history)] == []
    assert broken_accounts(report.accounts, report.histories) == []
    assert broken_bills(report.world.vendor.bills, report.histories) == []


def _is_computed_again(history: History) -> None:
    """``verify`` finds no difference in any generated run, and computes every decision."""
    found = verify(history, lambda session: sound_rank())
    assert (found.differences, found.foreign, found.not_recomputable) == ((), (), ())
    assert found.decisions == sum(isinstance(event, e.Decision | e.AccountRefused) for _, event in history)


def _folds_on_from_its_middle(history: History) -> None:
    """Folding a history in two parts gives what folding it at once gives."""
    middle = len(history) // 2
    assert fold(history[middle:], fold(history[:middle])) == fold(history)


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
            state = apply(state if state is not None else fold([]), at, event)
            assert state.spend.settled + state.held <= state.cap
    report.world.close()
