"""One logical call, from being wanted to an answer or to giving up."""

from typing import Final

from attrs import evolve as changed
from attrs import frozen

from orchestrator.decide.answer_lengths import AnswerSizes, call_sizes
from orchestrator.decide.approvals import asks_at_ceiling, next_ceiling, next_spend
from orchestrator.decide.batch_lanes import lane_of
from orchestrator.decide.pacing import exceeded, may_start, may_take_place, ticket_of
from orchestrator.decide.retries_and_circuits import is_behind, is_spent, needs_probe, ready_at, wake_for_breaker
from orchestrator.decide.roster import Rejection
from orchestrator.decide.round_context import GRACE, RoutingContext
from orchestrator.decide.routing import Asked, Listing, Query, is_excluded, list_candidates
from orchestrator.decide.spending import Headroom, NoHeadroom, find_headroom, find_sizes, is_too_long, refusal_of
from orchestrator.decide.timeouts import call_timeout
from orchestrator.decide.usable_answers import is_cut_off, is_usable, unusable, unusable_of, usable
from orchestrator.errors import ErrorKind, present
from orchestrator.events import CallStarted, Decision, ModelCandidate, ModelSelected, QuestionAsked, SpendRefused
from orchestrator.models import CallEnd, Lane, RejectionReason, SelectionReason, SpendLimit
from orchestrator.state.calls import Answer, CallKey, LogicalCall, Selection
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_UNUSABLE_OF_MODEL: Final = 2
"""So many answers of one model that cannot be used end it for the call, reopened or not."""
_UNUSABLE: Final = 6
"""So many answers that cannot be used end the call."""


@frozen
class NoAnswer:
    """There will be none."""

    reason: CallEnd
    removed: tuple[ModelCandidate, ...] = ()
    """With ``no_model``: every model, with its rejection reason."""


CallStep = Decision | Answer | NoAnswer | None
"""A decision to make, the answer that can be used, an end without one, or None: wait."""


def next_call(m: RoutingContext, key: CallKey, query: Query) -> CallStep:
    """What the call needs next."""
    state = m.state
    if state.settings.node_policies and not query.node:
        query = changed(query, node=key.node)
    call = state.call(key)
    if call is None:
        return NoAnswer(CallEnd.TIME) if m.time_up else _select(m, query, LogicalCall(key), SelectionReason.FIRST, None)
    if call.in_flight is not None:
        return None
    answer = usable(call)
    if answer is not None:
        return _continue_cut_answer(m, query, call, answer) if is_cut_off(call) else answer
    if call.current is not None and call.prepared is None:
        return None
    if call.refused:
        return NoAnswer(refusal_of(call))
    if m.time_up:
        return NoAnswer(CallEnd.TIME)
    if _is_exhausted(state, call):
        return NoAnswer(CallEnd.UNREADABLE if unusable(call) else CallEnd.FAILED)
    if call.current is None:
        return _select(m, query, call, SelectionReason.FIRST, None)
    return _go_on(m, query, call, call.current)


def next_step(
    m: RoutingContext, task: TaskState, iteration: int, query: Query, sample: int = 1, *, stands: bool = False
) -> CallStep:
    """What a call of a task needs next, with short cuts for one that was made.

    ``stands``: others work with its answer already, so that it is not asked for again, were it cut off.
    """
    call = task.call(query.role, iteration, sample)
    if call is not None:
        if is_at_work(m, call):
            return None
        answer = usable(call)
        if answer is not None and (stands or not is_cut_off(call)):
            return answer
    return next_call(m, CallKey(task.name, query.role, iteration, sample), query)


def is_at_work(m: RoutingContext, call: LogicalCall) -> bool:
    """The call is prepared or performed right now, and nothing but its outcome can change what it needs."""
    if call.in_flight is not None:
        return True
    if call.prepared is not None or m.time_up or call.refused or call.answers:
        return False
    return call.current is not None


