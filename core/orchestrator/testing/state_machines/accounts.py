"""The accounts above runs as a Hypothesis state machine: any movements, in any order, by several runs at once.

::

    from orchestrator.testing.state_machines.accounts import AccountMachine

    TestAccounts = AccountMachine.TestCase

Each run draws on the organisation and, some of them, on a team and a job. After every step: settled + held ≤ cap +
excess in each account; every account counts what its runs count; nothing is held that is neither in flight, nor
unreconciled, nor an advance; and no hold that fits was refused. A subclass may give another log by overriding
``make_log``. What the runs of this machine take is drawn; ``BudgetMachine`` puts a run that decides
for itself among them.
"""

import asyncio
import atexit
from collections.abc import Coroutine, Mapping
from functools import cache
from typing import Any, ClassVar, Final

from attrs import Factory, define
from hypothesis import settings as profile
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from orchestrator import events as e
from orchestrator.errors import ErrorKind, UsageError
from orchestrator.ledger.advances import ADVANCE, CLOSING
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import Finish, Role
from orchestrator.money import Usd
from orchestrator.testing.bills_and_accounts import broken_accounts
from orchestrator.testing.simulation.memory_log import in_place, memory_log

RUNS: Final[Mapping[str, tuple[str, ...]]] = {
    "run-0": ("org", "team/red", "job/nightly"),
    "run-1": ("org", "team/red"),
    "run-2": ("org", "team/blue", "job/nightly"),
    "run-3": ("org",),
}
"""Each run of the machine, with its accounts."""

NAMES: Final = ("org", "team/red", "team/blue", "job/nightly")

_AMOUNTS: Final = st.integers(0, 60)
_ADVANCES: Final = st.sampled_from([0, 0, 5, 20])
_CHOICES: Final = st.integers(0, 1000)


@cache
def _runner() -> asyncio.Runner:
    """One event loop for all examples: to make and to close one takes longer than most steps."""
    runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
    atexit.register(runner.close)
    return runner


@define
class ReferenceRun:
    """What a machine knows of a run, from its events alone."""

    version: int = 0
    in_flight: dict[int, Usd] = Factory(dict)
    """Holds by version of the CallStarted."""
    unreconciled: dict[int, Usd] = Factory(dict)
    events: list[tuple[int, e.Event]] = Factory(list)

    def take(self, at: int, event: e.Event) -> None:
        """Count the next event of the run."""
        self.version += 1
        self.events.append((at, event))
        match event:
            case e.CallStarted():
                self.in_flight[self.version] = event.hold
            case e.CallSucceeded() | e.CallFailed():
                self._end(event.call, event.unreconciled)
            case e.SessionOpened() | e.SessionLost():
                for attempt in event.ended:
                    self._end(attempt.call, attempt.amount)
            case e.SpendReconciled():
                self.unreconciled.pop(event.call, None)

    def _end(self, call: int, unreconciled: Usd) -> None:
        del self.in_flight[call]
        if unreconciled:
            self.unreconciled[call] = unreconciled

    def advance(self, name: str) -> tuple[Usd, bool]:
        """What is left of the run's advance of an account, and whether the run grants calls of it unasked.

        Negative: what calls have cost beyond it.
        """
        left, unasked, holds = Usd.ZERO, False, dict[int, Usd]()
        for version, (_, event) in enumerate(self.events, 1):
            if isinstance(event, e.CallStarted):
                for entry in event.accounts:
                    if entry.name == name and entry.advance is not None:
                        left, unasked, holds[version] = entry.advance, True, event.hold
            elif isinstance(event, e.CallSucceeded | e.CallFailed | e.SpendReconciled) and event.call in holds:
                if isinstance(event, e.SpendReconciled) or not event.unreconciled:
                    left += holds.pop(event.call) - event.settled
            elif isinstance(event, CLOSING):
                left, unasked = Usd.ZERO, False
                holds = holds if isinstance(event, e.AccountRefused) else {}
        return left, unasked


