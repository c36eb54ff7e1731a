"""The fold: one event at a time becomes state. It knows no rule; see the package's docstring.

The modules have the subjects of the events' modules; each ends with the table of what it folds.
"""

from collections.abc import Iterable
from typing import Final

from orchestrator import events as e
from orchestrator.state.fold import batches, calls, channels, planning, routing, runs, spending, tasks
from orchestrator.state.fold.open_effects import Handlers
from orchestrator.state.run import RunState

__all__ = ["apply", "fold"]

_HANDLERS: Final[Handlers] = {
    **runs.HANDLERS,
    **planning.HANDLERS,
    **routing.HANDLERS,
    **calls.HANDLERS,
    **batches.HANDLERS,
    **spending.HANDLERS,
    **tasks.HANDLERS,
    **channels.HANDLERS,
}


def apply(state: RunState, at: int, event: e.Event) -> RunState:
    """Fold one event into the state, in place, and return it.

    Raises:
        ValueError: the event does not belong into a run, or does not fit the events before it.
    """
    handler = _HANDLERS.get(type(event))
    if handler is None:
        raise ValueError(f"{type(event).__name__} is not an event of a run")
    state.version += 1
    try:
        handler(state, at, event)
    except KeyError as error:
        raise ValueError(f"{type(event).__name__} at version {state.version} refers to nothing: {error}") from error
    if state.batched or state.waits_since is not None:
        batches.note_waiting(state, at)
    state.at = at
    return state


def fold(history: Iterable[tuple[int, e.Event]], state: RunState | None = None) -> RunState:
    """Fold a history of (at, event) from the beginning, or on top of a state."""
    state = RunState() if state is None else state
    for at, event in history:
        apply(state, at, event)
    return state
