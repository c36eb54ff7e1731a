"""The fold by itself: what it refuses, what it counts, and how its heaps keep order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.models import ProjectStatus, TaskType
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator.state.fold import apply, fold
from orchestrator.state.model_health import Measured, ModelRecord
from orchestrator.state.run import RunState
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.simulation.simulator import Scenario, simulate

OF_OTHER_STREAMS = e.AccountEvent | e.ArchiveEvent | e.EvalEvent | e.WorkerEvent


@pytest.mark.parametrize("event", [cls for cls in e.TYPES.values() if issubclass(cls, OF_OTHER_STREAMS)])
def test_an_event_of_an_account_is_none_of_a_run(event: type[e.Event]) -> None:
    """The fold of a run refuses what belongs into another stream."""
    with pytest.raises(ValueError, match="is not an event of a run"):
        apply(RunState(), 1, object.__new__(event))


def test_an_event_that_refers_to_nothing_is_refused() -> None:
    """An outcome of no effect, a task that is not planned: ValueError with the version."""
    for event in (e.TaskStarted("unknown"), e.CallPrepared(7, "0", 1), e.FileWritten(7, 1, None)):
        with pytest.raises(ValueError, match="at version 1 refers to nothing"):
            fold([(1, event)])


@pytest.mark.parametrize("cls", [cls for cls in e.TYPES.values() if not issubclass(cls, OF_OTHER_STREAMS)])
def test_every_event_of_a_run_is_folded(cls: type[e.Event]) -> None:
    """A new event cannot be forgotten: each class but the accounts' has its handler."""
    problem = ""
    try:
        apply(RunState(), 1, object.__new__(cls))
    except (ValueError, AttributeError) as error:  # an event without its fields can be folded by few
        problem = str(error)
    assert "is not an event of a run" not in problem


def test_heaps_are_empty_at_the_end_and_counts_are_nought() -> None:
    """Whatever happened in a run, nothing is left over in its state."""
    for seed in range(40):
        report = simulate(Scenario.draw(seed))
        for state in report.states.values():
            assert (state.ready, state.blocked, state.running, state.pending) == ([], [], [], {})
            assert (state.in_flight, state.in_flight_held) == (0, Usd.ZERO)
            assert state.unfinished == 0
        report.world.close()


@given(st.lists(st.integers(0, 100_000), min_size=1, max_size=120))
def test_p95_is_the_nearest_rank_over_the_last_fifty(latencies: list[int]) -> None:
    """Arrival order decides which fifty; the record's order is not disturbed by asking."""
    record = ModelRecord()
    record.latencies.extend(latencies)
    window = sorted(latencies[-50:])
    rank = -(-95 * len(window) // 100)
    assert record.p95_ms == window[rank - 1]
    assert list(record.latencies) == latencies[-50:]


def test_averages_are_exponential_and_trust_falls_faster_than_it_rises() -> None:
    """α is 0.1; one outage costs what fifty answers bring back."""
    measured = Measured()
    measured.observe_quality(1.0)
    measured.observe_quality(0.0)
    assert measured.quality == pytest.approx(0.9)
    measured.observe_outage()
    assert measured.trust == pytest.approx(0.95)
    measured.observe_answer(0.0, 100.0)
    assert (measured.cost, measured.latency_ms) == (None, 100.0)
    assert measured.trust == pytest.approx(0.95095)


def test_an_unreconciled_call_counts_in_every_sum() -> None:
    """Money of a call that a dead session left is in the run, its task and its phase."""
    made = Stage(RunSettings(routing={}), (model("a"),), [task("t", TaskType.SUMMARIZATION)])
    made.begin()
    made.prepare()
    hold = made.last(e.CallStarted).hold
    assert (made.state.in_flight_held, made.state.spend.unreconciled) == (hold, Usd.ZERO)
    made.step(made.opening())
    state = made.state
    assert state.spend.unreconciled == state.tasks["t"].spend.unreconciled == hold
    assert sum(spend.unreconciled.nano for spend in state.phases.values()) == hold.nano
    assert made.last(e.CallStarted).attempt == 2
    assert made.play().status is ProjectStatus.SUCCESS
    assert made.last(e.RunFinished).unreconciled == hold