class AccountMachine(RuleBasedStateMachine):
    """Runs that take holds, end them, die, and accounts whose caps move."""

    unit: ClassVar[int] = 1
    """How many nano-dollars the amounts that are drawn count."""

    def __init__(self) -> None:
        super().__init__()
        self.log = self.make_log()
        self.accounts = dict(RUNS)
        self.references = {run: ReferenceRun() for run in RUNS}
        for run in RUNS:
            self.log.locks.acquire(run)

    def make_log(self) -> EventLog:
        """An empty log for one example."""
        return memory_log()

    @initialize(
        caps=st.lists(st.integers(0, 250), min_size=len(NAMES), max_size=len(NAMES)),
        advances=st.lists(_ADVANCES, min_size=len(NAMES), max_size=len(NAMES)),
    )
    def open(self, caps: list[int], advances: list[int] | None = None) -> None:
        """Open every account."""
        for name, cap, advance in zip(NAMES, caps, advances or [0] * len(NAMES), strict=True):
            amounts = Usd(cap * self.unit), Usd(advance * self.unit)
            self._do(self.log.open_account(name, amounts[0], at=self.at(), advance=amounts[1]))

    @rule()
    def go_on_elsewhere(self) -> None:
        """The processes remember nothing of what they wrote: all they know is in the store."""
        self.log = type(self.log)(self.log.store, offload=in_place)

    @rule(run=st.sampled_from(list(RUNS)), amount=_AMOUNTS)
    def hold(self, run: str, amount: int) -> None:
        """A run wants to start a call. It is refused only where it does not fit, and what is free it gets."""
        free, fits, wanted = self._free(run), self._fits(run, amount * self.unit), amount * self.unit
        refused = self._do(self._start(run, wanted))
        assert (refused is None) == fits, "refused although it fits, or the reverse"
        if refused is not None:
            assert self._free_in(run, refused.account) == refused.free
            assert self._do(self._start(run, max(0, free.nano))) is None or free < Usd.ZERO, "what is free is refused"

    @rule(wants=st.dictionaries(st.sampled_from(list(RUNS)), _AMOUNTS, min_size=2))
    def hold_together(self, wants: dict[str, int]) -> None:
        """Several runs want to start calls at the same moment."""

        async def together() -> list[e.AccountRefused | None]:
            return await asyncio.gather(*(self._start(run, amount * self.unit) for run, amount in wants.items()))

        fits = [self._fits(run, amount * self.unit) for run, amount in wants.items()]
        # what calls cost beyond an advance the account learns in between, and has then less for the next run
        is_hidden = any(
            self.references[run].advance(name)[0] < Usd.ZERO for run, names in self.accounts.items() for name in names
        )
        refused = self._do(together())
        assert is_hidden or not (all(refused) and any(fits)), "no run got what one could have"

    @precondition(lambda self: self._runs("in_flight"))
    @rule(how=st.sampled_from(["settle", "settle", "beyond", "release", "keep"]), amount=_AMOUNTS, choice=_CHOICES)
    def end(self, how: str, amount: int, choice: int) -> None:
        """A call ends in one of the ways there are."""
        run, call, held = self._choose("in_flight", choice)
        zero, nano = Usd.ZERO, held.nano
        drawn = amount * self.unit
        settled = {"settle": drawn % (nano + 1), "beyond": nano + drawn}.get(how, 0)
        event: e.Event
        if how in ("settle", "beyond"):
            reading = e.Reading()
            event = e.CallSucceeded(call, "answer", 1, Finish.STOP, reading, None, Usd(settled), zero, 9)
        else:
            unreconciled = held if how == "keep" else zero
            event = e.CallFailed(call, ErrorKind.SERVER, True, True, True, zero, unreconciled, None, None, None, 9)
        self._do(self._append(run, event))

    @rule(run=st.sampled_from(list(RUNS)))
    def crash(self, run: str) -> None:
        """A process dies; the next one ends what it left, and gives back what it had taken."""
        self._lose(run)

    @precondition(lambda self: self._runs("unreconciled"))
    @rule(amount=st.integers(0, 120), choice=_CHOICES)
    def reconcile(self, amount: int, choice: int) -> None:
        """What a call has cost becomes known."""
        run, call, unreconciled = self._choose("unreconciled", choice)
        self._do(self._append(run, e.SpendReconciled(call, unreconciled, Usd(amount * self.unit))))

    @rule(name=st.sampled_from(NAMES), cap=st.integers(0, 400), advance=st.none() | _ADVANCES)
    def set_cap(self, name: str, cap: int, advance: int | None = None) -> None:
        """A cap moves, never below what is settled and held; runs may take more or less at once from then on."""
        size = None if advance is None else Usd(advance * self.unit)
        totals = self.log.account(name)
        used, wanted = totals.settled + totals.held, Usd(cap * self.unit)
        try:
            self._do(self.log.set_cap(name, wanted, at=self.at(), advance=size))
        except UsageError:
            assert wanted < used
        else:
            assert wanted >= used

    @rule(name=st.sampled_from(NAMES), extra=_AMOUNTS)
    def raise_cap(self, name: str, extra: int) -> None:
        """A cap is raised; where a vendor billed far beyond it, by at least what is missing."""
        totals, more = self.log.account(name), Usd(extra * self.unit)
        if totals.free + more >= Usd.ZERO:
            self._do(self.log.raise_cap(name, more, at=self.at()))

    @invariant()
    def no_law_of_accounts_is_broken(self) -> None:
        """Never beyond a cap, never a hold too many, and every level counts the same."""
        if self.log.last("account/org") is None:
            return
        flying = dict.fromkeys(NAMES, Usd.ZERO)
        unreconciled = dict(flying)
        for run, names in self.accounts.items():
            for name in names:
                flying[name] += Usd(sum(held.nano for held in self.references[run].in_flight.values()))
                unreconciled[name] += Usd(sum(held.nano for held in self.references[run].unreconciled.values()))
        for name in NAMES:
            totals = self.log.account(name)
            assert totals.settled + totals.held <= totals.cap + totals.excess, f"{name} is beyond its cap"
            holds = self.log.holds(account=f"account/{name}")
            in_flight = totals.held - totals.unreconciled
            assert sum(hold.nano for hold in holds) == in_flight.nano, f"the open holds of {name} are {holds}"
            if any(hold.call == ADVANCE for hold in holds):
                assert totals.held >= flying[name] + unreconciled[name], f"{name} holds less than its calls"
            else:
                assert in_flight == flying[name], f"{name} holds other money"
                assert totals.unreconciled == unreconciled[name], f"{name} holds other unreconciled money"

    def teardown(self) -> None:
        """Once every process is dead, each stream leads to its totals, agrees with its runs, and the log is whole."""
        for run in RUNS:
            self._lose(run)
        assert not self.log.holds(), "dead runs hold money"
        accounts = {name: [(each.at, each.event) for each in self.log.read(f"account/{name}")] for name in NAMES}
        assert broken_accounts(accounts, {run: reference.events for run, reference in self.references.items()}) == []
        assert self.log.verify(texts=False) == []

    def at(self) -> int:
        """The time of what happens now, in microseconds."""
        return 1

    def _lose(self, run: str) -> None:
        ended = tuple(e.EndedAttempt(call, held) for call, held in self.references[run].in_flight.items())
        self._do(self._append(run, e.SessionLost(1, ended)))

    def _do(self, work: Coroutine[Any, Any, Any]) -> Any:
        return _runner().run(work)

    async def _start(self, run: str, amount: int) -> e.AccountRefused | None:
        held = Usd(amount)
        started = e.CallStarted(1, "task", Role.GENERATOR, 1, 1, 1, 1, "p", "m", 9, 9, held, 9)
        written = await self._append(run, started)
        return written if isinstance(written, e.AccountRefused) else None

    async def _append(self, run: str, event: e.Event) -> e.Event:
        reference = self.references[run]
        accounts, at = self.accounts[run] if isinstance(event, e.CallStarted) else (), self.at()
        done = await self.log.append(run, reference.version, at, [event], accounts=accounts)
        reference.take(at, done.events[0])
        return done.events[0]

    def _fits(self, run: str, nano: int) -> bool:
        """Whether each account has it: of what the run has taken before, or with what is left in the account."""
        wanted = Usd(nano)
        for name in self.accounts[run]:
            left, unasked = self.references[run].advance(name)
            if not (unasked and left >= wanted > Usd.ZERO) and self._free_in(run, name) < wanted:
                return False
        return True

    def _free(self, run: str) -> Usd:
        return min(self._free_in(run, name) for name in self.accounts[run])

    def _free_in(self, run: str, name: str) -> Usd:
        """What a call of the run may take: what the account has left, and what the run has left of its advance."""
        return self.log.account(name).free + self.references[run].advance(name)[0]

    def _runs(self, what: str) -> list[str]:
        return [run for run in RUNS if getattr(self.references[run], what)]

    def _choose(self, what: str, choice: int) -> tuple[str, int, Usd]:
        found = [
            (run, call, held) for run in self._runs(what) for call, held in getattr(self.references[run], what).items()
        ]
        return found[choice % len(found)]


AccountMachine.TestCase.settings = profile(stateful_step_count=40, deadline=None)
