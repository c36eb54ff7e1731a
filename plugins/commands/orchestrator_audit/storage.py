"""What is stored beside the events: the layout of the database, and rows that the events must account for."""

import re
from collections.abc import Iterator
from typing import Final

from orchestrator.events import ContentDeleted, Held, Released, Settled, Unreconciled
from orchestrator.log import EventLog, retention
from orchestrator.log.accounts import PREFIX, SIMULATED
from orchestrator.log.schema import differences, is_imported
from orchestrator.log.sealing import is_sealed
from orchestrator_audit.checks import Problem

_ENDS: Final = (Released, Settled, Unreconciled)
_KEY: Final = re.compile("(sim/)?[0-9a-f]{64}")
_ANSWERED: Final = (
    "SELECT 1 FROM events WHERE stream = ? AND type = 'call.succeeded' AND json_extract(data, '$.call') = ?"
)
Subject = tuple[str, Problem]
"""A run (empty: the log as a whole), and what is wrong with it."""


def layout(log: EventLog) -> list[Problem]:
    """How the database differs from what this program lays out."""
    return [Problem(0, difference) for difference in sorted(log.inspect(differences))]


def rows(log: EventLog, run: str | None) -> Iterator[Subject]:
    """Rows beside the events that no event implies.

    Args:
        log: it is only read.
        run: look only at the rows of this run; None: at all of them.
    """
    names = [run] if run is not None else log.streams()
    known = set(log.streams())
    for name in sorted(_owners(log) - known) if run is None else ():
        yield name, Problem(0, f"there are rows of {name}, and no event of it")
    for name in names:
        yield from ((name, problem) for problem in _texts(log, name))
    yield from _holds(log, run)
    yield from _cached(log, run)


def _owners(log: EventLog) -> set[str]:
    """Every name that rows beside the events belong to; the cache keeps its secret under an empty one."""
    query = (
        "SELECT run FROM blobs UNION SELECT run FROM salts UNION SELECT run FROM cache UNION SELECT run FROM open_holds"
    )
    return {str(name) for (name,) in log.query(query)} - {""}


def _texts(log: EventLog, run: str) -> Iterator[Problem]:
    """Texts that nothing in the history of a run refers to, and those that are said to be deleted."""
    stored = [str(digest) for (digest,) in log.query("SELECT digest FROM blobs WHERE run = ?", [run])]
    gone = next(log.read_own(run, types=[ContentDeleted]), None)
    if gone is not None and (stored or log.salt(run) is not None):
        yield Problem(gone.position, "its texts were deleted, and there are texts of it", gone.version)
        return
    if stored and log.is_encrypted(run) and not log.inspect(is_imported):
        clear = [
            str(digest)
            for digest, data in log.query("SELECT digest, substr(data, 1, 16) FROM blobs WHERE run = ?", [run])
            if not is_sealed(bytes(data))
        ]
        if clear:
            yield Problem(
                0, f"{len(clear)} texts of an encrypted run are stored in clear, the first is {clear[0][:12]}"
            )
    wanted = set(log.inspect(lambda connection: list(retention.needed(connection, run)))) if stored else set()
    stray = [digest for digest in stored if digest not in wanted]
    if stray:
        last = log.query("SELECT max(position) FROM events WHERE stream = ?", [run])[0][0]
        yield Problem(int(last or 0), f"no event refers to {len(stray)} of its texts, the first is {stray[0][:12]}")


def _holds(log: EventLog, run: str | None) -> Iterator[Subject]:
    """Open holds are those that the events of accounts have begun and not ended."""
    found = {
        (str(a), int(b), str(c)): int(d) for a, b, c, d in log.query("SELECT run, call, account, nano FROM open_holds")
    }
    implied: dict[tuple[str, int, str], int] = {}
    for account in (name for name in log.streams() if name.startswith((PREFIX, SIMULATED + PREFIX))):
        for record in log.read_own(account):
            event = record.event
            if isinstance(event, Held):
                implied[event.run, event.call, account] = event.amount.nano
            elif isinstance(event, _ENDS):
                implied.pop((event.run, event.call, account), None)
    for key in sorted(found.keys() | implied.keys()):
        owner, call, account = key
        if found.get(key) == implied.get(key) or run not in (None, owner):
            continue
        what = "is missing" if key not in found else "is not implied by any event" if key not in implied else "differs"
        yield owner, Problem(0, f"the open hold of call {call} in {account} {what}")


def _cached(log: EventLog, run: str | None) -> Iterator[Subject]:
    """A row of the response cache names an answer of its run."""
    for key, owner, call in log.query("SELECT key, run, call FROM cache ORDER BY run, call"):
        if run not in (None, owner):
            continue
        if not _KEY.fullmatch(str(key)):
            yield str(owner), Problem(0, f"a row of the response cache for call {call} has no proper key")
        elif not log.query(_ANSWERED, [owner, call]):
            yield str(owner), Problem(0, f"a row of the response cache names call {call}, which has no answer")
