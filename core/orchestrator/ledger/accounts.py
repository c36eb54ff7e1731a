"""The accounts above runs: holds and settlements written in the transaction of the run's own events.

Every account event carries the totals after it, so that the last event of an account's stream is its state.
On every prefix: settled + held ≤ cap + excess.
"""

from collections.abc import Sequence
from typing import Final

from attrs import evolve

from orchestrator.errors import LogError, MissingError, UsageError
from orchestrator.events import (
    AccountEntry,
    AccountEvent,
    AccountOpened,
    AccountRefused,
    Advanced,
    CallFailed,
    CallStarted,
    CallSucceeded,
    CapSet,
    Event,
    Held,
    Reconciled,
    Released,
    SessionLost,
    SessionOpened,
    Settled,
    SpendReconciled,
    Totals,
    Unreconciled,
)
from orchestrator.ledger.advances import ADVANCE, CLOSING, NOTHING, PLENTY, Advance, RunAdvances
from orchestrator.log.stored_rows import Hold
from orchestrator.log.stream_names import is_evaluation, is_worker
from orchestrator.log.transaction import AppendDraft
from orchestrator.models import Lane
from orchestrator.money import Usd

Movement = tuple[str, AccountEvent]
"""A stream and what to append to it."""

PREFIX: Final = "account/"
SIMULATED: Final = "sim/"


def stream_of(name: str, simulated: bool = False) -> str:
    """The stream of an account; simulated providers have a second set of accounts."""
    return f"{SIMULATED if simulated else ''}{PREFIX}{name}"


def name_of(stream: str) -> tuple[str, bool]:
    """The name of the account that a stream is of, and whether it is one of simulated providers."""
    name = stream.removeprefix(SIMULATED)
    return name.removeprefix(PREFIX), name != stream


def is_account(stream: str) -> bool:
    """Whether a stream is that of an account."""
    return stream.startswith((PREFIX, SIMULATED + PREFIX))


def kind_of(stream: str) -> str:
    """What a stream is of: ``run``, ``account``, ``evaluation`` or ``worker``."""
    if is_account(stream):
        return "account"
    if is_evaluation(stream):
        return "evaluation"
    return "worker" if is_worker(stream) else "run"


def is_run(stream: str) -> bool:
    """Whether a stream is that of a run, and not of an account, an evaluation or a worker."""
    return kind_of(stream) == "run"


def called(name: str, simulated: bool = False) -> str:
    """An account as people name it, at the command line and wherever it is shown: ``org``, ``sim/team/eng``."""
    return f"{SIMULATED if simulated else ''}{name}"


def totals_of(draft: AppendDraft, name: str, simulated: bool = False) -> tuple[int, Totals]:
    """The version and the totals an account's stream ends with.

    Raises:
        UsageError: there is no such account.
    """
    found = draft.last_event(stream_of(name, simulated))
    version, event = found or (0, None)
    return version, totals_in(event, name, simulated)


def totals_in(event: Event | None, name: str, simulated: bool = False) -> Totals:
    """The totals in the event that an account's stream ends with; None: there is no such stream.

    Raises:
        UsageError: there is no such account.
    """
    if event is None:
        raise UsageError(
            f"there is no account {called(name, simulated)!r}; open it with: orchestrate budget set NAME USD"
        )
    totals = getattr(event, "totals", None)
    if not isinstance(totals, Totals):
        what = f"the stream of the account {called(name, simulated)!r}"
        raise LogError(f"{what} ends with something else than an account event")
    return totals


def open_account(
    draft: AppendDraft, name: str, cap: Usd, at: int, simulated: bool = False, *, advance: Usd | None = None
) -> Totals:
    """Open an account; ``advance``: how much a run takes of it at once.

    Raises:
        UsageError: there is one of this name, or an amount is negative.
    """
    stream = stream_of(name, simulated)
    if not name or cap < Usd.ZERO:
        raise UsageError("an account needs a name and a cap of at least 0")
    if draft.last(stream) is not None:
        raise UsageError(f"there is an account {called(name, simulated)!r} already: set its cap instead")
    totals = _advancing(Totals(cap=cap), advance)
    draft.write_next(stream, at, AccountOpened(totals))
    return totals


def set_cap(
    draft: AppendDraft, name: str, cap: Usd, at: int, simulated: bool = False, *, advance: Usd | None = None
) -> Totals:
    """Give an account another cap; ``advance``: how much a run takes of it at once from now on, None: as before.

    Raises:
        UsageError: there is no such account, the cap is below what is settled and held, or the advance is negative.
    """
    _, totals = totals_of(draft, name, simulated)
    used = totals.settled + totals.held
    if cap < used:
        whose = f"the account {called(name, simulated)!r}"
        raise UsageError(f"{whose} has {used.shown} settled and held: its cap cannot be {cap.shown}")
    totals = _advancing(evolve(totals, cap=cap), advance)
    draft.write_next(stream_of(name, simulated), at, CapSet(totals))
    return totals


