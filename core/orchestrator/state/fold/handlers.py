"""What folds events into a state."""

from collections.abc import Callable, Mapping
from typing import Any

from orchestrator.events import Event
from orchestrator.state.run import RunState

Handlers = Mapping[type[Event], Callable[[RunState, int, Any], None]]
"""By type of event: what changes the state, called with it, the event's ``at`` and the event."""
