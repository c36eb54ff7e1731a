"""The tables of stored calls: rows equal to what the events say, and nothing that they do not say is ever shown."""

import asyncio
from typing import Any

import pytest
from attrs import frozen

from orchestrator.events import RunFinished
from orchestrator.ledger import stored_calls
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.protocol import Changes, Member, Store, Tails
from orchestrator.log.sqlite import SqliteStore
from orchestrator.log.stored_rows import NewRow
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from orchestrator.testing.simulation.memory_log import memory_database
from tests import golden
from tests.log.test_views import HISTORY, START, filled
from tests.sql import sqlite_of

VIEWS = ("calls", "spend", "runs")


@pytest.fixture(autouse=True)
def worth(monkeypatch: pytest.MonkeyPatch) -> None:
    """Store calls of logs of any size."""
    monkeypatch.setattr(stored_calls, "WORTH", 0)


def fill(store: Store, prefix: str, pattern: str) -> None:
    """Write golden logs into a store; with a prefix forks do not know their parents any more."""
    rows = [
        NewRow(f"{prefix and path.stem}{prefix}{row['stream']}", *(row[name] for name in NewRow._fields[1:]))
        for path in sorted(golden.FOLDER.glob(pattern))
        for row in golden.read(path).rows
    ]

    def make(_: Tails) -> Changes:
        return Changes(rows=tuple(rows))

    store.write([Member(make)])


def agrees(store: Store) -> bool:
    """Whether the views with what is stored are those of the events, down to the order and the types."""
    return all(repr(stored_calls.view(store, name, {})) == repr(store.view(name)) for name in VIEWS)


def check_equal_rows(store: Store, pattern: str, prefix: str) -> None:
    """Stored for all runs, for some, and for none, the rows are those of the views."""
    fill(store, prefix, pattern)
    assert agrees(store)
    stored_calls.keep(store, store.streams()[0])
    assert agrees(store)
    runs = store.view("runs")
    assert [row[: len(runs[0])] for row in store.stored_runs()] == [tuple(row.values()) for row in runs]
    assert sorted(store.stored_calls()) == sorted(tuple(row.values()) for row in store.view("calls"))
    assert (stored_calls.rebuild(store), list(stored_calls.differences(store))) == (0, [])
    store.store_calls([(row["run_id"], *[None] * 14) for row in runs[::2]], [])
    assert agrees(store)
    assert stored_calls.rebuild(store) == len(runs[::2])
    assert agrees(store)


@pytest.mark.parametrize(("pattern", "prefix"), [("*.jsonl", "/"), ("rules-4-forked.jsonl", "")])
def test_stored_rows_are_those_of_the_views(pattern: str, prefix: str) -> None:
    """Over every golden log; a fork has the tasks of its parent."""
    check_equal_rows(SqliteStore(memory_database()), pattern, prefix)


@frozen
class _Watched:
    """A store that counts what is read of whole logs."""

    inner: Store
    whole: list[str]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def view(self, name: str, where: Any = None, *, streams: Any = None) -> Any:
        if streams is None:
            self.whole.append(name)
        return self.inner.view(name, where, streams=streams)


def test_events_are_read_only_of_runs_that_are_not_stored() -> None:
    """And of one run, where only that is asked for."""
    store = _Watched(SqliteStore(memory_database()), [])
    fill(store, "/", "rules-4-s*.jsonl")
    stored_calls.view(store, "calls", {"run_id": store.streams()[0]})
    assert store.whole == []
    stored_calls.rebuild(store)
    fill(store, "-", "rules-3-small.jsonl")
    for name in VIEWS:
        stored_calls.view(store, name, {})
    assert store.whole == []


