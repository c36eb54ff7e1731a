import asyncio
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.errors import ConcurrencyError, ErrorKind, UsageError
from orchestrator.events import (
    AccountEntry,
    AccountEvent,
    AccountRefused,
    CallFailed,
    CallStarted,
    CallSucceeded,
    EndedAttempt,
    Held,
    Reading,
    Released,
    SessionLost,
    SessionOpened,
    Settled,
    TaskStarted,
    Totals,
    Unreconciled,
)
from orchestrator.ledger.accounts import stream_of
from orchestrator.ledger.append import Committed
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import MemoryLocks
from orchestrator.models import Finish, Role
from orchestrator.money import Usd
from orchestrator.testing.simulation.memory_log import memory_database, memory_log
from tests.sql import sqlite_of

SPENDER = Path(__file__).parent / "spender.py"


def started(hold: int) -> CallStarted:
    """A call with this hold."""
    return CallStarted(1, "t", Role.GENERATOR, 1, 1, 1, 1, "p", "m", 9, 9, Usd(hold), 9)


def answered(call: int, settled: int, unreconciled: int = 0) -> CallSucceeded:
    """An answer that cost this."""
    return CallSucceeded(call, "a", 1, Finish.STOP, Reading(), None, Usd(settled), Usd(unreconciled), 9)


def failed(call: int, settled: int = 0, unreconciled: int = 0) -> CallFailed:
    """A failure; with both amounts zero, nothing was billed."""
    return CallFailed(call, ErrorKind.SERVER, True, True, True, Usd(settled), Usd(unreconciled), None, None, None, 9)


def account_events(log: EventLog, name: str) -> list[AccountEvent]:
    """What happened in an account, without its opening."""
    return [each.event for each in log.read(stream_of(name), after=1) if isinstance(each.event, AccountEvent)]


def totals(cap: int, settled: int = 0, held: int = 0, unreconciled: int = 0, excess: int = 0) -> Totals:
    """Totals in nano-dollars."""
    return Totals(Usd(cap), Usd(settled), Usd(held), Usd(unreconciled), Usd(excess))


async def opened(log: EventLog, **caps: int) -> None:
    """Open accounts with caps in nano-dollars."""
    for name, cap in caps.items():
        await log.open_account(name, Usd(cap), at=1)


def check_law(log: EventLog) -> None:
    """Settled + held ≤ cap + excess after every event of every account, and the totals follow from the movements."""
    for stream in log.streams("account/"):
        settled = held = unreconciled = Usd.ZERO
        for record in log.read(stream):
            event = record.event
            now: Totals = event.totals  # type: ignore[attr-defined]
            if isinstance(event, Held):
                held += event.amount
            elif isinstance(event, Settled):
                settled, held = settled + event.amount, held - event.hold
            elif isinstance(event, Released):
                held -= event.hold
            elif isinstance(event, Unreconciled):
                unreconciled += event.hold
            assert (now.settled, now.held, now.unreconciled) == (settled, held, unreconciled)
            assert now.settled + now.held <= now.cap + now.excess


def test_a_hold_is_taken_in_every_account_and_settled() -> None:
    """A CallStarted comes back with where it stands in each account; its end settles them."""
    log = memory_log()

    async def scene() -> tuple[Committed, Committed]:
        await opened(log, org=100, team=50)
        first = await log.append("run", 0, 5, [TaskStarted("t"), started(30)], accounts=["org", "team"])
        return first, await log.append("run", 2, 6, [answered(2, 20)])

    first, second = asyncio.run(scene())

    call = first.events[1]
    assert isinstance(call, CallStarted)
    assert call.accounts == (AccountEntry("org", Usd(30), 2), AccountEntry("team", Usd(30), 2))
    assert first.version == 2
    assert first.records[1].event == call
    assert second.version == 3
    for name, cap in (("org", 100), ("team", 50)):
        assert account_events(log, name) == [
            Held("run", 2, Usd(30), totals(cap, held=30)),
            Settled("run", 2, Usd(30), Usd(20), totals(cap, settled=20)),
        ]
        assert log.account(name) == totals(cap, settled=20)
    assert sqlite_of(log).query("SELECT * FROM open_holds") == []
    assert log.verify() == []


