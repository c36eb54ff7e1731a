"""Which calls go in batches, and when a batch is made of them."""

from collections.abc import Iterator
from typing import Final

from orchestrator.decide.round_context import RoutingContext
from orchestrator.events import ENHANCE, BatchStarted, CallStarted, QuestionAsked
from orchestrator.models import Lane, ModelInfo
from orchestrator.state.run import RunState

MOST_CALLS: Final = 10_000
"""Of one batch; every vendor that sells batches takes so many."""
MOST_BYTES: Final = 12_000_000
"""Of the requests of a batch and the longest answers to them: what is read in one piece has at most 16 MiB."""
_AROUND: Final = 4096
"""Bytes around an answer in a result."""
_BYTES_PER_TOKEN: Final = 4


def wanted_lane(state: RunState, node: str) -> Lane:
    """How the calls of a node are to be sent. A person waits for suggestions, so these are never batched."""
    if node == ENHANCE:
        return Lane.INTERACTIVE
    task = state.tasks.get(node)
    own = None if task is None else task.planned.lane
    return state.settings.lane if own is None else own


def lane_of(state: RunState, node: str, model: ModelInfo) -> Lane:
    """How a call of a node to a model is sent: one that no batches are sold of is called at once."""
    return Lane.INTERACTIVE if model.batch_price is None else wanted_lane(state, node)


def interactive_tasks(state: RunState) -> int:
    """The started and unfinished tasks that do not wait in batches: only these take up places."""
    names, running = state.execution_order, state.running
    return sum(wanted_lane(state, names[order]) is Lane.INTERACTIVE for order in running)


def uses_batches(state: RunState) -> bool:
    """Whether any call of the run may go in a batch."""
    return state.plans_batches or state.settings.lane is Lane.BATCH


def next_batch(m: RoutingContext) -> BatchStarted | None:
    """The next batch, once nothing else is under way that could bring further calls: of one model, oldest first."""
    state = m.state
    waiting = [version for version, call in state.batched.items() if call.batch is None]
    if not waiting or _is_busy(state):
        return None
    first = _call(state, waiting[0])
    same = [version for version in waiting if _call(state, version).model == first.model]
    return BatchStarted(first.provider, first.model, tuple(_that_fit(state, same)))


def _is_busy(state: RunState) -> bool:
    """Whether an effect is open that is no call of a batch, no batch, and no question to a person."""
    return any(
        version not in state.batched and version not in state.batches and not isinstance(opened, QuestionAsked)
        for version, opened in state.pending.items()
    )


def _that_fit(state: RunState, versions: list[int]) -> Iterator[int]:
    size = 0
    for number, version in enumerate(versions):
        call = _call(state, version)
        size += call.body_bytes + call.max_tokens * _BYTES_PER_TOKEN + _AROUND
        if number and (number >= MOST_CALLS or size > MOST_BYTES):
            return
        yield version


def _call(state: RunState, version: int) -> CallStarted:
    opened = state.pending[version]
    if not isinstance(opened, CallStarted):
        raise TypeError(f"version {version} is {type(opened).__name__}, not CallStarted")
    return opened
