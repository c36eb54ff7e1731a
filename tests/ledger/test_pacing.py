"""The pace of an account: reservations that follow each other, tickets, and what vendors say."""

import asyncio
from itertools import pairwise

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.errors import ConcurrencyError
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.shared_pace import PaceChanges, PaceLedger, PaceNeed, VendorAccount, per_minute, standings
from orchestrator.models import Allowance, Allowances, Role
from orchestrator.money import Usd
from orchestrator.settings import SECOND
from orchestrator.testing.simulation.memory_log import memory_log

ACCOUNT = VendorAccount("openai", "0" * 32)
CALL = e.CallStarted(1, "task", Role.GENERATOR, 1, 1, 1, 1, "openai", "m", 9, 9, Usd(5), 9)
AT = 1_800_000_000 * SECOND


def _pace(**numbers: int) -> PaceLedger:
    """Of a store that has nothing yet, with so many requests and tokens a minute."""
    pace = PaceLedger(lambda scope: None)
    pace.set("openai", Allowances(**{kind: per_minute(most) for kind, most in numbers.items()}), None)
    return pace


def _until(pace: PaceLedger, at: int = AT, tokens: int = 1, ticket: int | None = None) -> int:
    """When a call that asks at a time may start."""
    found = pace.admit(PaceNeed(ACCOUNT, tokens), evolve(CALL, ticket=ticket), at)
    return found.until if isinstance(found, e.PaceRefused) else at


def test_slots_are_spread_evenly_and_each_is_anothers() -> None:
    """Six hundred a minute: one every tenth of a second, however many ask at once."""
    pace = _pace(requests=600)
    assert [_until(pace) - AT for _ in range(4)] == [0, 100_000, 200_000, 300_000]
    assert _until(pace, AT + 10 * SECOND) == AT + 10 * SECOND


