"""What is stored beside the events: the layout of the database, and rows that the events must account for."""

import re
from collections.abc import Callable, Iterator
from itertools import groupby
from operator import attrgetter
from typing import Final

from orchestrator.errors import LogError
from orchestrator.events import (
    Advanced,
    CallSucceeded,
    ContentDeleted,
    Held,
    Released,
    RunForked,
    RunStarted,
    Settled,
    Unreconciled,
)
from orchestrator.ledger import removal, stored_calls
from orchestrator.ledger.accounts import is_account, is_run, kind_of
from orchestrator.ledger.advances import ADVANCE
from orchestrator.ledger.cache import SIMULATED as CACHED_SIMULATED
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.mailbox_requests import KINDS
from orchestrator.ledger.mailbox_requests import is_sealed as is_sealed_request
from orchestrator.log.text_encryption import is_sealed
from orchestrator.log.transaction import Recorded
from orchestrator_audit.checks import Problem

_ENDS: Final = (Released, Settled, Unreconciled)
_FINISHED: Final = "run.finished"
_KEY: Final = re.compile("(sim/)?[0-9a-f]{64}")
_SCOPE: Final = re.compile("[^/].*/((requests|tokens)(/each)?|closed|burst)")
_WITH_TEXTS: Final = ("run", "evaluation", "worker")
Subject = tuple[str, Problem]
"""A run (empty: the log as a whole), and what is wrong with it."""


def layout(log: EventLog) -> list[Problem]:
    """How the database differs from what this program lays out."""
    return [Problem(0, difference) for difference in sorted(log.store.layout())]


def rows(log: EventLog, run: str | None) -> Iterator[Subject]:
    """Rows beside the events that no event implies.

    Args:
        log: it is only read.
        run: look only at the rows of this run; None: at all of them.
    """
    names = [run] if run is not None else log.streams()
    known = set(log.streams())
    for name in sorted(set(log.store.owners()) - known - {""}) if run is None else ():
        yield name, Problem(0, f"there are rows of {name}, and no event of it")
    for name in names:
        yield from ((name, problem) for problem in _texts(log, name))
        yield from ((name, problem) for problem in _asked(log, name))
        if kind_of(name) not in _WITH_TEXTS and (log.salt(name) is not None or log.store.texts(name)):
            yield name, Problem(0, f"there are texts or a salt of {name}, which has none")
    yield from _read("the open holds", lambda: _holds(log, run))
    yield from _read("the response cache", lambda: _cached(log, run))
    if run is None:
        yield from _read("what is kept beside the runs", lambda: (("", each) for each in _of_no_import(log)))
        yield from _read("the paces", lambda: (("", each) for each in _paces(log)))
    yield from ((name, Problem(0, problem)) for name, problem in stored_calls.differences(log.store, run))


def _read(what: str, find: Callable[[], Iterator[Subject]]) -> Iterator[Subject]:
    """What is found in a table; one that holds something else than numbers in their place is a finding itself."""
    try:
        yield from find()
    except LogError as error:
        yield "", Problem(0, f"{what}: {error}")


def _texts(log: EventLog, run: str) -> Iterator[Problem]:
    """Texts that nothing in the history of a run refers to, and those that are said to be deleted."""
    texts = log.store.texts(run)
    stored = [each.digest for each in texts]
    gone = _deletion(log, run)
    if gone is not None and (stored or log.salt(run) is not None):
        yield Problem(gone.position, "its texts were deleted, and there are texts of it", gone.version)
        return
    if stored and log.is_encrypted(run) and not log.is_imported:
        clear = [each.digest for each in texts if not is_sealed(each.start)]
        if clear:
            yield Problem(
                0, f"{len(clear)} texts of an encrypted run are stored in clear, the first is {clear[0][:12]}"
            )
    wanted = set(removal.needed(log.store, run)) if stored else set()
    stray = [digest for digest in stored if digest not in wanted]
    if stray:
        last = next(iter(log.newest(1, run)), None)
        yield Problem(
            0 if last is None else last.position,
            f"no event refers to {len(stray)} of its texts, the first is {stray[0][:12]}",
        )


