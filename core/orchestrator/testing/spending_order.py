"""The laws of one run, and of the spending order: which calls wait, shrink, go to another model or are refused.

``Laws`` judges what stands in a history; these judge whether it had to. They are for histories that the rules of this
program wrote. Where what scoring will cost matters, the dearest judge stands in for the one the rules have in mind, so
that nothing is called a breach that is none.
"""

from collections.abc import Iterator
from typing import Final

from attrs import define, frozen

from orchestrator import events as e
from orchestrator.decide.compliance import binding, caps_of, violated
from orchestrator.models import ModelInfo, Role, SelectionReason, is_comparison
from orchestrator.money import Usd
from orchestrator.settings import SECOND, CrossVendor
from orchestrator.state.calls import CallKey
from orchestrator.testing.laws import Call, Laws, key_of

_LONGEST_WAIT: Final = 60 * SECOND
_SCORED: Final = (Role.GENERATOR, Role.CRITIC, Role.REVISER)
_BYTES_PER_TOKEN: Final = 3


@frozen
class _Wish:
    """A call that is prepared, and what it would take."""

    key: CallKey
    call: Call
    model: ModelInfo
    body_bytes: int
    floor: int
    full: int
    judges: tuple[ModelInfo, ...]
    """Those whose estimate must fit beside the call."""
    can_be_scored: bool
    """Whether one of them surely can be asked."""
    limit: int
    """What a judge may write."""

    def hold(self, size: int) -> Usd:
        """The most the call can cost at this ``max_tokens``."""
        return _bound(self.model, self.body_bytes, size)

    def least(self, size: int) -> Usd:
        """The hold, and the least that has to be left beside it for an evaluation."""
        return self.hold(size) + (min(self._estimates(size)) if self.can_be_scored else Usd.ZERO)

    def need(self, size: int) -> Usd:
        """The hold, and the most that may have to be left beside it for an evaluation."""
        return self.hold(size) + max(self._estimates(size), default=Usd.ZERO)

    def _estimates(self, size: int) -> list[Usd]:
        sizes = [(each, self.limit + each.thinking) for each in self.judges]
        return [_bound(each, 4 * size + 4096, min(asked, each.max_output or asked)) for each, asked in sizes]


def _bound(model: ModelInfo, body_bytes: int, max_tokens: int) -> Usd:
    assert model.price is not None
    bound = model.output_bound(max_tokens)
    return model.price.bound(body_bytes + model.hidden_tokens, max_tokens if bound is None else bound)