def _go_on(m: RoutingContext, query: Query, call: LogicalCall, current: Selection) -> CallStep:
    """The selected model again, or the next one."""
    state = m.state
    prepared = present(call.prepared, "prepared call")
    if prepared.problem is not None:
        return _select(m, query, call, SelectionReason.FALLBACK, None)
    model = state.models.get(current.model)
    if model is None or is_excluded(m, query, model):
        return _select(m, query, call, SelectionReason.FALLBACK, None)
    if call.answers and call.answers[-1].version > current.version:
        return _call_anew(m, query, call, current)
    if is_too_long(model, prepared.body_bytes, current.max_tokens):
        return _select(m, query, call, SelectionReason.CONTEXT, None)
    if find_sizes(model, call) is None:
        return _select(
            m, query, call, SelectionReason.FALLBACK, None
        )  # all it wrote was cut off before anything could be read
    behind = is_behind(state, current.model, m.now)
    others = _others_left(m, query, call) if behind or _waits_long(call) else False
    if is_spent(m, call, current.model, others):
        return _select(m, query, call, _why_spent(call), None)
    if behind:
        if others:
            return _select(m, query, call, SelectionReason.BREAKER, None)
        _wait_for_breakers(m, query, call)
        return None
    ready = ready_at(state, call)
    if m.now < ready:
        m.wake_at(ready)
        return None
    progress = _start(m, query, call, current)
    if not isinstance(progress, NoHeadroom):
        return progress
    left_for = SelectionReason.POLICY if progress.limit is SpendLimit.POLICY else SelectionReason.BUDGET
    return _select(m, query, call, left_for, progress)


def _why_spent(call: LogicalCall) -> SelectionReason:
    """Why a model that failed is left: a vendor can know better than the estimate that the prompt does not fit."""
    is_too_long = call.failure is not None and call.failure.kind is ErrorKind.CONTEXT_LENGTH
    return SelectionReason.CONTEXT if is_too_long else SelectionReason.FALLBACK


def _call_anew(m: RoutingContext, query: Query, call: LogicalCall, current: Selection) -> CallStep:
    """After an answer that cannot be used: the same model once more, shown why, then the next one."""
    state, model = m.state, current.model
    is_first = unusable_of(call)[model] < _UNUSABLE_OF_MODEL
    if not is_first or is_spent(m, call, model, False) or is_behind(state, model, m.now):
        return _select(m, query, call, SelectionReason.UNREADABLE, None)
    visited = {name: why for name, why in _visited(m, call, None).items() if name != model}
    listing = list_candidates(m, query, visited, (*call.key, len(call.selections) + 1))
    if model in listing.rejection:
        return _select(m, query, call, SelectionReason.UNREADABLE, None)
    return _selected(m, query, call, SelectionReason.REASK, listing, model, None)


def _is_exhausted(state: RunState, call: LogicalCall) -> bool:
    """The call has had all its attempts, all its time, or all its answers that cannot be used."""
    limits = state.settings.limits
    if call.ended - call.ended_before >= limits.attempts or call.took >= limits.call_total:
        return True
    return sum(not is_usable(call, answer) for answer in call.answers[call.answers_before :]) >= _UNUSABLE


def _continue_cut_answer(m: RoutingContext, query: Query, call: LogicalCall, answer: Answer) -> CallStep:
    """The same model again with a higher limit; the answer stands where there is no higher one, no try or no money."""
    current, prepared, state = call.current, call.prepared, m.state
    if current is None or prepared is None or m.time_up or call.refused:
        return answer
    model = state.models.get(current.model)
    if model is None or is_excluded(m, query, model) or find_sizes(model, call) is None:
        return answer
    if _is_exhausted(state, call) or is_behind(state, model.id, m.now) or is_spent(m, call, model.id, False):
        return answer
    if m.now < (ready := ready_at(state, call)):
        m.wake_at(ready)
        return None
    progress = _start(m, query, call, current)
    return answer if isinstance(progress, NoHeadroom) else progress


def _waits_long(call: LogicalCall) -> bool:
    return call.failure is not None and call.failure.retry_after is not None


