"""The events in the streams of accounts: caps above the runs, and what runs hold and spend under them."""

from attrs import frozen

from orchestrator.events.kinds import AccountEvent
from orchestrator.money import Usd


@frozen
class Totals:
    """The state of an account. ``held`` counts calls in flight and unreconciled money."""

    cap: Usd = Usd.ZERO
    settled: Usd = Usd.ZERO
    held: Usd = Usd.ZERO
    unreconciled: Usd = Usd.ZERO
    excess: Usd = Usd.ZERO

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
    """Its cap changed; it is never below settled + held."""

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
