"""What attempts show of their hosts: whether a connection can be made."""

from orchestrator import events as e
from orchestrator.state.model_health import HostRecord
from orchestrator.state.run import RunState


def host_of(state: RunState, model: str) -> HostRecord | None:
    """What was seen of a model's host, begun if need be; None where it is not known."""
    known = state.models.get(model)
    if known is None or known.host is None:
        return None
    found = state.hosts.get(known.host)
    if found is None:
        found = state.hosts[known.host] = HostRecord()
    return found


def note_reached(state: RunState, version: int, started: e.CallStarted, *, answered: bool) -> None:
    """A connection was made. What began before the circuit opened says nothing of the host as it is now."""
    host = host_of(state, started.model)
    if host is None:
        return
    host.answered = host.answered or answered
    if host.probe == version:
        host.probe, host.reached = None, True
    elif not host.opened:
        host.since, host.failures, host.failed = None, 0, False


def note_unreachable(state: RunState, at: int, event: e.CallFailed, started: e.CallStarted) -> None:
    """No connection was made, or none that is of use; while the circuit is open only the probe counts."""
    host = host_of(state, started.model)
    if host is None or (host.opened and host.probe != event.call):
        return
    host.probe = None
    host.began = at - event.latency
    host.since = host.began if host.since is None else host.since
    host.failures += not host.failed
    host.model, host.failed, host.lasting = started.model, True, not event.retryable


def forget_probe(state: RunState, version: int, started: e.CallStarted) -> None:
    """An attempt has ended that says nothing of its host: if it was the probe, the next one is."""
    host = host_of(state, started.model)
    if host is not None and host.probe == version:
        host.probe = None
