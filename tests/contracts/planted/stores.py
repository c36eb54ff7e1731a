"""Stores with one bug each, made of the built-in one for files, which is sound."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Final

from attrs import evolve

from orchestrator.errors import ConcurrencyError, OrchestrateError, RunLockedError, UsageError
from orchestrator.log.locks import MemoryLocks
from orchestrator.log.protocol import Changes, Member, Store, Tails, Written
from orchestrator.log.sqlite import SqliteStore
from orchestrator.log.sqlite.connections import Queryable
from orchestrator.log.stored_rows import Contents, Last, Page, Select
from orchestrator.testing import StoreContract
from orchestrator_stores import sqlite
from tests.contracts.planted.bug import odd


class SoundStore(StoreContract):
    """The suite of the sound store."""

    plugin = sqlite
    address = "sqlite:{folder}/log"


def _changing(members: Sequence[Member], change: Callable[[Tails, Changes], Changes]) -> list[Member]:
    """Members of which something else is written than they make."""

    def changed(member: Member) -> Member:
        return evolve(member, make=lambda tails: change(tails, member.make(tails)))

    return [changed(each) for each in members]


def _remade(members: Sequence[Member], make: Callable[[Callable[[Tails], Changes], Tails], Changes]) -> list[Member]:
    """Members that are made by something else, which is given what makes them."""
    return [evolve(each, make=partial(make, each.make)) for each in members]


class _Tidy(SqliteStore):
    """Writes JSON anew."""

    def page(self, select: Select) -> Page:
        rows, is_last = super().page(select)
        return Page([row._replace(data=json.dumps(json.loads(row.data))) for row in rows], is_last)


class _AnyType(SqliteStore):
    def page(self, select: Select) -> Page:
        return super().page(evolve(select, types=None))


class _Local(SqliteStore):
    """Sorts names as people do."""

    def owners(self) -> list[str]:
        return sorted(super().owners(), key=str.casefold)


class _FromOne(SqliteStore):
    """Takes for streams only those that begin with version 1."""

    def streams(self, prefix: str = "") -> list[str]:
        return [name for name in super().streams(prefix) if self.row(name, 1) is not None]


class _AnySecret(SqliteStore):
    def write(self, members: Sequence[Member]) -> list[Written]:
        def change(tails: Tails, made: Changes) -> Changes:
            salt = tails.salt("")
            return evolve(made, secret=salt) if made.secret is not None and salt is not None else made

        return super().write(_changing(members, change))


class _KeepsCache(SqliteStore):
    """Forgets a run, and answers with its texts all the same."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        def change(tails: Tails, made: Changes) -> Changes:
            rows = tuple(row for row in tails.cache_rows() if row.run in made.forgotten)
            return evolve(made, cached=rows, secret=tails.salt("")) if rows else made

        return super().write(_changing(members, change))


class _KeepsArchived(SqliteStore):
    def write(self, members: Sequence[Member]) -> list[Written]:
        return super().write(_changing(members, lambda tails, made: evolve(made, archived=())))


class _Together(SqliteStore):
    """One member that fails takes the others with it."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        errors: list[OrchestrateError] = []

        def change(make: Callable[[Tails], Changes], tails: Tails) -> Changes:
            if errors:
                raise errors[0]
            try:
                return make(tails)
            except OrchestrateError as error:
                errors.append(error)
                raise

        return super().write(_remade(members, change))


class _Before(SqliteStore):
    """Shows each member what was there before its group."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        def reading(make: Callable[[Tails], Changes], tails: Tails) -> Changes:
            return make(odd(_Seen(self, tails)))

        return super().write(_remade(members, reading))


class _Seen:
    """What is read of another connection, but for the ends of streams."""

    def __init__(self, store: SqliteStore, tails: Tails) -> None:
        self._store, self._tails = store, tails

    def __getattr__(self, name: str) -> Any:
        source = self._store if name in ("holds", "pace") else self._tails
        return getattr(source, name)


