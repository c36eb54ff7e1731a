"""One append to a stream: what the store writes in its transaction, the accounts, paces and cached answers included."""

from collections.abc import Mapping
from functools import partial

from attrs import Factory, define, frozen

from orchestrator.errors import ConcurrencyError
from orchestrator.events import (
    CallFailed,
    CallStarted,
    CallSucceeded,
    Event,
    RunForked,
    SessionLost,
    SessionOpened,
    SpendReconciled,
)
from orchestrator.ledger import accounts as accounting
from orchestrator.ledger import cache as caching
from orchestrator.ledger import mailbox_requests, shared_pace
from orchestrator.ledger.advances import ADVANCE, CLOSING, RunAdvances, read_advances
from orchestrator.log.protocol import Changes, StoreReads, Tails, Written
from orchestrator.log.stored_rows import Last
from orchestrator.log.text_encryption import SALT, Keys
from orchestrator.log.texts import pack
from orchestrator.log.transaction import AppendDraft, Encoded, Encoder, Recorded, recorded


@frozen
class Committed:
    """What an append wrote, durably.

    Attributes:
        events: the events as written: with accounts filled in, or a refusal in the place of the CallStarted.
        version: of the last of them.
        position: of the last of them.
        hash: the head of the stream.
        records: the stored rows, one per event.
    """

    events: tuple[Event, ...]
    version: int
    position: int
    hash: str
    records: tuple[Recorded, ...]


@frozen
class AppendRequest:
    """What is to be appended to a stream; see ``EventLog.append``."""

    stream: str
    expected: int
    at: int
    encoded: tuple[Encoded, ...]
    texts: Mapping[str, str]
    salt: bytes | None
    accounts: tuple[str, ...]
    simulated: bool
    reusable: caching.Entries | None = None
    pace: shared_pace.PaceChanges | None = None


@define
class Append:
    """Makes an append, inside the transaction; as often as the store asks for it."""

    request: AppendRequest
    encoder: Encoder
    keys: Keys
    known: RunAdvances | None = None
    """The advances of the run; None: they are to be read."""
    advances: RunAdvances = Factory(RunAdvances)
    """What is left of them after it."""
    _own: list[int] = Factory(list)
    """The places of the run's own rows among those made."""
    _events: list[Event] = Factory(list)

    def __call__(self, tails: Tails) -> Changes:
        """What is written, or why nothing is."""
        request, draft = self.request, AppendDraft(tails, self.encoder)
        last = draft.last(request.stream)
        self._check(last)
        self._add_texts(draft)
        known = read_advances(tails, request.stream) if self.known is None else self.known
        self.advances = known.copy()
        accounts = accounting.Accounts(draft, request.stream, self.advances)
        pace = shared_pace.PaceLedger(tails.pace)
        if request.pace is not None:
            pace.follow(request.pace)
        self._own = []
        for encoded in request.encoded:
            movements: list[accounting.Movement] = []
            if isinstance(encoded.event, CallStarted) and (request.accounts or request.pace is not None):
                version = last.version + 1 if last else 1  # a fork's first event is no call
                event, movements = self._admitted(encoded.event, version, accounts, pace, tails.now(request.at))
                encoded = draft.encode(event)
            self._own.append(len(draft.rows))
            row = draft.write(request.stream, request.at, encoded)
            last = draft.last(request.stream)
            accounts.record(request.at, movements)
            accounts.follow(request.at, row.version, encoded.event, request.simulated)
        self._events = [draft.events[place] for place in self._own]
        draft.taken += mailbox_requests.taken_by(request.stream, self._events)
        draft.pace = pace.changes
        if request.reusable is not None:
            draft.secret, draft.cached = request.reusable.secret, caching.rows_of(request.stream, request.reusable)
        return draft.changes()

    def _admitted(
        self, started: CallStarted, version: int, accounts: accounting.Accounts, pace: shared_pace.PaceLedger, now: int
    ) -> tuple[Event, list[accounting.Movement]]:
        """A CallStarted with its accounts and what to append to them, or what is written in its place."""
        request = self.request
        held, movements = accounts.reserve(version, started, request.accounts, request.simulated)
        need = None if request.pace is None else request.pace.need
        if need is None or not isinstance(held, CallStarted):
            return held, movements
        admitted = pace.admit(need, started, now)
        return (held, movements) if isinstance(admitted, CallStarted) else (admitted, [])

    def _check(self, last: Last | None) -> None:
        request, first = self.request, self.request.encoded[0].event
        actual = last.version if last else first.version if isinstance(first, RunForked) else 0
        if actual != request.expected:
            raise ConcurrencyError(request.stream, request.expected, actual)

    def _add_texts(self, draft: AppendDraft) -> None:
        stream = self.request.stream
        seal = partial(self.keys.seal, stream)
        draft.texts += [(stream, key, seal(key, pack(text))) for key, text in self.request.texts.items()]
        if self.request.salt is not None:
            draft.salts.append((stream, seal(SALT, self.request.salt)))

    def committed(self, written: Written) -> Committed:
        """What was written, with the positions the store gave."""
        rows = [written.changes.rows[place] for place in self._own]
        records = recorded(rows, self._events, [written.positions[place] for place in self._own])
        last = records[-1]
        return Committed(tuple(self._events), last.version, last.position, last.hash, tuple(records))


def moved_by(request: AppendRequest, advances: RunAdvances | None, store: StoreReads) -> set[str]:
    """The streams of the accounts that an append may move, besides those that hold money for what it ends."""
    found: set[str] = set()
    last = request.encoded[-1].event
    if isinstance(last, CallStarted) and not _is_granted(request, advances, last):
        found.update(accounting.stream_of(name, request.simulated) for name in request.accounts)
    for each in request.encoded:
        if isinstance(each.event, SpendReconciled):
            row = store.row(request.stream, each.event.call)
            started = None if row is None else Recorded(*row).event
            if isinstance(started, CallStarted):
                names = (entry.name for entry in started.accounts)
                found.update(accounting.stream_of(name, request.simulated) for name in names)
    return found


def _is_granted(request: AppendRequest, advances: RunAdvances | None, last: CallStarted) -> bool:
    """Whether the run has what its last event needs, once the others have happened: no account is moved then."""
    if advances is None:
        return False
    after = advances.copy()
    for version, each in enumerate(request.encoded[:-1], request.expected + 1):
        after.take(version, each.event)
    return all(accounting.is_granted(after, name, last) for name in request.accounts)


def ended_by(event: Event) -> tuple[int, ...]:
    """The calls whose holds an event of a run ends."""
    if isinstance(event, CallSucceeded | CallFailed):
        return (event.call,)
    if isinstance(event, SessionOpened | SessionLost):
        return (*(attempt.call for attempt in event.ended), ADVANCE)
    return (ADVANCE,) if isinstance(event, CLOSING) else ()
