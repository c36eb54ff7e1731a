"""Effects that are open until their outcome comes, and what a table of handlers is."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from orchestrator.events import Event
from orchestrator.state.run import RunState

_Opened = TypeVar("_Opened", bound=Event)

Handlers = Mapping[type[Event], Callable[[RunState, int, Any], None]]
"""By type of event: what changes the state, called with it, the event's ``at`` and the event."""


def closed(state: RunState, version: int, kind: type[_Opened]) -> _Opened:
    """Close the effect that an outcome ends, and return the event that opened it.

    Raises:
        KeyError: no effect of this version is open.
        ValueError: another kind of effect is.
    """
    opened = state.pending.pop(version)
    if not isinstance(opened, kind):
        raise ValueError(f"version {version} is {type(opened).__name__}, not {kind.__name__}")
    return opened
