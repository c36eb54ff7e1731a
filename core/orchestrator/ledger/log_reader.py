"""Reading an event log: histories, pages of everything, single rows, and whether they are whole."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final

from orchestrator.errors import DamagedLogError, UsageError
from orchestrator.events import TYPES, ContentDeleted, Event, RunArchived, RunForked, RunStarted, Totals
from orchestrator.ledger import accounts as accounting
from orchestrator.ledger import cache as caching
from orchestrator.ledger import history_sizes, lineage, stored_calls
from orchestrator.ledger.mailbox_requests import MailboxRequest, opened
from orchestrator.ledger.shared_pace import PaceStanding, standings
from orchestrator.log import chain
from orchestrator.log.locks import Locks
from orchestrator.log.protocol import Store
from orchestrator.log.redaction import Redactor
from orchestrator.log.stored_rows import Extent, Hold, Last, Select, StoredRow
from orchestrator.log.text_encryption import SALT, Keys, NoKeyError
from orchestrator.log.texts import DELETED, MISSING, NOT_BUNDLED, WITHOUT_KEY, NoText, unpack
from orchestrator.log.transaction import Recorded

_ARCHIVED: Final = "run.archived"
_NAMES: Final = {kind: name for name, kind in TYPES.items()}
_ROW: Final = (int, str, int, str, int, int, str, str)
"""The types of a stored row's values; a database that was edited may have others."""
_MAY_LACK: Final = {"finished_at", "task_id", "role", "phase", "input_tokens", "output_tokens", "latency_ms"}
"""The columns of views that are empty where there is nothing."""