@pytest.mark.parametrize(
    ("end", "event", "after"),
    [
        (answered(1, 20), Settled("run", 1, Usd(30), Usd(20), totals(100, settled=20)), totals(100, settled=20)),
        (answered(1, 0), Settled("run", 1, Usd(30), Usd(0), totals(100)), totals(100)),
        (
            answered(1, 0, 30),
            Unreconciled("run", 1, Usd(30), totals(100, held=30, unreconciled=30)),
            totals(100, held=30, unreconciled=30),
        ),
        (failed(1), Released("run", 1, Usd(30), totals(100)), totals(100)),
        (failed(1, settled=4), Settled("run", 1, Usd(30), Usd(4), totals(100, settled=4)), totals(100, settled=4)),
        (
            failed(1, unreconciled=30),
            Unreconciled("run", 1, Usd(30), totals(100, held=30, unreconciled=30)),
            totals(100, held=30, unreconciled=30),
        ),
        (
            answered(1, 140),
            Settled("run", 1, Usd(30), Usd(140), totals(100, settled=140, excess=110)),
            totals(100, settled=140, excess=110),
        ),
        (
            SessionLost(1, (EndedAttempt(1, Usd(30)),)),
            Unreconciled("run", 1, Usd(30), totals(100, held=30, unreconciled=30)),
            totals(100, held=30, unreconciled=30),
        ),
        (
            SessionOpened(2, 1, "1", (), (), {}, False, {}, (EndedAttempt(1, Usd(30)),)),
            Unreconciled("run", 1, Usd(30), totals(100, held=30, unreconciled=30)),
            totals(100, held=30, unreconciled=30),
        ),
    ],
)
def test_every_way_an_attempt_can_end(
    end: CallSucceeded | CallFailed | SessionLost | SessionOpened, event: AccountEvent, after: Totals
) -> None:
    """Settled, released or unreconciled; a bill beyond the hold is never clamped, and is counted as excess."""
    log = memory_log()

    async def scene() -> None:
        await opened(log, org=100)
        await log.append("run", 0, 5, [started(30)], accounts=["org"])
        await log.append("run", 1, 6, [end])

    asyncio.run(scene())

    assert account_events(log, "org")[1:] == [event]
    assert log.account("org") == after
    assert sqlite_of(log).query("SELECT * FROM open_holds") == []
    check_law(log)


def test_a_hold_without_room_is_refused_and_takes_nothing() -> None:
    """AccountRefused stands in the call's place, says what is free, and counts only holds of live runs."""
    locks = MemoryLocks()
    log = memory_log(locks=locks)

    async def scene() -> list[Committed]:
        await opened(log, org=1000, team=100)
        locks.acquire("live")
        await log.append("dead", 0, 1, [started(20)], accounts=["org", "team"])
        await log.append("live", 0, 1, [started(25)], accounts=["org", "team"])
        await log.append("run", 0, 1, [started(30)], accounts=["org", "team"])
        await log.append("run", 1, 2, [failed(1, unreconciled=30)])
        await log.append("run", 2, 2, [started(7)], accounts=["org", "team"])
        return [
            await log.append("run", 3, 3, [TaskStarted("t"), started(19)], accounts=["org", "team"]),
            await log.append("run", 5, 4, [started(18)], accounts=["org", "team"]),
        ]

    refused, fits = asyncio.run(scene())

    assert refused.events == (
        TaskStarted("t"),
        AccountRefused(started(19), "team", Usd(19), Usd(18), in_flight_live=Usd(25 + 7)),
    )
    assert isinstance(fits.events[0], CallStarted)
    assert log.account("team") == totals(100, held=100, unreconciled=30)
    assert log.account("org") == totals(1000, held=100, unreconciled=30)
    assert log.verify() == []


def test_a_run_without_accounts_may_start_several_calls_at_once() -> None:
    """Accounts are asked only where they are named."""
    log = memory_log()

    done = asyncio.run(log.append("run", 0, 1, [started(1), started(2)]))

    assert done.events == (started(1), started(2))
    assert sqlite_of(log).query("SELECT * FROM open_holds") == []


def test_only_the_last_event_may_ask_accounts() -> None:
    """A step ends at its first CallStarted."""
    with pytest.raises(ValueError, match="only the last event"):
        asyncio.run(memory_log().append("run", 0, 1, [started(1), TaskStarted("t")], accounts=["org"]))


def test_a_conflict_or_an_unknown_account_writes_nothing() -> None:
    """What is refused leaves neither an event nor a hold, and later appends go on."""
    log = memory_log()

    async def scene() -> None:
        await opened(log, org=100)
        with pytest.raises(ConcurrencyError):
            await log.append("run", 3, 1, [started(1)], accounts=["org"])
        with pytest.raises(UsageError, match="no account 'team'"):
            await log.append("run", 0, 1, [TaskStarted("t"), started(1)], accounts=["org", "team"])
        await log.append("run", 0, 1, [started(1)], accounts=["org"])

    asyncio.run(scene())

    assert [len(list(log.read(name))) for name in ("run", "account/org")] == [1, 2]
    assert len(sqlite_of(log).query("SELECT * FROM open_holds")) == 1


def test_simulated_money_has_accounts_of_its_own() -> None:
    """The same name is two accounts: the real one and that of simulated providers."""
    log = memory_log()

    async def scene() -> None:
        await opened(log, org=100)
        await log.open_account("org", Usd(7), at=1, simulated=True)
        await log.append("run", 0, 1, [started(5)], accounts=["org"], simulated=True)
        await log.append("run", 1, 1, [answered(1, 5)])

    asyncio.run(scene())

    assert log.account("org") == totals(100)
    assert log.account("org", simulated=True) == totals(7, settled=5)
    assert log.streams("sim/") == ["sim/account/org"]


