import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg
import pytest

from orchestrator.errors import ConcurrencyError, UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.protocol import Changes, Member, StoreError, Tails
from orchestrator.log.stored_rows import Hold, Last, Select
from orchestrator_postgres import group_writes
from orchestrator_postgres.store import PostgresStore
from tests.postgres.members import AT, appending, following, tail

Opened = Callable[..., PostgresStore]


class Counting:
    """A connection that counts what it is asked for."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.statements: list[str] = []

    def execute(self, query: str, *more: Any) -> Any:
        """Count and run."""
        self.statements.append(query)
        return self._connection.execute(query, *more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connection, name)


def _counting(store: PostgresStore) -> Counting:
    counting = Counting(store._writing)
    store._writer._connection = counting  # type: ignore[assignment]
    return counting


def test_a_group_is_one_statement(opened: Opened) -> None:
    """With the texts of its members, once the writer knows the ends of their streams."""
    store = opened()
    runs = [f"run-{number}" for number in range(20)]
    known = [tail(each) for each in store.write([appending(run) for run in runs])]
    counting = _counting(store)
    written = store.write([appending(run, last, 3) for run, last in zip(runs, known, strict=True)])
    assert len(counting.statements) == 1
    assert [each.positions for each in written] == [(p, p + 1, p + 2) for p in range(21, 81, 3)]
    assert {last.version for last in map(store.last, runs) if last} == {4}


def test_holds_that_a_run_does_not_have_are_not_looked_for_again(opened: Opened) -> None:
    """A run without accounts goes on writing one statement a group."""
    store = opened()
    last = tail(store.write([appending("run")])[0])
    ending = appending("run", last)
    counting = _counting(store)
    [written] = store.write([Member(ending.make, "run", last, ending=(1,))])
    assert written.error is None
    assert len(counting.statements) == 1


def test_a_conflict_fails_its_member_alone(opened: Opened) -> None:
    """The others of the group are written, at the next positions."""
    store, other = opened(), opened()
    one, two = store.write([appending("one", count=2), appending("two")])
    other.write([appending("one", tail(one))])
    stale, fine, failing = store.write(
        [appending("one", tail(one)), appending("two", tail(two), 2), Member(_refuse, "three")]
    )
    assert isinstance(stale.error, ConcurrencyError)
    assert str(stale.error) == "one is at version 3, not at 2: another writer was first"
    assert isinstance(failing.error, UsageError)
    assert fine.error is None
    assert [row.version for row in store.page(Select(streams=("two",))).rows] == [1, 2, 3]


def _refuse(_: Tails) -> Changes:
    raise UsageError("not like this")


def test_a_writer_that_does_not_look_is_stopped_by_the_version(opened: Opened) -> None:
    """The unique version is the fence: what was written is one writer's."""
    store = opened()
    store.write([appending("run")])

    def make(_: Tails) -> Changes:
        return Changes(rows=(following("run", None, '{"other":1}'),), texts=(("run", "d", b"x"),))

    blind, other = store.write([Member(make, "run"), appending("fine")])
    assert isinstance(blind.error, ConcurrencyError)
    assert other.error is None
    assert store.blob("run", "d") is None
    assert [row.data for row in store.page(Select(streams=("run",))).rows] == ["{}"]


@pytest.mark.parametrize("known", [Last(1, "0" * 64, AT), Last(2, "0" * 64, AT)], ids=["another hash", "a gap"])
def test_what_a_fail_over_lost_is_noticed(opened: Opened, known: Last) -> None:
    """Where the event that the writer wrote last is gone, nothing is written behind it."""
    store = opened()
    store.write([appending("run")])

    def make(tails: Tails) -> Changes:
        if tails.last("run") != known:
            raise ConcurrencyError("run", known.version, 1)
        return Changes(rows=(following("run", known),), salts=(("run", b"s"),))

    [written] = store.write([Member(make, "run", known)])
    assert isinstance(written.error, ConcurrencyError)
    assert store.high_water() == 1
    assert store.salt("run") is None


def test_a_later_member_sees_what_an_earlier_one_writes(opened: Opened) -> None:
    """Rows, holds, pace and, where it asks for more, everything."""
    store = opened()
    seen: list[Any] = []

    def first(tails: Tails) -> Changes:
        return Changes(
            rows=(following("account/org", tails.last("account/org")), following("a", None)),
            holds=(Hold("a", 1, "account/org", 5),),
            pace={"scope": 7},
            texts=(("a", "d", b"text"),),
            asked=(("a", "cancel", "", AT),),
        )

    def second(tails: Tails) -> Changes:
        last = tails.last_row("account/org")
        seen.extend(
            [last and last.version, tails.holds(run="a"), tails.pace("scope"), tails.in_flight("account/org", "a")]
        )
        return Changes(rows=(following("account/org", tails.last("account/org")),), ended=(("a", 1),))

    def third(tails: Tails) -> Changes:
        seen.extend(
            [tails.blob("a", "d"), tails.holds(account="account/org"), [each.kind for each in tails.asked("a")]]
        )
        return Changes(forgotten=("a",), taken=(("a", None, None),))

    accounts = ("account/org",)
    members = [
        Member(first, "a", accounts=accounts, pace=("scope",)),
        Member(second, "b", accounts=accounts, pace=("scope",)),
        Member(third, "a", whole=True),
    ]
    assert [each.error for each in store.write(members)] == [None] * 3
    assert seen == [1, [Hold("a", 1, "account/org", 5)], 7, 5, b"text", [], ["cancel"]]
    assert [row.version for row in store.page(Select(streams=accounts)).rows] == [1, 2]
    assert (store.blob("a", "d"), store.asked("a"), store.holds()) == (None, [], [])


