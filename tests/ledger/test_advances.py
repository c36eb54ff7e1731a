"""Advances: a run takes money of an account once, and grants its calls of it."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from attrs import evolve

from orchestrator.errors import LogError, UsageError
from orchestrator.events import (
    AccountEntry,
    AccountRefused,
    Advanced,
    CallStarted,
    CapSet,
    EndedAttempt,
    Event,
    Held,
    Reconciled,
    Released,
    RunInterrupted,
    SessionFailed,
    SessionLost,
    SpendReconciled,
    Totals,
)
from orchestrator.ledger.advances import ADVANCE
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.stored_rows import Hold
from orchestrator.models import Lane
from orchestrator.money import Usd
from orchestrator.testing.laws import broken_accounts
from orchestrator.testing.simulation.memory_log import log_over, memory_log
from tests.ledger.test_accounts import SPENDER, account_events, answered, failed, started
from tests.sql import sqlite_of

ENDED = RunInterrupted("SIGTERM")


class Spender:
    """A run on the account ``org``; its log may be replaced by another over the same store."""

    def __init__(self, cap: int, advance: int, simulated: bool = False) -> None:
        self.log, self.version, self.simulated = memory_log(), 0, simulated
        self.events: list[Event] = []
        asyncio.run(self.log.open_account("org", Usd(cap), at=1, simulated=simulated, advance=Usd(advance)))

    def append(self, *events: Event) -> Event:
        """The last event as it was written."""
        done = asyncio.run(self.log.append("run", self.version, 1, events, accounts=["org"], simulated=self.simulated))
        self.version = done.version
        self.events += done.events
        return done.events[-1]

    def elsewhere(self) -> None:
        """Go on in another process."""
        self.log = log_over(self.log.store)

    @property
    def totals(self) -> Totals:
        """Of the account."""
        return self.log.account("org", self.simulated)

    @property
    def moved(self) -> Sequence[Event]:
        """What happened in the account since it was opened."""
        return account_events(self.log, "org")

    @property
    def problems(self) -> list[str]:
        """The laws that are broken."""
        account = [(each.at, each.event) for each in self.log.read("account/org")]
        return broken_accounts({"org": account}, {"run": [(1, event) for event in self.events]})


def money(settled: int = 0, held: int = 0, unreconciled: int = 0, excess: int = 0) -> Totals:
    """The totals of an account of 1000 that advances 50."""
    return Totals(Usd(1000), Usd(settled), Usd(held), Usd(unreconciled), Usd(excess), Usd(50))


def test_one_movement_of_the_account_grants_many_calls() -> None:
    """The first call takes its hold and an advance; the next ones fit what is left; the session's end gives it back."""
    run = Spender(1000, 50)
    first = run.append(started(30))
    second = run.append(started(20))
    assert isinstance(first, CallStarted)
    assert first.accounts == (AccountEntry("org", Usd(80), 2, Usd(50)),)
    assert isinstance(second, CallStarted)
    assert second.accounts == (AccountEntry("org", Usd(80), 2, Usd(30)),)
    run.append(answered(1, 10))
    third = run.append(started(50))
    assert isinstance(third, CallStarted)
    assert third.accounts == (AccountEntry("org", Usd(80), 2, Usd(0)),)
    zero = Usd.ZERO
    assert run.moved == [Advanced("run", 1, Usd(80), zero, zero, zero, (), Usd(80), money(held=80))]
    assert run.log.holds() == [Hold("run", ADVANCE, "account/org", 80)]

    run.append(answered(2, 20))
    run.append(failed(4))
    run.append(ENDED)

    back = Advanced("run", 7, zero, Usd(50), Usd(30), zero, (), zero, money(settled=30))
    assert run.moved[1:] == [back]
    assert run.totals == money(settled=30)
    assert run.log.holds() == []
    assert run.problems == []
    assert run.log.verify() == []


def test_an_advance_that_is_used_up_grows_by_what_is_missing_and_one_more() -> None:
    """The same event tells the account what calls have come to."""
    run = Spender(1000, 50)
    run.append(started(30))
    run.append(answered(1, 25))
    call = run.append(started(60))
    assert isinstance(call, CallStarted)
    assert call.accounts == (AccountEntry("org", Usd(135), 3, Usd(50)),)
    grown = Advanced("run", 3, Usd(55), Usd(0), Usd(25), Usd(0), (), Usd(110), money(settled=25, held=110))
    assert run.moved[1:] == [grown]
    assert run.problems == []


