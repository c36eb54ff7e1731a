"""Hosts that cannot be reached: how long and how often each is tried, and when it is given up."""

from orchestrator.decide.round_context import RoutingContext
from orchestrator.errors import MissingError
from orchestrator.events import BreakerClosed, BreakerOpened, Decision
from orchestrator.models import BreakerReason
from orchestrator.settings import SECOND
from orchestrator.state.model_health import HostRecord
from orchestrator.state.run import RunState

_FIRST_PATIENCE = 10 * SECOND
"""How long a host that has not answered in the session is tried."""
_LONGEST_PAUSE = 10 * SECOND
"""The most between two attempts to reach a host; each is said."""


def next_of_hosts(m: RoutingContext) -> Decision | None:
    """What the latest attempts to reach the hosts mean for them."""
    for name, host in m.state.hosts.items():
        if host.failed:
            return BreakerOpened(host.model, BreakerReason.UNREACHABLE, _tried_again_at(m, host), host=name)
        if host.reached:
            return BreakerClosed(host.model, host=name)
    return None


def _tried_again_at(m: RoutingContext, host: HostRecord) -> int | None:
    """When a host is tried again that was not reached: after one second, then two, four; None: no more."""
    ends = given_up_at(m.state, host)
    if m.now >= ends or (host.lasting and not host.answered):
        return None
    pause = min(_LONGEST_PAUSE, SECOND << min(host.failures - 1, 6))
    return min(ends, max(m.now + SECOND, host.began + pause))


def given_up_at(state: RunState, host: HostRecord) -> int:
    """When a host that cannot be reached is given up, as far as is known now."""
    if host.since is None:
        raise MissingError("attempt that reached the host")
    return host.since + (state.settings.limits.outage if host.answered else _FIRST_PATIENCE)


def host_of(state: RunState, model: str) -> HostRecord | None:
    """What was seen of a model's host in this session, if anything."""
    known = state.models.get(model) if state.hosts else None
    return None if known is None or known.host is None else state.hosts.get(known.host)


def is_host_behind(host: HostRecord | None, now: int) -> bool:
    """The host cannot be reached, and no probe may be sent now."""
    if host is None or not host.opened or host.until is None:
        return False
    return host.probe is not None or now < host.until
