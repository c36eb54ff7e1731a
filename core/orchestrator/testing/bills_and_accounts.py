"""The vendor's own bills against the log; accounts against runs: see ``orchestrator.testing.laws``."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import Role
from orchestrator.money import Usd
from orchestrator.testing.laws import History, broken_accounts
from orchestrator.testing.simulation.simulated_vendor import Bill

__all__ = ["History", "broken_accounts", "broken_bills"]

_ODD_USAGE: Final = ("no_usage", "zero_usage", "absurd_usage")


_Try = tuple[str, str, Role, int, int, int]
"""Run, node, role, iteration, sample, try."""


@define
class _Attempts:
    """The attempts of one try: at most the last was ended by the vendor, the others were lost."""

    started: list[e.CallStarted] = Factory(list)
    end: e.CallSucceeded | e.CallFailed | None = None
    spent: Usd = Usd.ZERO


def broken_bills(bills: Sequence[Bill], histories: Mapping[str, History]) -> list[str]:
    """Every way in which the vendor's bills contradict the log.

    The vendor writes a bill when a request arrives, so that calls lost in a crash are billed too.
    """
    tries = _tries(histories)
    billed: dict[_Try, list[Bill]] = defaultdict(list)
    for bill in bills:
        call = bill.call
        billed[bill.run, call.node, call.role, call.iteration, call.sample, call.try_].append(bill)
    problems = [f"{key}: billed, and no call is in the log" for key in billed.keys() - tries.keys()]
    for key, attempts in tries.items():
        problems += [f"{key}: {problem}" for problem in _one_try(attempts, billed.get(key, []))]
    return problems


def _tries(histories: Mapping[str, History]) -> dict[_Try, _Attempts]:
    tries: dict[_Try, _Attempts] = defaultdict(_Attempts)
    for run, history in histories.items():
        opened: dict[int, _Attempts] = {}
        for version, (_, event) in enumerate(history, 1):
            if isinstance(event, e.CallStarted):
                each = tries[run, event.node, event.role, event.iteration, event.sample, event.try_]
                each.started.append(event)
                opened[version] = each
            elif isinstance(event, e.CallSucceeded | e.CallFailed):
                each = opened[event.call]
                each.spent += event.settled + event.unreconciled
                if isinstance(event, e.CallSucceeded) or event.by_vendor:
                    each.end = event
            elif isinstance(event, e.SessionOpened | e.SessionLost):
                for attempt in event.ended:
                    opened[attempt.call].spent += attempt.amount
            elif isinstance(event, e.SpendReconciled):
                opened[event.call].spent += event.settled - event.unreconciled
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
    if end is not None and end.unreconciled:
        ended = None  # what it cost is unknown; beyond its bound it shows only in the vendor's bills
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
        if not known and end.unreconciled != started.hold:
            yield "an unknown cost was not unreconciled"
    elif end.settled and end.settled != bill.billed:
        yield f"settled {end.settled}, billed {bill.billed}"
    elif not end.settled and not end.unreconciled and bill.billed:
        yield f"released, and billed {bill.billed}"
    excess = max(Usd.ZERO, end.settled - started.hold)
    if excess and bill.fault != "over_bound":
        yield f"an excess of {excess}, and the vendor kept to its bound"
