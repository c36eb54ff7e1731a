"""What a store of events is: everything that is asked of a database stands here, and nothing above it knows one.

A store keeps rows as they are given, verbatim, and side rows that can be lost or deleted without harm to the history:
texts, salts, cached answers, open holds, requests, pace. It computes no hash, decodes no event and knows no rule:
``ledger.EventLog`` makes the rows, by the ``make`` of a ``Member``, out of what the store says its tails are.

Every method is blocking and may be called from any thread; the log takes care not to call one from an event loop.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, Protocol

from attrs import Factory, frozen

from orchestrator.errors import LogError, OrchestrateError
from orchestrator.log.locks import Locks
from orchestrator.log.stored_rows import (
    CacheRow,
    Contents,
    Extent,
    Hold,
    Last,
    MailboxRow,
    NewRow,
    Page,
    RawRow,
    Select,
    Space,
    StoredRow,
    StoredText,
    StreamSize,
)

UNFINISHED: Final = "this is an unfinished copy"
"""What ``Store.closed`` begins with where not even reading makes sense."""


class StoreError(LogError):
    """A store cannot be opened, read or written.

    Attributes:
        detail: what the database itself said.
        is_damage: whether what is stored may be damaged; False: nothing is known of it, as where no server answers.
    """

    def __init__(self, message: str, detail: str = "", *, is_damage: bool = True) -> None:
        super().__init__(message)
        self.detail = detail or message
        self.is_damage = is_damage


class StoreReads(Protocol):
    """What can be read of a store; the same inside a transaction, where the changes made in it are seen."""

    def page(self, select: Select) -> Page:
        """The first rows of a selection. With a limit as many as that; without, as many as fit a page.

        Raises:
            StoreError: the store cannot be read. So every other method here.
        """

    def last(self, stream: str) -> Last | None:
        """The last event of a stream (highest version), or None where there is no such stream."""

    def last_row(self, stream: str) -> StoredRow | None:
        """The same, whole."""

    def row(self, stream: str, version: int) -> StoredRow | None:
        """One event of a stream."""

    def at_position(self, position: int) -> StoredRow | None:
        """The event at a position."""

    def high_water(self) -> int:
        """A position up to which nothing will ever appear any more; 0 where there is nothing."""

    def streams(self, prefix: str = "") -> list[str]:
        """The streams that begin with ``prefix``, in the order of their first events.

        A stream begins with version 1, or with an event ``run.forked`` or ``run.archived``.
        """

    def extents(self) -> list[Extent]:
        """Every stream, in the order of their first events; whatever their first version is."""

    def salt(self, run: str) -> Any:
        """The salt of a run, ``bytes`` as they were stored; None where it has none."""

    def blob(self, run: str, digest: str) -> Any:
        """What a run itself stored under a digest, ``bytes``; None where there is nothing."""

    def texts(self, run: str) -> list[StoredText]:
        """What is stored of a run, by digest."""

    def owners(self) -> list[str]:
        """Every name that side rows (texts, salts, cache, holds) belong to, sorted; the empty one is the cache's."""

    def cached(self, key: str) -> CacheRow | None:
        """The row of the response cache under a key."""

    def cache_rows(self) -> list[CacheRow]:
        """Every row of the response cache, by run and call."""

    def holds(self, *, run: str | None = None, account: str | None = None) -> list[Hold]:
        """The open holds of a run, of an account's stream, or all; by run, call and account."""

    def asked(self, run: str) -> list[MailboxRow]:
        """What is asked of a run, in order."""

    def pace(self, scope: str) -> int | None:
        """The number kept for a scope of shared rate limits, such as a reserved time; None where there is none."""

    def paces(self) -> dict[str, int]:
        """These numbers of all scopes, by scope."""

    def view(
        self,
        name: str,
        where: Mapping[str, Any] | None = None,
        *,
        streams: Sequence[str] | None = None,
    ) -> list[dict[str, Any]]:
        """The rows of one of the views (``views.VIEWS``) by this program's definition, in its order.

        Args:
            name: of the view.
            where: columns and the values they must equal.
            streams: the view is made of the events of these streams alone; None: of all. For a run that is a fork
                the streams of its ancestors must be among them.
        """

    def raw(
        self,
        stream: str | None = None,
        *,
        after: int = 0,
        before: int | None = None,
        version: int | None = None,
        upto_version: int | None = None,
        limit: int | None = None,
    ) -> Iterator[RawRow]:
        """The stored rows in the order of positions, for an audit: no index is trusted.

        Args:
            stream: only of this stream.
            after: only positions above it.
            before: only positions below it.
            version: only rows of this version.
            upto_version: only versions up to it.
            limit: at most so many.
        """

    def raw_salt(self, run: str) -> tuple[bytes, bool] | None:
        """The salt of a run, and whether it is stored as it was written."""

    def raw_blob(self, run: str, digest: str) -> tuple[bytes, bool] | None:
        """A text of a run, and whether it is stored as it was written."""


