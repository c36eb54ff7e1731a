"""Asking again: when, how often, and behind which breaker."""

from hashlib import sha256

from orchestrator.decide.context import RoutingContext
from orchestrator.errors import ErrorKind
from orchestrator.events import BreakerClosed, BreakerOpened, Decision, SpendExceeded
from orchestrator.models import BreakerReason
from orchestrator.settings import SECOND
from orchestrator.state.calls import CallKey, LogicalCall
from orchestrator.state.health import ModelRecord
from orchestrator.state.run import RunState

_LONGEST_WAIT = 60 * SECOND
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
                return BreakerOpened(model, BreakerReason(fatal.value), None)
        elif record.opened and record.probe_ended is not None:
            if record.probe_ended:
                return BreakerClosed(model)
            return BreakerOpened(model, BreakerReason.PROBE, m.now + limits.breaker_open)
        elif not record.opened and record.failures >= limits.breaker_failures:
            return BreakerOpened(model, BreakerReason.FAILURES, m.now + limits.breaker_open)
    return None


def is_off(record: ModelRecord | None) -> bool:
    """The model is not asked for the rest of the session."""
    return record is not None and (record.exceeded or (record.opened and record.until is None))


def is_behind(record: ModelRecord | None, now: int) -> bool:
    """The model's breaker is open, and no probe may be sent now."""
    if record is None or not record.opened or record.until is None:
        return False
    return record.probe is not None or now < record.until


def needs_probe(state: RunState, model: str) -> bool:
    """A call of this model now is the probe of its breaker."""
    record = state.records.get(model)
    return record is not None and record.opened


def wake_for_breaker(m: RoutingContext, model: str) -> None:
    """Look again when the breaker of a model lets a probe through."""
    record = m.state.records[model]
    if record.probe is None and record.until is not None:
        m.wake_at(record.until)


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
    return failure.at + max(asked, _backoff(state, call.key, call.ended))


def _backoff(state: RunState, key: CallKey, ended: int) -> int:
    """Exponential from one second, at most a minute, with jitter between a half and the whole."""
    whole = min(_LONGEST_WAIT, SECOND << min(ended - 1, 6))
    assert state.start is not None
    return whole // 2 + draw(state.start.seed, "backoff", *key, ended) % (whole // 2)


def uniform(seed: int, purpose: str, *identity: object) -> float:
    """A random number from 0 up to, not including, 1 that depends on its arguments only."""
    return (draw(seed, purpose, *identity) >> 11) / (1 << 53)


def draw(seed: int, purpose: str, *identity: object) -> int:
    """A random number below 2⁶⁴ that depends on its arguments only."""
    text = "\x1f".join([str(seed), purpose, *map(str, identity)])
    return int.from_bytes(sha256(text.encode()).digest()[:8], "big")
