"""The spending order: full size, wait, shrink, another model, refused."""

from collections.abc import Callable
from functools import lru_cache

from attrs import frozen

from orchestrator.decide.answer_lengths import usual_size
from orchestrator.decide.batch_lanes import lane_of
from orchestrator.decide.compliance import caps_of
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import Query, removed_now
from orchestrator.decide.strategies import judge_runs
from orchestrator.errors import MissingError, present
from orchestrator.events import ENHANCE, BudgetWarned, CallStarted, Decision
from orchestrator.models import CallEnd, ModelInfo, Role, SelectionReason, SpendLimit
from orchestrator.money import Usd
from orchestrator.policy import EnforcementMode
from orchestrator.settings import PHASE_PERCENTS, SECOND
from orchestrator.state.calls import LogicalCall, Refusal
from orchestrator.state.run import RunState

BYTES_PER_TOKEN = 3
"""The estimate by which a prompt is said to fit a context window; no bound."""
LEAST_TOKENS = 256
"""The smallest ``max_tokens`` of a call whose limit is larger."""
_UNLIMITED = 1 << 62
_FIRST_PAUSE = SECOND // 2
_LONGEST_PATIENCE = 60 * SECOND


@frozen
class Headroom:
    """There is money for the call, at this size."""

    max_tokens: int
    hold: Usd
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies whose cap it goes beyond."""


@frozen
class NoHeadroom:
    """There is none, at any size, of this model."""

    need: Usd
    free: Usd
    limit: SpendLimit
    name: str | None = None
    """Of the account or the policy."""


def refusal_of(call: LogicalCall) -> CallEnd:
    """What a refused call lacked: ``policy`` where caps on the task's cost alone refused it, else ``budget``."""
    budget = any(each.reason is SelectionReason.BUDGET for each in call.visited)
    return CallEnd.POLICY if call.refused_by is SpendLimit.POLICY and not budget else CallEnd.BUDGET


def find_headroom(m: RoutingContext, query: Query, model: ModelInfo, call: LogicalCall) -> Headroom | NoHeadroom | None:
    """The size at which the selected model can be asked now; None: wait."""
    state = m.state
    selection, prepared = call.current, call.prepared
    selection = present(selection, "selection")
    prepared = present(prepared, "prepared call")
    sizes = present(find_sizes(model, call), "higher limit, and an answer that was cut off is asked again")
    floor, full = sizes
    hold = _hold(state, call.key.node, model, prepared.body_bytes)
    reserve = _reserve(m, query, call.key.node)

    def need(size: int) -> Usd:
        return hold(size) + reserve(size)

    caps = _caps(m, call.key.node)
    for cap in caps:
        if cap.binds:
            fitting = _fit(need, floor, full, cap)
            if not isinstance(fitting, int):
                return fitting
            full = fitting
    size = _fit(need, floor, full, _Cap(SpendLimit.RUN, state.free, state.in_flight_held))
    if not isinstance(size, int):
        m.money_waits = size is None or m.money_waits
        return size
    headroom = _after_refusal(m, call, size, floor, hold) if call.refusals else Headroom(size, hold(size))
    beyond = tuple(
        [cap.name for cap in caps if isinstance(headroom, Headroom) and headroom.hold > cap.free and not cap.binds]
    )
    return (
        Headroom(headroom.max_tokens, headroom.hold, beyond) if beyond and isinstance(headroom, Headroom) else headroom
    )


@frozen
class _Cap:
    """What a limit leaves for a call."""

    limit: SpendLimit
    free: Usd
    in_flight: Usd
    """What calls in flight under the same limit may give back."""
    binds: bool = True
    name: str = ""
    """Of the policy whose limit it is."""


def _caps(m: RoutingContext, name: str) -> tuple[_Cap, ...]:
    """What the policies' caps on the cost of a node leave."""
    capped = caps_of(m.state.settings, name, is_task=name in m.state.tasks)
    if not capped and name != ENHANCE:
        return ()
    opened = (each for each in m.state.pending.values() if isinstance(each, CallStarted) and each.node == name)
    in_flight = Usd(sum(call.hold.nano for call in opened))
    spent = m.state.node(name).spend.total + in_flight
    found = [
        _Cap(SpendLimit.POLICY, cap - spent, in_flight, policy.enforcement_mode is EnforcementMode.HARD, policy.name)
        for policy, cap in capped
    ]
    if name == ENHANCE:
        found.append(_Cap(SpendLimit.ENHANCE, m.state.settings.enhance_cap - spent, in_flight))
    return tuple(found)


def _fit(need: Callable[[int], Usd], floor: int, full: int, cap: _Cap) -> int | NoHeadroom | None:
    """The largest size from ``floor`` to ``full`` that fits; None: wait for calls in flight."""
    free, most = cap.free, cap.free + cap.in_flight
    if need(full) <= free:
        return full
    if need(full) <= most:
        return None
    if need(floor) <= free:
        return _largest(floor, full, lambda tokens: need(tokens) <= free)
    return None if need(floor) <= most else NoHeadroom(need(floor), free, cap.limit, cap.name or None)


def left_in_window(model: ModelInfo, body_bytes: int) -> int | None:
    """The tokens that a prompt of this size leaves of the context window, by estimate; None: no window is known.

    A prompt that is longer than the model takes leaves nothing.
    """
    tokens = estimated_tokens(body_bytes)
    if model.max_input is not None and tokens > model.max_input:
        return 0
    return None if model.context is None else model.context - tokens


def estimated_tokens(body_bytes: int) -> int:
    """The tokens of a prompt, as its fit is estimated."""
    return body_bytes // BYTES_PER_TOKEN