def test_near_its_cap_an_account_gives_only_what_a_call_needs() -> None:
    """Money that no call asks for would lie idle in one run while another is refused."""
    run = Spender(579, 50)
    run.append(started(30))
    assert [type(each) for each in run.moved] == [Held]
    wealthy = Spender(580, 50)
    wealthy.append(started(30))
    assert [type(each) for each in wealthy.moved] == [Advanced]
    wealthy.append(started(70))
    grown = wealthy.moved[-1]
    assert isinstance(grown, Advanced)
    assert (grown.taken, grown.open) == (Usd(20), Usd(100))
    assert wealthy.problems == run.problems == []


def test_a_refusal_counts_what_the_run_has_left() -> None:
    """What is free for the call is what the account has and what the run has taken of it."""
    run = Spender(1000, 50)
    run.append(started(40))
    refused = run.append(started(971))
    assert isinstance(refused, AccountRefused)
    assert (refused.free, refused.in_flight_live) == (Usd(960), Usd(40))
    assert isinstance(run.append(started(960)), CallStarted)
    assert run.totals == money(held=1000)
    assert run.problems == []


@pytest.mark.parametrize(
    ("ends", "live"),
    [
        ([answered(1, 30)], 0),
        ([answered(1, 10)], 0),
        ([answered(1, 100)], 0),
        ([failed(1, unreconciled=30)], 0),
        ([started(20), answered(1, 35)], 20),
    ],
)
def test_a_refusal_counts_no_call_that_has_ended(ends: list[Event], live: int) -> None:
    """The account does not know yet what it cost; no other call gets that by waiting for it."""
    run = Spender(1000, 50)
    run.append(started(30))
    for event in ends:
        run.append(event)
    refused = run.append(started(1000))
    assert isinstance(refused, AccountRefused)
    assert refused.in_flight_live == Usd(live)


@pytest.mark.parametrize("simulated", [False, True])
@pytest.mark.parametrize("forget", [False, True])
def test_another_process_gives_back_what_a_dead_one_had(simulated: bool, forget: bool) -> None:
    """All it needs is the run's own history; calls in flight are unreconciled."""
    run = Spender(1000, 50, simulated)
    run.append(started(30))
    run.append(started(20))
    run.append(answered(1, 12))
    if forget:
        run.elsewhere()
    run.simulated = False  # who ends a dead run does not say of what kind it is
    run.append(SessionLost(1, (EndedAttempt(2, Usd(20)),)))
    run.simulated = simulated
    assert run.totals == money(settled=12, held=20, unreconciled=20)
    assert run.log.holds() == []
    run.append(SpendReconciled(2, Usd(20), Usd(7)))
    assert run.totals == money(settled=19)
    assert run.log.verify() == []


def test_what_calls_cost_beyond_their_holds_is_taken_of_the_advance_first() -> None:
    """Only what is beyond all that the run had taken is an excess of the account."""
    run = Spender(1000, 50)
    run.append(started(30))
    run.append(answered(1, 60))
    run.append(started(20))
    assert len(run.moved) == 1
    run.append(answered(3, 100))
    run.append(ENDED)
    assert run.totals == money(settled=160, excess=80)
    assert run.problems == []


def test_a_call_of_unknown_cost_may_be_reconciled_before_the_account_knows_of_it() -> None:
    """What is then left of its hold is the run's to use."""
    run = Spender(1000, 50)
    run.append(started(30))
    run.append(failed(1, unreconciled=30))
    run.append(SpendReconciled(1, Usd(30), Usd(10)))
    assert [type(each) for each in run.moved] == [Advanced]
    run.elsewhere()
    call = run.append(started(70))
    assert isinstance(call, CallStarted)
    assert call.accounts[0].advance == Usd(0)
    run.append(failed(4, unreconciled=70))
    run.append(ENDED)
    assert run.totals == money(settled=10, held=70, unreconciled=70)
    run.append(SpendReconciled(4, Usd(70), Usd(1)))
    assert isinstance(run.moved[-1], Reconciled)
    assert run.totals == money(settled=11)
    assert run.problems == []


def test_calls_that_outlive_a_session_are_held_by_the_account_itself() -> None:
    """Those of a batch; and free ones need no advance."""
    run = Spender(1000, 50)
    run.append(evolve(started(30), lane=Lane.BATCH))
    run.append(started(0))
    assert [type(each) for each in run.moved] == [Held, Held]
    run.append(started(10))
    run.append(ENDED)
    assert run.totals == money(held=40)
    assert run.log.holds() == [
        Hold("run", ADVANCE, "account/org", 10),
        Hold("run", 1, "account/org", 30),
        Hold("run", 2, "account/org", 0),
    ]
    run.append(failed(2))
    assert isinstance(run.moved[-1], Released)
    assert run.problems == []


def test_a_session_that_failed_leaves_what_its_calls_hold() -> None:
    """What is left goes back at once; the next session ends the calls."""
    run = Spender(1000, 50)
    run.append(started(30))
    run.append(SessionFailed("0" * 64))
    assert run.totals == money(held=30)
    run.elsewhere()
    run.append(SessionLost(1, (EndedAttempt(1, Usd(30)),)))
    assert run.totals == money(held=30, unreconciled=30)
    assert run.log.holds() == []
    assert run.problems == []


