from collections.abc import Callable
from typing import Any

import psycopg
import pytest

from orchestrator.ledger import stored_calls
from orchestrator.log.protocol import Changes, Member, Tails
from orchestrator.log.sqlite import SqliteStore
from orchestrator.log.stored_rows import NewRow
from orchestrator.log.views import VIEWS
from orchestrator.testing.simulation.memory_log import memory_database
from orchestrator_postgres.store import PostgresStore
from tests import golden
from tests.ledger.test_stored_calls import agrees, check_equal_rows, fill, worth  # noqa: F401


def _golden_rows() -> list[NewRow]:
    """Every golden log, each under a name of its own."""
    return [
        NewRow(f"{path.stem}/{row['stream']}", *(row[name] for name in NewRow._fields[1:]))
        for path in sorted(golden.FOLDER.glob("*.jsonl"))
        for row in golden.read(path).rows
    ]


def _writing(rows: tuple[NewRow, ...]) -> Member:
    def make(_: Tails) -> Changes:
        return Changes(rows=rows)

    return Member(make)


def test_views_have_equal_rows_on_both_databases(opened: Callable[..., PostgresStore]) -> None:
    """Column by column, over every golden log: by the program's definitions, and by the stored views."""
    rows = _golden_rows()
    store, other = opened(), SqliteStore(memory_database())
    for one in (store, other):
        one.write([_writing(tuple(rows))])
    for name in VIEWS:
        expected = other.view(name)
        assert expected
        assert store.view(name) == expected
        assert [list(row) for row in store.view(name)] == [list(row) for row in expected]
        assert store._names_and_rows(f"SELECT * FROM {name}")[1] == [tuple(row.values()) for row in expected]
    stream = store.streams()[0]
    for name in VIEWS:
        assert store.view(name, streams=[stream]) == store.view(name, {"run_id": stream})
        assert store.view(name, streams=[]) == []


def test_a_view_of_one_run_compares_no_call_with_every_other(
    opened: Callable[..., PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The planner takes the events of a run for a few, and would join them by nested loops: minutes for 2,000 tasks."""
    opened()
    asked = PostgresStore._names_and_rows

    def explained(store: PostgresStore, query: str, *more: Any) -> Any:
        return asked(store, f"EXPLAIN {query}", *more)

    monkeypatch.setattr(PostgresStore, "_names_and_rows", explained)
    for name in VIEWS:
        plan = [row["QUERY PLAN"] for row in opened().view(name, streams=["run-1"])]
        assert plan
        assert not [step for step in plan if "Nested Loop Left Join" in step], name


@pytest.mark.usefixtures("worth")
@pytest.mark.parametrize(("pattern", "prefix"), [("rules-*-s*.jsonl", "/"), ("rules-4-forked.jsonl", "")])
def test_stored_calls_have_the_rows_of_the_views(
    opened: Callable[..., PostgresStore], pattern: str, prefix: str
) -> None:
    """As on SQLite: what is stored is never another answer than the events give."""
    check_equal_rows(opened(), pattern, prefix)


@pytest.mark.usefixtures("worth")
@pytest.mark.parametrize("script", ["DROP TABLE stored_calls", "ALTER TABLE stored_runs ADD COLUMN more text"])
def test_tables_of_stored_calls_that_are_lost_are_made_again(
    url: str, opened: Callable[..., PostgresStore], script: str
) -> None:
    """Reading does without them, and so does a role that may not read them; the owner makes them again."""
    store = opened()
    fill(store, "/", "rules-4-small.jsonl")
    stored_calls.rebuild(store)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(script)
    assert (agrees(store), store.stored_calls()) == (True, [])
    again = opened()
    stored_calls.keep(again, again.streams()[0])
    assert (len(again.stored_runs()), agrees(again), again.layout()) == (1, True, [])
