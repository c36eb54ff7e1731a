"""One logical call, from being wanted to an answer or to giving up."""

from attrs import evolve as changed
from attrs import frozen

from orchestrator.decide.compliance import OF_POLICY
from orchestrator.decide.moment import GRACE, Moment
from orchestrator.decide.pacing import exceeded, may_start
from orchestrator.decide.retry import is_behind, is_spent, needs_probe, ready_at, wake_for_breaker
from orchestrator.decide.routing import Listing, Question, is_excluded, list_candidates
from orchestrator.decide.spending import BYTES_PER_TOKEN, NoRoom, Room, find_room, find_sizes, refusal_of
from orchestrator.events import CallStarted, Candidate, Decision, ModelSelected, SpendRefused
from orchestrator.models import Finish, Role
from orchestrator.state.calls import Answer, CallKey, LogicalCall, Selection
from orchestrator.state.run import RunState

_GROWTH = 4
"""How much more than its usual limit a model is asked for at most, where nobody declared what it can write."""


READ = (Role.DECOMPOSER, Role.EVALUATOR, Role.ENHANCER, Role.ADVISOR)
"""The roles whose answers are read for what they hold; an answer that cannot be read is one too."""


@frozen
class GaveUp:
    """There will be none: ``no_model``, ``failed``, ``budget``, ``policy`` or ``time``."""

    reason: str
    removed: tuple[Candidate, ...] = ()
    """With ``no_model``: every model, with the code of what removed it."""


Progress = Decision | Answer | GaveUp | None
"""A decision to make, the answer that can be used, an end without one, or None: wait."""


def ask(m: Moment, key: CallKey, question: Question) -> Progress:
    """What the call needs next."""
    state = m.state
    if state.settings.node_policies and not question.node:
        question = changed(question, node=key.node)
    call = state.call(key)
    if call is None:
        return GaveUp("time") if m.time_up else _select(m, question, LogicalCall(key), "first", None)
    if call.in_flight is not None:
        return None
    answer = usable(call)
    if answer is not None:
        return _ask_for_the_rest(m, question, call, answer) if is_cut_off(call) else answer
    if call.current is not None and call.prepared is None:
        return None
    if call.refused:
        return GaveUp(refusal_of(call))
    if m.time_up:
        return GaveUp("time")
    if _is_exhausted(state, call):
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
    answer = call.answer
    if answer is None or call.key.role in READ or answer.reading.problem is None:
        return answer
    return None


def is_cut_off(call: LogicalCall) -> bool:
    """The call has an answer of the current selection that stops short, so that more room may give a better one.

    A plan or a score that can be read is whole all the same, and a critique says the most important first.
    """
    if not call.cut or call.answers[-1].finish is not Finish.LENGTH:
        return False
    match call.key.role:
        case Role.CRITIC:
            return False
        case Role.DECOMPOSER | Role.EVALUATOR | Role.ENHANCER | Role.ADVISOR:
            return call.answers[-1].reading.problem is not None
    return True


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
    if window is not None and prepared.body_bytes // BYTES_PER_TOKEN + current.max_tokens > window:
        return _select(m, question, call, "context", None)
    if find_sizes(model, call) is None:
        return _select(m, question, call, "fallback", None)  # all it wrote was cut off before anything could be read
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
    progress = _start(m, question, call, current)
    if not isinstance(progress, NoRoom):
        return progress
    left_for = progress.limit if progress.limit.startswith(OF_POLICY) else "budget"
    return _select(m, question, call, left_for, progress)


def _is_exhausted(state: RunState, call: LogicalCall) -> bool:
    """The call has had all its attempts, or all its time."""
    limits = state.settings.limits
    return call.ended - call.ended_before >= limits.attempts or call.took >= limits.call_total