def is_too_long(model: ModelInfo, body_bytes: int, wanted: int = LEAST_TOKENS) -> bool:
    """Whether a prompt leaves too little of the model's context window for an answer, of which so much is wanted."""
    left = left_in_window(model, body_bytes)
    return left is not None and left < min(LEAST_TOKENS, wanted)


def find_sizes(model: ModelInfo, call: LogicalCall) -> tuple[int, int] | None:
    """The smallest and the largest ``max_tokens`` at which the current selection may be asked (again).

    Both are at most what the prompt leaves of the context window; with less than 256 left the model is not selected.
    An answer that was cut off is asked again once, as large as the selection allows, by a quarter more at the least.
    None: there is no more room, it was asked again already, or it was shrunk for money: a shrunk answer is never asked
    again larger.
    """
    selection, prepared = call.current, call.prepared
    selection = present(selection, "selection")
    prepared = present(prepared, "prepared call")
    # A later session may know a lower limit of the model than the selection did.
    most = min(max(selection.most_tokens, selection.max_tokens), model.max_output or _UNLIMITED)
    whole = min(selection.max_tokens, most)
    left = left_in_window(model, prepared.body_bytes)
    if left is not None:
        whole = min(whole, left)
    floor = max(-(-whole // 4), LEAST_TOKENS)
    if call.cut:
        cut = call.cut[0]
        if len(call.cut) > 1 or cut < whole:
            return None
        whole, floor = most if left is None else min(most, left), cut + -(-cut // 4)
        if whole < floor:
            return None
    full = whole if call.smallest is None else min(whole, call.smallest)
    return min(full, floor), full


def _hold(state: RunState, node: str, model: ModelInfo, body_bytes: int) -> Callable[[int], Usd]:
    """The most a call of a node with this body can cost in its lane, as a function of ``max_tokens``."""
    price = present(model.price_in(lane_of(state, node, model)), "price of a model that was selected")

    def hold(max_tokens: int) -> Usd:
        bound = model.output_bound(max_tokens)
        return price.bound(body_bytes + model.hidden_tokens, max_tokens if bound is None else bound)

    return hold


def _reserve(m: RoutingContext, query: Query, node: str) -> Callable[[int], Usd]:
    """What scoring the output once costs at least, as a function of the output's ``max_tokens``.

    It is what a judge is asked for at first that was not measured. A draft, its critique, its revision and comparisons
    must leave that much, so that they are dropped before the score is. It is the cheapest judge's estimate: a dearer
    one gives way to it when its iteration comes.
    """
    if query.role not in (Role.GENERATOR, Role.CRITIC, Role.REVISER) and query.compares is None:
        return lambda max_tokens: Usd.ZERO
    if query.type is None:
        raise MissingError("kind of task")
    if judge_runs(m.state.settings, query.type) == 0:
        return lambda max_tokens: Usd.ZERO
    settings, kind = m.state.settings, query.type
    removed = frozenset(removed_now(m, query.node))
    judges = m.roster.cheapest_judges(query.node, removed)
    if not judges:
        return lambda max_tokens: Usd.ZERO

    def reserve(max_tokens: int) -> Usd:
        longest = 4 * max_tokens + 4096
        return min(
            _hold(m.state, node, judge, longest)(usual_size(settings, judge, Role.EVALUATOR, kind)) for judge in judges
        )

    return reserve


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """The largest number in low … high that fits; ``low`` does, and what fits is downward closed."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _after_refusal(
    m: RoutingContext, call: LogicalCall, size: int, floor: int, hold: Callable[[int], Usd]
) -> Headroom | NoHeadroom | None:
    """An account has too little free: wait with growing pauses, shrink once to what it has, then give up the model."""
    last = call.refusals[-1]
    if hold(size) < last.event.need:
        return Headroom(size, hold(size))
    same = _trailing_same(call.refusals)
    shrunk = len(same) < len(call.refusals)
    may_free = last.event.free + last.event.in_flight_live >= last.event.need
    if may_free and not shrunk and last.at - same[0].at < _LONGEST_PATIENCE:
        again = min(last.at + (_FIRST_PAUSE << len(same) - 1), same[0].at + _LONGEST_PATIENCE)
        if m.now < again:
            m.wake_at(again)
            return None
        return Headroom(size, hold(size))
    if not shrunk and hold(floor) <= last.event.free:
        smaller = _largest(floor, size, lambda tokens: hold(tokens) <= last.event.free)
        return Headroom(smaller, hold(smaller))
    return NoHeadroom(last.event.need, last.event.free, SpendLimit.ACCOUNT, last.event.account)


def _trailing_same(refusals: list[Refusal]) -> list[Refusal]:
    """The refusals at the end that were of the same amount."""
    need = refusals[-1].event.need
    start = len(refusals)
    while start and refusals[start - 1].event.need == need:
        start -= 1
    return refusals[start:]


def next_warning(m: RoutingContext) -> Decision | None:
    """A phase that has passed a part of its share for the first time."""
    state = m.state
    cap, shares = state.cap.nano, state.settings.phase_shares
    for phase, spend in state.phases.items():
        spent = spend.settled.nano + spend.unreconciled.nano
        if not spent:
            continue
        share = _share(cap, shares.get(phase, 0.0))
        if spent * 100 < share.nano * PHASE_PERCENTS[0]:
            continue
        for percent in PHASE_PERCENTS:
            if spent * 100 >= share.nano * percent and (phase, percent) not in state.warned:
                return BudgetWarned(phase, percent, Usd(spent), share)
    return None


@lru_cache(maxsize=64)
def _share(cap: int, parts: float) -> Usd:
    """A phase's share of the cap. Remembered, because every decision asks for all of them."""
    return Usd(cap).part(round(parts * 1_000_000), 1_000_000)
