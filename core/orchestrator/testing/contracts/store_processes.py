"""Several processes and one log: who has a run, what a reader sees meanwhile, and what is left of one that dies."""

import os
import signal
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any, Final
from unittest import SkipTest

from orchestrator.errors import ConcurrencyError, RunLockedError
from orchestrator.log import chain
from orchestrator.log.locks import Handle
from orchestrator.log.protocol import Changes, Member, Store, Tails, all_rows
from orchestrator.log.stored_rows import Select
from orchestrator.testing.contracts.base import in_time
from orchestrator.testing.contracts.store_basis import StoreBasis, adding, beside, data_of, following, written

_WRITERS: Final = 4
_EACH: Final = 8
PATIENCE: Final = 10.0
"""Seconds after which what a dead process had must be free, and what reads must have read."""


class ProcessesContract(StoreBasis):
    """What several processes may expect of each other."""

    def test_nothing_appears_below_the_high_water(self) -> None:
        """A reader that goes on from there, while several write, sees every event once."""
        store, seen = self.make_store(), list[int]()
        writers = [self.open_again(store) for _ in range(_WRITERS)]

        def write(each: Store, name: str) -> None:
            for _ in range(_EACH):
                written(each, adding(name, "{}"), adding(f"{name}-2", "{}"))

        with ThreadPoolExecutor(_WRITERS) as pool:
            work = [pool.submit(write, each, str(number)) for number, each in enumerate(writers)]
            after, done = 0, False
            while not done:
                done, upto = all(each.done() for each in work), store.high_water()
                seen += [row.position for row in all_rows(store, Select(after=after, before=upto + 1))]
                after = max(after, upto)
        for each in work:
            assert each.exception() is None, f"a writer failed: {each.exception()}"
        assert len(seen) == 2 * _WRITERS * _EACH, "events appeared below the high water"
        assert seen == [row.position for row in all_rows(store, Select())]

    def test_a_run_is_had_once(self) -> None:
        """A second process is refused while the first has it, and may take it then."""
        store = self.make_store()
        other = self.open_again(store)
        handle = store.locks.acquire("run")
        assert store.locks.is_held("run")
        assert other.locks.is_held("run")
        for each in (store, other):
            assert not _acquired(each, "run"), "a run was had twice"
        other.locks.acquire("another").release()
        handle.release()
        handle.release()
        assert not other.locks.is_held("run")
        other.locks.acquire("run").release()
        assert not store.locks.is_held("run")
        assert store.locks.discard_free() >= 0

    def test_a_writer_that_lost_its_run_is_refused(self) -> None:
        """It was taken over meanwhile: what it writes after an event it has not seen is refused, as a whole."""
        store = self.make_store()
        other = self.open_again(store)
        handle = store.locks.acquire("run")
        written(store, adding("run", "1", "2"), adding("account/org", "1"))
        known = store.last("run")
        handle.release()
        taken = other.locks.acquire("run")
        written(other, adding("run", "3"), adding("account/org", "2"))
        member = following("run", known, "9")
        late = Member(_also(member.make, "account/org"), "run", known, accounts=("account/org",))
        refused, fine = store.write([late, adding("free", "1")])
        assert isinstance(refused.error, ConcurrencyError), f"a writer without its run got {refused.error!r}"
        assert fine.error is None
        assert (data_of(other, "run"), data_of(other, "account/org")) == (["1", "2", "3"], ["1", "2"])
        assert chain.verify(other, texts=False) == []
        taken.release()

    def test_a_crash_leaves_all_of_a_group_or_nothing(self) -> None:
        """The process dies before the commit, inside the group, or after it; the next one goes on."""
        from orchestrator.testing.simulation.crashing_store import Crash, CrashingStore
        from orchestrator.testing.simulation.scenario import CrashPoint

        for where, kept in (("before", ["1"]), ("inside", ["1"]), ("after", ["1", "2"])):
            store = self.make_store()
            written(store, adding("a", "1"))
            crashing = CrashingStore(store, points=[CrashPoint(1, where)])
            group = [adding("b", "1"), beside(Changes(salts=(("b", b"s"),), pace={"p": 1})), adding("a", "2")]
            with suppress(Crash):
                crashing.write(group)
                raise AssertionError(f"a crash {where} the commit did not come through")
            assert (data_of(store, "a"), store.pace("p") is None) == (kept, where != "after"), f"after a crash {where}"
            assert (store.last("b") is None) == (store.salt("b") is None) == (where != "after"), (
                f"after a crash {where}"
            )
            written(self.open_again(store), adding("a", "3"))
            assert data_of(store, "a") == [*kept, "3"]
            assert chain.verify(store, texts=False) == []

    def test_what_a_killed_process_had_is_free(self) -> None:
        """Kill -9 of a process that has a run: what it wrote is there, and another one takes the run over."""
        store, other = self.shared()
        process = _forked(lambda: _take_and_write(self.open_again(store)))
        until = time.monotonic() + PATIENCE
        while store.last("run") is None or not store.locks.is_held("run"):
            assert time.monotonic() < until, "a process did not get its run"
            time.sleep(0.01)
        assert not _acquired(other, "run"), "a run that a live process has was given away"
        os.kill(process, signal.SIGKILL)
        os.waitpid(process, 0)
        until = time.monotonic() + PATIENCE
        while (handle := _acquired(other, "run")) is None:
            assert time.monotonic() < until, "the run of a killed process is not free"
            time.sleep(0.01)
        written(other, following("run", other.last("run"), "2"))
        assert data_of(store, "run") == ["1", "2"]
        handle.release()

    def test_a_run_is_taken_from_a_process_that_stopped(self) -> None:
        """A process hangs and has a run: ``evict`` ends that, and it can write no more."""
        store, other = self.shared()
        process = _forked(lambda: _take_and_write(self.open_again(store)))
        until = time.monotonic() + PATIENCE
        while store.last("run") is None or not store.locks.is_held("run"):
            assert time.monotonic() < until, "a process did not get its run"
            time.sleep(0.01)
        os.kill(process, signal.SIGSTOP)
        try:
            assert in_time(lambda: other.locks.evict("run"), PATIENCE), "a run was not taken from its process"
            handle = _acquired(other, "run")
            assert handle is not None, "a run that was taken from its process is not free"
            handle.release()
        finally:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)

    def test_a_snapshot_shows_nothing_new(self) -> None:
        """Inside a snapshot nothing is new, whatever another process appends; after it everything is."""
        store, other = self.shared()
        written(store, adding("a", "1"))
        with other.snapshot():
            before = (data_of(other, "a"), other.high_water())
            written(store, adding("a", "2"), adding("b", "1"))
            assert (data_of(other, "a"), other.high_water()) == before, "a snapshot shows what came after it"
            assert other.last("b") is None
        assert (data_of(other, "a"), data_of(other, "b")) == (["1", "2"], ["1"])

    def test_reading_does_not_wait_for_writing(self) -> None:
        """While a transaction is open another process reads what was there before it."""
        store, other = self.shared()
        written(store, adding("a", "1"))
        seen: list[list[str]] = []

        def make(tails: Tails) -> Changes:
            with suppress(AssertionError):
                seen.append(in_time(lambda: data_of(other, "a"), PATIENCE / 4))
            return Changes()

        written(store, adding("a", "2"), Member(make, "b", whole=True))
        assert ["1"] in seen, "a reader waited for a writer, or saw what was not committed"
        assert data_of(other, "a") == ["1", "2"]

    def test_only_writing_makes_a_log(self) -> None:
        """There is none where none was made; reading makes none and writes nothing."""
        kind, address = self.make(), self.new_address()
        if not self.make_store().is_shared:
            raise SkipTest("it belongs to one process")
        assert kind.exists(address) is False
        try:
            kind.open(address, write=False)
        except Exception as error:
            said = str(error)
            assert said, "where there is no log it does not say so"
            assert "\n" not in said, "it says in several lines that there is no log"
        else:
            raise AssertionError("a log was opened for reading where there is none")
        store = self._kept(kind.open(address, write=True))
        written(store, adding("a", "1"))
        assert kind.exists(address) is True
        reader = self._kept(kind.open(address, write=False))
        assert data_of(reader, "a") == ["1"]
        try:
            reader.write([adding("a", "2")])
        except Exception as error:
            assert str(error), "it refuses to write without a word"  # noqa: PT017 - a suite without pytest
        else:
            raise AssertionError("a store that was opened for reading was written")


def _also(make: Callable[[Tails], Changes], stream: str) -> Callable[[Tails], Changes]:
    """What a member makes, after an event of an account."""

    def both(tails: Tails) -> Changes:
        first = adding(stream, "9").make(tails)
        return Changes(rows=(*first.rows, *make(tails).rows))

    return both


def _acquired(store: Store, run: str) -> Handle | None:
    try:
        return store.locks.acquire(run)
    except RunLockedError as error:
        assert run in str(error), "it does not say which run is locked"  # noqa: PT017 - a suite without pytest
        return None


def _take_and_write(store: Store) -> None:
    """Take a run, write an event, and hang."""
    handle = store.locks.acquire("run")
    written(store, adding("run", "1"))
    while handle is not None:
        time.sleep(60)


def _forked(work: Callable[[], Any]) -> int:
    """The number of a new process that does something and never comes back."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python: threads of the tests' runner go on here
        process = os.fork()
    if process == 0:
        try:
            work()
        finally:
            os._exit(1)
    return process