def _ask_for_the_rest(m: Moment, question: Question, call: LogicalCall, answer: Answer) -> Progress:
    """The same model again with more room; the answer stands where there is no room, no try or no money for it."""
    current, prepared, state = call.current, call.prepared, m.state
    if current is None or prepared is None or m.time_up or call.refused:
        return answer
    model = state.models.get(current.model)
    if model is None or is_excluded(m, question, model) or find_sizes(model, call) is None:
        return answer
    if (
        _is_exhausted(state, call)
        or is_behind(state.records.get(model.id), m.now)
        or is_spent(m, call, model.id, False)
    ):
        return answer
    if m.now < (ready := ready_at(state, call)):
        m.wake_at(ready)
        return None
    progress = _start(m, question, call, current)
    return answer if isinstance(progress, NoRoom) else progress


def _waits_long(call: LogicalCall) -> bool:
    return call.failure is not None and call.failure.retry_after is not None


def _start(m: Moment, question: Question, call: LogicalCall, current: Selection) -> CallStarted | NoRoom | None:
    """An attempt, as soon as there is a place, the money and the time for it."""
    state = m.state
    if state.in_flight >= state.settings.concurrency or m.money_waits:
        return None
    model, prepared = state.models[current.model], call.prepared
    assert prepared is not None
    room = find_room(m, question, model, call)
    if not isinstance(room, Room):
        return room
    tokens = prepared.body_bytes + model.hidden_tokens + room.max_tokens
    if not may_start(m, call.key.node, model, tokens, room.hold):
        return None
    beyond = exceeded(m, call.key.node, tokens, room.hold)
    limits, left = state.settings.limits, state.time_limit - state.active(m.now) + GRACE
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
        timeout=min(limits.call_timeout, max(GRACE, limits.call_total - call.took), left),
        probe=needs_probe(state, model.id),
        violates=tuple(dict.fromkeys((*room.violates, *beyond))),
    )


def _visited(call: LogicalCall, reason: str | None) -> dict[str, str]:
    """Why each model already selected for the call is not selected again; ``reason`` is for the latest."""
    visited: dict[str, str] = {}
    selections = call.visited
    reasons = [following.reason for following in selections[1:]]
    for selection, left_for in zip(selections, [*reasons, reason], strict=False):
        told = left_for is not None and (left_for in ("budget", "context") or left_for.startswith(OF_POLICY))
        visited[selection.model] = left_for if told and left_for is not None else "tried"
    return visited


def _others_left(m: Moment, question: Question, call: LogicalCall) -> bool:
    return list_candidates(m, question, _visited(call, None)).chosen is not None


def _wait_for_breakers(m: Moment, question: Question, call: LogicalCall) -> None:
    """Only models behind open breakers are left: look again when the earliest lets a probe through."""
    for model in list_candidates(m, question, _visited(call, None)).resting:
        wake_for_breaker(m, model)
    if call.current is not None:
        wake_for_breaker(m, call.current.model)


def _select(m: Moment, question: Question, call: LogicalCall, reason: str, room: NoRoom | None) -> Progress:
    """The next model, or the end of the call."""
    listing = list_candidates(m, question, _visited(call, reason))
    chosen = listing.chosen
    if chosen is not None:
        return _selected(m, question, call, reason, listing, chosen)
    resting = listing.resting
    if resting:
        for model in resting:
            wake_for_breaker(m, model)
        return None
    if room is not None:
        return SpendRefused(*call.key, need=room.need, free=room.free, limit=room.limit)
    return GaveUp("failed") if call.visited else GaveUp("no_model", listing.candidates)


def _selected(
    m: Moment, question: Question, call: LogicalCall, reason: str, listing: Listing, chosen: str
) -> ModelSelected:
    model = m.state.models[chosen]
    limit = m.state.settings.output_limit(question.role, question.type)
    full = min(limit, model.max_output or limit)
    return ModelSelected(
        *call.key,
        selection=len(call.selections) + 1,
        model=chosen,
        reason=reason,
        max_tokens=full,
        candidates=listing.shown(chosen, call.candidates),
        backend=listing.backend,
        waiver=listing.waiver(chosen),
        most_tokens=max(full, model.max_output or _GROWTH * full),
    )
