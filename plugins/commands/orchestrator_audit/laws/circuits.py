"""Laws of circuits: one opens after failures, lets a probe pass, and closes by it; of models and of hosts."""

from typing import Final

from attrs import define

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator_audit.laws.shadow_state import Breaker, ShadowState

_SAYS_NOTHING: Final = (ErrorKind.UNREACHABLE, ErrorKind.UNSENT, ErrorKind.PLUGIN)
"""Kinds of errors that do not say whether a host was reached."""


@define
class Circuits(ShadowState):
    """The circuits that are open, and the hosts that were reached."""

    def looks_at_host(self, event: e.CallFailed, started: e.CallStarted) -> None:
        """Nothing is billed, and nothing used up, where a host was not reached; such attempts are bounded by time."""
        host = self.host_of(started.model)
        if event.kind is ErrorKind.UNREACHABLE and not event.by_vendor:
            free = not event.settled and not event.unreconciled
            self.require("holds", free and host is not None, "money of an attempt that reached no host")
            self.unreachable_since.setdefault(host or "", self.at - event.latency)
        elif event.kind is ErrorKind.UNREACHABLE and host is not None and not event.retryable:
            self.unreachable_since.setdefault(host, self.at - event.latency)
        elif host is not None and event.by_vendor and event.kind not in _SAYS_NOTHING:
            self._reached(host, started, event.status is not None)

    def _reached(self, host: str, started: e.CallStarted, answered: bool) -> None:
        if answered:
            self.answered_hosts.add(host)
        if started.probe or host not in self.host_breakers:
            self.unreachable_since.pop(host, None)

    def breaker_opened(self, event: e.BreakerOpened) -> None:
        """From here on only a probe may pass."""
        future = event.until is None or event.until > self.at
        self.require("limits", future, "a breaker opens into the past")
        if event.host is not None:
            self._host_opened(event, event.host)
        for name in self._meant(event):
            self.breakers[name] = Breaker(event.until)
            if event.until is None:
                self.dead_models.add(name)

    def _meant(self, event: e.BreakerOpened) -> list[str]:
        """The models whose own breaker opens."""
        if event.account is not None:
            return [name for name, model in self.models.items() if model.account == event.account]
        if event.host is None:
            return [event.model]
        return [name for name, model in self.models.items() if model.host == event.host and event.until is None]

    def _host_opened(self, event: e.BreakerOpened, host: str) -> None:
        """An attempt did not reach it, and as long as it may be tried it is."""
        since, limits = self.unreachable_since.get(host), self.state.settings.limits
        self.require("limits", since is not None, f"{host} is given up, and no attempt failed to reach it")
        if since is not None and host in self.answered_hosts:
            lasted = self.at - since >= limits.outage
            self.require("limits", (event.until is None) is lasted, f"{host} is given up too soon or too late")
        self.host_breakers[host] = Breaker(event.until)

    def breaker_closed(self, event: e.BreakerClosed) -> None:
        """An open one closes, after its probe."""
        if event.host is None:
            breaker = self.breakers.pop(event.model, None)
        else:
            breaker = self.host_breakers.pop(event.host, None)
        probed = breaker is not None and breaker.probe is None
        self.require("limits", probed, "a breaker closes that was not probed")