def _start(
    m: RoutingContext, query: Query, call: LogicalCall, current: Selection
) -> CallStarted | QuestionAsked | NoHeadroom | None:
    """An attempt, as soon as there is a place, the money and the time for it."""
    state = m.state
    if m.money_waits:
        return None
    model, prepared = state.models[current.model], call.prepared
    lane = lane_of(state, call.key.node, model)
    is_batched = lane is Lane.BATCH
    if not is_batched and not may_take_place(m, call):
        return None
    prepared = present(prepared, "prepared call")
    headroom = find_headroom(m, query, model, call)
    if not isinstance(headroom, Headroom):
        return headroom
    tokens = prepared.body_bytes + model.hidden_tokens + headroom.max_tokens
    if not may_start(m, call.key.node, model, tokens, headroom.hold, is_batched=is_batched):
        return None
    agreed = next_spend(m, headroom.hold) if state.settings.approve.spend else True
    if agreed is not True:
        return agreed or None
    beyond = exceeded(m, call.key.node, tokens, headroom.hold)
    limits = state.settings.limits
    longest = limits.call_timeout or call_timeout(state.records.get(model.id), prepared.body_bytes, headroom.max_tokens)
    left = state.time_limit - state.active(m.now) + GRACE
    timeout = min(longest, max(GRACE, limits.call_total - call.took), left)
    return CallStarted(
        selected=current.version,
        node=call.key.node,
        role=call.key.role,
        iteration=call.key.iteration,
        sample=call.key.sample,
        attempt=call.attempts + 1,
        try_=call.ended + 1,
        provider=model.provider,
        model=model.id,
        max_tokens=headroom.max_tokens,
        body_bytes=prepared.body_bytes,
        hold=headroom.hold,
        timeout=limits.batch_wait if is_batched else timeout,
        probe=needs_probe(state, model.id),
        violates=tuple(dict.fromkeys((*headroom.violates, *beyond))),
        larger=_is_larger(call, current, headroom.max_tokens),
        lane=lane,
        ticket=None if is_batched else ticket_of(m, call),
    )


def _is_larger(call: LogicalCall, current: Selection, max_tokens: int) -> bool:
    """Whether the model is asked with more room than at first, because its answer was cut off.

    A model that is called anew may be given more than it was, and yet be asked for less: for want of money, or because
    the prompt that shows its answer leaves less of the window.
    """
    if call.cut:
        return True
    return current.reason is SelectionReason.REASK and max_tokens > call.selections[-2].max_tokens


_TRIED: Final = Rejection(RejectionReason.TRIED)
_LEFT_FOR: Final = {
    SelectionReason.BUDGET: RejectionReason.BUDGET,
    SelectionReason.CONTEXT: RejectionReason.CONTEXT,
    SelectionReason.POLICY: RejectionReason.POLICY,
}
"""Why a model was left that was not called: as the reason of the selection that follows says."""


def was_unreachable(state: RunState, call: LogicalCall, model: str) -> bool:
    """No attempt of the call has reached the model's host: it may be selected again once the host can be."""
    known = state.models.get(model)
    return known is not None and known.host is not None and model not in call.tries


def _visited(
    m: RoutingContext, call: LogicalCall, reason: SelectionReason | None, policy: str | None = None
) -> dict[str, Rejection]:
    """Why each model already selected for the call is not selected again; ``reason`` is for the latest."""
    visited: dict[str, Rejection] = {}
    selections = call.visited
    reasons = [(following.reason, following.policy) for following in selections[1:]]
    for selection, (left_for, name) in zip(selections, [*reasons, (reason, policy)], strict=False):
        if left_for is SelectionReason.BREAKER and was_unreachable(m.state, call, selection.model):
            continue
        is_known = None if left_for is None else _LEFT_FOR.get(left_for)
        visited[selection.model] = _TRIED if is_known is None else Rejection(is_known, name)
    for model, count in unusable_of(call).items() if call.answers else ():
        if count >= _UNUSABLE_OF_MODEL:
            visited[model] = _TRIED
    return visited


