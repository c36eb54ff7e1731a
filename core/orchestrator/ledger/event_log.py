"""The event log: append with an expected version, read, follow, verify; over a store."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Self

from orchestrator.deadlines.awaiting import Offload
from orchestrator.errors import DamagedLogError, LogError, RunLockedError
from orchestrator.events import (
    CallStarted,
    ContentDeleted,
    Event,
    RunArchived,
    Totals,
)
from orchestrator.ledger import accounts as accounting
from orchestrator.ledger import cache as caching
from orchestrator.ledger import mailbox_requests, removal, shared_pace, stored_calls
from orchestrator.ledger.advances import RunAdvances
from orchestrator.ledger.append import Append, AppendRequest, Committed, ended_by, moved_by
from orchestrator.ledger.log_reader import LogReader
from orchestrator.log.group_commit import GroupCommit
from orchestrator.log.protocol import UNFINISHED, Changes, Member, Store, StoreError, Tails, Written
from orchestrator.log.redaction import Redactor
from orchestrator.log.stored_rows import Last
from orchestrator.log.text_encryption import Keys, NoKeyError
from orchestrator.log.texts import pack
from orchestrator.log.transaction import AppendDraft, Encoder
from orchestrator.models import Allowances
from orchestrator.money import Usd


class EventLog(LogReader):
    """The log of a data folder: every stream, and what the ledger says of money, paces and answers.

    Args:
        store: the database.
        offload: where what blocks runs: a thread, or in place.
        redactor: takes the values of keys out of every event.
        is_writable: whether anything can be appended.
    """

    def __init__(
        self, store: Store, *, offload: Offload, redactor: Redactor | None = None, is_writable: bool = True
    ) -> None:
        super().__init__(store, redactor or Redactor())
        self._encoder = Encoder(self.redactor)
        self._offload = offload
        self._commits = GroupCommit(store.write, offload) if is_writable else None
        self._damaged: dict[str, DamagedLogError] = {}
        self._known: dict[str, tuple[Last, RunAdvances]] = {}
        """The tails of the streams that this process has written to, with the advances of their runs."""

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        redactor: Redactor | None = None,
        offload: Offload = asyncio.to_thread,
        store: Store | None = None,
    ) -> "EventLog":
        """The log of a data folder, for reading and appending; both are made where they do not exist.

        Raises:
            LogError: the folder or the file cannot be used; the message says what to do.
        """
        from orchestrator.log.sqlite import SqliteStore

        if store is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        log = cls(store or SqliteStore.open(folder), offload=offload, redactor=redactor)
        _refuse_closed(log.store, "")
        log.keys = Keys(folder)
        return log

    @classmethod
    def open_to_read(cls, folder: Path, store: Store | None = None) -> Self:
        """The log of a data folder, or of a database alone, for reading only, also while another process writes it.

        Raises:
            LogError: there is no log in the folder, or it cannot be read.
        """
        from orchestrator.log.sqlite import SqliteStore, database_of

        log = cls(store or SqliteStore.open_to_read(folder), offload=asyncio.to_thread, is_writable=False)
        _refuse_closed(log.store, UNFINISHED)
        log.keys = Keys(database_of(folder).parent)
        return log

    async def flush(self) -> None:
        """Wait until nothing is being written."""
        if self._commits is not None:
            await self._commits.flush()

    def close(self) -> None:
        """Let go of the store, after what is being written."""
        self.store.close()

    async def append(
        self,
        stream: str,
        expected: int,
        at: int,
        events: Sequence[Event],
        texts: Mapping[str, str] | None = None,
        *,
        salt: bytes | None = None,
        accounts: Sequence[str] = (),
        simulated: bool = False,
        reusable: caching.Entries | None = None,
        pace: shared_pace.PaceChanges | None = None,
    ) -> Committed:
        """Write events to the end of a stream, durably, in one transaction.

        Args:
            stream: a run's id.
            expected: the last version the writer knows; 0: the stream must not exist.
            at: microseconds UTC, stored with every event.
            events: at least one. With accounts, or with a pace, only the last may be a CallStarted.
            texts: texts to store for the run, by digest.
            salt: the run's salt, stored where the run has none.
            accounts: names of the accounts that a CallStarted's hold must fit.
            simulated: whether the accounts are those of simulated providers.
            reusable: answers that these events make reusable, for the response cache.
            pace: what the events change in the paces of vendors' accounts.

        Raises:
            ConcurrencyError: the stream is not at the expected version; nothing is written.
            UsageError: an account does not exist; nothing is written.
            DamagedLogError: ``check`` found the stream damaged.
            LogError: the log cannot be written; nor can anything later.
        """
        if not events:
            raise ValueError("an append has events")
        asks = accounts or pace is not None
        if asks and any(isinstance(each, CallStarted) for each in events[:-1]):
            raise ValueError("with accounts or a pace, only the last event may be a CallStarted")
        if stream in self._damaged:
            raise self._damaged[stream]
        encoded = tuple(self._encoder.encode(each) for each in events)
        request = AppendRequest(
            stream, expected, at, encoded, texts or {}, salt, tuple(accounts), simulated, reusable, pace
        )
        known, advances = self._known.pop(stream, (None, None))
        if known is None or known.version != expected:
            known, advances = None, RunAdvances() if expected == 0 else None
        made = Append(request, self._encoder, self.keys, advances)
        written = await self._submit(
            Member(
                made,
                stream,
                known,
                accounts=tuple(sorted(moved_by(request, advances, self.store))),
                ending=tuple(call for each in events for call in ended_by(each)),
                pace=() if pace is None else pace.scopes,
                whole=advances is None,
            )
        )
        committed = made.committed(written)
        self._known[stream] = Last(committed.version, committed.hash, at), made.advances
        return committed

    async def open_account(
        self, name: str, cap: Usd, *, at: int, simulated: bool = False, advance: Usd | None = None
    ) -> Totals:
        """Open an account; ``advance``: how much a run takes of it at once.

        Raises:
            UsageError: there is one of this name, or an amount is negative.
            LogError: the log cannot be written.
        """
        return await self._on_account(
            name, simulated, lambda draft: accounting.open_account(draft, name, cap, at, simulated, advance=advance)
        )

    async def set_cap(
        self, name: str, cap: Usd, *, at: int, simulated: bool = False, advance: Usd | None = None
    ) -> Totals:
        """Give an account another cap; ``advance``: how much a run takes of it at once from now on, None: as before.

        Raises:
            UsageError: there is no such account, the cap is below what is settled and held, or the advance is negative.
            LogError: the log cannot be written.
        """
        return await self._on_account(
            name, simulated, lambda draft: accounting.set_cap(draft, name, cap, at, simulated, advance=advance)
        )

    async def raise_cap(self, name: str, extra: Usd, *, at: int, simulated: bool = False) -> Totals:
        """Give an account a cap that is higher by ``extra``, whatever else changes it at the same time.

        Raises:
            UsageError: there is no such account.
            LogError: the log cannot be written.
        """
        return await self._on_account(
            name, simulated, lambda draft: accounting.raise_cap(draft, name, extra, at, simulated)
        )

    async def _on_account(self, name: str, simulated: bool, move: Callable[[AppendDraft], Totals]) -> Totals:
        totals: list[Totals] = []

        def make(tails: Tails) -> Changes:
            draft = AppendDraft(tails, self._encoder)
            totals.append(move(draft))
            return draft.changes()

        await self._submit(Member(make, accounts=(accounting.stream_of(name, simulated),)))
        return totals[-1]

    async def set_pace(self, provider: str, said: Allowances, burst: int | None = None) -> None:
        """Set how much every account of a provider allows; see ``shared_pace.PaceLedger.set``.

        Raises:
            LogError: the log cannot be written.
        """

        def make(tails: Tails) -> Changes:
            pace = shared_pace.PaceLedger(tails.pace)
            pace.set(provider, said, burst)
            return Changes(pace=pace.changes)

        await self._submit(Member(make, pace=shared_pace.VendorAccount(provider).scopes))

    async def ask(self, run: str, kind: str, *, at: int, text: str = "") -> None:
        """Put a request into the mailbox of a live run (``mailbox_requests``). That of an encrypted run is encrypted.

        Raises:
            LogError: the log cannot be written, or the key of an encrypted run is not here.
        """
        if self.keys.of(run) is None and self.is_encrypted(run):
            raise NoKeyError(f"the texts of {run} are encrypted, and {self.keys.lacking(run)}")
        stored = mailbox_requests.sealed(self.keys, run, kind, text)
        await self._submit(Member(lambda tails: Changes(asked=((run, kind, stored, at),))))

    async def draw_secret(self, random: Callable[[int], bytes]) -> bytes:
        """The secret of the data folder. Where it has none yet, the first that is stored counts for every process.

        Args:
            random: draws so many bytes.

        Raises:
            LogError: the log cannot be written.
        """
        while (stored := self.cache_secret()) is None:
            await self._submit(_storing(random(caching.SECRET_BYTES)))
        return stored

    async def clear_cache(self) -> int:
        """Forget every answer of the response cache, real and simulated; returns how many there were.

        Raises:
            LogError: the log cannot be written.
        """
        found: list[int] = []

        def make(tails: Tails) -> Changes:
            found.append(len(tails.cache_rows()))
            return Changes(clear_cache=True)

        await self._submit(Member(make, whole=True))
        return found[-1]

    async def delete_content(self, run: str, expected: int, at: int) -> tuple[ContentDeleted, bool]:
        """Delete a run's texts, salt and cached answers, durably; see ``removal.delete_content``.

        Returns:
            The event that was appended, and whether the deleted bytes are gone from the WAL, too.
        """
        deleted: list[ContentDeleted] = []

        def make(tails: Tails) -> Changes:
            draft = AppendDraft(tails, self._encoder)
            deleted.append(removal.delete_content(draft, run, expected, at, self.keys))
            return draft.changes()

        await self._submit(Member(make, run, whole=True))
        self.keys.delete(run)
        return deleted[-1], await asyncio.to_thread(partial(self.store.shrink, compact=False))

    async def archive(
        self, run: str, event: RunArchived, at: int, texts: Mapping[str, str], salt: bytes
    ) -> tuple[Last, bool]:
        """Leave one event of a run, durably; see ``removal.archive``.

        Returns:
            The stream's end, and whether the deleted bytes are gone from the WAL, too.
        """
        stored = {digest: pack(text) for digest, text in texts.items()}

        def make(tails: Tails) -> Changes:
            draft = AppendDraft(tails, self._encoder)
            removal.archive(draft, run, event, at, stored, salt)
            return draft.changes()

        written = await self._submit(Member(make, run, whole=True))
        self._known.pop(run, None)
        self._segments.pop(run, None)
        row = written.changes.rows[-1]
        gone = await asyncio.to_thread(partial(self.store.shrink, compact=False))
        return Last(row.version, row.hash, row.at), gone

    async def collect(self, vacuum: bool = True) -> removal.Collected:
        """Delete texts that nothing refers to and cached answers of deleted runs, and give unused space back.

        Of runs whose calls are not stored, or as they were earlier, these are stored; see ``stored_calls``.
        Live runs are left alone, and as long as there are any the file is not made smaller.
        """
        before = (await asyncio.to_thread(self.store.space)).file
        texts = size = 0
        skipped = []
        for run in [each for each in self.store.owners() if each and self.store.texts(each)]:
            try:
                lock = self.locks.acquire(run)
            except RunLockedError:
                skipped.append(run)
                continue
            try:
                gone = removal.unreferenced(self.store, run)
                await self._submit(_drop(run, [each.digest for each in gone]))
            finally:
                lock.release()
            texts, size = texts + len(gone), size + sum(each.size for each in gone)
        cached = await self._collect_cache()
        await asyncio.to_thread(partial(stored_calls.rebuild, self.store))
        await asyncio.to_thread(partial(self.store.shrink, compact=vacuum and not skipped))
        after = (await asyncio.to_thread(self.store.space)).file
        return removal.Collected(texts, size, cached, tuple(skipped), before, after)

    def collectable(self, expired: Iterable[str] = ()) -> removal.Collected:
        """What ``collect`` would take away once the content of some runs is deleted; nothing is written."""
        gone = set(expired)
        owners = [each for each in self.store.owners() if each and each not in gone and self.store.texts(each)]
        live = [each for each in owners if self.locks.is_held(each)]
        texts = [text for run in owners if run not in live for text in removal.unreferenced(self.store, run)]
        cached = len(removal.orphaned(self.store, gone))
        size = self.store.space().file
        return removal.Collected(len(texts), sum(each.size for each in texts), cached, tuple(live), size, size)

    async def _collect_cache(self) -> int:
        """Forget the answers of runs without content; how many there were."""
        found: list[int] = []

        def make(tails: Tails) -> Changes:
            rows = removal.orphaned(tails)
            found.append(len(rows))
            return Changes(dropped_cache=tuple({row.run for row in rows}))

        await self._submit(Member(make, whole=True))
        return found[-1]

    async def _submit(self, member: Member) -> Written:
        if self._commits is None:
            raise LogError("the event log was opened for reading only")
        return await self._commits.submit(member)

    def check(self, stream: str, head: str | None = None) -> None:
        """Make sure that a stream is whole and, where a head is known, has it; else it is never appended to.

        Raises:
            DamagedLogError: it is not; names the first bad event.
        """
        findings = self.verify(stream, head)
        if findings:
            first = findings[0]
            error = DamagedLogError(first.position, f"{stream} is damaged at event {first.event}: {first.message}")
            self._damaged[stream] = error
            raise error


def _storing(secret: bytes) -> Member:
    return Member(lambda tails: Changes(secret=secret))


def _refuse_closed(store: Store, beginning: str) -> None:
    """Refuse a store that was closed by a line with this beginning.

    Raises:
        StoreError: it was.
    """
    why = store.closed
    if why and why.startswith(beginning):
        store.close()
        raise StoreError(f"{store.url}: {why}")


def _drop(run: str, digests: Sequence[str]) -> Member:
    """Deletes texts of a run."""
    changes = Changes(dropped_texts=tuple((run, digest) for digest in digests))
    return Member(lambda tails: changes)