class LogReader:
    """What can be asked of a log.

    Args:
        store: the database.
        redactor: takes the values of keys out of every event.
    """

    def __init__(self, store: Store, redactor: Redactor) -> None:
        self.store = store
        self.redactor = redactor
        self.keys = Keys()
        self._segments: dict[str, list[lineage.Segment]] = {}

    @property
    def locks(self) -> Locks:
        """Who has a run."""
        return self.store.locks

    @property
    def is_on_disk(self) -> bool:
        """Whether it is the log of a data folder; not one of a moment in this process alone, as of a bundle."""
        return self.store.is_shared

    @property
    def is_imported(self) -> bool:
        """Whether its runs came out of bundles; they have no accounts, and may have no texts."""
        return self.store.is_imported

    def read(
        self, stream: str, after: int = 0, upto: int | None = None, types: Sequence[type[Event]] | None = None
    ) -> Iterator[Recorded]:
        """The history of a run (or of any stream) in order, decoded when asked for.

        Of a fork it begins with what it shares with its ancestors, under their names; its versions have no gap.

        Args:
            stream: its name.
            after: the version after which to begin.
            upto: the last version to read; None for all.
            types: only events of these classes; the others are not even fetched.
        """
        for segment in self.segments(stream):
            limits = [limit for limit in (upto, segment.upto) if limit is not None]
            yield from self.read_own(segment.stream, after, min(limits) if limits else None, types)

    def read_own(
        self, stream: str, after: int = 0, upto: int | None = None, types: Sequence[type[Event]] | None = None
    ) -> Iterator[Recorded]:
        """The events of a stream itself, as ``read`` gives them; without what a fork shares."""
        names = None if types is None else tuple(_NAMES[kind] for kind in types)
        yield from self.select(Select((stream,), names, after_version=after, upto_version=upto, by_version=True))

    def select(self, select: Select) -> Iterator[Recorded]:
        """The events of a selection, in its order; a page at a time is read."""
        left = select.limit
        while left is None or left > 0:
            rows, is_last = self.store.page(select)
            yield from map(_record, rows)
            if is_last or left is not None:
                return
            select = select.following(rows[-1])

    def segments(self, stream: str) -> list[lineage.Segment]:
        """The parts of a run's history, oldest first: one, and for a fork one more for each ancestor."""
        found = self._segments.get(stream)
        if found is None:
            found = lineage.segments(self.store, stream)
            if len(found) > 1 or self.last(stream) is not None:  # what a run shares never changes
                self._segments[stream] = found
        return found

    def forks(self, run: str) -> list[str]:
        """The runs that share the past of a run directly, oldest first."""
        return lineage.descendants(self.store, run)

    def tail(
        self, after: int = 0, stream: str | None = None, types: Sequence[type[Event]] | None = None
    ) -> Iterator[Recorded]:
        """Every event after a position, of one stream or of all, as far as there are any; for following a log.

        With ``types`` only events of these classes; the others are not even fetched.
        """
        names = None if types is None else tuple(_NAMES[kind] for kind in types)
        yield from self.select(Select(None if stream is None else (stream,), names, after=after))

    def newest(
        self, count: int, stream: str | None = None, types: Sequence[type[Event]] | None = None
    ) -> list[Recorded]:
        """The last so many events, of one stream or of all, perhaps of some classes; the latest first."""
        names = None if types is None else tuple(_NAMES[kind] for kind in types)
        streams = None if stream is None else (stream,)
        return list(self.select(Select(streams, names, reverse=True, limit=count)))

    def at_position(self, position: int) -> Recorded | None:
        """The event at a position."""
        row = self.store.at_position(position)
        return None if row is None else _record(row)

    def high_water(self) -> int:
        """A position up to which nothing will appear any more; 0 where there is nothing."""
        return self.store.high_water()

    def streams(self, prefix: str = "") -> list[str]:
        """The names of the streams that begin with ``prefix``, oldest first."""
        return self.store.streams(prefix)

    def extents(self) -> list[Extent]:
        """Every stream with its first position and last version, oldest first."""
        return self.store.extents()

    def beginnings(self) -> dict[str, RunStarted | RunForked]:
        """By run the event it began with, oldest first."""
        found: dict[str, RunStarted | RunForked] = {}
        for record in self.select(Select(types=("run.started", "run.forked"))):
            event = record.event
            if isinstance(event, RunStarted | RunForked):
                found[record.stream] = event
        return found

    def archived(self, run: str) -> RunArchived | None:
        """What is left of a run whose events are in a bundle; None for a run that is in the log."""
        row = self.store.last_row(run)
        event = Recorded(*row).event if row is not None and row.type == _ARCHIVED else None
        return event if isinstance(event, RunArchived) else None

    def archived_runs(self) -> dict[str, tuple[int, RunArchived]]:
        """By run when it was archived, and what is left of it."""
        found = self.select(Select(types=(_ARCHIVED,)))
        return {each.stream: (each.at, each.event) for each in found if isinstance(each.event, RunArchived)}

    def bundle_of(self, run: str, archived: RunArchived) -> str:
        """The path of an archived run's bundle, as it was then; empty where that is gone."""
        salt, stored = self.salt(run), self.store.blob(run, archived.place)
        return "" if salt is None or stored is None else unpack(salt, archived.place, stored).decode()

    def refuse_archived(self, run: str) -> None:
        """Make sure that the events of a run are in the log.

        Raises:
            UsageError: they are in a bundle; the message says in which, and how to read it.
        """
        archived = self.archived(run)
        if archived is not None:
            place = self.bundle_of(run, archived) or f"a bundle with the SHA-256 {archived.bundle}"
            how = f"orchestrate log import {shlex.quote(place)} --into NEW.db"
            raise UsageError(f"{run} is archived in {place}; read it with: {how}")

    def view(
        self, name: str, where: Mapping[str, Any] | None = None, *, streams: Sequence[str] | None = None
    ) -> list[dict[str, Any]]:
        """The rows of one of the views, such as ``calls``; see ``docs/events.md``.

        Args:
            name: of the view.
            where: columns and the values they must equal.
            streams: only these streams are looked at; None: all.

        Raises:
            DamagedLogError: an event is not what its type says.
        """
        if streams is None:
            rows = stored_calls.view(self.store, name, where or {})
        else:
            rows = self.store.view(name, where, streams=streams)
        if name in ("runs", "calls", "spend"):
            _check(rows)
        return rows

    def holds(self, *, run: str | None = None, account: str | None = None) -> list[Hold]:
        """Money of calls in flight: of a run, in an account's stream, or all; by run, call and account."""
        return self.store.holds(run=run, account=account)

    def paces(self) -> list[PaceStanding]:
        """What is set for providers and known of their accounts."""
        return standings(self.store.paces())

    def last(self, stream: str) -> Last | None:
        """The last version of a stream, its hash and its time; None where there is no such stream."""
        return self.store.last(stream)

    def account(self, name: str, simulated: bool = False) -> Totals:
        """How an account stands.

        Raises:
            UsageError: there is no such account.
        """
        row = self.store.last_row(accounting.stream_of(name, simulated))
        return accounting.totals_in(None if row is None else Recorded(*row).event, name, simulated)

    def salt(self, run: str) -> bytes | None:
        """The salt of a run's texts, or None where it has none, or the key of an encrypted one is not here."""
        stored = self.store.salt(run)
        return None if stored is None else self._opened(run, SALT, stored)

    def _opened(self, run: str, name: str, stored: Any) -> bytes | None:
        if not isinstance(stored, bytes):
            if name == SALT:
                return None
            raise DamagedLogError(0, f"the text {name[:12]} is not stored as it was written")
        try:
            return self.keys.open(run, name, stored)
        except NoKeyError:
            return None

    def blob(self, run: str, digest: str) -> bytes | None:
        """The compressed text that a run, or an ancestor of a fork, stored under a digest; or None."""
        for segment in reversed(self.segments(run)):
            stored = self.store.blob(segment.stream, digest)
            if stored is not None:
                return self._opened(segment.stream, digest, stored)
        return None

    def cache_secret(self) -> bytes | None:
        """The secret of the data folder, or None before a session or an answer needed one."""
        return caching.secret_of(self.store)

    def cached(self, key: str) -> caching.Found | None:
        """The answer that the response cache has under a key, or None."""
        return caching.find(self.store, key)

    def cache_stats(self) -> list[caching.CacheStats]:
        """What the response cache holds and has saved: of real providers, then of simulated ones."""
        return caching.stats(self.store)

    def asked(self, run: str) -> list[MailboxRequest]:
        """What other processes ask of a run, in the order in which they did.

        Raises:
            NoKeyError: a request is encrypted, and the key of the run is not here.
            DamagedLogError: a request was not encrypted with the key of the run.
        """
        rows = self.store.asked(run)
        return [MailboxRequest(*row[:3], opened(self.keys, run, row.kind, row.text)) for row in rows]

    def snapshot(self) -> AbstractContextManager[None]:
        """Read the log as it is at one moment, whatever is appended meanwhile; not where it is written, too."""
        return self.store.snapshot()

    def verify(
        self, stream: str | None = None, head: str | None = None, *, texts: bool = True
    ) -> list[chain.LogFinding]:
        """Everything wrong with one stream, what a fork shares included, or with all; see ``chain.verify``."""
        found = lineage.verify(self.store, stream, head, texts=texts, opened=self.keys.open)
        without: dict[str, bool] = {}
        for each in found:
            if each.check == "texts" and each.stream not in without:
                without[each.stream] = self.why_unread(each.stream) is not None
        return [each for each in found if each.check != "texts" or not without[each.stream]]

    def why_unread(self, run: str) -> str | None:
        """Why the texts of a run cannot be looked at, though they are not deleted; None where they can be."""
        if self.is_imported:
            return "there are no texts here" if self.salt(run) is None else None
        without = self._without_key(run)
        return None if without is None else f"they are encrypted, and {self.keys.lacking(without)}"

    def no_text(self, run: str) -> NoText:
        """Why a text of a run, for which there is None, cannot be had."""
        if self.is_deleted(run):
            return DELETED
        if self.is_imported:
            return NOT_BUNDLED if self.salt(run) is None else MISSING
        without = self._without_key(run)
        if without is not None:
            return NoText(WITHOUT_KEY, f"is encrypted, and {self.keys.lacking(without)}")
        return DELETED if any(self.is_deleted(each.stream) for each in self.segments(run)) else MISSING

    def is_deleted(self, run: str) -> bool:
        """Whether the log says that the content of a run was deleted."""
        return next(self.read_own(run, types=[ContentDeleted]), None) is not None

    def _without_key(self, run: str) -> str | None:
        """The run, or an ancestor, whose texts are encrypted while its key is not here; None: there is none.

        One whose content was deleted lacks nothing: its key went with it, and its forks have what they need.
        """
        streams = (segment.stream for segment in self.segments(run)) if self.is_on_disk else ()
        for each in streams:
            if self.is_encrypted(each) and self.keys.of(each) is None and not self.is_deleted(each):
                return each
        return None

    def is_encrypted(self, run: str) -> bool:
        """Whether the first event of a run says that its texts are encrypted at rest."""
        return lineage.is_encrypted(self.store, run)

    def stats(self) -> history_sizes.LogStats:
        """What the log takes, in all and by run."""
        return history_sizes.stats(self.store)


def _record(row: StoredRow) -> Recorded:
    if tuple(map(type, row)) != _ROW:
        raise DamagedLogError(
            row.position, f"event {row.position} was changed: its values are of other kinds than the log writes"
        )
    return Recorded(*row)


def _check(rows: Sequence[Mapping[str, Any]]) -> None:
    """Refuse a view whose events lack what their types say."""
    for row in rows:
        if None in row.values() and (lacking := [name for name in row if row[name] is None and name not in _MAY_LACK]):
            raise DamagedLogError(0, f"the events of {row['run_id']} say no {lacking[0]}: the log is damaged")
