"""Advances: money that a run takes of an account at once, and then grants its calls without a movement of the account.

An account with an advance (``Totals.advance``) is moved once for many calls. What a run has taken and not yet used
follows from the run's own events: ``RunAdvances`` folds them. The account's event ``account.advanced`` says what was
taken or given back, and what the calls came to since the one before it. Every session gives back what it has left.
"""

from collections.abc import Mapping
from typing import Final

from attrs import Factory, evolve, frozen

from orchestrator.errors import LogError
from orchestrator.events import (
    TYPES,
    AccountEntry,
    AccountRefused,
    CallFailed,
    CallStarted,
    CallSucceeded,
    EndedAttempt,
    Event,
    RunFinished,
    RunInterrupted,
    SessionFailed,
    SessionLost,
    SessionOpened,
    SpendReconciled,
)
from orchestrator.log.protocol import Tails, all_rows
from orchestrator.log.stored_rows import Select
from orchestrator.log.transaction import Recorded
from orchestrator.money import Usd

ADVANCE: Final = 0
"""The call of the rows of open holds that are advances: no event has this version."""

PLENTY: Final = 10
"""An account gives a whole advance as long as it has so many of them left beside it; else what the call needs."""

CLOSING: Final = (SessionOpened, SessionLost, SessionFailed, RunInterrupted, RunFinished, AccountRefused)
"""The events of a run with which it gives back what is left of its advances: another run may need it, or it is over."""

_READ: Final = (CallStarted, CallSucceeded, CallFailed, SpendReconciled, *CLOSING)
_NAMES: Final = tuple(name for name, kind in TYPES.items() if kind in _READ)
_OPENED: Final = tuple(name for name, kind in TYPES.items() if kind is SessionOpened)


@frozen
class Advance:
    """What a run has of an account.

    Attributes:
        version: of the account's event that gave it; 0: what was left was given back, and the account must be asked.
        balance: the account's settled + held after that event.
        left: what further calls may take; negative: calls have cost so much more than all that was taken.
        in_flight: the holds of calls in flight, by the versions of their CallStarted.
        settled: what calls came to since that event.
        unreconciled: the holds of calls whose cost became unknown since that event.
    """

    version: int
    balance: Usd
    left: Usd
    in_flight: Mapping[int, Usd] = Factory(dict)
    settled: Usd = Usd.ZERO
    unreconciled: tuple[EndedAttempt, ...] = ()

    @property
    def open(self) -> Usd:
        """What the account holds for it once it knows what calls came to: what is left, and calls in flight."""
        return self.free + sum(self.in_flight.values(), Usd.ZERO)

    @property
    def free(self) -> Usd:
        """What can be given back."""
        return max(Usd.ZERO, self.left)

    @property
    def idle(self) -> Usd:
        """What the account holds for it, and for no call in flight: what is left, and what calls came to."""
        unreconciled = sum((each.amount for each in self.unreconciled), Usd.ZERO)
        return self.free + self.settled - self.excess + unreconciled

    @property
    def excess(self) -> Usd:
        """What calls have cost beyond all that was taken."""
        return max(Usd.ZERO, -self.left)

    def started(self, entry: AccountEntry, left: Usd, call: int, hold: Usd) -> "Advance":
        """After a call that it grants; an entry with another version says that the account has moved for it."""
        in_flight = {**self.in_flight, call: hold}
        if entry.version != self.version:
            return Advance(entry.version, entry.balance, left, in_flight)
        return evolve(self, left=left, in_flight=in_flight)

    def ended(self, call: int, settled: Usd, unreconciled: Usd) -> "Advance":
        """After the end of a call that it granted.

        Raises:
            LogError: the call is settled and unreconciled, or not unreconciled with its hold.
        """
        in_flight = dict(self.in_flight)
        hold = in_flight.pop(call)
        if unreconciled:
            if settled or unreconciled != hold:
                raise LogError(f"call {call} is settled, or unreconciled with its hold of {hold}, not {unreconciled}")
            kept = (*self.unreconciled, EndedAttempt(call, hold))
            return evolve(self, in_flight=in_flight, unreconciled=kept)
        return evolve(self._spent(hold, settled), in_flight=in_flight)

    def is_unreconciled(self, call: int) -> bool:
        """Whether the cost of a call that it granted is unknown, and the account does not know that yet."""
        return any(each.call == call for each in self.unreconciled)

    def reconciled(self, call: int, amount: Usd, settled: Usd) -> "Advance":
        """After the cost of such a call is known."""
        left = tuple(each for each in self.unreconciled if each.call != call)
        return evolve(self._spent(amount, settled), unreconciled=left)

    def _spent(self, hold: Usd, settled: Usd) -> "Advance":
        return evolve(self, left=self.left + hold - settled, settled=self.settled + settled)


NOTHING: Final = Advance(0, Usd.ZERO, Usd.ZERO)
"""What a run has before it takes anything."""


class RunAdvances:
    """The advances of one run, by the names of their accounts: a fold of the run's own events."""

    def __init__(self, found: Mapping[str, Advance] | None = None) -> None:
        self._found = dict(found or {})

    def copy(self) -> "RunAdvances":
        """The same, to go on from."""
        return RunAdvances(self._found)

    def of(self, name: str) -> Advance | None:
        """What the run has of an account; None: nothing."""
        return self._found.get(name)

    def covers(self, name: str, hold: Usd) -> bool:
        """Whether a hold fits what the run has of an account."""
        found = self._found.get(name)
        return found is not None and found.version > 0 and found.left >= hold

    def take(self, version: int, event: Event) -> None:
        """Count the next event of the run."""
        if isinstance(event, CallStarted):
            self._started(version, event)
        elif self._found:
            self.take_ends(event)
            if isinstance(event, CLOSING):
                self._close()

    def take_ends(self, event: Event) -> None:
        """Count the calls that an event of the run ends, or whose cost it says."""
        if isinstance(event, CallSucceeded | CallFailed):
            self._ended(event.call, event.settled, event.unreconciled)
        elif isinstance(event, SessionOpened | SessionLost):
            for attempt in event.ended:
                self._ended(attempt.call, Usd.ZERO, attempt.amount)
        elif isinstance(event, SpendReconciled):
            for name, each in self._found.items():
                if each.is_unreconciled(event.call):
                    self._found[name] = each.reconciled(event.call, event.unreconciled, event.settled)

    def _started(self, version: int, event: CallStarted) -> None:
        for entry in event.accounts:
            if entry.advance is not None:
                before = self._found.get(entry.name) or NOTHING
                self._found[entry.name] = before.started(entry, entry.advance, version, event.hold)

    def _ended(self, call: int, settled: Usd, unreconciled: Usd) -> None:
        for name, each in self._found.items():
            if call in each.in_flight:
                self._found[name] = each.ended(call, settled, unreconciled)

    def _close(self) -> None:
        left = {name: each for name, each in self._found.items() if each.in_flight}
        self._found = {name: Advance(0, Usd.ZERO, Usd.ZERO, each.in_flight) for name, each in left.items()}


def read_advances(tails: Tails, run: str) -> RunAdvances:
    """The advances of a run that another process has left, of the events of its last session."""
    found = RunAdvances()
    if all(hold.call != ADVANCE for hold in tails.holds(run=run)):
        return found
    opened, _ = tails.page(Select(streams=(run,), types=_OPENED, by_version=True, reverse=True, limit=1))
    select = Select(streams=(run,), types=_NAMES, after_version=opened[0].version if opened else 0, by_version=True)
    for row in all_rows(tails, select):
        found.take(row.version, Recorded(*row).event)
    return found