def _advancing(totals: Totals, advance: Usd | None) -> Totals:
    """The totals with another advance; None: with the same.

    Raises:
        UsageError: it is negative.
    """
    if advance is None:
        return totals
    if advance < Usd.ZERO:
        raise UsageError("an advance is at least 0; 0: runs take none")
    return evolve(totals, advance=advance)


def raise_cap(draft: AppendDraft, name: str, extra: Usd, at: int, simulated: bool = False) -> Totals:
    """Give an account a cap that is higher by ``extra``.

    Raises:
        UsageError: there is no such account, or ``extra`` is negative beyond what is free.
    """
    _, totals = totals_of(draft, name, simulated)
    return set_cap(draft, name, totals.cap + extra, at, simulated)


class Accounts:
    """The account side of one run's append.

    Args:
        draft: what is written.
        run: its id.
        advances: what the run has taken of accounts for calls to come; it is changed.
    """

    def __init__(self, draft: AppendDraft, run: str, advances: RunAdvances) -> None:
        self._draft = draft
        self._run = run
        self._advances = advances

    def reserve(
        self, version: int, started: CallStarted, names: Sequence[str], simulated: bool
    ) -> tuple[CallStarted | AccountRefused, list[Movement]]:
        """What is to be written for a CallStarted at this version: itself with its accounts, or the refusal.

        Raises:
            UsageError: an account does not exist.
        """
        entries: list[AccountEntry] = []
        movements: list[Movement] = []
        for name in names:
            if is_granted(self._advances, name, started):
                entries.append(self._granted(name, started.hold))
                continue
            moved = self._moved(version, started, name, simulated)
            if isinstance(moved, AccountRefused):
                return moved, []
            entry, movement = moved
            entries.append(entry)
            movements.append(movement)
        return evolve(started, accounts=tuple(entries)), movements

    def _granted(self, name: str, hold: Usd) -> AccountEntry:
        """Where a hold is that the run's advance grants."""
        advance = self._advances.of(name) or NOTHING
        return AccountEntry(name, advance.balance, advance.version, advance.left - hold)

    def _moved(
        self, version: int, started: CallStarted, name: str, simulated: bool
    ) -> tuple[AccountEntry, Movement] | AccountRefused:
        """Where a hold is for which the account is moved: held by itself, or by an advance that grows."""
        stream, hold = stream_of(name, simulated), started.hold
        tail, totals = totals_of(self._draft, name, simulated)
        found = self._advances.of(name) if started.lane is Lane.INTERACTIVE else None
        advance = found or NOTHING
        free = totals.free + advance.left
        if free < hold:
            live = Usd(self._draft.in_flight(stream, self._run)) - advance.idle
            return AccountRefused(started, name, hold, free, live)
        size = totals.advance if is_advanced(started) else Usd.ZERO
        if free < hold + Usd(size.nano * (1 + PLENTY)):
            size = Usd.ZERO
        if not hold or (found is None and not size):
            after = _checked(evolve(totals, held=totals.held + hold))
            return AccountEntry(name, _balance(after), tail + 1), (stream, Held(self._run, version, hold, after))
        taken = max(Usd.ZERO, hold - advance.free) + size
        changed = advanced(self._run, version, advance, totals, taken=taken)
        entry = AccountEntry(name, _balance(changed.totals), tail + 1, advance.free + taken - hold)
        return entry, (stream, changed)

    def record(self, at: int, movements: Sequence[Movement]) -> None:
        """Append the holds of a CallStarted to their accounts."""
        for stream, event in movements:
            if isinstance(event, Held):
                self._draft.write_next(stream, at, event)
                self._draft.hold(Hold(event.run, event.call, stream, event.amount.nano))
            elif isinstance(event, Advanced):
                self._advance(at, stream, event)
            else:
                raise MissingError("Held")

    def follow(self, at: int, version: int, event: Event, simulated: bool = False) -> None:
        """Append to the accounts what an event of the run means for the holds it ends, or for money they keep."""
        if isinstance(event, CLOSING):
            self._give_back(at, version, event)
        if isinstance(event, (CallSucceeded, CallFailed)):
            billed = isinstance(event, CallSucceeded) or bool(event.settled)
            self._end(at, event.call, event.settled if billed else None, event.unreconciled)
        elif isinstance(event, (SessionOpened, SessionLost)):
            for attempt in event.ended:
                self._end(at, attempt.call, None, attempt.amount)
        elif isinstance(event, SpendReconciled):
            self._reconcile(at, event, simulated)
        self._advances.take(version, event)

    def _give_back(self, at: int, version: int, event: Event) -> None:
        """Give back what the run has left of its advances, at the end of a session or where an account refused."""
        left = self._advances.copy()
        left.take_ends(event)
        streams = [hold.account for hold in self._draft.holds(self._run) if hold.call == ADVANCE]
        for stream in streams:
            name, is_simulated = name_of(stream)
            advance = left.of(name)
            if advance is None:
                raise LogError(f"{stream} holds an advance of {self._run}, and no call of it says so")
            _, totals = totals_of(self._draft, name, is_simulated)
            self._advance(at, stream, advanced(self._run, version, advance, totals, returned=advance.free))

    def _advance(self, at: int, stream: str, event: Advanced) -> None:
        """Append the change of an advance, and keep its row among the open holds."""
        self._draft.write_next(stream, at, event)
        rows = [hold for hold in self._draft.holds(self._run) if hold.call == ADVANCE]
        self._draft.end(rows)
        for row in rows:
            if row.account != stream:
                self._draft.hold(row)
        if event.open:
            self._draft.hold(Hold(self._run, ADVANCE, stream, event.open.nano))

    def _reconcile(self, at: int, event: SpendReconciled, simulated: bool) -> None:
        """Turn unreconciled money into spend in every account that the call's CallStarted names.

        Raises:
            UsageError: the call is none of the run's own.
        """
        started = self._draft.event(self._run, event.call)
        if not isinstance(started, CallStarted) or started.hold != event.unreconciled:
            raise UsageError(f"{self._run} has no call {event.call} with {event.unreconciled.shown} unreconciled")
        for entry in started.accounts:
            advance = self._advances.of(entry.name)
            if advance is not None and advance.is_unreconciled(event.call):
                continue  # the account learns what the call came to with the advance's next change
            _, totals = totals_of(self._draft, entry.name, simulated)
            after = evolve(
                totals,
                held=totals.held - event.unreconciled,
                unreconciled=totals.unreconciled - event.unreconciled,
                settled=totals.settled + event.settled,
                excess=totals.excess + max(Usd.ZERO, event.settled - event.unreconciled),
            )
            movement = Reconciled(self._run, event.call, event.unreconciled, event.settled, _checked(after))
            self._draft.write_next(stream_of(entry.name, simulated), at, movement)

    def _end(self, at: int, call: int, settled: Usd | None, unreconciled: Usd) -> None:
        ended = [hold for hold in self._draft.holds(self._run) if hold.call == call]
        for hold in ended:
            self._draft.write_next(
                hold.account, at, self._ending(hold.account, call, Usd(hold.nano), settled, unreconciled)
            )
        self._draft.end(ended)

    def _ending(self, stream: str, call: int, hold: Usd, settled: Usd | None, unreconciled: Usd) -> AccountEvent:
        found = self._draft.last_event(stream)
        if found is None:
            raise LogError(f"there is no account {stream}")
        totals: Totals = found[1].totals  # type: ignore[attr-defined]
        if unreconciled:
            if settled or unreconciled != hold:
                raise LogError(f"call {call} is settled, or unreconciled with its hold of {hold}, not {unreconciled}")
            return Unreconciled(
                self._run, call, hold, _checked(evolve(totals, unreconciled=totals.unreconciled + hold))
            )
        held = totals.held - hold
        if settled is None:
            return Released(self._run, call, hold, _checked(evolve(totals, held=held)))
        beyond = max(Usd.ZERO, settled - hold)
        after = evolve(totals, held=held, settled=totals.settled + settled, excess=totals.excess + beyond)
        return Settled(self._run, call, hold, settled, _checked(after))


