"""Folds choices of models, and what is known against a model."""

from typing import Final

from orchestrator import events as e
from orchestrator.models import Role, SelectionReason
from orchestrator.state.calls import CallKey, LogicalCall, Selection
from orchestrator.state.fold.open_effects import Handlers
from orchestrator.state.model_health import HostRecord
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState


def _model_selected(state: RunState, at: int, event: e.ModelSelected) -> None:
    node = state.node(event.node)
    key = CallKey(event.node, event.role, event.iteration, event.sample)
    call = node.calls.get(key)
    if call is None:
        call = node.calls[key] = LogicalCall(key, compares=event.compares)
    call.selections.append(
        Selection(
            state.version, event.model, event.max_tokens, event.reason, event.waiver, event.most_tokens, event.policy
        )
    )
    call.candidates.update([(candidate.model, candidate) for candidate in event.candidates])
    state.reservations.pop(key, None)
    call.prepared = None
    call.failure = None
    call.smallest = None
    call.cut.clear()
    call.refusals.clear()
    if isinstance(node, TaskState):
        node.iteration = max(node.iteration, event.iteration)
        if event.role is Role.GENERATOR and len(call.selections) > 1 and event.reason is not SelectionReason.REASK:
            node.fallbacks += 1
    state.pending[state.version] = event


def _breaker_opened(state: RunState, at: int, event: e.BreakerOpened) -> None:
    if event.host is not None:
        host = state.hosts.setdefault(event.host, HostRecord())
        host.opened, host.until, host.failed, host.reached = True, event.until, False, False
        if event.until is not None:
            return
    for model in _meant(state, event):
        record = state.record(model)
        record.opened = True
        record.until = event.until
        record.failures = 0
        record.probe_ended = None


def _meant(state: RunState, event: e.BreakerOpened) -> list[str]:
    """The models whose circuit an event opens."""
    if event.account is not None:
        return [name for name, model in state.models.items() if model.account == event.account]
    if event.host is not None:
        return [name for name, model in state.models.items() if model.host == event.host]
    return [event.model]


def _breaker_closed(state: RunState, at: int, event: e.BreakerClosed) -> None:
    if event.host is not None:
        state.hosts[event.host] = HostRecord(answered=state.hosts[event.host].answered)
        return
    record = state.record(event.model)
    record.opened = False
    record.until = None
    record.failures = 0
    record.probe_ended = None


def _backend_failed(state: RunState, at: int, event: e.BackendFailed) -> None:
    state.backend_failed = True


HANDLERS: Final[Handlers] = {
    e.ModelSelected: _model_selected,
    e.BreakerOpened: _breaker_opened,
    e.BreakerClosed: _breaker_closed,
    e.BackendFailed: _backend_failed,
}