class _Tolerant(SqliteStore):
    """Takes a defect of a member for its refusal, and writes the others."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        def change(make: Callable[[Tails], Changes], tails: Tails) -> Changes:
            try:
                return make(tails)
            except ValueError as error:
                raise UsageError(str(error)) from error

        return super().write(_remade(members, change))


class _Silent(SqliteStore):
    """Says nothing of a conflict."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        found = super().write(members)
        return [evolve(each, error=None) if isinstance(each.error, ConcurrencyError) else each for each in found]


class _Trusting(SqliteStore):
    """Takes what a writer knows for the end of its stream, and does not make the member again."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        def trusting(member: Member) -> Member:
            return evolve(member, make=lambda tails: member.make(odd(_Known(member, tails))))

        return super().write([trusting(each) if each.known is not None else each for each in members])


class _Known:
    def __init__(self, member: Member, tails: Tails) -> None:
        self._member, self._tails = member, tails

    def last(self, stream: str) -> Last | None:
        return self._member.known if stream == self._member.stream else self._tails.last(stream)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tails, name)


class _Ahead(SqliteStore):
    """Promises positions that are still to come."""

    def high_water(self) -> int:
        found = super().high_water()
        return found and found + 5


class _Piecemeal(SqliteStore):
    """Commits every member by itself."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        return [super(_Piecemeal, self).write([each])[0] for each in members]


class _OwnLocks(SqliteStore):
    """Each process has locks of its own."""

    @classmethod
    def open(cls, folder: Path) -> SqliteStore:
        store = super().open(folder)
        store.locks = MemoryLocks()
        return store


class _Handle:
    def __init__(self, path: Path) -> None:
        self._path = path

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


class _Marks:
    """Locks by files that are left where a process dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def acquire(self, run: str) -> _Handle:
        path = self._folder / f"{run}.lock"
        try:
            path.open("x").close()
        except FileExistsError:
            raise RunLockedError(f"{run} is being run") from None
        return _Handle(path)

    def is_held(self, run: str) -> bool:
        return (self._folder / f"{run}.lock").exists()

    def evict(self, run: str) -> bool:
        return not self.is_held(run)

    def discard_free(self) -> int:
        return 0


class _MarkLocks(SqliteStore):
    @classmethod
    def open(cls, folder: Path) -> SqliteStore:
        store = super().open(folder)
        store.locks = _Marks(folder)
        return store


class _NoSnapshot(SqliteStore):
    def snapshot(self) -> Any:
        return nullcontext()


_ONE = threading.RLock()


class _OneAtATime(SqliteStore):
    """Readers wait for writers."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        with _ONE:
            return super().write(members)

    def _asking(self, work: Callable[[Queryable], Any]) -> Any:
        with _ONE:
            return super()._asking(work)


class _LosesHolds(SqliteStore):
    def write(self, members: Sequence[Member]) -> list[Written]:
        return super().write(_changing(members, lambda tails, made: evolve(made, holds=made.holds[:1])))


