"""One pace for all runs: when calls on a vendor's account may start, reserved in the append that starts them.

For the requests and the tokens of an account the store keeps when the next call may start. One that comes earlier is
given a reservation, later than all before it, so that no call is passed by another. What a provider allows is kept
under the provider's name, as ``orchestrate limits`` sets it, else under the account's, as the vendor's headers say. All
of it are numbers by scope beside the history: without them calls start too early, once.
"""

from collections.abc import Callable, Mapping
from typing import Final

from attrs import Factory, define, frozen

from orchestrator.events import CallStarted, PaceRefused
from orchestrator.models import Allowance, Allowances

REQUESTS: Final = "requests"
TOKENS: Final = "tokens"
KINDS: Final = (REQUESTS, TOKENS)

_EACH: Final = "each"
_BURST: Final = "burst"
_CLOSED: Final = "closed"
_FINE: Final = 1_000_000
"""Parts of a microsecond in which the time of one request or token is kept."""
_MINUTE: Final = 60_000_000
_DAY: Final = 1440 * _MINUTE
"""The most that a single call makes others wait."""
_APART: Final = 100_000
"""Microseconds between calls that were all made to wait by a vendor that says nothing of how many it allows."""

Read = Callable[[str], int | None]
"""The number of a scope, None where there is none; inside the transaction."""


@frozen
class VendorAccount:
    """Whose requests and tokens are counted together."""

    provider: str
    """With ``sim/`` before it where it is simulated."""
    account: str | None = None
    """As ``ModelInfo.account``; None: the provider has only one."""

    def scope(self, *parts: str) -> str:
        """A name of the account's own: ``requests`` and ``tokens`` are when the next call may start."""
        return "/".join([self.provider, *([] if self.account is None else [self.account]), *parts])

    def of_provider(self, *parts: str) -> str:
        """A name of the provider's, for all its accounts."""
        return "/".join([self.provider, *parts])

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every name that matters to a call on the account, in order."""
        own = [self.scope(kind, *rest) for kind in KINDS for rest in ((), (_EACH,))]
        given = [self.of_provider(kind, _EACH) for kind in KINDS]
        return tuple(sorted({*own, *given, self.scope(_CLOSED), self.of_provider(_BURST)}))


@frozen
class PaceNeed:
    """What a call takes of its account's pace."""

    account: VendorAccount
    tokens: int
    """The most it can read and write."""

    def amount(self, kind: str) -> int:
        """How many requests or tokens."""
        return 1 if kind == REQUESTS else self.tokens


@frozen
class PaceChanges:
    """What an append changes in the paces of accounts."""

    need: PaceNeed | None = None
    """Of the CallStarted, which is the last event."""
    unused: tuple[PaceNeed, ...] = ()
    """The tokens that calls have taken and not used."""
    closed: tuple[tuple[VendorAccount, int], ...] = ()
    """Accounts that vendors want left alone, and until when."""
    learned: tuple[tuple[VendorAccount, Allowances], ...] = ()
    """What vendors say that accounts may do."""

    @property
    def scopes(self) -> tuple[str, ...]:
        """Every name that it may read or change, in order."""
        needs = [*self.unused, *([] if self.need is None else [self.need])]
        others = [account for account, _ in (*self.closed, *self.learned)]
        accounts = {*others, *(need.account for need in needs)}
        return tuple(sorted({scope for account in accounts for scope in account.scopes}))


