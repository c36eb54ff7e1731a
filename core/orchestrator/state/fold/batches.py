"""Folds batches, and the time in which a run does nothing but wait for them."""

from typing import Final

from orchestrator import events as e
from orchestrator.state.batches import Batch
from orchestrator.state.fold.open_effects import Handlers, closed
from orchestrator.state.run import RunState


def _batch_started(state: RunState, at: int, event: e.BatchStarted) -> None:
    for version in event.calls:
        state.batched[version].batch = state.version
    state.batches[state.version] = Batch(event, at, state.opened.number, len(event.calls))
    state.pending[state.version] = event


def _batch_submitted(state: RunState, at: int, event: e.BatchSubmitted) -> None:
    closed(state, event.batch, e.BatchStarted)
    state.batches[event.batch].submitted = event


def end_batched(state: RunState, version: int) -> None:
    """A call of the lane ``batch`` has ended; with the last one the batch is done."""
    number = state.batched.pop(version).batch
    if number is None:
        return
    batch = state.batches[number]
    batch.left -= 1
    if not batch.left:
        del state.batches[number]
        state.pending.pop(number, None)


def leave_batches(state: RunState) -> None:
    """A fork waits for none: they are its parent's."""
    for version in state.batches:
        state.pending.pop(version, None)
    state.batched.clear()
    state.batches.clear()
    state.waits_since = None


def note_waiting(state: RunState, at: int) -> None:
    """While nothing but results of batches is waited for, active time stands still."""
    waiting = sum(batch.left for batch in state.batches.values() if batch.submitted is not None)
    if state.is_open and waiting and waiting == len(state.pending):
        if state.waits_since is None:
            state.waits_since = at
    elif state.waits_since is not None:
        state.active_before -= at - state.waits_since
        state.waits_since = None


HANDLERS: Final[Handlers] = {
    e.BatchStarted: _batch_started,
    e.BatchSubmitted: _batch_submitted,
}
