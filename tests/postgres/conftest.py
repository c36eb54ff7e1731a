"""One server for the session, one schema a test. Without a server these tests are skipped; see ``_without``."""

import os
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any, Final

import psycopg
import pytest

from orchestrator.errors import MissingError
from orchestrator_postgres.store import PostgresStore
from orchestrator_postgres.temporary_server import TemporaryServer, temporary_server

_NUMBERS: Final = count(1)


def _without(reason: str) -> None:
    """Skip, or fail where CI has promised a server."""
    text = f"no PostgreSQL server: {reason}; set ORCHESTRATE_TEST_POSTGRES, or install the extra dev-scale"
    if os.environ.get("ORCHESTRATE_CI") == "1":
        pytest.fail(text)
    pytest.skip(text)


@pytest.fixture(scope="session")
def given_url() -> Iterator[str]:
    """The address of a server: the one of the environment, else of one that is started for these tests."""
    given = os.environ.get("ORCHESTRATE_TEST_POSTGRES")
    if given:
        yield given
        return
    try:
        with temporary_server() as server:
            yield server.url()
    except MissingError as error:
        _without(str(error))


@pytest.fixture
def new_url(given_url: str) -> Iterator[Callable[[], str]]:
    """Gives addresses of empty schemas, which are dropped with the test."""
    made: list[str] = []
    with psycopg.connect(given_url, autocommit=True) as connection:

        def new() -> str:
            made.append(f"test_{os.getpid()}_{next(_NUMBERS)}")
            connection.execute(f"CREATE SCHEMA {made[-1]}")
            base, _, query = given_url.partition("?")
            kept = [part for part in query.split("&") if part and not part.startswith("options=")]
            return f"{base}?{'&'.join([*kept, f'options=-csearch_path%3D{made[-1]}'])}"

        yield new
        for schema in made:
            connection.execute(f"DROP SCHEMA {schema} CASCADE")


@pytest.fixture
def url(new_url: Callable[[], str]) -> str:
    """The address of an empty schema."""
    return new_url()


@pytest.fixture
def opened(url: str) -> Iterator[Callable[..., PostgresStore]]:
    """Opens stores in the test's schema; they are closed with the test."""
    stores: list[PostgresStore] = []

    def open_one(**more: Any) -> PostgresStore:
        stores.append(PostgresStore(url, **{"write": True, **more}))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def durable_server() -> Iterator[TemporaryServer]:
    """A server of the test's own that loses nothing when it is killed."""
    try:
        with temporary_server(()) as server:
            yield server
    except MissingError as error:
        _without(str(error))
