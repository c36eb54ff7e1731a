"""The ladder of money: full size, wait, shrink, another model, refused."""

from collections.abc import Callable

from attrs import frozen

from orchestrator.decide.moment import Moment
from orchestrator.decide.routing import Question, possible
from orchestrator.events import BudgetWarned, Decision
from orchestrator.models import ModelInfo, Phase, Role
from orchestrator.money import Usd
from orchestrator.settings import PHASE_PERCENTS, SECOND
from orchestrator.state.calls import LogicalCall, Refusal

_LEAST_TOKENS = 256
_FIRST_PAUSE = SECOND // 2
_LONGEST_PATIENCE = 60 * SECOND


@frozen
class Room:
    """There is money for the call, at this size."""

    max_tokens: int
    hold: Usd


@frozen
class NoRoom:
    """There is none, at any size, of this model."""

    need: Usd
    free: Usd
    limit: str
    """``run``, or the account that refused."""


def find_room(m: Moment, question: Question, model: ModelInfo, call: LogicalCall) -> Room | NoRoom | None:
    """The size at which the selected model can be asked now; None: wait."""
    state = m.state
    selection, prepared = call.current, call.prepared
    assert selection is not None
    assert prepared is not None
    # A later session may know a lower limit of the model than the selection did.
    whole = min(selection.max_tokens, model.max_output or selection.max_tokens)
    full = whole if call.smallest is None else min(whole, call.smallest)
    floor = min(full, max(-(-whole // 4), _LEAST_TOKENS))
    hold = _hold(model, prepared.body_bytes)
    reserve = _reserve(m, question)

    def need(size: int) -> Usd:
        return hold(size) + reserve(size)

    free, in_flight = state.free, state.in_flight_held
    if need(full) <= free:
        size = full
    elif need(full) <= free + in_flight:
        m.money_waits = True
        return None
    elif need(floor) <= free:
        size = _largest(floor, full, lambda tokens: need(tokens) <= free)
    elif need(floor) <= free + in_flight:
        m.money_waits = True
        return None
    else:
        return NoRoom(need(floor), free, "run")
    if call.refusals:
        return _after_refusal(m, call, size, floor, hold)
    return Room(size, hold(size))


def _hold(model: ModelInfo, body_bytes: int) -> Callable[[int], Usd]:
    """The most a call with this body can cost, as a function of ``max_tokens``."""
    price = model.price
    assert price is not None, "a model without a price is never selected"

    def hold(max_tokens: int) -> Usd:
        bound = model.output_bound(max_tokens)
        return price.bound(body_bytes + model.hidden_tokens, max_tokens if bound is None else bound)

    return hold


def _reserve(m: Moment, question: Question) -> Callable[[int], Usd]:
    """What scoring the output once costs at least, as a function of the output's ``max_tokens``.

    A draft, its critique and its revision must leave that much, so that they are dropped before the score is. It is
    the cheapest judge's estimate: a dearer one gives way to it when its turn comes.
    """
    if question.role not in (Role.GENERATOR, Role.CRITIC, Role.REVISER):
        return lambda max_tokens: Usd.ZERO
    judges = possible(m, Question(Role.EVALUATOR, question.type))
    if not judges:
        return lambda max_tokens: Usd.ZERO
    limit = m.state.settings.output_limit(Role.EVALUATOR, question.type)

    def reserve(max_tokens: int) -> Usd:
        longest = 4 * max_tokens + 4096
        return min(_hold(judge, longest)(min(limit, judge.max_output or limit)) for judge in judges)

    return reserve


def _largest(low: int, high: int, fits: Callable[[int], bool]) -> int:
    """The largest number in low … high that fits; ``low`` does, and what fits is downward closed."""
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if fits(middle) else (low, middle - 1)
    return low


def _after_refusal(
    m: Moment, call: LogicalCall, size: int, floor: int, hold: Callable[[int], Usd]
) -> Room | NoRoom | None:
    """An account had no room: wait with growing pauses, then shrink once to what it has, then give up the model."""
    last = call.refusals[-1]
    if hold(size) < last.event.need:
        return Room(size, hold(size))
    same = _trailing_same(call.refusals)
    shrunk = len(same) < len(call.refusals)
    may_free = last.event.free + last.event.in_flight_live >= last.event.need
    if may_free and not shrunk and last.at - same[0].at < _LONGEST_PATIENCE:
        again = min(last.at + (_FIRST_PAUSE << len(same) - 1), same[0].at + _LONGEST_PATIENCE)
        if m.now < again:
            m.wake_at(again)
            return None
        return Room(size, hold(size))
    if not shrunk and hold(floor) <= last.event.free:
        smaller = _largest(floor, size, lambda tokens: hold(tokens) <= last.event.free)
        return Room(smaller, hold(smaller))
    return NoRoom(last.event.need, last.event.free, last.event.account)


def _trailing_same(refusals: list[Refusal]) -> list[Refusal]:
    """The refusals at the end that were of the same amount."""
    need = refusals[-1].event.need
    start = len(refusals)
    while start and refusals[start - 1].event.need == need:
        start -= 1
    return refusals[start:]


def next_warning(m: Moment) -> Decision | None:
    """A phase that has passed a part of its share for the first time."""
    state = m.state
    for phase, spend in state.phases.items():
        spent = spend.total
        if not spent:
            continue
        share = _share(m, phase)
        for percent in PHASE_PERCENTS:
            if spent.nano * 100 >= share.nano * percent and (phase, percent) not in state.warned:
                return BudgetWarned(phase, percent, spent, share)
    return None


def _share(m: Moment, phase: Phase) -> Usd:
    parts = m.state.settings.phase_shares.get(phase, 0.0)
    return m.state.cap.part(round(parts * 1_000_000), 1_000_000)