def test_an_advance_is_given_and_taken_away_with_the_cap() -> None:
    """Without one said, it stays; runs that have taken some use it up."""
    run = Spender(1000, 50)
    run.append(started(30))
    asyncio.run(run.log.set_cap("org", Usd(900), at=1))
    assert run.totals.advance == Usd(50)
    asyncio.run(run.log.set_cap("org", Usd(1000), at=1, advance=Usd(0)))
    assert isinstance(run.moved[-1], CapSet)
    run.append(started(60))
    grown = run.moved[-1]
    assert isinstance(grown, Advanced)
    assert (grown.taken, grown.open) == (Usd(10), Usd(90))
    run.append(answered(1, 30))
    run.append(answered(2, 60))
    run.append(ENDED)
    run.append(started(60))
    assert isinstance(run.moved[-1], Held)
    assert run.problems == []
    for name, change in (("org", run.log.set_cap), ("other", run.log.open_account)):
        with pytest.raises(UsageError, match="at least 0"):
            asyncio.run(change(name, Usd(1000), at=1, advance=Usd(-1)))


def test_a_call_of_an_advance_ends_with_its_whole_hold_or_with_its_cost() -> None:
    """As one that the account itself holds."""
    run = Spender(1000, 50)
    run.append(started(30))
    with pytest.raises(LogError, match="unreconciled with its hold of"):
        run.append(failed(1, unreconciled=29))
    assert isinstance(run.append(started(10)), CallStarted)


def test_a_row_that_no_call_explains_is_an_error() -> None:
    """A stray row among the open holds gives nothing back."""
    run = Spender(1000, 50)
    run.append(started(0))
    run.elsewhere()
    sqlite_of(run.log).query("INSERT INTO open_holds VALUES ('run', 0, 'account/org', 5)")
    with pytest.raises(LogError, match="no call of it says so"):
        run.append(ENDED)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda v: evolve(v, settled=v.settled + Usd(1)), "does not lead to"),
        (lambda v: evolve(v, open=v.open + Usd(1)), "does not lead to what is open of it"),
        (lambda v: evolve(v, call=v.call + 1), "of another size|came to something else"),
        (lambda v: evolve(v, run="other"), "the advance"),
    ],
)
def test_what_an_account_says_of_an_advance_is_checked(change: object, problem: str) -> None:
    """Against itself, and against the calls of the run."""
    run = Spender(1000, 50)
    run.append(started(30))
    run.append(answered(1, 25))
    run.append(started(60))
    account = [(each.at, each.event) for each in run.log.read("account/org")]
    histories = {"run": [(1, event) for event in run.events]}
    assert broken_accounts({"org": account}, histories) == []
    at, event = account[-1]
    edited = [*account[:-1], (at, change(event))]  # type: ignore[operator]
    found = broken_accounts({"org": edited}, histories)
    assert any(re.search(problem, each) for each in found), found


def _kept(event: Advanced) -> list[Advanced]:
    """What is left stays held."""
    totals = evolve(event.totals, held=event.totals.held + event.returned)
    return [evolve(event, returned=Usd(0), open=event.returned, totals=totals)]


@pytest.mark.parametrize(
    ("forge", "problem"),
    [
        (lambda end: [], "version 5: the advance is not given back"),
        (_kept, "gives back something else than what is left"),
        (lambda end: [evolve(end, call=4)], "no end of a session"),
        (lambda end: [evolve(end, call=6)], "no end of a session"),
        (lambda end: [end, evolve(end, returned=Usd(0), settled=Usd(0))], "no end of a session"),
        (lambda end: [end, evolve(end, run="other", returned=Usd(0), settled=Usd(0))], "no end of a session"),
    ],
    ids=["dropped", "kept", "before", "after", "twice", "of another run"],
)
def test_the_end_of_a_session_gives_back_all_that_is_left(forge: object, problem: str) -> None:
    """At that end and at no other event; though the totals that are stored follow from each other."""
    run = Spender(1000, 50)
    for event in (started(30), answered(1, 25), started(60), answered(3, 10), ENDED):
        run.append(event)
    *account, (at, end) = [(each.at, each.event) for each in run.log.read("account/org")]
    histories = {"run": [(1, event) for event in run.events]}
    assert broken_accounts({"org": [*account, (at, end)]}, histories) == []
    forged = [*account, *((at, each) for each in forge(end))]  # type: ignore[operator]
    found = broken_accounts({"org": forged}, histories)
    assert any(problem in each for each in found), found


