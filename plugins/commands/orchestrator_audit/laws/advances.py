"""Laws of advances: what an account says of one agrees with the calls that the run granted of it."""

from collections.abc import Iterable, Sequence

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.ledger.advances import PLENTY
from orchestrator.money import Usd


@frozen
class GrantedCall:
    """A call that an advance granted, as its CallStarted says.

    Attributes:
        version: of the CallStarted.
        hold: what it may cost.
        account_version: of the account's event that it names.
        balance: of the account after that event.
        left: what is left of the advance after it.
        may: whether an advance grants such a call.
    """

    version: int
    hold: Usd
    account_version: int
    balance: Usd
    left: Usd
    may: bool


@frozen
class GrantedEnd:
    """The end of such a call, or the amount that was unknown then, by the version of the run's event that says it."""

    version: int
    call: int
    settled: Usd
    unreconciled: Usd


@frozen
class GrantedClose:
    """The event of the run, by its version, that gives back what is left: a session ends, or an account refused."""

    version: int


Granted = GrantedCall | GrantedEnd | GrantedClose


@define
class AdvanceLaws:
    """Follows what one run has of an account; tells every law that is broken.

    Args:
        run: its id.
        calls: what its advance granted, and the ends, in their order; None: the run is not looked at.
    """

    run: str
    calls: Sequence[Granted] | None
    open: Usd = Usd.ZERO
    """What the account holds for it, as its last event says."""
    settled: Usd = Usd.ZERO
    """What calls came to since then."""
    _left: Usd = Usd.ZERO
    _lost: dict[int, Usd] = Factory(dict)
    """The holds of calls whose cost became unknown since then."""
    _holds: dict[int, Usd] = Factory(dict)
    _given: tuple[int, Usd] = (0, Usd.ZERO)
    """The account's version and balance after its last event."""
    _next: int = 0

    @property
    def in_flight(self) -> Usd:
        """The holds of calls without an end."""
        return sum(self._holds.values(), Usd.ZERO)

    @property
    def unreconciled(self) -> Usd:
        """What the account does not know yet to be unreconciled."""
        return sum(self._lost.values(), Usd.ZERO)

    def take(self, event: e.Advanced, version: int, before: e.Totals) -> Iterable[str]:
        """Check the account's next event for this run.

        Args:
            event: it.
            version: its own in the account's stream.
            before: the account before it.
        """
        yield from self._follow(event.call)
        where = f"{self.run}, version {event.call}: the advance"
        lost = sum((each.amount for each in event.unreconciled), Usd.ZERO)
        left = self.open - (event.settled - event.excess) - lost + event.taken - event.returned
        if event.open != left or event.open < Usd.ZERO or min(event.taken, event.returned) < Usd.ZERO:
            yield f"{where} does not lead to what is open of it"
        if self.calls is not None:
            said = (event.settled, event.excess, {each.call: each.amount for each in event.unreconciled})
            if said != (self.settled, max(Usd.ZERO, -self._left), self._lost):
                yield f"{where} came to something else, by the calls of the run"
            yield from self._cause(event, where, before)
        self.open, self._left = event.open, max(Usd.ZERO, self._left) + event.taken - event.returned
        self.settled = Usd.ZERO
        self._lost = {}
        self._given = (version, event.totals.settled + event.totals.held)

    def finish(self) -> Iterable[str]:
        """Check the calls after the account's last event."""
        yield from self._follow(None)

    def _cause(self, event: e.Advanced, where: str, before: e.Totals) -> Iterable[str]:
        """A call takes what is missing, with an advance where there is plenty; else all that is left is given back."""
        calls, left = self.calls or (), max(Usd.ZERO, self._left)
        cause = calls[self._next] if self._next < len(calls) else None
        if cause is None or cause.version != event.call:
            yield f"{where} changes with no call of it, no refusal, and no end of a session"
        elif isinstance(cause, GrantedCall):
            taken = max(Usd.ZERO, cause.hold - left)
            if before.free + self._left >= cause.hold + Usd(before.advance.nano * (1 + PLENTY)):
                taken += before.advance
            if event.returned or event.taken != taken:
                yield f"{where} is of another size than the account gives"
        else:
            self._next += 1
            if event.taken or event.returned != left:
                yield f"{where} gives back something else than what is left"

    def _follow(self, before: int | None) -> Iterable[str]:
        """Count the calls before an event of the run, and what that event ends; None: all."""
        calls = self.calls or ()
        while self._next < len(calls):
            each = calls[self._next]
            is_late = before is not None and (
                each.version > before or (each.version == before and not isinstance(each, GrantedEnd))
            )
            if is_late:
                return
            self._next += 1
            if isinstance(each, GrantedCall):
                yield from self._start(each)
            elif isinstance(each, GrantedEnd):
                self._end(each)
            elif self.open:
                yield f"{self.run}, version {each.version}: the advance is not given back"

    def _start(self, call: GrantedCall) -> Iterable[str]:
        self._left -= call.hold
        self._holds[call.version] = call.hold
        where = f"{self.run}, version {call.version}"
        if not call.may:
            yield f"{where}: no advance grants a call of a batch, or one that costs nothing"
        if call.left != self._left or self._left < Usd.ZERO:
            yield f"{where}: the call is granted more than the advance has"
        if (call.account_version, call.balance) != self._given:
            yield f"{where}: the account's event of its advance is another one"

    def _end(self, end: GrantedEnd) -> None:
        waiting = self._holds if end.call in self._holds else self._lost
        if end.call not in waiting:
            return  # the account knows of it, and has an event of its own for its reconciliation
        hold = waiting.pop(end.call)
        if end.unreconciled:
            self._lost[end.call] = end.unreconciled
            return
        self.settled += end.settled
        self._left += hold - end.settled
