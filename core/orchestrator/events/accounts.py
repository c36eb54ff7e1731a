"""The events in the streams of accounts: caps above the runs, and what runs hold and spend under them."""

from attrs import frozen

from orchestrator.events.kinds import AccountEvent
from orchestrator.events.runs import EndedAttempt
from orchestrator.money import Usd


@frozen
class Totals:
    """The state of an account. ``held`` counts calls in flight, advances and unreconciled money."""

    cap: Usd = Usd.ZERO
    settled: Usd = Usd.ZERO
    held: Usd = Usd.ZERO
    unreconciled: Usd = Usd.ZERO
    excess: Usd = Usd.ZERO
    advance: Usd = Usd.ZERO
    """How much a run takes at once for calls to come; 0: every call moves the account."""

    @property
    def free(self) -> Usd:
        """What a further hold may take."""
        return self.cap - self.settled - self.held


@frozen
class AccountOpened(AccountEvent):
    """The account exists."""

    totals: Totals


@frozen
class CapSet(AccountEvent):
    """Its cap, or how much it advances, changed; the cap is never below settled + held."""

    totals: Totals


@frozen
class Held(AccountEvent):
    """A call of a run took a hold."""

    run: str
    call: int
    """Version of the CallStarted in the run's stream."""
    amount: Usd
    totals: Totals


@frozen
class Settled(AccountEvent):
    """A hold became spend."""

    run: str
    call: int
    hold: Usd
    amount: Usd
    totals: Totals


@frozen
class Reconciled(AccountEvent):
    """Unreconciled money became spend: what was billed is known now."""

    run: str
    call: int
    unreconciled: Usd
    amount: Usd
    totals: Totals


@frozen
class Released(AccountEvent):
    """A hold was given back: nothing was billed."""

    run: str
    call: int
    hold: Usd
    totals: Totals


@frozen
class Unreconciled(AccountEvent):
    """A hold stays at its worst case: what was billed is unknown."""

    run: str
    call: int
    hold: Usd
    totals: Totals


@frozen
class Advanced(AccountEvent):
    """A run's advance changed: what it took or gave back, and what its calls came to since the last such event."""

    run: str
    call: int
    """Version of the run's event with which it changed: a CallStarted, a refusal, or the end of a session."""
    taken: Usd
    returned: Usd
    settled: Usd
    """What calls that it granted came to since its last change."""
    excess: Usd
    """What of that was beyond all that the run had taken."""
    unreconciled: tuple[EndedAttempt, ...]
    """Calls that it granted whose cost became unknown since then, by the versions of their CallStarted."""
    open: Usd
    """What the account holds for it from now on."""
    totals: Totals
