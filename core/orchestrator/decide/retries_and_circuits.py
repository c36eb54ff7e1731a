"""Asking a model again: when, how often, and behind which circuit breaker."""

from hashlib import sha256

from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.unreachable_hosts import host_of, is_host_behind, next_of_hosts
from orchestrator.errors import ErrorKind
from orchestrator.events import BreakerClosed, BreakerOpened, Decision, SpendExceeded
from orchestrator.models import BreakerReason
from orchestrator.settings import SECOND
from orchestrator.state.calls import LogicalCall
from orchestrator.state.model_health import ModelRecord
from orchestrator.state.run import RunState

_LONGEST_WAIT = 60 * SECOND
_PER_MODEL = 4
"""The rules from which on pauses count the attempts of the model; before, those of the whole call."""
_FATAL = (ErrorKind.AUTHENTICATION, ErrorKind.QUOTA, ErrorKind.UNKNOWN_MODEL)


def next_health(m: RoutingContext) -> Decision | None:
    """What the latest ends of calls mean for the models: an excess, a breaker that moves."""
    state = m.state
    for excess in state.exceeded:
        return SpendExceeded(excess.call, excess.model, excess.hold, excess.settled)
    limits = state.settings.limits
    for model, record in state.records.items():
        fatal = next((kind for kind in _FATAL if kind in record.kinds), None) if record.kinds else None
        if fatal is not None:
            if not (record.opened and record.until is None):
                return BreakerOpened(model, BreakerReason(fatal.value), None, _account_meant(state, model, fatal))
        elif record.opened and record.probe_ended is not None:
            if record.probe_ended:
                return BreakerClosed(model)
            return BreakerOpened(model, BreakerReason.PROBE, m.now + limits.breaker_open)
        elif not record.opened and record.failures >= limits.breaker_failures:
            return BreakerOpened(model, BreakerReason.FAILURES, m.now + limits.breaker_open)
    return next_of_hosts(m) if state.hosts else None


def _account_meant(state: RunState, name: str, kind: ErrorKind) -> str | None:
    """The account that a fatal failure of a model speaks of, or None: of the model alone.

    Money and quota are the account's. A key that two models are refused for, and that has served none, is no key.
    """
    model = state.models.get(name)
    account = None if model is None else model.account
    if account is None or kind is ErrorKind.UNKNOWN_MODEL:
        return None
    if kind is ErrorKind.QUOTA:
        return account
    others = [
        record
        for other, record in state.records.items()
        if other in state.models and state.models[other].account == account
    ]
    refused = sum(ErrorKind.AUTHENTICATION in record.kinds for record in others)
    return account if refused > 1 and not any(any(record.recent) for record in others) else None


def is_off(record: ModelRecord | None) -> bool:
    """The model is not asked for the rest of the session."""
    return record is not None and (record.exceeded or (record.opened and record.until is None))


def is_behind(state: RunState, model: str, now: int) -> bool:
    """The breaker of the model or of its host is open, and no probe may be sent now."""
    return is_model_behind(state.records.get(model), now) or is_host_behind(host_of(state, model), now)


def is_model_behind(record: ModelRecord | None, now: int) -> bool:
    """The model's own breaker is open, and no probe may be sent now."""
    if record is None or not record.opened or record.until is None:
        return False
    return record.probe is not None or now < record.until


def needs_probe(state: RunState, model: str) -> bool:
    """A call of this model now is the probe of its breaker, or of its host's."""
    record, host = state.records.get(model), host_of(state, model)
    return (record is not None and record.opened) or (host is not None and host.opened)


def wake_for_breaker(m: RoutingContext, model: str) -> None:
    """Look again when the breaker of a model lets a probe through."""
    for each in (m.state.records.get(model), host_of(m.state, model)):
        if each is not None and each.opened and each.probe is None and each.until is not None and each.until > m.now:
            m.wake_at(each.until)


def is_spent(m: RoutingContext, call: LogicalCall, model: str, others_left: bool) -> bool:
    """The current selection cannot be asked (again) for this call."""
    limits = m.state.settings.limits
    if is_off(m.state.records.get(model)) or call.tries.get(model, 0) >= limits.tries:
        return True
    failure = call.failure
    if failure is None:
        return False
    too_long = failure.retry_after is not None and failure.retry_after > _LONGEST_WAIT
    return not failure.retryable or (too_long and others_left)


def ready_at(state: RunState, call: LogicalCall) -> int:
    """When the current selection may be asked again, after its latest failure."""
    failure = call.failure
    if failure is None:
        return 0
    asked = min(failure.retry_after or 0, _LONGEST_WAIT)
    return failure.at + max(asked, _backoff(state, call))


def _backoff(state: RunState, call: LogicalCall) -> int:
    """Exponential from one second, at most a minute, with jitter between a half and the whole; anew for each model."""
    current, count = call.current, call.ended
    if state.opened.rules >= _PER_MODEL and current is not None:
        count = call.tries.get(current.model, 1)
    whole = min(_LONGEST_WAIT, SECOND << min(count - 1, 6))
    return whole // 2 + draw(state.first.seed, "backoff", *call.key, call.ended) % (whole // 2)


def uniform(seed: int, purpose: str, *identity: object) -> float:
    """A random number from 0 up to, not including, 1 that depends on its arguments only."""
    return (draw(seed, purpose, *identity) >> 11) / (1 << 53)


def draw(seed: int, purpose: str, *identity: object) -> int:
    """A random number below 2⁶⁴ that depends on its arguments only."""
    text = "\x1f".join([str(seed), purpose, *map(str, identity)])
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")