class Tails(StoreReads, Protocol):
    """What a member's ``make`` may read: the transaction, the changes of the group's earlier members included.

    Of streams only the declared ones (``Member.stream`` and its accounts), of holds only those of ``Member.stream``
    and of declared accounts are sure to be locked; whatever else is read makes the member ``whole``.
    """

    def now(self, at: int) -> int:
        """The time shared rate limits count by: a server's clock, else ``at``."""

    def in_flight(self, account: str, run: str) -> int:
        """The nano-dollars that an account's stream holds for calls of live runs; ``run`` counts as live."""


def all_rows(store: StoreReads, select: Select) -> Iterator[StoredRow]:
    """Every row of a selection without a limit, page by page, in its order (not in reverse)."""
    while True:
        rows, is_last = store.page(select)
        yield from rows
        if is_last:
            return
        select = select.following(rows[-1])


@frozen
class Changes:
    """What one member writes; all of it or nothing. Applied in the order of these fields, deletions first.

    Attributes:
        archived: streams whose events are deleted; ``rows`` has the event that is left of each.
        forgotten: runs whose texts, salts and cached answers are deleted.
        dropped_texts: (run, digest) of single texts that are deleted.
        dropped_cache: runs whose cached answers are deleted.
        clear_cache: whether all cached answers and their secret (the salt of the empty name) are deleted.
        ended: (run, call) of holds that are deleted.
        taken: requests that are taken out of a run's mailbox: (run, kind or None for all, number up to which or None).
        salts: (run, salt), kept only where the run has none.
        texts: (run, digest, bytes), kept only where the run has no such text.
        rows: the events, in the order of their positions. A version that is there already is a conflict: see
            ``Store.write``.
        holds: new holds.
        secret: the secret of the cache's keys, kept as the salt of the empty name where there is none. Where there is
            another, ``cached`` is not written.
        cached: rows of the response cache; one under the same key is replaced.
        asked: new requests: (run, kind, text, at).
        pace: by scope the number that is kept from now on.
    """

    archived: tuple[str, ...] = ()
    forgotten: tuple[str, ...] = ()
    dropped_texts: tuple[tuple[str, str], ...] = ()
    dropped_cache: tuple[str, ...] = ()
    clear_cache: bool = False
    ended: tuple[tuple[str, int], ...] = ()
    taken: tuple[tuple[str, str | None, int | None], ...] = ()
    salts: tuple[tuple[str, bytes], ...] = ()
    texts: tuple[tuple[str, str, bytes], ...] = ()
    rows: tuple[NewRow, ...] = ()
    holds: tuple[Hold, ...] = ()
    secret: bytes | None = None
    cached: tuple[CacheRow, ...] = ()
    asked: tuple[tuple[str, str, str, int], ...] = ()
    pace: Mapping[str, int] = Factory(dict)


@frozen(eq=False)
class Member:
    """One piece of a group: what it reads, and what it makes of that.

    Attributes:
        make: pure; given the tails it returns what is to be written, or raises an ``OrchestrateError``, and then this
            member alone writes nothing. It may be called again, where the store has to begin anew.
        stream: the stream whose rows it writes; its last event may be read. Empty: none.
        known: the last event of ``stream`` as the writer knows it. A store may take it for the tail without a look,
            if it then refuses the rows unless that very event (version and hash) is there.
        accounts: streams of accounts it may write to: locked, in the order of their names, before they are read.
        ending: calls (versions) of ``stream`` whose open holds end: the accounts of these holds are locked, too.
        pace: scopes of shared rate limits it may reserve in: locked, in the order of their names, after the accounts.
        whole: whether it reads more than its own tails; the earlier members' changes must be readable then.
    """

    make: Callable[[Tails], Changes]
    stream: str = ""
    known: Last | None = None
    accounts: tuple[str, ...] = ()
    ending: tuple[int, ...] = ()
    pace: tuple[str, ...] = ()
    whole: bool = False