def test_a_run_that_goes_on_is_read_from_its_events() -> None:
    """What was stored of it is not looked at any more, and is no problem either."""
    log = filled()
    stored_calls.keep(log.store, "run-1")
    end = RunFinished(ProjectStatus.SUCCESS, None, Usd(0), Usd(0))
    asyncio.run(log.append("run-1", len(HISTORY), START + 10**9, [end]))
    assert [row["status"] for row in log.view("runs")] == ["SUCCESS"]
    assert (agrees(log.store), list(stored_calls.differences(log.store))) == (True, [])


FORGERIES = {
    "a sum": "UPDATE stored_calls SET settled_nano = settled_nano + 1 WHERE outcome = 'answered'",
    "a call less": "DELETE FROM stored_calls WHERE position = (SELECT min(position) FROM stored_calls)",
    "a call more": "INSERT INTO stored_calls SELECT * FROM stored_calls LIMIT 1",
    "another type": "UPDATE stored_calls SET model = x'00'",
    "no position": "UPDATE stored_calls SET position = NULL",
    "the sum of a run": "UPDATE stored_runs SET settled_nano = 7",
    "the status of a run": "UPDATE stored_runs SET status = 'SUCCESS'",
    "the run of no events": "UPDATE stored_runs SET run_id = 'ghost'",
    "no runs": "DELETE FROM stored_runs",
}


@pytest.mark.parametrize("forgery", FORGERIES.values(), ids=FORGERIES)
def test_what_is_forged_is_not_shown_and_is_found(forgery: str) -> None:
    """Rows that are not as they were stored are computed from the events."""
    log = filled()
    stored_calls.keep(log.store, "run-1")
    sqlite_of(log).connection.execute(forgery)
    assert agrees(log.store)
    assert list(stored_calls.differences(log.store))


def test_a_forgery_with_digests_is_found_in_the_events() -> None:
    """An audit computes everything again."""
    log = filled()
    stored_calls.keep(log.store, "run-1")
    [row] = log.store.stored_runs()
    calls = [(*call[:10], 0, *call[11:]) for call in log.store.stored_calls()]
    digest = stored_calls._digest
    plain = (*row[:6], 0, *row[7:13], digest(calls))
    log.store.store_calls([(*plain, digest(plain))], calls)
    assert list(stored_calls.differences(log.store)) == [("run-1", "its stored calls are not what its events say")]


LOST: dict[str, str] = {
    "missing": "DROP TABLE stored_calls",
    "of another layout": "DROP TABLE stored_runs; CREATE TABLE stored_runs(run_id, sums)",
    "a view": "DROP TABLE stored_calls; CREATE VIEW stored_calls AS SELECT 1 AS run_id",
}


@pytest.mark.parametrize("script", LOST.values(), ids=LOST)
def test_tables_that_are_lost_are_made_again(script: str, tmp_path: Any) -> None:
    """Reading does without them; what opens the log for writing makes them, and what ends a run fills them."""
    log = EventLog.open(tmp_path)
    fill(log.store, "/", "rules-4-s*.jsonl")
    runs = stored_calls.rebuild(log.store)
    sqlite_of(log).connection.executescript(script)  # type: ignore[attr-defined]
    log.close()
    reader = EventLog.open_to_read(tmp_path)
    assert (agrees(reader.store), bool(runs)) == (True, True)
    reader.close()
    log = EventLog.open(tmp_path)
    stored_calls.keep(log.store, log.streams()[0])
    assert (len(log.store.stored_runs()), agrees(log.store), log.store.layout()) == (runs, True, [])
    log.close()


def test_calls_of_a_small_log_are_not_stored(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays as small as it is."""
    monkeypatch.setattr(stored_calls, "WORTH", len(HISTORY) + 1)
    log = filled()
    stored_calls.keep(log.store, "run-1")
    assert sqlite_of(log).query("SELECT name FROM sqlite_master WHERE name LIKE 'stored%'") == []
    asyncio.run(log.append("run-1", len(HISTORY), START + 10**9, [HISTORY[-1]]))
    stored_calls.keep(log.store, "run-1")
    assert len(log.store.stored_runs()) == 1
