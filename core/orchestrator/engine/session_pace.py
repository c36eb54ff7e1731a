"""What the calls of one session take of the paces of vendors' accounts, and what their ends say of these."""

from collections.abc import Sequence
from typing import Final, TypeGuard

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.ledger.shared_pace import PaceChanges, PaceNeed, VendorAccount
from orchestrator.models import Allowance, Allowances, Lane
from orchestrator.settings import SECOND
from orchestrator.state.run import RunState

_LONGEST_WAIT: Final = 60 * SECOND
"""The longest that a vendor's word keeps others waiting, as it does the run that it was said to."""
_SIMULATED: Final = "sim/"
_MOST: Final = 10**12
_LONGEST_PERIOD: Final = 86_400 * SECOND


@define
class SharedPace:
    """Made per session; it forgets with it what calls have taken, and then the reservations are lost.

    Args:
        state: of the run; settings and models are read from it.
    """

    state: RunState
    _taken: dict[int, PaceNeed] = Factory(dict)
    """What calls in flight have taken, by the version of their CallStarted."""
    _said: dict[VendorAccount, Allowances] = Factory(dict)
    """What vendors have said in this session."""

    @property
    def is_on(self) -> bool:
        """Whether the run shares its pace with others."""
        return self.state.start is not None and self.state.settings.limits.shared

    def changes(self, at: int, events: Sequence[e.Event]) -> PaceChanges | None:
        """What an append of these events changes; None where the run keeps to itself."""
        if not self.is_on:
            return None
        last = events[-1]
        succeeded = [each for each in events if isinstance(each, e.CallSucceeded) and each.call in self._taken]
        failed = [each for each in events if isinstance(each, e.CallFailed) and each.call in self._taken]
        return PaceChanges(
            need=self._need(last) if _is_paced(last) else None,
            unused=tuple(unused for each in succeeded if (unused := self._unused(each)) is not None),
            closed=tuple(
                (self._taken[each.call].account, at + min(each.retry_after, _LONGEST_WAIT))
                for each in failed
                if each.kind is ErrorKind.RATE_LIMIT and each.retry_after
            ),
            learned=tuple(
                (self._taken[each.call].account, each.allowances) for each in succeeded if each.allowances is not None
            ),
        )

    def committed(self, first: int, events: Sequence[e.Event]) -> None:
        """Remember what became of events; ``first`` is the version of the first of them."""
        for version, event in enumerate(events, first):
            if _is_paced(event) and self.is_on:
                self._taken[version] = self._need(event)
            elif isinstance(event, (e.CallSucceeded, e.CallFailed)):
                self._taken.pop(event.call, None)

    def news(self, started: e.CallStarted, said: object) -> Allowances | None:
        """What a vendor says its account may do, where that makes sense and the session has not heard it yet."""
        if not self.is_on or not isinstance(said, Allowances):
            return None
        said = Allowances(_sane(said.requests), _sane(said.tokens))
        account = self._account(started)
        if said == Allowances() or self._said.get(account) == said:
            return None
        self._said[account] = said
        return said

    def _need(self, started: e.CallStarted) -> PaceNeed:
        hidden = self.state.models[started.model].hidden_tokens
        return PaceNeed(self._account(started), started.body_bytes + hidden + started.max_tokens)

    def _account(self, started: e.CallStarted) -> VendorAccount:
        before = _SIMULATED if self.state.settings.simulated else ""
        return VendorAccount(f"{before}{started.provider}", self.state.models[started.model].account)

    def _unused(self, ended: e.CallSucceeded) -> PaceNeed | None:
        taken, usage = self._taken[ended.call], ended.usage
        if usage is None:
            return None
        left = taken.tokens - usage.input_tokens - usage.output_tokens
        return PaceNeed(taken.account, left) if left > 0 else None


def _sane(said: object) -> Allowance | None:
    """What a plugin says, where these are numbers of requests or tokens and of time."""
    if not isinstance(said, Allowance) or type(said.most) is not int or type(said.period) is not int:
        return None
    return said if 0 < said.most <= _MOST and 0 < said.period <= _LONGEST_PERIOD else None


def _is_paced(event: e.Event) -> TypeGuard[e.CallStarted]:
    """Whether an event is a call that takes up a pace; one of a batch takes up none."""
    return isinstance(event, e.CallStarted) and event.lane is Lane.INTERACTIVE
