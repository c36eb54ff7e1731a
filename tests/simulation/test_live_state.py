"""The state of a live run is the fold of its log."""

import pytest

from orchestrator import events as e
from orchestrator.engine.session import Session
from orchestrator.state.fold import apply, fold
from orchestrator.state.run import RunState
from orchestrator.testing.simulation.simulator import Scenario, simulate
from tests.simulation.plays import played, steady


class Shadow:
    """Folds what is committed, read back from the log, and compares it with the live state at the end of each step."""

    def __init__(self) -> None:
        self.compared = 0
        self.states: dict[str, RunState] = {}
        self._sessions: dict[str, Session] = {}

    def __call__(self, run: str, session: Session, version: int, at: int, event: e.Event) -> None:
        """Take one committed event."""
        if self._sessions.get(run) is not session:
            self._sessions[run] = session
            before = session.stream.log.read(run, upto=version - 1)
            self.states[run] = fold((record.at, record.event) for record in before)
        stored = next(session.stream.log.read(run, after=version - 1, upto=version))
        assert (stored.version, stored.at, stored.event) == (version, at, event)
        state = apply(self.states[run], stored.at, stored.event)
        assert state.version == version
        if version == session.state.version:
            assert state == session.state
            self.compared += 1


@pytest.mark.parametrize("start", range(0, 60, 30))
def test_the_live_state_is_the_fold_of_the_log(start: int) -> None:
    """After every step of every session, of every run, the live state equals the fold of what is on disk."""
    for seed in range(start, start + 30):
        shadow = Shadow()
        report = played(Scenario.draw(seed), shadow)
        assert shadow.compared >= len(report.histories)
        for run, state in report.states.items():
            if report.world.scenario.crashes == () and state.version == shadow.states[run].version:
                assert shadow.states[run] == state


def test_a_drifting_state_is_noticed() -> None:
    """A live state that something else changed is not equal to the fold."""
    shadow = Shadow()

    def meddling(run: str, session: Session, version: int, at: int, event: e.Event) -> None:
        if version == 5:
            session.state.plan.refused_before += 1
        shadow(run, session, version, at, event)

    with pytest.raises(AssertionError):
        simulate(steady(0, given=True, faulty=False), meddling)
