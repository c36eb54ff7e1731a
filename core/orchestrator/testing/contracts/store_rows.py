"""Rows are kept as they are and found as asked for, and a group is written member by member or not at all."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, Final

from orchestrator.errors import ConcurrencyError, UsageError
from orchestrator.events import TaskStarted
from orchestrator.log import chain
from orchestrator.log.protocol import Changes, Member, Tails, all_rows
from orchestrator.log.stored_rows import CacheRow, Hold, Last, Select, StoredRow
from orchestrator.testing.contracts.store_basis import (
    AT,
    StoreBasis,
    adding,
    beside,
    contents,
    data_of,
    following,
    next_rows,
    written,
)
from orchestrator.testing.simulation.memory_log import log_over

VERBATIM: Final = (
    '{"b":1.0,"a":1e5,"a":2}',
    '{"text":"\\u0000\\ud83d\\ude00"}',
    '{"text":"\U0001f600é\u2028"}',
    '{"n":9007199254740993,"f":0.10000000000000000555}',
    '{ "spaces" : [ ] }',
)
_NAMES: Final = ("é", "b", "B", "a", "a_", "aXb", "z%", "Z", "ß", "\U0001f600")


def _refused(tails: Tails) -> Changes:
    raise UsageError("no")


def _broken(tails: Tails) -> Changes:
    raise ValueError("a defect")


class RowsContract(StoreBasis):
    """What one process writes and reads."""

    def test_rows_are_kept_byte_for_byte(self) -> None:
        """Numbers, escapes, spaces and repeated keys come back as they were written, also as an audit reads them."""
        store = self.make_store()
        written(store, adding("a", *VERBATIM))
        assert [row.data for row in all_rows(store, Select(("a",), by_version=True))] == [*VERBATIM]
        assert [row.data.decode() for row in store.raw("a")] == [*VERBATIM]
        assert [row.hash for row in all_rows(store, Select())] == [row.hash.decode() for row in store.raw()]
        assert chain.verify(store, texts=False) == []

    def test_rows_are_found_as_asked_for(self) -> None:
        """Any selection gives what a look at every row gives, in its order; ends of streams and places are found."""
        store, draw = self.make_store(), random.Random(4)
        for number in range(40):
            kind = draw.choice(["test", "run.forked", "call.started"])
            written(store, adding(draw.choice("abc"), f'{{"Word":"{"xyz"[number % 3]}"}}', kind=kind))
        rows = list(all_rows(store, Select()))
        assert [row.position for row in rows] == sorted({row.position for row in rows})
        for number in range(120):
            select = _drawn(draw, rows, number)
            found, expected = store.page(select).rows, _selected(rows, select)
            assert found == expected, f"{select} gives {len(found)} rows, not these {len(expected)}"
        for stream in "abc":
            own = [row for row in rows if row.stream == stream]
            last = store.last(stream)
            assert store.last_row(stream) == own[-1]
            assert last is not None
            assert (last.version, last.hash, last.at) == (own[-1].version, own[-1].hash, own[-1].at)
            assert [store.row(stream, row.version) for row in own] == own
            assert [store.at_position(row.position) for row in own] == own
        assert (store.last("d"), store.row("a", 99), store.high_water()) == (None, None, rows[-1].position)
        assert [each.stream for each in store.extents()] == list(dict.fromkeys(row.stream for row in rows))

    def test_names_are_ordered_by_their_bytes(self) -> None:
        """Whatever the language of the database: capitals first; ``%`` and ``_`` are letters."""
        store = self.make_store()
        written(store, beside(Changes(salts=tuple((name, b"s") for name in _NAMES))))
        assert store.owners() == sorted(_NAMES)
        written(store, *(adding(name, "{}") for name in _NAMES))
        for prefix in ("a", "a_", "z%", "", "é"):
            assert store.streams(prefix) == [name for name in _NAMES if name.startswith(prefix)]
        written(store, beside(Changes(holds=tuple(Hold(name, 1, "account/org", 1) for name in _NAMES))))
        assert [hold.run for hold in store.holds()] == sorted(_NAMES)

    def test_a_stream_may_begin_later(self) -> None:
        """A fork begins with the version after what it shares, and is a stream as others are."""
        store = self.make_store()
        [row] = next_rows("fork", None, "{}", kind="run.forked")
        written(store, beside(Changes(rows=(row._replace(version=7),))), adding("other", "{}"))
        assert store.streams() == ["fork", "other"]
        assert [(each.stream, each.last) for each in store.extents()] == [("fork", 7), ("other", 1)]

    def test_what_stands_beside_the_events_is_kept(self) -> None:
        """The first salt and text stay, the newest pace and answer count, and a secret of another cache is refused."""
        store = self.make_store()
        once = Changes(salts=(("a", b"\0\xff"),), texts=(("a", "d", b"\0\xff"),), secret=b"s", pace={"p": 2**53 + 1})
        written(store, beside(once), beside(Changes(cached=(CacheRow("k", "a", 1),), secret=b"s")))
        written(store, beside(Changes(salts=(("a", b"2"),), texts=(("a", "d", b"2"),), pace={"p": 5, "q": 6})))
        written(store, beside(Changes(cached=(CacheRow("k", "a", 2),), secret=b"s")))
        written(store, beside(Changes(cached=(CacheRow("k", "a", 3),), secret=b"of another cache")))
        written(store, beside(Changes(asked=(("a", "raise", "5", 8), ("a", "cancel", "", 9), ("b", "cancel", "", 9)))))
        written(store, beside(Changes(holds=(Hold("a", 4, "account/org", 2**53 + 1), Hold("a", 5, "account/org", 1)))))
        assert (bytes(store.salt("a")), bytes(store.blob("a", "d"))) == (b"\0\xff", b"\0\xff")
        assert (store.cached("k"), store.cached("other")) == (CacheRow("k", "a", 2), None)
        assert (store.pace("p"), store.pace("r"), store.paces()) == (5, None, {"p": 5, "q": 6})
        assert [(each.kind, each.text, each.at) for each in store.asked("a")] == [("raise", "5", 8), ("cancel", "", 9)]
        written(store, beside(Changes(taken=(("a", "raise", None),), ended=(("a", 5),))))
        assert [each.kind for each in store.asked("a") + store.asked("b")] == ["cancel", "cancel"]
        assert store.holds(run="a") == store.holds(account="account/org") == [Hold("a", 4, "account/org", 2**53 + 1)]
        store.keep_memo("memo.json", b"1")
        store.keep_memo("memo.json", b"\0\xff")
        assert store.memo("memo.json") in (b"\0\xff", None)  # it may keep none
        assert store.memo("other.json") is None

    def test_what_is_deleted_is_gone(self) -> None:
        """Texts, salt and cached answers of a run; those of others stay, and the store says where bytes may be left."""
        store = self.make_store()
        both = ("a", "b")
        filled = Changes(
            salts=tuple((run, b"s") for run in both),
            texts=tuple((run, digest, b"text") for run in both for digest in ("d", "e")),
            secret=b"secret",
            cached=tuple(CacheRow(f"key-{run}", run, 1) for run in both),
        )
        written(store, beside(filled), beside(Changes(forgotten=("a",), dropped_texts=(("b", "e"),))))
        assert (store.salt("a"), store.texts("a"), store.cached("key-a")) == (None, [], None)
        assert [(each.digest, each.size, bytes(each.start)) for each in store.texts("b")] == [("d", 4, b"text")]
        assert store.cached("key-b") == filled.cached[1]
        assert store.shrink(compact=True) or store.remains, "deleted bytes are left, and it does not say where"
        written(store, beside(Changes(clear_cache=True)))
        assert (store.cache_rows(), store.salt("")) == ([], None)

    def test_an_archived_stream_keeps_one_event(self) -> None:
        """Its others are gone, those of other streams stay, and events cannot be deleted afterwards either."""
        store = self.make_store()
        written(store, adding("a", "1", "2"), adding("b", "1"))

        def archiving(tails: Tails) -> Changes:
            last = tails.last("a")
            data = f'{{"version":2,"head":"{last.hash if last else ""}"}}'
            return Changes(archived=("a",), rows=next_rows("a", last, data, kind="run.archived"))

        written(store, Member(archiving, "a", whole=True), adding("b", "2"))
        assert [(row.version, row.type) for row in all_rows(store, Select(("a",)))] == [(3, "run.archived")]
        assert (data_of(store, "b"), store.streams()) == (["1", "2"], ["b", "a"])
        assert chain.verify(store, texts=False) == []
        assert store.layout() == []

    def test_a_member_that_fails_fails_alone(self) -> None:
        """What stands before and after it in its group is written; its error is its answer, and nothing of it stays."""
        store = self.make_store()
        first, second, third = store.write([adding("a", "1"), Member(_refused, "a"), adding("a", "2")])
        assert (first.error, third.error) == (None, None)
        assert isinstance(second.error, UsageError)
        assert first.positions < third.positions
        assert data_of(store, "a") == ["1", "2"]

    def test_members_see_what_earlier_ones_did(self) -> None:
        """Each reads the transaction: ends of streams, holds and paces as those before it in the group left them."""
        store, seen = self.make_store(), list[Any]()

        def make(tails: Tails) -> Changes:
            seen.append((tails.last("a"), tails.holds(run="a"), tails.pace("p"), tails.high_water() > 0))
            return Changes()

        hold = Hold("a", 1, "account/org", 3)
        earlier = beside(Changes(holds=(hold,), pace={"p": 9}))
        written(store, adding("a", "1"), earlier, Member(make, "a", accounts=("account/org",), pace=("p",), whole=True))
        assert seen[-1] == (store.last("a"), [hold], 9, True)

    def test_a_defect_of_a_member_leaves_nothing(self) -> None:
        """An error that is none of the program's takes the whole group back, and the store goes on."""
        store = self.make_store()
        try:
            store.write([adding("a", "1"), Member(_broken), adding("b", "2")])
        except ValueError:
            pass
        else:
            raise AssertionError("a defect of a member was not handed on")
        assert (store.high_water(), contents(store)["salts"]) == (0, [])
        written(store, adding("a", "1"))
        assert data_of(store, "a") == ["1"]

    def test_a_writer_that_has_not_seen_everything_is_refused(self) -> None:
        """The expected version has to be the last one; nothing is written otherwise, and others of the group are."""
        store = self.make_store()
        written(store, adding("a", "1", "2"), adding("b", "1"))
        stale = Last(1, next_rows("a", None, "1")[0].hash, AT)
        refused, fine = store.write([following("a", stale, "9"), following("b", store.last("b"), "2")])
        assert isinstance(refused.error, ConcurrencyError), f"a stale writer got {refused.error!r}"
        assert fine.error is None
        assert (data_of(store, "a"), data_of(store, "b")) == (["1", "2"], ["1", "2"])
        try:
            asyncio.run(log_over(store).append("a", 1, AT, [TaskStarted("t")]))
        except ConcurrencyError as error:
            assert (error.expected, error.actual) == (1, 2)  # noqa: PT017 - a suite without pytest
        else:
            raise AssertionError("a writer that has not seen the last event was let in")
        assert data_of(store, "a") == ["1", "2"]


