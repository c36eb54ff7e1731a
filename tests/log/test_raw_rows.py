"""The stored rows of one stream: a page at a time, and no page takes longer for the events before it."""

import sqlite3

import pytest

from orchestrator.log import GENESIS
from orchestrator.log.sqlite import SqliteStore
from orchestrator.log.sqlite import reads as reading
from orchestrator.testing.simulation.memory_log import memory_database

EVENTS = 40


@pytest.fixture
def database(monkeypatch: pytest.MonkeyPatch) -> sqlite3.Connection:
    """Two streams, event by event in turns, read in pages of four."""
    monkeypatch.setattr(reading, "_PAGE", 4)
    connection = memory_database()
    rows = [(("one", "two")[at % 2], at // 2 + 1, "task.started", 1, at, "{}", GENESIS) for at in range(2 * EVENTS)]
    connection.executemany(
        "INSERT INTO events(stream, version, type, schema, at, data, hash) VALUES (?,?,?,?,?,?,?)", rows
    )
    return connection


def test_the_rows_of_a_stream_are_those_of_all_that_are_its(database: sqlite3.Connection) -> None:
    """From any position on, up to any, whole or the first few."""
    store = SqliteStore(database)
    every = [row for row in store.raw() if row.stream == b"one"]
    assert len(every) == EVENTS
    assert list(store.raw("one")) == every
    assert list(store.raw("one", after=every[9].position)) == every[10:]
    assert list(store.raw("one", before=every[9].position)) == every[:9]
    assert list(store.raw("one", upto_version=7)) == every[:7]
    assert list(store.raw("one", version=7)) == every[6:7]
    assert list(store.raw("one", limit=3)) == every[:3]
    assert list(store.raw("none")) == []


def test_a_streams_positions_are_looked_up_once(database: sqlite3.Connection) -> None:
    """A second look at every page would make long runs slower than their length does."""
    asked: list[str] = []
    database.set_trace_callback(asked.append)
    assert len(list(SqliteStore(database).raw("one"))) == EVENTS
    assert sum("WHERE stream =" in each for each in asked) == 1
    assert len(asked) > EVENTS // 4
