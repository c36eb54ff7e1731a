"""Attempts that end: their hold becomes what they cost, wherever that is counted."""

from orchestrator import events as e
from orchestrator.models import PHASE_OF, Lane
from orchestrator.money import Usd
from orchestrator.state.calls import LogicalCall, Spend
from orchestrator.state.fold.batches import end_batched
from orchestrator.state.fold.open_effects import closed
from orchestrator.state.run import Excess, RunState


def call_of(state: RunState, event: e.ModelSelected | e.CallStarted) -> LogicalCall:
    """The logical call that a selection or an attempt belongs to."""
    # a plain tuple is equal to the key, and made in half the time: half of all events look one up
    return state.node(event.node).calls[event.node, event.role, event.iteration, event.sample]  # type: ignore[index]


def started_of(state: RunState, version: int) -> e.CallStarted:
    """Close an effect that is an attempt, and return its beginning."""
    return closed(state, version, e.CallStarted)


def count(state: RunState, version: int, started: e.CallStarted, settled: Usd, unreconciled: Usd) -> LogicalCall:
    """Close an attempt: its hold is replaced by what it cost."""
    call = call_of(state, started)
    call.in_flight = None
    if version in state.starts:
        state.starts[version].cost = settled + unreconciled
    state.in_flight -= 1
    if started.lane is Lane.BATCH:
        end_batched(state, version)
    state.in_flight_held -= started.hold
    state.spend.add(settled, unreconciled)
    state.node(started.node).spend.add(settled, unreconciled)
    phase = PHASE_OF[started.role]
    if phase not in state.phases:
        state.phases[phase] = Spend()
    state.phases[phase].add(settled, unreconciled)
    if unreconciled:
        state.unreconciled[version] = started
    count_excess(state, version, started, settled)
    return call


def count_excess(state: RunState, version: int, started: e.CallStarted, settled: Usd) -> None:
    """Keep that a vendor billed beyond the hold."""
    if settled > started.hold:
        state.excess += settled - started.hold
        if not state.record(started.model).exceeded:
            state.exceeded.append(Excess(version, started.model, started.hold, settled))


def end_probe(state: RunState, version: int, started: e.CallStarted, answered: bool | None) -> None:
    """Keep how the probe of a model went, where the attempt is its latest; None: it says nothing."""
    record = state.record(started.model)
    if started.probe and record.probe == version:
        record.probe = None
        record.probe_ended = answered
