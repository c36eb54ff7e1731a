"""How often and how much a vendor may be asked: the run's own limits per provider, and the rate limits of policies.

A limit is a window of time and the most that may start in it. What does not fit waits until enough has left the window;
what would not fit into an empty one goes alone. No later call that needs a window passes one that waits for it.
"""

from collections.abc import Callable, Iterator

from attrs import frozen

from orchestrator.decide.round_context import RoutingContext
from orchestrator.models import ModelInfo
from orchestrator.money import Usd
from orchestrator.policy import EnforcementMode, Policy
from orchestrator.settings import EVERY, SECOND
from orchestrator.state.calls import LogicalCall, Reservation
from orchestrator.state.model_health import Start

_MINUTE = 60 * SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR


_MOST_DOUBLED = 6


@frozen
class _Window:
    """The most that may start within a time: of one provider, of one node, or of all."""

    name: tuple[str, str]
    length: int
    most: int
    need: int
    """Of the call that is about to start."""
    amount: Callable[[Start], int]
    provider: str | None = None
    node: str | None = None

    def counts(self, start: Start) -> bool:
        """Whether an attempt falls under it."""
        return self.provider in (None, start.provider) and self.node in (None, start.node)

    def opens(self, starts: Iterator[Start], now: int) -> int:
        """When the call may start: ``now``, or when enough of what has started (newest first) has left the window."""
        taken = self.need
        for start in starts:
            if start.at <= now - self.length:
                break
            if self.counts(start):
                taken += self.amount(start)
                if taken > self.most:
                    return start.at + self.length
        return now


def may_start(
    m: RoutingContext, node: str, model: ModelInfo, tokens: int, hold: Usd, *, is_batched: bool = False
) -> bool:
    """Whether nothing but money stands against a call now; where something does, note when to look again.

    ``tokens`` is the most the call can read and write. A call of a batch is bound by policies only: what a vendor takes
    in a minute are single calls.
    """
    starts = m.state.starts
    allowed = True
    for window in _windows(m, node, model, tokens, hold):
        if is_batched and window.provider is not None:
            continue
        if window.name in m.paced:
            allowed = False
            continue
        opens = window.opens(reversed(starts.values()), m.now)
        if opens > m.now:
            m.wake_at(opens)
            m.paced.add(window.name)
            allowed = False
    return allowed


def may_take_place(m: RoutingContext, call: LogicalCall) -> bool:
    """Whether there is a place for the call, and the time of its reservation has come, where it has one.

    A call with a reservation keeps its place in the run from then on, so that no reservation is made in vain.
    """
    state, places = m.state, m.state.settings.concurrency
    single = state.in_flight - len(state.batched)
    if not state.reservations:
        return single < places
    kept = 0
    for key, reservation in state.reservations.items():
        if key != call.key and m.now <= (last := _last_of(reservation)):
            m.wake_at(last + 1)
            kept += 1
    if single + kept >= places:
        return False
    own = state.reservations.get(call.key)
    if own is not None and m.now < own.until:
        m.wake_at(own.until)
        return False
    return True


def ticket_of(m: RoutingContext, call: LogicalCall) -> int | None:
    """The version of the PaceRefused that made the call's reservation; None where there is none, or it has passed."""
    own = m.state.reservations.get(call.key)
    return None if own is None or m.now > _last_of(own) else own.version


def _last_of(reservation: Reservation) -> int:
    """The last time at which a reservation may be used: later, other calls have the time.

    A second after its beginning, and twice as long for each that was missed: one is used at last, however late the
    process comes to its work.
    """
    return reservation.until + (SECOND << min(reservation.refusals - 1, _MOST_DOUBLED))


def _windows(m: RoutingContext, node: str, model: ModelInfo, tokens: int, hold: Usd) -> Iterator[_Window]:
    settings = m.state.settings
    limits, provider = settings.limits, model.provider
    requests = limits.requests_per_minute.get(provider, limits.requests_per_minute.get(EVERY))
    if requests is not None:
        yield _Window(("requests", provider), _MINUTE, requests, 1, _one, provider)
    most = limits.tokens_per_minute.get(provider, limits.tokens_per_minute.get(EVERY))
    if most is not None:
        yield _Window(("tokens", provider), _MINUTE, most, tokens, _tokens, provider)
    for policy, where in _paced(m, node):
        if policy.enforcement_mode is EnforcementMode.HARD:
            yield from _of_policy(policy, where or "", where, tokens, hold)


def exceeded(m: RoutingContext, node: str, tokens: int, hold: Usd) -> tuple[str, ...]:
    """The SOFT and MONITOR policies whose rate a call that starts now goes beyond; no call waits for them."""
    starts = m.state.starts
    mild = ((p, where) for p, where in _paced(m, node) if p.enforcement_mode is not EnforcementMode.HARD)
    return tuple(
        [
            policy.name
            for policy, where in mild
            if any(
                window.opens(reversed(starts.values()), m.now) > m.now
                for window in _of_policy(policy, where or "", where, tokens, hold)
            )
        ]
    )


def _paced(m: RoutingContext, node: str) -> Iterator[tuple[Policy, str | None]]:
    """The policies with a rate that bind a node: those of the run, then its own with its name."""
    settings = m.state.settings
    for policy in settings.policies:
        if policy.rate_limit is not None:
            yield policy, None
    for policy in settings.node_policies.get(node, ()):
        if policy.rate_limit is not None:
            yield policy, node


def _of_policy(policy: Policy, where: str, node: str | None, tokens: int, hold: Usd) -> Iterator[_Window]:
    """The windows of a policy."""
    limit = policy.rate_limit
    if limit is None:
        return
    name = f"{where}/{policy.name}"
    if limit.calls_per_minute is not None:
        yield _Window(("calls", name), _MINUTE, limit.calls_per_minute, 1, _one, node=node)
    if limit.cost_usd_per_hour is not None:
        yield _Window(("cost", name), _HOUR, limit.cost_usd_per_hour.nano, hold.nano, _cost, node=node)
    if limit.tokens_per_day is not None:
        yield _Window(("day", name), _DAY, limit.tokens_per_day, tokens, _tokens, node=node)


def _one(start: Start) -> int:
    return 1


def _tokens(start: Start) -> int:
    return start.tokens


def _cost(start: Start) -> int:
    return start.cost.nano
