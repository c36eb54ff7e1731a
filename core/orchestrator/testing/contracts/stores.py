"""The contract of stores: inherit from it, and give ``make_store``."""

import asyncio
import os
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from orchestrator.errors import ConcurrencyError, RunLockedError, UsageError, present
from orchestrator.events import TaskStarted
from orchestrator.log import chain
from orchestrator.log.protocol import Changes, Member, Store, Tails, all_rows
from orchestrator.log.rows import CacheRow, NewRow, Select
from orchestrator.testing.memory import log_over, memory_log

_VERBATIM: Final = ('{"b":1.0,"a":1e5,"a":2}', '{"text":"\\u0000"}', '{"text":"\U0001f600é"}', '{"n":9007199254740993}')
_WRITERS: Final = 4
_EACH: Final = 10


def _adding(stream: str, *data: str) -> Member:
    """Adds events with some data to the end of a stream."""

    def make(tails: Tails) -> Changes:
        last = tails.last(stream)
        version, previous = (0, chain.GENESIS) if last is None else (last.version, last.hash)
        rows = []
        for each in data:
            version += 1
            previous = chain.link(previous, stream, version, "test", 1, version, each)
            rows.append(NewRow(stream, version, "test", 1, version, each, previous))
        return Changes(rows=tuple(rows))

    return Member(make, stream)


def _archiving(stream: str) -> Member:
    """Leaves one event of a stream."""

    def make(tails: Tails) -> Changes:
        last = present(tails.last(stream), "last event")
        data = f'{{"version":{last.version},"head":"{last.hash}"}}'
        version, kind = last.version + 1, "run.archived"
        link = chain.link(last.hash, stream, version, kind, 1, version, data)
        return Changes(archived=(stream,), rows=(NewRow(stream, version, kind, 1, version, data, link),))

    return Member(make, stream, whole=True)


def _refused(tails: Tails) -> Changes:
    raise UsageError("no")


class StoreContract:
    """A store keeps rows as they are, in order, all of a member or nothing, and has every run once."""

    def make_store(self) -> Store:
        """An empty store of its own."""
        raise NotImplementedError

    def test_rows_are_kept_byte_for_byte(self) -> None:
        """Numbers, escapes and repeated keys come back as they were written, also as an audit reads them."""
        store = self.make_store()
        store.write([_adding("a", *_VERBATIM)])
        assert [row.data for row in all_rows(store, Select(("a",), by_version=True))] == [*_VERBATIM]
        assert [row.data.decode() for row in store.raw("a")] == [*_VERBATIM]
        assert chain.verify(store, texts=False) == []

    def test_a_member_that_fails_fails_alone(self) -> None:
        """What stands before and after it in its group is written; its error is its answer."""
        store = self.make_store()
        first, second, third = store.write([_adding("a", "{}"), Member(_refused), _adding("a", "{}")])
        assert (first.error, third.error) == (None, None)
        assert isinstance(second.error, UsageError)
        assert first.positions < third.positions
        last = store.last("a")
        assert last is not None
        assert last.version == 2

    def test_a_writer_that_has_not_seen_everything_is_refused(self) -> None:
        """The expected version has to be the last one, and nothing is written otherwise."""
        log = log_over(self.make_store())
        asyncio.run(log.append("a", 0, 1, [TaskStarted("t")]))
        try:
            asyncio.run(log.append("a", 0, 2, [TaskStarted("u")]))
        except ConcurrencyError as error:
            assert (error.expected, error.actual) == (0, 1)  # noqa: PT017 - a suite without pytest
        else:
            raise AssertionError("a second first event was taken")
        assert len(list(log.read("a"))) == 1

    def test_nothing_appears_below_the_high_water(self) -> None:
        """A reader that goes on from there, while several write, sees every event once."""
        store, seen = self.make_store(), list[int]()
        with ThreadPoolExecutor(_WRITERS) as pool:
            work = [
                pool.submit(lambda name=name: [store.write([_adding(name, "{}")]) for _ in range(_EACH)])  # type: ignore[misc]
                for name in map(str, range(_WRITERS))
            ]
            while len(seen) < _WRITERS * _EACH:
                done, upto, after = all(each.done() for each in work), store.high_water(), seen[-1] if seen else 0
                seen += [row.position for row in all_rows(store, Select(after=after, before=upto + 1))]
                assert not done or len(seen) == _WRITERS * _EACH, "events appeared below the high water"
        assert seen == [row.position for row in all_rows(store, Select())]

    def test_a_run_is_had_once(self) -> None:
        """A second process is refused while the first has it, and may take it then."""
        store = self.make_store()
        handle = store.locks.acquire("run")
        assert store.locks.is_held("run")
        try:
            store.locks.acquire("run")
        except RunLockedError:
            pass
        else:
            raise AssertionError("a run was had twice")
        handle.release()
        assert not store.locks.is_held("run")
        store.locks.acquire("run").release()

    def test_names_are_ordered_by_their_bytes(self) -> None:
        """Whatever the language of the database: capitals first, letters with accents last."""
        store = self.make_store()
        store.write([Member(lambda tails: Changes(salts=tuple((name, b"s") for name in ("é", "b", "B", "a"))))])
        assert store.owners() == ["B", "a", "b", "é"]

    def test_what_is_deleted_is_gone(self) -> None:
        """Texts, salt and cached answers of a run; those of others stay."""
        store = self.make_store()
        rows = tuple(CacheRow(f"key-{run}", run, 1) for run in ("a", "b"))
        store.write(
            [
                Member(
                    lambda tails: Changes(
                        salts=(("a", b"s"), ("b", b"s")),
                        texts=(("a", "d", b"text"), ("b", "d", b"text")),
                        secret=b"secret",
                        cached=rows,
                    )
                )
            ]
        )
        store.write([Member(lambda tails: Changes(forgotten=("a",)))])
        assert (store.salt("a"), store.blob("a", "d"), store.cached("key-a")) == (None, None, None)
        assert (bytes(store.salt("b")), bytes(store.blob("b", "d"))) == (b"s", b"text")
        assert store.cached("key-b") == rows[1]

    def test_an_archived_stream_keeps_one_event(self) -> None:
        """Its others are gone, those of other streams stay, and events cannot be deleted afterwards either."""
        store = self.make_store()
        store.write([_adding("a", "{}", "{}"), _adding("b", "{}")])
        store.write([_archiving("a"), _adding("b", "{}")])
        assert [(row.version, row.type) for row in all_rows(store, Select(("a",)))] == [(3, "run.archived")]
        assert len(list(all_rows(store, Select(("b",))))) == 2
        assert store.streams() == ["b", "a"]
        assert chain.verify(store, texts=False) == []
        assert store.layout() == []

    def test_the_first_secret_counts_for_all(self) -> None:
        """Two logs that draw one at once have the same, and it stays."""
        store = self.make_store()
        logs = [log_over(store), log_over(store)]

        async def draw() -> list[bytes]:
            return list(await asyncio.gather(*(log.draw_secret(os.urandom) for log in logs)))

        first, second = asyncio.run(draw())
        assert first == second == bytes(store.salt("") or b"")
        assert asyncio.run(draw()) == [first, second]

    def test_heads_are_those_of_any_other_store(self) -> None:
        """The same appends have the same hashes as in a store in memory."""
        heads = []
        for log in (log_over(self.make_store()), memory_log()):
            for version in range(3):
                asyncio.run(log.append("a", version, version + 1, [TaskStarted(f"t{version}")]))
            heads.append([record.hash for record in log.read("a")])
        assert heads[0] == heads[1]