def test_an_error_that_is_no_members_writes_nothing(opened: Opened) -> None:
    """And the connection is usable after it."""
    store = opened()

    def broken(tails: Tails) -> Changes:
        tails.texts("x")
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.write([appending("run", accounts=("account/org",)), Member(broken, "b")])
    assert store.high_water() == 0
    assert store.write([appending("run")])[0].error is None


def test_accounts_of_many_writers_form_chains(opened: Opened) -> None:
    """However their members name them: no deadlock, no gap, and positions in the order of commits."""
    stores = [opened() for _ in range(4)]
    orders = (("account/a", "account/b"), ("account/b", "account/a"))

    def work(number: int) -> None:
        known: list[Last | None] = [None, None]
        for _ in range(10):
            members = [
                appending(f"run-{number}-{place}", known[place], accounts=orders[(number + place) % 2])
                for place in (0, 1)
            ]
            known = [tail(each) for each in stores[number].write(members)]

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, range(4)))
    for account in orders[0]:
        rows = stores[0].page(Select(streams=(account,))).rows
        assert [row.version for row in rows] == list(range(1, 81))
        before = [Last(row.version, row.hash, row.at) for row in rows[:-1]]
        hashes = [following(account, last).hash for last in (None, *before)]
        assert [row.hash for row in rows] == hashes


def test_nothing_appears_below_the_high_water(opened: Opened) -> None:
    """A reader that goes on from the last position it saw misses nothing."""
    stores, reader = [opened() for _ in range(3)], opened(write=False)

    def work(store: PostgresStore) -> None:
        last = None
        for _ in range(30):
            last = tail(store.write([appending(f"run-{id(store)}", last, 2)])[0])

    with ThreadPoolExecutor(3) as pool:
        running = [pool.submit(work, store) for store in stores]
        seen: list[int] = []
        while not all(each.done() for each in running) or len(seen) < 180:
            found = reader.page(Select(after=seen[-1] if seen else 0)).rows
            assert not found or reader.high_water() >= found[-1].position
            seen += [row.position for row in found]
    assert len(seen) == 180


@pytest.mark.parametrize(
    "data", ['{"b": 1.0,"a":1e5, "a":2}', '{"n":9007199254740993}', '{"t":"\\u0000\\ud800 😀 é"}', '{"s":"a\\/b%s"}']
)
def test_data_is_kept_byte_for_byte(opened: Opened, data: str) -> None:
    """As an audit reads it, too."""
    store = opened()
    store.write([appending("läuft-😀", data=data)])
    [row] = store.page(Select()).rows
    [raw] = store.raw()
    assert (row.data, raw.data, raw.stream) == (data, data.encode(), "läuft-😀".encode())
    assert raw.hash.decode() == row.hash == following("läuft-😀", None, data).hash


def test_streams_are_ordered_as_bytes_are(opened: Opened) -> None:
    """Whatever the server's locale is."""
    store = opened()
    names = ["a", "B", "_", "é", "aa", "A"]
    store.write([Member(lambda _: Changes(salts=tuple((name, b"s") for name in names)))])
    assert store.owners() == sorted(names)


def test_reads_of_one_moment(opened: Opened) -> None:
    """What is appended meanwhile is seen afterwards."""
    store, other = opened(), opened()
    other.write([appending("one")])
    with store.snapshot():
        assert store.high_water() == 1
        other.write([appending("two")])
        assert store.high_water() == 1
        assert len(list(store.raw())) == 1
        assert store.streams() == ["one"]
    assert store.streams() == ["one", "two"]


def test_threads_read_at_once(opened: Opened) -> None:
    """One verifies a stream, one all of them at one moment, others look: none is in another's transaction."""
    store = opened()
    store.write([appending("one", count=3)])

    def work(number: int) -> set[int]:
        found = set()
        for _ in range(10):
            if number % 2:
                found.add(len(list(store.raw("one"))))
            else:
                with store.snapshot():
                    found.add(len(list(store.raw())))
            found.add(store.high_water())
        return found

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(work, range(4))) == [{3}] * 4


def test_the_remembered_holds_are_bounded(opened: Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that plays run after run does not grow."""
    monkeypatch.setattr(group_writes, "REMEMBERED", 3)
    store = opened()
    for number in range(10):
        store.write([appending(f"run-{number}")])
    assert len(store._writer._holds) <= 4


def test_after_its_connection_a_store_writes_nothing_more(opened: Opened, url: str) -> None:
    """One line; what was acknowledged is there, and a run it had is free."""
    store = opened()
    store.write([appending("run")])
    store.locks.acquire("run")
    assert store._writing is not None
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_terminate_backend(%s)", (store._writing.info.backend_pid,))
    for _ in range(2):
        with pytest.raises(StoreError) as caught:
            store.write([appending("other")])
        assert "\n" not in str(caught.value)
    other = opened()
    other.locks.acquire("run").release()
    assert other.streams() == ["run"]


def test_those_who_draw_the_secret_at_once_have_the_same(opened: Opened) -> None:
    """Each on a connection of its own: the first that is stored counts."""
    logs = [EventLog(opened(), offload=asyncio.to_thread) for _ in range(3)]

    async def draw() -> list[bytes]:
        return list(await asyncio.gather(*(log.draw_secret(os.urandom) for log in logs)))

    assert len(set(asyncio.run(draw()))) == 1
