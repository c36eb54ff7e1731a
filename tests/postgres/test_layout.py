from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import psycopg
import pytest
from psycopg import errors

from orchestrator.log.protocol import StoreError
from orchestrator_postgres import tables
from orchestrator_postgres.addresses import PostgresStores
from orchestrator_postgres.store import PostgresStore


def test_a_log_is_made_once_however_many_open_it(url: str) -> None:
    """Under one lock: nobody meets half of it."""
    with ThreadPoolExecutor(4) as pool:
        stores = list(pool.map(lambda _: PostgresStore(url, write=True), range(4)))
    for store in stores:
        assert store.layout() == []
        store.close()


def test_nothing_is_made_for_reading(url: str) -> None:
    """Nor to see whether there is a log."""
    assert not PostgresStores().exists(url)
    with pytest.raises(StoreError, match=r"there is no event log at .*: run something there first"):
        PostgresStore(url, write=False)
    with psycopg.connect(url) as connection:
        assert tables.number_of(connection) == 0


@pytest.mark.parametrize(("number", "which"), [(tables.NUMBER + 1, "newer"), (-1, "older")])
def test_another_layout_is_refused_before_anything_is_changed(
    url: str, opened: Callable[..., PostgresStore], number: int, which: str
) -> None:
    """With a line that says which program to use."""
    opened().close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("UPDATE layout SET number = %s", (number,))
        connection.execute("DROP VIEW runs")
        for write in (True, False):
            with pytest.raises(
                StoreError, match=f"layout {number}, this program knows {tables.NUMBER}: use the {which}"
            ):
                PostgresStore(url, write=write)
        assert connection.execute("SELECT to_regclass('runs')").fetchone() == (None,)


def test_tables_of_another_program_are_left_alone(url: str) -> None:
    """The line says what to do."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE TABLE events (id int)")
        with pytest.raises(StoreError, match="tables of another program: name an empty one"):
            PostgresStore(url, write=True)
        assert not PostgresStores().exists(url)


@pytest.mark.parametrize("statement", ["UPDATE events SET at = 0", "DELETE FROM events", "TRUNCATE events"])
def test_events_are_never_changed(url: str, opened: Callable[..., PostgresStore], statement: str) -> None:
    """Not by a superuser either, unless the trigger is taken away: that is seen."""
    opened()
    with psycopg.connect(url, autocommit=True) as connection:
        with pytest.raises((errors.RaiseException, errors.InsufficientPrivilege)):
            connection.execute(statement)
        connection.execute("ALTER TABLE events DISABLE TRIGGER events_are_never_changed")
    assert opened().layout() == ["the trigger events_are_never_changed is missing or switched off"]


def test_differences_are_named(url: str, opened: Callable[..., PostgresStore]) -> None:
    """Tables, columns and the fence."""
    store = opened()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP INDEX events_version")
        connection.execute("ALTER TABLE salts ADD COLUMN more int")
        connection.execute("DROP TABLE memos")
    assert store.layout() == [
        "the table salts is not as this program makes it",
        "the table memos is missing",
        "the unique index of events on stream and version is missing",
    ]


def test_older_views_are_renewed(url: str, opened: Callable[..., PostgresStore]) -> None:
    """When the log is opened for writing by who may do it."""
    opened().close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP VIEW runs")
        connection.execute("CREATE VIEW runs AS SELECT 1 AS old")
        connection.execute("UPDATE layout SET views = 'old'")
        opened()
        assert connection.execute("SELECT count(*) FROM runs").fetchone() == (0,)
