from collections.abc import Callable

from orchestrator.log.protocol import Changes, Member, NewRow, Tails
from orchestrator.log.sqlite import SqliteStore
from orchestrator.log.views import VIEWS
from orchestrator.testing.memory import memory_database
from orchestrator_postgres.store import PostgresStore
from tests import golden


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