def _listed(
    m: RoutingContext, query: Query, call: LogicalCall, reason: SelectionReason | None, policy: str | None = None
) -> Listing:
    """The candidates for the call's next selection."""
    return list_candidates(m, query, _visited(m, call, reason, policy), (*call.key, len(call.selections) + 1))


def _others_left(m: RoutingContext, query: Query, call: LogicalCall) -> bool:
    return _listed(m, query, call, None).chosen is not None


def _wait_for_breakers(m: RoutingContext, query: Query, call: LogicalCall) -> None:
    """Only models behind open breakers are left: look again when the earliest lets a probe through."""
    for model in _listed(m, query, call, None).open_circuits:
        wake_for_breaker(m, model)
    if call.current is not None:
        wake_for_breaker(m, call.current.model)


def _sizes_anew(call: LogicalCall, current: Selection) -> AnswerSizes:
    """The sizes of a model that is called anew: larger where its answer was cut off, but only once.

    Not where it was shrunk for money, or clipped to the window: then it stays as small as it was.
    """
    most = max(current.most_tokens, current.max_tokens)
    if not call.cut:
        asked = current.max_tokens if call.smallest is None else call.smallest
        return AnswerSizes(asked, most if asked == current.max_tokens else asked)
    if len(call.cut) > 1 or call.smallest is not None or call.cut[0] < current.max_tokens:
        last = call.cut[-1] if call.smallest is None else call.smallest
        return AnswerSizes(last, last)
    return AnswerSizes(most, most)


def _select(
    m: RoutingContext, query: Query, call: LogicalCall, reason: SelectionReason, headroom: NoHeadroom | None
) -> CallStep:
    """The next model, or the end of the call."""
    policy = headroom.name if headroom is not None and reason is SelectionReason.POLICY else None
    listing = _listed(m, query, call, reason, policy)
    chosen = listing.chosen
    if chosen is not None:
        return _selected(m, query, call, reason, listing, chosen, policy)
    open_circuits = listing.open_circuits
    if open_circuits:
        for model in open_circuits:
            wake_for_breaker(m, model)
        return None
    if headroom is not None and headroom.limit is SpendLimit.RUN and asks_at_ceiling(m.state):
        return next_ceiling(m, headroom.need, headroom.free)
    if headroom is not None:
        return SpendRefused(*call.key, need=headroom.need, free=headroom.free, limit=headroom.limit, name=headroom.name)
    if call.answers:
        return NoAnswer(CallEnd.UNREADABLE)
    if not call.visited:
        return NoAnswer(CallEnd.NO_MODEL, listing.candidates)
    return NoAnswer(CallEnd.CONTEXT if _fits_nowhere(call, reason) else CallEnd.FAILED)


def _fits_nowhere(call: LogicalCall, reason: SelectionReason) -> bool:
    """Whether every model was left because the prompt does not fit its context window."""
    reasons = [*(following.reason for following in call.visited[1:]), reason]
    return all(each is SelectionReason.CONTEXT for each in reasons)


def _selected(
    m: RoutingContext,
    query: Query,
    call: LogicalCall,
    reason: SelectionReason,
    listing: Listing,
    chosen: str,
    policy: str | None,
) -> ModelSelected:
    model = m.state.models[chosen]
    sizes = call_sizes(m.state, model, query.role, query.type)
    before = next((answer for answer in reversed(unusable(call)) if answer.model == chosen), None)
    current = call.current
    if before is not None and current is not None and current.model == chosen:
        sizes = _sizes_anew(call, current).within(model)
    asked = Asked() if query.draft is None else query.draft.of(chosen)
    return ModelSelected(
        *call.key,
        selection=len(call.selections) + 1,
        model=chosen,
        reason=reason,
        max_tokens=sizes.first,
        candidates=listing.shown(chosen, call.candidates),
        backend=listing.backend,
        waiver=listing.waiver(chosen),
        most_tokens=sizes.most,
        policy=policy,
        mode=asked.mode,
        base=asked.base,
        temperature=asked.temperature,
        unreadable=None if before is None else before.version,
        draw=listing.draw,
        compares=query.compares,
    )
