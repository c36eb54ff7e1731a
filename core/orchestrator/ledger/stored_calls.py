"""Rows of the views ``calls`` and ``runs``, stored where a session ended, so that lists and sums need not read events.

Both tables are disposable: they follow from the events, and what is missing, older than its run, of another layout or
not as it was made is computed from the events instead. ``audit verify`` computes all of it again.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from hashlib import sha256
from operator import itemgetter
from typing import Any, Final

import orjson

from orchestrator.errors import LogError
from orchestrator.ledger.accounts import is_run
from orchestrator.log.protocol import Store
from orchestrator.log.stored_call_tables import CALLS, RUN
from orchestrator.log.stored_rows import Extent, Select
from orchestrator.models import PHASE_OF

_LAYOUT: Final = 1
"""Another number for another content of the same columns."""

WORTH: Final = 10_000
"""Events of a log from which on calls are stored; to read fewer takes no time worth mentioning."""
_MOST: Final = 500
"""Streams of which the events are read one by one; beyond that all events are."""
_AT_ONCE: Final = 100
_HEAD, _VERSION, _CALLS_DIGEST = len(RUN) - 1, len(RUN), len(RUN) + 1
_POSITION: Final = itemgetter([*CALLS].index("position"))
_KEY: Final = ("run_id", "task_id", "role", "phase", "provider", "model")
_SPEND: Final = (*_KEY, "calls", "settled_nano", "held_nano", "unreconciled_nano", "lane")

_PHASES: Final = {role.value: phase.value for role, phase in PHASE_OF.items()}

View = list[dict[str, Any]]
Row = tuple[Any, ...]


def view(store: Store, name: str, where: Mapping[str, Any]) -> View:
    """The rows of a view of the whole log, in its order: what is stored, and the rest by the program's definition."""
    run = where.get("run_id")
    if isinstance(run, str) and name in ("calls", "spend"):
        return store.view(name, where, streams=[run])
    if name not in ("calls", "spend", "runs") or "run_id" in where:
        return store.view(name, where)
    extents = store.extents()
    runs = _known_runs(store, extents)
    calls = {} if name == "runs" else _known_calls(store, runs)
    loose = _streams_without(runs if name == "runs" else calls, extents)
    if len(loose) > _MOST or not runs:
        return store.view(name, where)
    if name == "runs":
        rows = _runs(store, runs, loose, extents)
    else:
        rows = (_spend if name == "spend" else _named)(_calls(store, calls, loose))
    return [row for row in rows if all(row[column] == value for column, value in where.items())]


def _runs(store: Store, known: Mapping[str, Row], loose: Sequence[str], extents: Sequence[Extent]) -> View:
    place = {each.stream: number for number, each in enumerate(extents)}
    rows = [dict(zip(RUN, row, strict=False)) for row in known.values()]
    rows += [row for row in store.view("runs", streams=_family(store, loose)) if row["run_id"] in {*loose}]
    return sorted(rows, key=lambda row: place[row["run_id"]])


def _calls(store: Store, known: Mapping[str, Sequence[Row]], loose: Sequence[str]) -> list[Row]:
    rows = [row for calls in known.values() for row in calls]
    return sorted([*rows, *(tuple(row.values()) for row in store.view("calls", streams=loose))], key=_POSITION)


def _named(calls: Iterable[Row]) -> View:
    return [dict(zip(CALLS, row, strict=True)) for row in calls]


def _spend(calls: Iterable[Row]) -> View:
    """The rows of the view ``spend``, out of those of ``calls``."""
    sums: dict[tuple[Any, ...], list[int]] = {}
    for run, _, task, role, provider, model, outcome, _, _, held, settled, *_, lane in calls:
        found = sums.setdefault((run, task, role, _PHASES.get(role), provider, model, lane), [0, 0, 0, 0])
        found[0] += 1
        found[1] += settled
        found[2] += held
        found[3] += 0 if outcome == "in_flight" else held
    return [dict(zip(_SPEND, (*key[:-1], *values, key[-1]), strict=True)) for key, values in sums.items()]


def _family(store: Store, streams: Sequence[str]) -> list[str]:
    """Streams and the ancestors of those that are forks."""
    found, new = dict.fromkeys(streams), list(streams)
    while new:
        rows = store.page(Select(tuple(new), ("run.forked",), limit=len(new))).rows
        new = [parent for row in rows for parent in _parent_in(row.data) if parent not in found]
        found.update(dict.fromkeys(new))
    return list(found)


def _parent_in(data: str) -> Iterator[str]:
    """The parent of a fork; none where the data are damaged, which the view will say."""
    with suppress(ValueError, AttributeError):
        parent = orjson.loads(data).get("parent")
        if isinstance(parent, str):
            yield parent