@define
class SpendingOrder(Laws):
    """Takes a run's events one by one and notes every law they break, those of the spending order included."""

    def take(self, at: int, event: e.Event) -> None:
        """Check one event against everything before it, and remember it; see ``Laws.take``."""
        found = list(self._needless(at, event)) if self.is_open else []
        super().take(at, event)
        for message in found:
            self.require("limits", False, message)

    def rest(self, at: int) -> None:
        """Nothing more is decided at this time: no call waits that could start."""
        waiting = sorted(self.calls, key=self._place)
        for key in waiting if self._may_start_calls(at) else ():
            call = self.calls[key]
            over = call.in_flight or call.answered or call.refused or (self.planned and key.node not in self.started)
            if over or call.selection is None or call.prepared is None:
                continue
            wish = self._wish(key, at)
            if wish is None or (call.attempts and at >= call.ready):
                return  # whether it waits for money, and holds up those behind it, is not known here
            if not call.attempts and not call.refusals and not self.calls_in_flight:
                self.require("limits", False, f"{_said(key)} waits although nothing is in flight")
                return
            fits = wish.need(wish.full) <= self._free
            if fits and not call.attempts and not call.refusals:
                self.require("limits", False, f"{_said(key)} fits and is kept waiting")
                return
            if not (call.refusals and fits) and not call.attempts:
                return  # it waits for the run's cap, and so do all later calls

    def _needless(self, at: int, event: e.Event) -> Iterator[str]:
        """What the event does although it need not, or before others that come first."""
        match event:
            case e.CallStarted():
                yield from self._asked(event, at)
            case e.AccountRefused():
                yield from self._asked(event.call, at)
            case e.ModelSelected(reason=SelectionReason.BUDGET) | e.SpendRefused():
                yield from self._left(event, at)

    def _asked(self, event: e.CallStarted, at: int) -> Iterator[str]:
        """It is the next in order; shrunk only where waiting would not give it its full size, as little as may be."""
        key = key_of(event)
        for other in self.calls:
            if self._place(other) < self._place(key) and self._waits_for_the_cap(other, at):
                yield f"{_said(key)} starts although {_said(other)}, which is ahead of it, waits for the cap"
        wish = self._wish(key, at)
        if wish is None or event.max_tokens >= wish.full:
            return
        if wish.call.refusals:
            if event.hold < wish.call.refusals[-1][1].need and wish.need(wish.full) <= self._free and _helps(wish.call):
                yield f"{_said(key)} is made smaller although live runs can free enough of the account"
            return
        if wish.need(wish.full) <= self._free + self.in_flight:
            yield f"{_said(key)} is made smaller although calls in flight can give it its full size"
        if wish.need(event.max_tokens + 1) <= self._free:
            yield f"{_said(key)} is made smaller than it has to be"

    def _left(self, event: e.ModelSelected | e.SpendRefused, at: int) -> Iterator[str]:
        """A model is left only where it cannot be asked at its smallest; who has others is not refused."""
        key = key_of(event)
        wish = self._wish(key, at)
        if wish is not None and not self._is_out_of_reach(wish):
            yield f"{_said(key)}: {wish.model.id} is left although it can be asked, or could be after a while"
        if isinstance(event, e.SpendRefused) and wish is not None:
            others = [
                name for name in self.models if name not in wish.call.selected and self._could_be_called(name, key)
            ]
            if others:
                yield f"{_said(key)} is refused although {', '.join(others)} was not tried"

    def _is_out_of_reach(self, wish: _Wish) -> bool:
        if wish.need(wish.floor) > self._free + self.in_flight:
            return True
        if not wish.call.refusals:
            return False
        if _was_shrunk(wish.call):
            return True
        return wish.hold(wish.floor) > wish.call.refusals[-1][1].free and not _helps(wish.call)

    @property
    def _free(self) -> Usd:
        return self.cap - self.settled - self.held

    def _place(self, key: CallKey) -> int:
        """Where a call stands in the queue for money."""
        order = self.state.execution_order
        return order.index(key.node) if key.node in order else -1

    def _waits_for_the_cap(self, key: CallKey, at: int) -> bool:
        """Whether a call that has never been asked surely waits for the run's own money."""
        call = self.calls[key]
        fresh = not (call.attempts or call.refusals or call.in_flight or call.answered)
        wish = self._wish(key, at) if fresh and key.node in self.started else None
        if wish is None:
            return False
        return wish.least(wish.full) > self._free and wish.need(wish.full) <= self._free + self.in_flight

    def _wish(self, key: CallKey, at: int) -> _Wish | None:
        """What a prepared call wants of the run's money; None where more than that decides."""
        call = self.calls.get(key)
        if call is None or call.selection is None or call.prepared is None or call.in_flight or call.cut:
            return None
        name, settings = call.selection.model, self.state.settings
        is_task = key.node in self.planned
        capped = key.node == e.ENHANCE or caps_of(settings, key.node, is_task=is_task)
        if call.prepared.problem is not None or capped or not self._could_be_called(name, key):
            return None
        model, body = self.models[name], call.prepared.body_bytes
        whole = min(call.selection.max_tokens, model.max_output or call.selection.max_tokens)
        left = whole if model.context is None else model.context - body // _BYTES_PER_TOKEN
        if left < min(256, call.selection.max_tokens):
            return None
        whole = min(whole, left)
        full = whole if call.smallest is None else min(whole, call.smallest)
        judges: tuple[ModelInfo, ...] = ()
        if key.role in _SCORED or (key.role is Role.EVALUATOR and is_comparison(key.sample)):
            judges = tuple(each for each in self.models.values() if each.price is not None)
        judge = CallKey(key.node, Role.EVALUATOR, 1, 1)
        scored = any(self._could_be_called(each.id, judge) for each in judges)
        floor = min(full, max(-(-whole // 4), 256))
        return _Wish(key, call, model, body, floor, full, judges, scored, self.judge_length)

    def _could_be_called(self, name: str, key: CallKey) -> bool:
        """Whether neither facts, policies nor health stand against a model, nor whose work it would review."""
        model, settings = self.models.get(name), self.state.settings
        if model is None or model.price is None or self.session is None:
            return False
        if name in self.dead_models or name in self.exceeded or name in self.breakers:
            return False
        if key.role is Role.CRITIC and settings.cross_vendor is CrossVendor.REQUIRE:
            return False  # it may be of the author's vendor
        slots = [slot for slot, filled_by in self.session.slots.items() if filled_by == name]
        bounded = model.output_bound(1) is not None or settings.allow_unbounded
        record = self.state.records.get(name)
        return bounded and violated(binding(settings, key.node), model, slots, record) is None

    def _may_start_calls(self, at: int) -> bool:
        state, limits = self.state, self.state.settings.limits
        paced = bool(limits.shared or limits.requests_per_minute or limits.tokens_per_minute) or any(
            policy.rate_limit is not None for policy in state.settings.policies
        )
        if not self.is_open or self.finished is not None or paced or self.needs_consent:
            return False
        in_time = state.active(at) < state.time_limit
        return in_time and len(self.calls_in_flight) < state.settings.concurrency


def _was_shrunk(call: Call) -> bool:
    """Whether accounts were asked for less than at first."""
    return len({refusal.need for _, refusal in call.refusals}) > 1


def _helps(call: Call) -> bool:
    """Whether it may help to ask an account again for the same amount."""
    last_at, last = call.refusals[-1]
    same = [at for at, refusal in call.refusals if refusal.need == last.need]
    can_free = last.free + last.in_flight_live >= last.need
    return can_free and not _was_shrunk(call) and last_at - same[0] < _LONGEST_WAIT


def _said(key: CallKey) -> str:
    return f"{key.node}/{key.role}/{key.iteration}/{key.sample}"
