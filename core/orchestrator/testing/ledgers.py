"""The laws of money between books: accounts against runs, and the vendor's own books against the log."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import Role
from orchestrator.money import Usd
from orchestrator.testing.vendor import Bill

History = Sequence[tuple[int, e.Event]]

_ODD_USAGE: Final = ("no_usage", "zero_usage", "absurd_usage")


def broken_accounts(accounts: Mapping[str, History], histories: Mapping[str, History]) -> list[str]:
    """Every law of money that account streams break, by themselves and against the runs below them."""
    problems: list[str] = []
    for name, history in accounts.items():
        problems += [f"{name}: {problem}" for problem in _stream(history)]
        problems += [f"{name}: {problem}" for problem in _against_runs(name, history, histories)]
    return problems


def _stream(history: History) -> Iterable[str]:
    """The totals after each event follow from those before it, and are never beyond the cap."""
    before = e.Totals()
    holds: dict[tuple[str, int], Usd] = {}
    for version, (_, event) in enumerate(history, 1):
        totals: e.Totals = event.totals  # type: ignore[attr-defined]
        if totals.settled + totals.held > totals.cap + totals.excess:
            yield f"version {version}: settled + held is beyond cap + excess"
        if not Usd.ZERO <= totals.kept <= totals.held:
            yield f"version {version}: kept is not within held"
        if totals != _after(before, event, holds):
            yield f"version {version}: {type(event).__name__} does not lead to its totals"
        before = totals


def _after(before: e.Totals, event: e.Event, holds: dict[tuple[str, int], Usd]) -> e.Totals | None:
    cap, settled, held, kept, excess = before.cap, before.settled, before.held, before.kept, before.excess
    if isinstance(event, e.AccountOpened | e.CapSet):
        return e.Totals(event.totals.cap, settled, held, kept, excess)
    if isinstance(event, e.Held):
        holds[event.run, event.call] = event.amount
        return e.Totals(cap, settled, held + event.amount, kept, excess)
    assert isinstance(event, e.Settled | e.Released | e.Kept)
    if holds.pop((event.run, event.call), None) != event.hold:
        return None
    if isinstance(event, e.Kept):
        return e.Totals(cap, settled, held, kept + event.hold, excess)
    if isinstance(event, e.Released):
        return e.Totals(cap, settled, held - event.hold, kept, excess)
    beyond = max(Usd.ZERO, event.amount - event.hold)
    return e.Totals(cap, settled + event.amount, held - event.hold, kept, excess + beyond)


def _against_runs(name: str, history: History, histories: Mapping[str, History]) -> Iterable[str]:
    """The account counts what its runs count, and every hold stands where its CallStarted says."""
    if not history:
        return
    last: e.Totals = history[-1][1].totals  # type: ignore[attr-defined]
    settled = kept = Usd.ZERO
    for run, events in histories.items():
        for version, (_, event) in enumerate(events, 1):
            if isinstance(event, e.CallSucceeded | e.CallFailed):
                settled, kept = settled + event.settled, kept + event.kept
            elif isinstance(event, e.SessionOpened | e.SessionLost):
                kept += Usd(sum(attempt.amount.nano for attempt in event.ended))
            elif isinstance(event, e.CallStarted):
                yield from _entry(name, history, run, version, event)
    if (settled, kept) != (last.settled, last.kept):
        yield f"settled and kept are {last.settled} and {last.kept}, of the runs {settled} and {kept}"
    if last.held != kept:
        yield f"{last.held} is held after the end of all runs, and {kept} is kept"


def _entry(name: str, history: History, run: str, version: int, event: e.CallStarted) -> Iterable[str]:
    entry = next((entry for entry in event.accounts if entry.name == name), None)
    held = history[entry.version - 1][1] if entry is not None else None
    if not isinstance(held, e.Held) or (held.run, held.call, held.amount) != (run, version, event.hold):
        yield f"{run}, version {version}: the CallStarted and its Held do not agree"
    elif entry is not None and entry.balance != held.totals.settled + held.totals.held:
        yield f"{run}, version {version}: the balance is not the account's"


# ── the vendor ─────────────────────────────────────────────────────────────────────────────────────────────────

_Try = tuple[str, str, Role, int, int, int]
"""Run, node, role, turn, sample, try."""


@define
class _Attempts:
    """The attempts of one try: at most the last was ended by the vendor, the others were lost."""

    started: list[e.CallStarted] = Factory(list)
    end: e.CallSucceeded | e.CallFailed | None = None
    spent: Usd = Usd.ZERO


def broken_books(books: Sequence[Bill], histories: Mapping[str, History]) -> list[str]:
    """Every way in which the vendor's books contradict the log.

    The vendor writes a bill when a request arrives, so that calls lost in a crash are billed too.
    """
    tries = _tries(histories)
    bills: dict[_Try, list[Bill]] = defaultdict(list)
    for bill in books:
        call = bill.call
        bills[bill.run, call.node, call.role, call.turn, call.sample, call.try_].append(bill)
    problems = [f"{key}: billed, and no call is in the log" for key in bills.keys() - tries.keys()]
    for key, attempts in tries.items():
        problems += [f"{key}: {problem}" for problem in _one_try(attempts, bills.get(key, []))]
    return problems


def _tries(histories: Mapping[str, History]) -> dict[_Try, _Attempts]:
    tries: dict[_Try, _Attempts] = defaultdict(_Attempts)
    for run, history in histories.items():
        opened: dict[int, _Attempts] = {}
        for version, (_, event) in enumerate(history, 1):
            if isinstance(event, e.CallStarted):
                each = tries[run, event.node, event.role, event.turn, event.sample, event.try_]
                each.started.append(event)
                opened[version] = each
            elif isinstance(event, e.CallSucceeded | e.CallFailed):
                each = opened[event.call]
                each.spent += event.settled + event.kept
                if isinstance(event, e.CallSucceeded) or event.by_vendor:
                    each.end = event
            elif isinstance(event, e.SessionOpened | e.SessionLost):
                for attempt in event.ended:
                    opened[attempt.call].spent += attempt.amount
    return tries


def _one_try(attempts: _Attempts, bills: Sequence[Bill]) -> Iterable[str]:
    if len(bills) > len(attempts.started):
        yield f"{len(bills)} requests reached the vendor, {len(attempts.started)} attempts are in the log"
    for bill in bills:
        most = max((s.body_bytes for s in attempts.started if s.model == bill.model), default=-1)
        full = {s.max_tokens for s in attempts.started}
        if bill.sent > most:
            yield f"{bill.sent} bytes were sent, {most} were held for"
        if bill.max_tokens not in full:
            yield f"{bill.max_tokens} tokens were asked for, and not held for"
    end = attempts.end
    if end is None or (isinstance(end, e.CallFailed) and end.kind is ErrorKind.UNSENT):
        ended: Bill | None = None
    elif not bills:
        yield "an attempt was ended by a vendor that never saw it"
        ended = None
    else:
        ended = bills[-1]
        yield from _settlement(end, ended, attempts.started[-1])
    if end is not None and end.kept:
        ended = None  # nobody knows what it cost; beyond its bound it shows only in the vendor's books
    billed = Usd(sum(bill.billed.nano for bill in bills if bill is ended or bill.fault != "over_bound"))
    if billed > attempts.spent:
        yield f"billed {billed}, accounted for {attempts.spent}"


def _settlement(end: e.CallSucceeded | e.CallFailed, bill: Bill, started: e.CallStarted) -> Iterable[str]:
    if isinstance(end, e.CallSucceeded):
        known = bill.fault not in _ODD_USAGE
        if not bill.answers:
            yield "an answer was recorded that the vendor never gave"
        if known and end.settled != bill.billed:
            yield f"settled {end.settled}, billed {bill.billed}"
        if not known and end.kept != started.hold:
            yield "an unknown cost was not kept"
    elif end.settled and end.settled != bill.billed:
        yield f"settled {end.settled}, billed {bill.billed}"
    elif not end.settled and not end.kept and bill.billed:
        yield f"released, and billed {bill.billed}"
    excess = max(Usd.ZERO, end.settled - started.hold)
    if excess and bill.fault != "over_bound":
        yield f"an excess of {excess}, and the vendor kept to its bound"