def _asked(log: EventLog, run: str) -> Iterator[Problem]:
    """Requests that no process would put in, or that the end of the run would have taken out."""
    rows = log.store.asked(run)
    last = log.store.last_row(run) if rows else None
    is_closed = last is not None and last.type == _FINISHED
    for row in rows:
        what = f"the request {row.number} of the mailbox"
        if row.kind not in KINDS:
            yield Problem(0, f"{what} asks for something that this program does not know")
        elif is_closed:
            yield Problem(0, f"{what} is of a run that has ended")
        elif log.is_encrypted(run) and not is_sealed_request(row.text):
            yield Problem(0, f"{what} is of an encrypted run, and is stored in clear")


def _holds(log: EventLog, run: str | None) -> Iterator[Subject]:
    """Open holds are those that the events of accounts have begun and not ended."""
    found = {(hold.run, hold.call, hold.account): hold.nano for hold in log.holds()}
    implied: dict[tuple[str, int, str], int] = {}
    for account in (name for name in log.streams() if is_account(name)):
        for record in log.read_own(account):
            event = record.event
            if isinstance(event, Held):
                implied[event.run, event.call, account] = event.amount.nano
            elif isinstance(event, Advanced):
                implied.pop((event.run, ADVANCE, account), None)
                if event.open:
                    implied[event.run, ADVANCE, account] = event.open.nano
            elif isinstance(event, _ENDS):
                implied.pop((event.run, event.call, account), None)
    for key in sorted(found.keys() | implied.keys()):
        owner, call, account = key
        if found.get(key) == implied.get(key) or run not in (None, owner):
            continue
        what = "is missing" if key not in found else "is not implied by any event" if key not in implied else "differs"
        subject = "advance" if call == ADVANCE else f"open hold of call {call}"
        yield owner, Problem(0, f"the {subject} in {account} {what}")


def _cached(log: EventLog, run: str | None) -> Iterator[Subject]:
    """A row of the response cache names an answer of its run."""
    by_run = groupby(log.store.cache_rows(), key=attrgetter("run"))
    for owner, rows in by_run:
        if run in (None, owner):
            answered = {
                each.event.call
                for each in log.read_own(owner, types=[CallSucceeded])
                if isinstance(each.event, CallSucceeded)
            }
            deleted, pretended = _deletion(log, owner), _is_simulated(log, owner)
            for key, _, call in rows:
                if not _KEY.fullmatch(key):
                    yield owner, Problem(0, f"a row of the response cache for call {call} has no proper key")
                elif call not in answered:
                    yield owner, Problem(0, f"a row of the response cache names call {call}, which has no answer")
                elif key.startswith(CACHED_SIMULATED) is not pretended:
                    yield owner, Problem(0, f"a row of the response cache gives call {call} to runs that it is not for")
                elif deleted is not None:
                    yield owner, Problem(0, f"a row of the response cache names call {call}, whose answer was deleted")


def _is_simulated(log: EventLog, run: str) -> bool:
    first = next(log.read_own(run), None)
    return first is not None and isinstance(first.event, RunStarted | RunForked) and first.event.settings.simulated


def _deletion(log: EventLog, run: str) -> Recorded | None:
    return next(log.read_own(run, types=[ContentDeleted]), None)


def _of_no_import(log: EventLog) -> Iterator[Problem]:
    """What a log of imported runs cannot hold: one that is taken for such a log is checked less."""
    if log.is_imported:
        held = {"accounts": [name for name in log.streams() if not is_run(name)], "holds": log.holds()}
        held |= {"cached answers": log.store.cache_rows(), "paces": list(log.store.paces())}
        found = [name for name, rows in held.items() if rows]
        if found:
            yield Problem(0, f"it is said to hold only imported runs, and holds {', '.join(found)}")


def _paces(log: EventLog) -> Iterator[Problem]:
    """The numbers beside the log by which runs wait for each other; how large they are follows from no event."""
    for scope in log.store.paces():
        if not _SCOPE.fullmatch(scope):
            yield Problem(0, f"the pace of {scope} is none that a run keeps")
