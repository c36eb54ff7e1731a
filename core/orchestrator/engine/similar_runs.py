"""Which earlier runs a project could resume with: those like it that have something left to do."""

import json
import os
import re
from typing import TYPE_CHECKING, Final

from attrs import frozen

from orchestrator import events as e
from orchestrator.errors import LogError
from orchestrator.log import Select, Texts
from orchestrator.models import ProjectStatus
from orchestrator.settings import SECOND
from orchestrator.spec import Spec, differences
from orchestrator.spec.canonical import portable

if TYPE_CHECKING:
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.log import Recorded

NEWEST: Final = 50
"""So many runs are looked at; older ones are named with ``--resume``."""
LEAST: Final = 0.3
"""The score above which a run is similar."""
LEAST_SHARED: Final = 0.2
"""And this part of the keywords it must share: else every run of today would be similar."""

_AFTERWARDS: Final = ("spend.reconciled", "content.deleted")
_LOOKED_AT: Final = 1000
_WEEK: Final = 7 * 86_400 * SECOND
_WORDS: Final = re.compile(r"\w{3,}")
_COMMON: Final = frozenset(
    _WORDS.findall(
        "and app application are build building can code create for from has have implement into make needs new "
        "program project python should simple small that the them this use uses using want which will with write"
    )
)


@frozen
class Similar:
    """An earlier run that could be gone on with."""

    run: str
    project: str
    """Its description, as it was given."""
    status: ProjectStatus | None
    """None while it is open; else what halted it."""
    at: int
    """Of its last event; microseconds UTC."""
    score: float
    """0 to 1."""
    same: bool
    """Whether description and criteria are the very same."""
    changes: tuple[str, ...]
    """What else of the specification differs, one line each."""


def keywords(text: str) -> frozenset[str]:
    """The words of three letters or more that say something."""
    return frozenset(_WORDS.findall(text.lower())) - _COMMON


def shared(one: frozenset[str], other: frozenset[str]) -> float:
    """The Jaccard similarity of two sets of keywords; equal empty sets share everything."""
    together = one | other
    return len(one & other) / len(together) if together else 1.0


def score(similarity: float, age: int) -> float:
    """Six tenths the similarity, four tenths how recent it is: from now to a week ago. ``age`` is in microseconds."""
    return 0.6 * similarity + 0.4 * max(0.0, 1 - max(0, age) / _WEEK)


def similar_runs(log: "EventLog", spec: Spec, now: int) -> list[Similar]:
    """The runs among the newest that are like a spec and have something left to do, the likest first.

    Reads only; a run that another process has, whose content was deleted or that is damaged is left out.
    """
    wanted = keywords(spec.project)
    found = []
    for begun in log.newest(NEWEST, types=(e.RunStarted, e.RunForked)):
        run = begun.stream
        if log.locks.is_held(run):
            continue
        similar = _compared(log, run, spec, wanted, now)
        if similar is not None:
            found.append(similar)
    return sorted(found, key=lambda each: (not each.same, -each.score, -each.at, each.run))


def _compared(log: "EventLog", run: str, spec: Spec, wanted: frozenset[str], now: int) -> Similar | None:
    latest = _latest(log, run)
    at, status = latest.at, ProjectStatus(json.loads(latest.data)["status"]) if latest.type == "run.finished" else None
    if status is not None and status.is_closed:
        return None
    try:
        started, spec_digest = _beginning(log, run)
        if started is None:
            return None
        texts = Texts(log, run, os.urandom, log.redactor)
        project, criteria = texts.get(started.project), texts.get(started.criteria)
        stored = texts.get(spec_digest)
    except (KeyError, LogError):
        return None
    same = (project, criteria) == (spec.project, spec.criteria)
    similarity = 1.0 if same else shared(wanted, keywords(project))
    total = score(similarity, now - at)
    if similarity < LEAST_SHARED or total <= LEAST:
        return None
    changes = tuple(differences(portable(stored)[0], portable(spec.canonical())[0])) if same else ()
    return Similar(run, project, status, at, total, same, changes)


def _latest(log: "EventLog", run: str) -> "Recorded":
    """The last event that says how a run stands."""
    select = Select((run,), reverse=True, limit=_LOOKED_AT)
    newest = list(log.select(select))
    return next((each for each in newest if each.type not in _AFTERWARDS), newest[0])


def _beginning(log: "EventLog", run: str) -> tuple[e.RunStarted | None, str]:
    """How a run began (a fork: its first ancestor), and the digest of the spec it follows."""
    started: e.RunStarted | None = None
    spec = ""
    for record in log.read(run, types=(e.RunStarted, e.RunForked)):
        event = record.event
        if isinstance(event, e.RunStarted):
            started = event
        if isinstance(event, e.RunStarted | e.RunForked):
            spec = event.spec
    return started, spec
