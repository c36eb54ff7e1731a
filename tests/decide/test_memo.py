"""What deciding has worked out before changes no answer, and nothing of it is in the state."""

import gc
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.decide import BackendError, Memo, decide
from orchestrator.replay import verify
from orchestrator.state.fold import apply, fold
from orchestrator.state.run import RunState
from orchestrator.testing import Scenario, simulate
from orchestrator.testing.simulation.machine import sound_rank


@given(st.integers(0, 5_000))
def test_a_fresh_memo_never_changes_an_answer(seed: int) -> None:
    """At every event of real runs: one memo for the whole run, one that was another run's, and a fresh one."""
    kept, other = Memo(), Memo()
    rank = sound_rank()
    for history in simulate(Scenario.draw(seed)).histories.values():
        state = RunState()
        for at, event in history:
            apply(state, at, event)
            answers = []
            for memo in (kept, other, Memo()):
                try:
                    answers.append(decide(state, at, rank, memo))
                except BackendError as error:
                    answers.append(error.problem)  # type: ignore[arg-type]
            assert answers[0] == answers[1] == answers[2]
        kept = Memo()


def test_a_memo_is_built_anew_for_another_session() -> None:
    """A resumed run may know other models: what was looked up before is not asked again."""
    histories = [each for seed in range(20) for each in simulate(Scenario.draw(seed)).histories.values()]
    resumed = [each for each in histories if sum(isinstance(event, e.SessionOpened) for _, event in each) > 1]
    assert resumed
    for history in resumed:
        state, memo, rosters = RunState(), Memo(), []
        for at, event in history:
            apply(state, at, event)
            if isinstance(event, e.SessionOpened):
                rosters.append(memo.roster(state))
                assert memo.roster(state) is rosters[-1]
                assert rosters[-1].session is event
        assert len({id(each) for each in rosters}) == len(rosters)


@pytest.mark.parametrize("enabled", [True, False])
def test_folding_leaves_the_collector_alone(enabled: bool) -> None:
    """It belongs to the whole process, and other threads rely on it."""
    (history, *_) = simulate(Scenario.draw(1)).histories.values()
    before, seen = gc.isenabled(), set()

    def watched() -> Iterator[tuple[int, e.Event]]:
        for each in history:
            seen.add(gc.isenabled())
            yield each

    try:
        gc.enable() if enabled else gc.disable()
        fold(watched())
        assert seen == {enabled}
        assert gc.isenabled() is enabled
    finally:
        gc.enable() if before else gc.disable()


def test_replay_keeps_its_own_memo() -> None:
    """Every decision of a run follows again."""
    report = simulate(Scenario.draw(7))
    for history in report.histories.values():
        assert verify(history, lambda session: sound_rank()).decisions > 0