def test_caps_are_never_below_what_is_used() -> None:
    """An account is opened once; its cap may go down to settled + held, and up."""
    log = memory_log()

    async def scene() -> None:
        await opened(log, org=100)
        with pytest.raises(UsageError, match="already"):
            await opened(log, org=5)
        with pytest.raises(UsageError, match="cap of at least 0"):
            await opened(log, poor=-1)
        await log.append("run", 0, 1, [started(30)], accounts=["org"])
        with pytest.raises(UsageError, match="settled and held"):
            await log.set_cap("org", Usd(29), at=2)
        assert await log.set_cap("org", Usd(30), at=2) == totals(30, held=30)
        assert await log.set_cap("org", Usd(300), at=3) == totals(300, held=30)
        with pytest.raises(UsageError, match="no account"):
            await log.set_cap("unknown", Usd(30), at=2)

    asyncio.run(scene())

    with pytest.raises(UsageError, match="no account"):
        log.account("unknown")
    assert log.account("org") == totals(300, held=30)


Step = tuple[int, str, int, int]
STEPS = st.lists(
    st.tuples(
        st.integers(0, 2),
        st.sampled_from(["start", "start", "start", "settle", "beyond", "release", "keep", "die", "cap"]),
        st.integers(1, 60),
        st.integers(0, 5),
    ),
    max_size=40,
)


@settings(max_examples=80, deadline=None)
@given(steps=STEPS, caps=st.tuples(st.integers(0, 200), st.integers(0, 120), st.integers(0, 120)))
def test_the_law_of_money_holds_on_every_prefix(steps: Sequence[Step], caps: tuple[int, int, int]) -> None:
    """Three runs under one organisation and two teams, appending at once, in any order, with any ends."""
    log = memory_log(memory_database())
    teams = {"run-0": "red", "run-1": "red", "run-2": "blue"}
    versions = dict.fromkeys(teams, 0)
    open_calls: dict[str, dict[int, int]] = {run: {} for run in teams}

    async def step(number: int, kind: str, amount: int, which: int) -> None:
        run = f"run-{number}"
        calls = open_calls[run]
        if kind == "cap":
            name = ("org", "red", "blue")[which % 3]
            used = log.account(name).settled + log.account(name).held
            with suppress(UsageError):  # a hold that is being taken at the same time may be in the way
                await log.set_cap(name, used + Usd(amount), at=1)
            return
        if kind == "start":
            done = await log.append(run, versions[run], 1, [started(amount)], accounts=["org", teams[run]])
            versions[run] += 1
            if isinstance(done.events[0], CallStarted):
                calls[versions[run]] = amount
            return
        if kind == "die":
            ended = tuple(EndedAttempt(call, Usd(hold)) for call, hold in calls.items())
            await log.append(run, versions[run], 1, [SessionLost(1, ended)])
            versions[run] += 1
            calls.clear()
            return
        if not calls:
            return
        call = list(calls)[which % len(calls)]
        hold = calls.pop(call)
        end = {
            "settle": answered(call, amount % (hold + 1)),
            "beyond": answered(call, hold + amount),
            "release": failed(call),
            "keep": failed(call, unreconciled=hold),
        }[kind]
        await log.append(run, versions[run], 1, [end])
        versions[run] += 1

    async def scene() -> None:
        await opened(log, org=caps[0], red=caps[1], blue=caps[2])
        waiting: dict[int, list[Step]] = {0: [], 1: [], 2: []}
        for each in steps:
            waiting[each[0]].append(each)

        async def play(number: int) -> None:
            for each in waiting[number]:
                await step(*each)

        await asyncio.gather(*(play(number) for number in waiting))

    asyncio.run(scene())

    check_law(log)
    org, red, blue = (log.account(name) for name in ("org", "red", "blue"))
    for field in ("settled", "held", "unreconciled", "excess"):
        assert getattr(org, field) == getattr(red, field) + getattr(blue, field)
    rows = sqlite_of(log).query("SELECT coalesce(sum(nano), 0) FROM open_holds WHERE account = 'account/org'")
    assert Usd(rows[0][0]) == org.held - org.unreconciled
    assert log.verify() == []


def test_two_processes_cannot_overdraw_an_account(tmp_path: Path) -> None:
    """Two real processes spend from the same two accounts in one data folder until both are refused."""
    log = EventLog.open(tmp_path)
    asyncio.run(opened(log, org=1000, team=700))
    log.close()

    pairs = [("run-0", "run-1"), ("run-1", "run-0")]
    processes = [subprocess.Popen([sys.executable, str(SPENDER), str(tmp_path), *pair]) for pair in pairs]
    assert [process.wait(60) for process in processes] == [0, 0]

    log = EventLog.open_to_read(tmp_path)
    check_law(log)
    team = log.account("team")
    assert team.held == Usd(0)
    assert team.free < Usd(10)
    assert log.account("org").settled == team.settled
    runs = {each.event.run for each in log.read("account/team", types=[Held]) if isinstance(each.event, Held)}
    assert runs == {"run-0", "run-1"}
    assert log.verify() == []
    log.close()