def test_a_call_that_takes_of_an_account_gives_nothing_back() -> None:
    """Though the run's own call says that so much less is left."""
    run = Spender(1000, 50)
    for event in (started(30), started(60)):
        run.append(event)
    *account, (at, grown) = [(each.at, each.event) for each in run.log.read("account/org")]
    call = run.events[-1]
    assert isinstance(grown, Advanced)
    assert isinstance(call, CallStarted)
    less, totals = Usd(20), evolve(grown.totals, held=grown.totals.held - Usd(20))
    grown = evolve(grown, returned=less, open=grown.open - less, totals=totals)
    (entry,) = call.accounts
    entry = evolve(entry, balance=entry.balance - less, advance=Usd(30))
    history: list[tuple[int, Event]] = [(1, run.events[0]), (1, evolve(call, accounts=(entry,)))]
    assert broken_accounts({"org": [*account, (at, grown)]}, {"run": history}) == [
        "org: version 3: run, version 2: the advance is of another size than the account gives"
    ]


@pytest.mark.parametrize("field", ["advance", "balance", "version"])
def test_what_a_call_says_of_its_advance_is_checked(field: str) -> None:
    """What is left of it, and which event of the account gave it."""
    run = Spender(1000, 50)
    run.append(started(30))
    run.append(started(20))
    account = [(each.at, each.event) for each in run.log.read("account/org")]
    call = run.events[-1]
    assert isinstance(call, CallStarted)
    (entry,) = call.accounts
    wrong = getattr(entry, field) + (1 if field == "version" else Usd(1))
    run.events[-1] = evolve(call, accounts=(evolve(entry, **{field: wrong}),))
    histories = {"run": [(1, event) for event in run.events]}
    assert broken_accounts({"org": account}, histories) != []


def test_processes_that_take_advances_cannot_overdraw_an_account(tmp_path: Path) -> None:
    """Two real processes spend of the same accounts until both are refused; what they left is given back by a third."""
    log = EventLog.open(tmp_path)
    for name, cap in (("org", 2000), ("team", 1400)):
        asyncio.run(log.open_account(name, Usd(cap), at=1, advance=Usd(37)))
    log.close()
    pairs = [("run-0", "run-1"), ("run-1", "run-0")]
    processes = [subprocess.Popen([sys.executable, str(SPENDER), str(tmp_path), *pair]) for pair in pairs]
    assert [process.wait(60) for process in processes] == [0, 0]

    log = EventLog.open(tmp_path)
    for run, _ in pairs:
        last = log.last(run)
        assert last is not None
        asyncio.run(log.append(run, last.version, last.at + 1, [ENDED]))
    histories = {run: [(each.at, each.event) for each in log.read(run)] for run, _ in pairs}
    accounts = {name: [(each.at, each.event) for each in log.read(f"account/{name}")] for name in ("org", "team")}
    assert broken_accounts(accounts, histories) == []
    team = log.account("team")
    calls = sum(isinstance(event, CallStarted) for history in histories.values() for _, event in history)
    assert (team.held, team.settled) == (Usd(0), Usd(3 * calls))
    assert team.free < Usd(2 * 10), "money lies idle"
    assert log.account("org").settled == team.settled
    assert any(isinstance(event, Advanced) for _, event in accounts["team"])
    assert log.verify() == []
    log.close()


def test_a_run_that_is_refused_gives_back_what_it_has_left() -> None:
    """Else runs that wait for money would hold it against each other. Its calls in flight keep theirs."""
    run = Spender(1000, 50)
    run.append(started(30))
    run.append(started(20))
    run.append(answered(1, 10))
    assert isinstance(run.append(started(975)), AccountRefused)
    assert run.moved[-1] == Advanced(
        "run", 4, Usd(0), Usd(50), Usd(10), Usd(0), (), Usd(20), money(settled=10, held=20)
    )
    run.append(answered(2, 5))
    for _ in range(2):
        call = run.append(started(12))
        assert isinstance(call, CallStarted)
        assert call.accounts[0].version == 4
        run.elsewhere()
    assert run.moved[-1] == Advanced("run", 6, Usd(50), Usd(0), Usd(5), Usd(0), (), Usd(65), money(settled=15, held=65))
    run.append(ENDED)
    assert run.problems == []


def test_a_refusal_lets_another_run_start() -> None:
    """What one run gives back is there for the next one."""
    run = Spender(1000, 50)
    run.append(started(30))
    run.append(failed(1))
    other = started(960)

    def start() -> Event:
        return asyncio.run(run.log.append("other", other_version, 1, [other], accounts=["org"])).events[0]

    other_version = 0
    assert isinstance(start(), AccountRefused)
    assert isinstance(run.append(started(1001)), AccountRefused)
    other_version = 1
    assert isinstance(start(), CallStarted)