@define
class PaceLedger:
    """The paces of accounts, inside one transaction: reads numbers, and collects those that change."""

    read: Read
    changes: dict[str, int] = Factory(dict)

    def admit(self, need: PaceNeed, started: CallStarted, at: int) -> CallStarted | PaceRefused:
        """The call itself where it may start now, else its refusal; its time is reserved then.

        A call with a ticket makes no second reservation, unless its vendor has closed the account since.
        """
        account = need.account
        closed = self._get(account.scope(_CLOSED))
        if started.ticket is not None and closed <= at:
            return started
        burst = self._get(account.of_provider(_BURST))
        nexts = {kind: self._get(account.scope(kind)) for kind in KINDS}
        kind = max(KINDS, key=nexts.__getitem__)
        until = max(at, closed, nexts[kind] - burst)
        took = {each: self._time_of(account, each, need.amount(each)) for each in KINDS}
        if until > at and not any(took.values()):
            took[REQUESTS] = _APART
        for each, time in took.items():
            if time:
                self.changes[account.scope(each)] = max(nexts[each], until) + time
        return started if until <= at else PaceRefused(started, account.scope(kind), until, took[kind], burst)

    def follow(self, changes: PaceChanges) -> None:
        """Record what the ends of calls mean for the pace of their accounts."""
        for unused in changes.unused:
            scope = unused.account.scope(TOKENS)
            back = self._time_of(unused.account, TOKENS, unused.tokens)
            if back:
                self.changes[scope] = self._get(scope) - back
        for account, until in changes.closed:
            scope = account.scope(_CLOSED)
            self.changes[scope] = max(self._get(scope), until)
        for account, said in changes.learned:
            if account.account is not None:  # else it has no numbers beside those that the user sets
                self._allow(account, said)

    def set(self, provider: str, said: Allowances, burst: int | None) -> None:
        """Set what every account of a provider allows, and by how many microseconds a call may come early.

        None: as it was.
        """
        account = VendorAccount(provider)
        self._allow(account, said)
        if burst is not None:
            self.changes[account.of_provider(_BURST)] = burst

    def _allow(self, account: VendorAccount, said: Allowances) -> None:
        for kind, allowance in ((REQUESTS, said.requests), (TOKENS, said.tokens)):
            if allowance is not None:
                each = -(-allowance.period * _FINE // allowance.most) if allowance.most else 0
                self.changes[account.scope(kind, _EACH)] = each

    def _time_of(self, account: VendorAccount, kind: str, amount: int) -> int:
        """The microseconds that so much takes, rounded up; 0 where no number is known."""
        each = self._get(account.of_provider(kind, _EACH)) or self._get(account.scope(kind, _EACH))
        return min(-(-amount * each // _FINE), _DAY)

    def _get(self, scope: str) -> int:
        found = self.changes[scope] if scope in self.changes else self.read(scope)
        return 0 if found is None else found


@frozen
class PaceStanding:
    """What is known of an account's pace, or of a provider's."""

    name: str
    """``PROVIDER``, or ``PROVIDER/ACCOUNT`` of an account; ``sim/`` is before those of simulated runs."""
    requests: float | None
    """In a minute; None: not known."""
    tokens: float | None
    burst: int
    """Microseconds by which a call may come early."""
    next: int
    """When the next call may start, microseconds UTC; 0: at once."""

    @property
    def provider(self) -> str:
        """Without the account."""
        return self.name.removesuffix(f"/{self.account}")

    @property
    def account(self) -> str | None:
        """As ``ModelInfo.account``; None: it is a provider, and what it says holds for each of its accounts."""
        return self.name.removeprefix("sim/").partition("/")[2] or None


def standings(numbers: Mapping[str, int]) -> list[PaceStanding]:
    """Providers with what is set for them, and accounts with what was learned of them, by name."""
    names = sorted({_owner(scope) for scope, number in numbers.items() if number})
    return [
        PaceStanding(
            name,
            _per_minute(numbers.get(f"{name}/{REQUESTS}/{_EACH}")),
            _per_minute(numbers.get(f"{name}/{TOKENS}/{_EACH}")),
            numbers.get(f"{name}/{_BURST}", 0),
            max(numbers.get(f"{name}/{each}", 0) for each in (*KINDS, _CLOSED)),
        )
        for name in names
    ]


def _owner(scope: str) -> str:
    return scope.removesuffix(f"/{_EACH}").rpartition("/")[0]


def _per_minute(each: int | None) -> float | None:
    if not each:
        return None
    exact = _MINUTE * _FINE / each
    return round(exact) if exact >= 1 else exact


def per_minute(most: int) -> Allowance:
    """So many in a minute; 0: as many as the vendor says."""
    return Allowance(most, _MINUTE)