def _known_runs(store: Store, extents: Sequence[Extent]) -> dict[str, Row]:
    """The stored rows of runs that are as they were made, and whose last event is the one they were made of."""
    lasts = {each.stream: each.last for each in extents}
    return {
        row[0]: row[:-1]
        for row in store.stored_runs()
        if lasts.get(row[0]) == row[_VERSION] and row[_HEAD] == row[-1] and _is_whole(row[:-1])
    }


def _known_calls(store: Store, runs: Mapping[str, Row]) -> dict[str, list[Row]]:
    found = _by_run(store)
    return {run: found[run] for run, row in runs.items() if _digest(found[run]) == row[_CALLS_DIGEST]}


def _by_run(store: Store) -> defaultdict[str, list[Row]]:
    """The stored calls of each run, in their order."""
    found: defaultdict[str, list[Row]] = defaultdict(list)
    for row in sorted((row for row in store.stored_calls() if isinstance(_POSITION(row), int)), key=_POSITION):
        found[row[0]].append(row)
    return found


def _streams_without(known: Mapping[str, Any], extents: Sequence[Extent]) -> list[str]:
    """The streams that may be runs and of which nothing is known."""
    names = (each.stream for each in extents if isinstance(each.stream, str))  # a damaged log may hold anything
    return [name for name in names if name not in known and is_run(name)]


def _batches(streams: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(streams), _AT_ONCE):
        yield streams[start : start + _AT_ONCE]


def _is_whole(row: Row) -> bool:
    return bool(_digest(row[:-1]) == row[-1])


def _digest(rows: Sequence[Any]) -> str:
    """A digest of rows, by which a change is seen; empty where a value is none of this program's."""
    try:
        return sha256(orjson.dumps([_LAYOUT, rows])).hexdigest()
    except TypeError:
        return ""


def keep(store: Store, run: str) -> None:
    """Store the rows of a run that has come to rest; of all runs, where nothing is stored yet.

    Where that is not possible, or the log is small, nothing happens.
    """
    with suppress(LogError):
        if store.high_water() >= WORTH and store.stored_runs(1):
            _keep(store, [run])
        else:
            rebuild(store)


def rebuild(store: Store) -> int:
    """Store the rows of all runs whose rows are missing or older than they are; returns how many these were.

    In a small log nothing is stored.
    """
    if store.high_water() < WORTH:
        return 0
    extents = store.extents()
    known = _known_runs(store, extents)
    calls = _known_calls(store, known)
    return sum(_keep(store, some) for some in _batches(_streams_without(calls, extents)))


def _keep(store: Store, streams: Sequence[str]) -> int:
    made = dict(_made(store, streams))
    store.store_calls([row for row, _ in made.values()], [call for _, calls in made.values() for call in calls])
    return len(made)


def _made(store: Store, streams: Sequence[str]) -> Iterator[tuple[str, tuple[Row, list[Row]]]]:
    """What is to be stored of each run among streams."""
    calls: defaultdict[str, list[Row]] = defaultdict(list)
    for row in store.view("calls", streams=streams):
        calls[row["run_id"]].append(tuple(row.values()))
    for row in store.view("runs", streams=_family(store, streams)):
        last = store.last(row["run_id"])
        if row["run_id"] in {*streams} and last is not None and last.hash == row["head"]:
            own = calls[row["run_id"]]
            plain = (*(row[column] for column in RUN), last.version, _digest(own))
            yield row["run_id"], ((*plain, _digest(plain)), own)


def differences(store: Store, run: str | None = None) -> Iterator[tuple[str, str]]:
    """What is stored and does not follow from the events: the run, and what is wrong.

    What is older than its run, or of another history, is not compared: nothing reads it.
    """
    lasts = {each.stream: each.last for each in store.extents()}
    stored = {row[0]: row for row in store.stored_runs() if run in (None, row[0])}
    calls = _by_run(store)
    for name in sorted({*calls} - {*stored}, key=str):
        if run in (None, name):
            yield str(name), "there are stored calls of it, and no stored run"
    current = []
    for name, row in stored.items():
        if name not in lasts:
            yield str(name), "there are stored calls of it, and no event"
        elif not _is_whole(row[:-1]) or _digest(calls[name]) != row[_CALLS_DIGEST]:
            yield name, "its stored calls are not as this program stored them"
        elif lasts[name] == row[_VERSION] and row[_HEAD] == row[-1]:
            current.append(name)
    for some in _batches(current):
        made = dict(_made(store, some))
        for name in some:
            if made.get(name) != (stored[name][:-1], calls[name]):
                yield name, "its stored calls are not what its events say"