def is_advanced(started: CallStarted) -> bool:
    """Whether advances may grant a call: one that may cost something; not one of a batch, which outlives sessions."""
    return started.hold > Usd.ZERO and started.lane is Lane.INTERACTIVE


def is_granted(advances: RunAdvances, name: str, started: CallStarted) -> bool:
    """Whether the hold of a call fits what its run has of an account, so that the account is not moved."""
    return is_advanced(started) and advances.covers(name, started.hold)


def advanced(
    run: str, version: int, advance: Advance, totals: Totals, *, taken: Usd = Usd.ZERO, returned: Usd = Usd.ZERO
) -> Advanced:
    """The account's event for an advance that grows or shrinks; what calls of it came to becomes the account's."""
    unreconciled = sum((each.amount for each in advance.unreconciled), Usd.ZERO)
    after = evolve(
        totals,
        settled=totals.settled + advance.settled,
        held=totals.held - (advance.settled - advance.excess) + taken - returned,
        unreconciled=totals.unreconciled + unreconciled,
        excess=totals.excess + advance.excess,
    )
    left = advance.open + taken - returned
    return Advanced(
        run,
        version,
        taken,
        returned,
        advance.settled,
        advance.excess,
        advance.unreconciled,
        left,
        _checked(after),
    )


def _balance(totals: Totals) -> Usd:
    return totals.settled + totals.held


def _checked(totals: Totals) -> Totals:
    """The law of money, in production too: a log that breaks it must not be written."""
    if totals.settled + totals.held > totals.cap + totals.excess:
        raise LogError(f"an account would be overdrawn: {totals}")
    if not Usd.ZERO <= totals.unreconciled <= totals.held:
        raise LogError(f"an account would hold less than is unreconciled: {totals}")
    return totals