def test_a_burst_lets_calls_come_early() -> None:
    """As many as the burst has room for start at once; the next ones wait as ever."""
    pace = _pace(requests=600)
    pace.set("openai", Allowances(), SECOND // 2)
    assert [_until(pace) - AT for _ in range(8)] == [0, 0, 0, 0, 0, 0, 100_000, 200_000]


def test_tokens_count_and_what_is_not_used_is_given_back() -> None:
    """A call of 1000 of 6000 a minute takes ten seconds; of these, 900 tokens' time comes back."""
    pace = _pace(tokens=6000)
    assert _until(pace, tokens=1000) == AT
    pace.follow(PaceChanges(unused=(PaceNeed(ACCOUNT, 900),)))
    assert _until(pace) == AT + SECOND


def test_a_ticket_takes_no_second_slot_unless_the_vendor_closed_the_account() -> None:
    """After a Retry-After even those with a reservation wait, and each for another one."""
    pace = _pace(requests=60)
    assert [_until(pace) - AT for _ in range(2)] == [0, SECOND]
    assert _until(pace, AT + SECOND, ticket=7) == AT + SECOND
    assert _until(pace, AT + SECOND) == AT + 2 * SECOND  # the ticket took nothing
    pace.follow(PaceChanges(closed=((ACCOUNT, AT + 20 * SECOND),)))
    assert [_until(pace, AT + 2 * SECOND, ticket=number) - AT for number in (8, 9)] == [20 * SECOND, 21 * SECOND]


def test_where_nothing_is_known_only_a_vendors_word_makes_calls_wait() -> None:
    """Then they go on one by one, a tenth of a second apart, and all at once only before and after."""
    pace = PaceLedger(lambda scope: None)
    assert [_until(pace) for _ in range(3)] == [AT] * 3
    pace.follow(PaceChanges(closed=((ACCOUNT, AT + SECOND),)))
    assert [_until(pace) - AT for _ in range(3)] == [SECOND, SECOND + 100_000, SECOND + 200_000]
    assert _until(pace, AT + 2 * SECOND) == AT + 2 * SECOND


def test_what_is_set_counts_before_what_is_learned() -> None:
    """A vendor's headers fill in what the user has not set; 0 takes a number away again."""
    pace = PaceLedger(lambda scope: None)
    pace.follow(PaceChanges(learned=((ACCOUNT, Allowances(Allowance(60, 60 * SECOND))),)))
    assert [_until(pace) - AT for _ in range(2)] == [0, SECOND]
    pace.set("openai", Allowances(per_minute(600)), None)
    assert [_until(pace, AT + 2 * SECOND) - AT - 2 * SECOND for _ in range(2)] == [0, 100_000]
    pace.set("openai", Allowances(per_minute(0)), None)
    assert [_until(pace, AT + 9 * SECOND) - AT - 9 * SECOND for _ in range(2)] == [0, SECOND]
    (set_, learned) = standings({**pace.changes, "openai/requests/each": 1_000_000})
    assert (set_.provider, set_.account, set_.requests) == ("openai", None, 60_000_000)
    assert (learned.provider, learned.account, learned.requests) == ("openai", "0" * 32, 60)


@given(
    requests=st.integers(1, 100_000),
    tokens=st.none() | st.integers(1, 10**9),
    asks=st.lists(st.tuples(st.integers(0, 5 * SECOND), st.integers(1, 10**6)), min_size=2, max_size=20),
)
def test_no_two_starts_are_nearer_than_the_limit_says_and_none_is_passed_by(
    requests: int, tokens: int | None, asks: list[tuple[int, int]]
) -> None:
    """Whoever asks first starts first; between two starts is at least the time of one request, and of its tokens."""
    pace = _pace(requests=requests) if tokens is None else _pace(requests=requests, tokens=tokens)
    at, starts = AT, []
    for later, need in asks:
        at += later
        starts.append(_until(pace, at, need))
    for (before, after), (_, need) in zip(pairwise(starts), asks, strict=False):
        assert (after - before) * requests >= 60 * SECOND
        if tokens is not None:
            assert (after - before) * tokens >= min(need * 60 * SECOND, 86_400 * SECOND * tokens)


async def _append(log: EventLog, run: str, expected: int, pace: PaceChanges, event: e.Event = CALL) -> e.Event:
    return (await log.append(run, expected, AT, [event], pace=pace)).events[0]


def test_an_append_reserves_in_its_own_transaction() -> None:
    """Runs that append together get reservations one after the other; a refused append reserves nothing."""
    log, need = memory_log(), PaceChanges(need=PaceNeed(ACCOUNT, 1))

    async def all_of_it() -> list[e.Event]:
        await log.set_pace("openai", Allowances(per_minute(60)))
        with pytest.raises(ConcurrencyError):
            await _append(log, "run-9", 5, need)
        return list(await asyncio.gather(*(_append(log, f"run-{number}", 0, need) for number in range(3))))

    first, *others = asyncio.run(all_of_it())
    assert first == CALL
    assert [(type(each), each.scope, each.until - AT) for each in others if isinstance(each, e.PaceRefused)] == [
        (e.PaceRefused, f"openai/{'0' * 32}/requests", SECOND),
        (e.PaceRefused, f"openai/{'0' * 32}/requests", 2 * SECOND),
    ]
    (given, own) = log.paces()
    assert (given.requests, given.next, own.requests, own.next - AT) == (60, 0, None, 3 * SECOND)


def test_a_call_that_must_wait_holds_no_money() -> None:
    """The pace refuses after the accounts have agreed: then nothing is held in them."""
    log, pace = memory_log(), PaceChanges(need=PaceNeed(ACCOUNT, 1))

    async def all_of_it() -> list[e.Event]:
        await log.open_account("org", Usd(100), at=AT)
        await log.set_pace("openai", Allowances(per_minute(60)))
        made = [await log.append(f"run-{n}", 0, AT, [CALL], accounts=["org"], pace=pace) for n in range(2)]
        return [each.events[0] for each in made]

    started, refused = asyncio.run(all_of_it())
    assert isinstance(started, e.CallStarted)
    assert isinstance(refused, e.PaceRefused)
    assert refused.call == CALL
    assert log.account("org").held == Usd(5)
