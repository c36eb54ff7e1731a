"""One logical call, from being wanted to an answer or to giving up."""

from attrs import frozen

from orchestrator.decide.moment import Moment
from orchestrator.decide.retry import is_behind, is_spent, needs_probe, ready_at, wake_for_breaker
from orchestrator.decide.routing import Listing, Question, is_excluded, list_candidates
from orchestrator.decide.spending import NoRoom, find_room
from orchestrator.events import CallStarted, Candidate, Decision, ModelSelected, SpendRefused
from orchestrator.models import Role
from orchestrator.settings import SECOND
from orchestrator.state.calls import Answer, CallKey, LogicalCall, Selection

_GRACE = 30 * SECOND
_BYTES_PER_TOKEN = 3


@frozen
class GaveUp:
    """There will be none: ``no_model``, ``failed``, ``budget`` or ``time``."""

    reason: str


Progress = Decision | Answer | GaveUp | None
"""A decision to make, the answer that can be used, an end without one, or None: wait."""


def ask(m: Moment, key: CallKey, question: Question) -> Progress:
    """What the call needs next."""
    state = m.state
    call = state.call(key)
    if call is None:
        return GaveUp("time") if m.time_up else _select(m, question, LogicalCall(key), "first", None)
    answer = usable(call)
    if answer is not None:
        return answer
    if call.in_flight is not None or (call.current is not None and call.prepared is None):
        return None
    if call.refused:
        return GaveUp("budget")
    if m.time_up:
        return GaveUp("time")
    if call.ended - call.ended_before >= state.settings.limits.attempts:
        return GaveUp("failed")
    if call.current is None:
        return _select(m, question, call, "first", None)
    return _go_on(m, question, call, call.current)


def is_at_work(m: Moment, call: LogicalCall) -> bool:
    """The call is prepared or performed right now, and nothing but its outcome can change what it needs."""
    if call.in_flight is not None:
        return True
    if call.prepared is not None or m.time_up or call.refused or call.answers:
        return False
    return call.current is not None


def usable(call: LogicalCall) -> Answer | None:
    """The answer that ends the call. A plan or a score that cannot be read is one too; an empty text is none."""
    if not call.answers:
        return None
    last = call.answers[-1]
    if call.key.role in (Role.DECOMPOSER, Role.EVALUATOR) or last.reading.problem is None:
        return last
    return None


def _go_on(m: Moment, question: Question, call: LogicalCall, current: Selection) -> Progress:
    """The selected model again, or the next one."""
    state = m.state
    prepared = call.prepared
    assert prepared is not None
    if prepared.problem is not None:
        return _select(m, question, call, "fallback", None)
    model = state.models.get(current.model)
    if model is None or is_excluded(m, question, model):
        return _select(m, question, call, "fallback", None)
    window = model.context
    if window is not None and prepared.body_bytes // _BYTES_PER_TOKEN + current.max_tokens > window:
        return _select(m, question, call, "context", None)
    record = state.records.get(current.model)
    behind = is_behind(record, m.now)
    others = _others_left(m, question, call) if behind or _waits_long(call) else False
    if is_spent(m, call, current.model, others):
        return _select(m, question, call, "fallback", None)
    if behind:
        if others:
            return _select(m, question, call, "breaker", None)
        _wait_for_breakers(m, question, call)
        return None
    ready = ready_at(state, call)
    if m.now < ready:
        m.wake_at(ready)
        return None
    return _start(m, question, call, current)


def _waits_long(call: LogicalCall) -> bool:
    return call.failure is not None and call.failure.retry_after is not None


def _start(m: Moment, question: Question, call: LogicalCall, current: Selection) -> Progress:
    """An attempt, as soon as there is a place and the money for it."""
    state = m.state
    if state.in_flight >= state.settings.concurrency or m.money_waits:
        return None
    model, prepared = state.models[current.model], call.prepared
    assert prepared is not None
    room = find_room(m, question, model, call)
    if room is None:
        return None
    if isinstance(room, NoRoom):
        return _select(m, question, call, "budget", room)
    left = state.time_limit - state.active(m.now) + _GRACE
    return CallStarted(
        selected=current.version,
        node=call.key.node,
        role=call.key.role,
        turn=call.key.turn,
        sample=call.key.sample,
        attempt=call.attempts + 1,
        try_=call.ended + 1,
        provider=model.provider,
        model=model.id,
        max_tokens=room.max_tokens,
        body_bytes=prepared.body_bytes,
        hold=room.hold,
        timeout=min(state.settings.limits.call_timeout, left),
        probe=needs_probe(state, model.id),
    )


def _visited(call: LogicalCall, reason: str | None) -> dict[str, str]:
    """Why each model already selected for the call is not selected again; ``reason`` is for the latest."""
    visited: dict[str, str] = {}
    selections = call.visited
    reasons = [following.reason for following in selections[1:]]
    for selection, left_for in zip(selections, [*reasons, reason], strict=False):
        visited[selection.model] = left_for if left_for in ("budget", "context") else "tried"
    return visited


def _others_left(m: Moment, question: Question, call: LogicalCall) -> bool:
    listing = list_candidates(m, question, _visited(call, None))
    return any(candidate.lost is None for candidate in listing.candidates)


def _wait_for_breakers(m: Moment, question: Question, call: LogicalCall) -> None:
    """Only models behind open breakers are left: look again when the earliest lets a probe through."""
    for candidate in list_candidates(m, question, _visited(call, None)).candidates:
        if candidate.lost == "breaker":
            wake_for_breaker(m, candidate.model)
    if call.current is not None:
        wake_for_breaker(m, call.current.model)


def _select(m: Moment, question: Question, call: LogicalCall, reason: str, room: NoRoom | None) -> Progress:
    """The next model, or the end of the call."""
    listing = list_candidates(m, question, _visited(call, reason))
    chosen = next((candidate for candidate in listing.candidates if candidate.lost is None), None)
    if chosen is not None:
        return _selected(m, question, call, reason, listing, chosen)
    behind = [candidate.model for candidate in listing.candidates if candidate.lost == "breaker"]
    if behind:
        for model in behind:
            wake_for_breaker(m, model)
        return None
    if room is not None:
        return SpendRefused(*call.key, need=room.need, free=room.free, limit=room.limit)
    return GaveUp("failed" if call.visited else "no_model")


def _selected(
    m: Moment, question: Question, call: LogicalCall, reason: str, listing: Listing, chosen: Candidate
) -> ModelSelected:
    model = m.state.models[chosen.model]
    limit = m.state.settings.output_limit(question.role, question.type)
    shown = (
        Candidate(c.model, c.score, "ranked" if c.lost is None and c.model != chosen.model else c.lost)
        for c in listing.candidates
    )
    return ModelSelected(
        *call.key,
        selection=len(call.selections) + 1,
        model=chosen.model,
        reason=reason,
        max_tokens=min(limit, model.max_output or limit),
        candidates=tuple(c for c in shown if call.candidates.get(c.model) != c),
        backend=listing.backend,
        waiver=listing.waivers.get(chosen.model),
    )