def _drawn(draw: random.Random, rows: Sequence[StoredRow], number: int) -> Select:
    """A selection; with the number all its conditions come up."""
    place = draw.choice(rows)
    by_version = number % 3 == 0
    return Select(
        streams=(place.stream,) if by_version else draw.choice([None, ("a", "c"), ("none",)]),
        types=draw.choice([None, None, ("test",), ("test", "run.forked")]),
        after=0 if by_version else draw.choice([0, place.position]),
        before=draw.choice([None, place.position]),
        after_version=draw.choice([0, 3]),
        upto_version=draw.choice([None, 6]),
        by_version=by_version,
        reverse=draw.random() < 0.5,
        limit=draw.choice([None, 1, 5]),
        search=draw.choice(["", "", "x", "forked", str(place.position), f"v{place.version}"]),
    )


def _selected(rows: Sequence[StoredRow], select: Select) -> list[StoredRow]:
    found = [row for row in rows if _is_in(row, select)]
    found.sort(key=lambda row: row.version if select.by_version else row.position, reverse=select.reverse)
    return found[: select.limit]


def _is_in(row: StoredRow, select: Select) -> bool:
    text = select.search
    return (
        (select.streams is None or row.stream in select.streams)
        and (select.types is None or row.type in select.types)
        and row.position > select.after
        and (select.before is None or row.position < select.before)
        and row.version > select.after_version
        and (select.upto_version is None or row.version <= select.upto_version)
        and (text in row.data.lower() or text in row.type or text in (str(row.position), f"v{row.version}"))
    )