class _NewSecret(SqliteStore):
    """Puts a secret in the place of the one there is."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        return super().write(_changing(members, lambda tails, made: evolve(made, clear_cache=made.secret is not None)))


class _DoubledCalls(SqliteStore):
    def stored_calls(self) -> list[tuple[Any, ...]]:
        return super().stored_calls() * 2


class _ViewsReversed(SqliteStore):
    def view(self, name: str, where: Any = None, *, streams: Any = None) -> list[dict[str, Any]]:
        return super().view(name, where, streams=streams)[::-1]


class _Renumbers(SqliteStore):
    """Gives what it takes in positions of its own."""

    def take_in(self, contents: Contents, why: str) -> None:
        rows = [row._replace(position=place) for place, row in enumerate(contents.rows, 1)]
        super().take_in(evolve(contents, rows=rows), why)


class _NeverClosed(SqliteStore):
    """Takes writes again as soon as it is closed."""

    @contextmanager
    def closing(self, why: str) -> Iterator[None]:
        with suppress(ValueError):
            yield


class _Eager(sqlite.SqliteStores):
    """Makes a log wherever one is looked for."""

    def open(self, url: str, *, write: bool) -> Store:
        return super().open(url, write=True)


def _suite(store: type[SqliteStore]) -> type[StoreContract]:
    """The suite of a store with a bug."""

    class Kind(sqlite.SqliteStores):
        def open(self, url: str, *, write: bool) -> Store:
            place = self._place(url)
            return store.open(place) if write else store.open_to_read(place)

    class Planted(SoundStore):
        made: ClassVar[sqlite.SqliteStores] = Kind()

        def make(self) -> sqlite.SqliteStores:
            """What opens the store with the bug."""
            return self.made

    return Planted


class _PlantedEager(SoundStore):
    def make(self) -> sqlite.SqliteStores:
        """What makes logs."""
        return _Eager()


STORES: Final[dict[str, tuple[type[StoreContract], str]]] = {
    "writes JSON anew": (_suite(_Tidy), "test_rows_are_kept_byte_for_byte"),
    "gives rows of any type": (_suite(_AnyType), "test_rows_are_found_as_asked_for"),
    "sorts names as people do": (_suite(_Local), "test_names_are_ordered_by_their_bytes"),
    "knows no stream that begins later": (_suite(_FromOne), "test_a_stream_may_begin_later"),
    "takes answers of another cache": (_suite(_AnySecret), "test_what_stands_beside_the_events_is_kept"),
    "keeps answers of a deleted run": (_suite(_KeepsCache), "test_what_is_deleted_is_gone"),
    "keeps what is archived": (_suite(_KeepsArchived), "test_an_archived_stream_keeps_one_event"),
    "fails a whole group": (_suite(_Together), "test_a_member_that_fails_fails_alone"),
    "shows members an old state": (_suite(_Before), "test_members_see_what_earlier_ones_did"),
    "writes beside a defect": (_suite(_Tolerant), "test_a_defect_of_a_member_leaves_nothing"),
    "says nothing of a conflict": (_suite(_Silent), "test_a_writer_that_has_not_seen_everything_is_refused"),
    "trusts its writers": (_suite(_Trusting), "test_a_writer_that_has_not_seen_everything_is_refused"),
    "trusts a writer without its run": (_suite(_Trusting), "test_a_writer_that_lost_its_run_is_refused"),
    "promises positions": (_suite(_Ahead), "test_nothing_appears_below_the_high_water"),
    "commits member by member": (_suite(_Piecemeal), "test_a_crash_leaves_all_of_a_group_or_nothing"),
    "gives a run away twice": (_suite(_OwnLocks), "test_a_run_is_had_once"),
    "keeps the locks of the dead": (_suite(_MarkLocks), "test_what_a_killed_process_had_is_free"),
    "cannot take a run away": (_suite(_MarkLocks), "test_a_run_is_taken_from_a_process_that_stopped"),
    "reads on in a snapshot": (_suite(_NoSnapshot), "test_a_snapshot_shows_nothing_new"),
    "lets readers wait": (_suite(_OneAtATime), "test_reading_does_not_wait_for_writing"),
    "loses holds": (_suite(_LosesHolds), "test_accounts_keep_their_laws"),
    "takes a new secret": (_suite(_NewSecret), "test_the_first_secret_counts_for_all"),
    "stores calls twice": (_suite(_DoubledCalls), "test_stored_calls_are_those_of_the_last_time"),
    "turns views around": (_suite(_ViewsReversed), "test_a_simulated_run_is_the_same_as_in_memory"),
    "gives new positions": (_suite(_Renumbers), "test_a_log_moves_in_and_out"),
    "cannot be closed": (_suite(_NeverClosed), "test_a_log_moves_in_and_out"),
    "makes a log to read it": (_PlantedEager, "test_only_writing_makes_a_log"),
}
"""The suite of a store with a bug, and the test that must notice."""
