"""The axis of time, and what was asked on it."""

from orchestrator import events as e
from orchestrator.money import Usd
from orchestrator.testing.simulation.scenario import Scenario
from orchestrator.testing.simulation.simulator import simulate
from orchestrator_insight.timeline import TimelineReader


def test_every_attempt_is_on_the_axis_with_what_it_cost() -> None:
    """Over worlds with crashes: as many attempts as the log has, the run's whole spend, times in order, on the axis."""
    sessions = 0
    for seed in range(12):
        report = simulate(Scenario.draw(seed))
        for run, history in report.histories.items():
            chronicler = TimelineReader()
            for at, event in history:
                chronicler.take(at, event)
            line = chronicler.line
            started = [event for _, event in history if isinstance(event, e.CallStarted)]
            assert len(line.attempts) == len(started)
            spent = sum((attempt.cost for attempt in line.attempts), Usd.ZERO)
            assert spent == report.states[run].spend.total
            assert sum(line.spend_by_model.values(), Usd.ZERO) == spent
            assert sum(line.spend_by_phase.values(), Usd.ZERO) == spent
            for attempt in line.attempts:
                assert attempt.ended_at is not None
                assert attempt.selected_at <= attempt.started_at <= attempt.ended_at
                assert 0.0 <= line.place(attempt.started_at) <= line.place(attempt.ended_at) <= 1.0
            sessions = max(sessions, len(line.sessions))
            opened = sum(isinstance(event, e.SessionOpened) for _, event in history)
            assert len(line.sessions) == opened
            assert line.sessions[-1].end == "finished"
        report.world.close()
    assert sessions > 1, "no world of these crashed"