@frozen
class Written:
    """What became of a member: the changes that were made, with the position of each row, or its error."""

    changes: Changes = Changes()
    positions: tuple[int, ...] = ()
    error: OrchestrateError | None = None


class Store(StoreReads, Protocol):
    """A database of one log."""

    locks: Locks
    is_shared: bool
    """Whether another connection can append while something is read (a memory store: no)."""
    url: str
    """Its address for people, without a password."""
    remains: str
    """Where deleted bytes still are when ``shrink`` says False: a line for people."""

    @property
    def is_imported(self) -> bool:
        """Whether its runs came out of bundles: without accounts, perhaps without texts, only for reading."""

    def write(self, members: Sequence[Member]) -> list[Written]:
        """Write a group in one transaction, durable when this returns; one answer for each member.

        Members are made in their order; each sees what the earlier ones changed. A member whose ``make`` raises an
        ``OrchestrateError`` fails alone. Where a row's (stream, version) exists already, or a ``known`` tail is not
        there, the member is made again with the tails as they are now, and its ``make`` says what is wrong.

        Lock order: accounts by name, then pace by name, then the order of positions.

        Raises:
            StoreError: nothing is known of what was written; the caller writes nothing more through this store.
            Any other exception, out of a ``make``: nothing was written.
        """

    def take_in(self, contents: Contents, why: str) -> None:
        """Take in what another store has, in one transaction, and be closed then, as ``why`` says.

        Rows keep their positions; those up to ``high_water`` are there already and are no part of the contents. What
        stands beside the events is replaced. A store that is closed may take in, too.
        """

    def closing(self, why: str) -> AbstractContextManager[None]:
        """Close it for writing with the end of the context, for every process that has it open.

        Inside nothing else writes: other writers wait, and are refused afterwards by a ``StoreError`` that says why;
        reading goes on. A context that ends by an exception, or with the process, changes nothing.

        Args:
            why: a line for people that says what to do instead.
        """

    @property
    def closed(self) -> str:
        """Why nothing can be written to it any more; empty: it can."""

    def reopen(self) -> None:
        """Let it be written again."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Read the store as it is at one moment, whatever is appended meanwhile."""

    def integrity(self) -> list[str]:
        """What the database itself finds wrong with its files, a line each; empty also where it cannot look."""

    def layout(self) -> list[str]:
        """How tables, indexes, triggers and views differ from this program's, a line each."""

    def sizes(self) -> list[StreamSize]:
        """What every stream takes, oldest first."""

    def space(self) -> Space:
        """What the whole takes."""

    def shrink(self, *, compact: bool) -> bool:
        """Make deleted bytes unreadable where the store keeps them, and with ``compact`` give unused space back.

        Returns:
            Whether nothing deleted is left in the store's files; False where backups or a server's log may have it.
        """

    def stored_runs(self, limit: int | None = None) -> list[tuple[Any, ...]]:
        """The rows of the disposable table ``stored_runs``, each followed by the hash of the event it was made of.

        See ``stored_tables.TABLES``; empty where the table is missing, may not be read, or has another layout.

        Args:
            limit: at most so many.
        """

    def stored_calls(self) -> list[tuple[Any, ...]]:
        """The rows of the disposable table ``stored_calls``; likewise."""

    def store_calls(self, runs: Sequence[tuple[Any, ...]], calls: Sequence[tuple[Any, ...]]) -> None:
        """Put rows in the place of those of the same runs, in one transaction; where that fails, nothing happens."""

    def memo(self, name: str) -> bytes | None:
        """A disposable value that was kept under a name, such as a projection's snapshot."""

    def keep_memo(self, name: str, value: bytes) -> None:
        """Keep a disposable value; where that is not possible, nothing happens."""

    def close(self) -> None:
        """Let go of the database, after what is being written."""


class StoreKind(Protocol):
    """What a plugin of the kind ``stores`` gives; the name of its entry point is the scheme of its URLs."""

    def open(self, url: str, *, write: bool) -> Store:
        """The store at an address. For writing it is made where it does not exist, for reading never.

        Raises:
            UsageError: the address makes no sense; one line that says what to write instead.
            StoreError: it cannot be opened; one line that says what to do.
        """

    def exists(self, url: str) -> bool:
        """Whether there is a log at an address.

        Raises:
            StoreError: that cannot be found out.
        """
