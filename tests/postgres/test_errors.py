import os
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from orchestrator.errors import OrchestrateError, UsageError
from orchestrator.log import chain
from orchestrator.log.protocol import StoreError
from orchestrator_postgres import connections
from orchestrator_postgres.store import PostgresStore
from orchestrator_postgres.temporary_server import TemporaryServer
from tests.postgres.members import appending, tail

Opened = Callable[..., PostgresStore]


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("postgresql://user:secret@127.0.0.1:1/log", "the server cannot be reached.*: check the address"),
        ("postgresql://user:secret@/log?host=/nowhere", "the server cannot be reached"),
        ("postgresql://user:secret@h/log?sslmod=require", 'this is no address.*"sslmod"'),
        ("postgresql://user:secret@127.0.0.1:1/log?sslmode=verify", "sslmode"),
        ("postgresql://h:port/log", "port"),
        ("postgresql://user:100%secret@h/log", "this is no address.*percent-encoded"),
        ("postgresql://user:more secret@h/log", "this is no address.*unexpected spaces"),
        ("postgresql://user:secret@[::1]x/log", "this is no address"),
        ("postgresql:/user:secret@h/log", "this is no address"),
        ("postgresql:user secret", "this is no address"),
        ("postgresql://user:secret\udcff@h/log", "this is no address.*no text"),
        ("postgresql://user:secret@127.0.0.1:1/log?sslmode=verify-full&sslrootcert=/nowhere.pem", "127.0.0.1"),
    ],
)
def test_a_wrong_address_is_one_line(url: str, says: str) -> None:
    """It says what to do and shows no password."""
    with pytest.raises(OrchestrateError, match=says) as caught:
        PostgresStore(url, write=True)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("/postgres?", "/nowhere?"), '"nowhere" does not exist: create it, or name another in the address'),
        (("search_path%3D", "search_path%3Dno_"), "create the schema that the address names first"),
        (("postgres@", "stranger@"), 'role "stranger" does not exist'),
    ],
)
def test_what_is_not_on_the_server_is_one_line(given_url: str, url: str, change: tuple[str, str], says: str) -> None:
    """A database, a schema, a role."""
    if os.environ.get("ORCHESTRATE_TEST_POSTGRES"):
        pytest.skip("the names on a given server are its own")
    with pytest.raises(StoreError, match=says) as caught:
        PostgresStore(url.replace(*change), write=True)
    assert "\n" not in str(caught.value)


def test_missing_rights_are_one_line(opened: Opened, url: str) -> None:
    """A role that may only read, in a log that is there."""
    opened().close()
    role = f"reader_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        [schema] = connection.execute("SELECT current_schema()").fetchone() or ("",)
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}")
        connection.execute(f"GRANT SELECT ON ALL TABLES IN SCHEMA {schema} TO {role}")
        try:
            store = PostgresStore(url.replace("postgres@", f"{role}@"), write=True)
            with pytest.raises(StoreError, match=r"the role may not do this .*: connect as the owner") as caught:
                store.write([appending("run")])
            store.close()
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (psycopg.errors.DiskFull("could not extend file:\nNo space left on device"), "disk is full.*: free some space"),
        (psycopg.errors.TooManyConnections("x"), "raise its max_connections"),
        (psycopg.errors.ReadOnlySqlTransaction("x"), "the server only reads"),
        (psycopg.errors.CannotConnectNow("x"), "wait until it runs, then resume"),
        (psycopg.OperationalError("password authentication failed"), "check user and password"),
        (psycopg.OperationalError("SSL error: certificate verify failed"), "see sslmode and sslrootcert"),
        (psycopg.DataError("x"), "remove the cause, then resume"),
    ],
)
def test_each_trouble_of_a_server_is_one_line(error: psycopg.Error, says: str) -> None:
    """With what to do about it; the driver's own words are kept aside."""
    with pytest.raises(StoreError, match=says) as caught, connections.explained("postgresql://u:secret@h/d"):
        raise error
    assert str(caught.value).startswith("postgresql://h/d: ")
    assert "\n" not in str(caught.value) + caught.value.detail


def test_a_reader_outlives_a_restart_of_the_server(durable_server: TemporaryServer) -> None:
    """One that writes does not: what it had sent is unknown. What was acknowledged is there."""
    store = PostgresStore(durable_server.url(), write=True)
    [known] = [tail(each) for each in store.write([appending("run")])]
    durable_server.kill()
    for look in (store.high_water, lambda: chain.verify(store), lambda: chain.verify(store, "run")):
        with pytest.raises(StoreError, match=r"check the address and the server|the server stopped") as caught:
            look()  # no finding: of a server that does not answer nothing is known
        assert "\n" not in str(caught.value)
    durable_server.start()
    assert store.last("run") == known
    with pytest.raises(StoreError):
        store.write([appending("run", known)])
    store.close()
    again = PostgresStore(durable_server.url(), write=True)
    again.locks.acquire("run")
    assert again.write([appending("run", known)])[0].error is None
    again.close()


def test_a_connection_that_is_lost_is_noticed(opened: Opened, given_url: str) -> None:
    """Both sides are asked to: the server frees a run of a machine that is gone, idle or not."""
    wanted = {"keepalives_idle": 10, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 25_000}
    given = connections.parameters(given_url)
    assert {name: given[name] for name in wanted} == wanted
    assert connections.parameters(f"{given_url}&keepalives_idle=1")["keepalives_idle"] == "1"
    store, asked = opened(), []
    for name in wanted:
        asked.append(f"tcp_{name.removeprefix('tcp_')}")
    assert store._writing is not None
    over_tcp = store._writing.info.hostaddr
    found = [int(store._first("SELECT current_setting(%s)", (name,)).rstrip("smin")) for name in asked]
    assert not over_tcp or found == list(wanted.values())


def test_the_writers_role_of_the_documentation(url: str, opened: Opened) -> None:
    """Writes, and has no right to change or delete an event."""
    opened().close()
    role = f"writer_{os.getpid()}"
    with psycopg.connect(url, autocommit=True) as connection:
        [schema] = connection.execute("SELECT current_schema()").fetchone() or ("",)
        text = (Path(__file__).parents[2] / "docs" / "postgresql.md").read_text()
        [block] = [part.split("```")[0] for part in text.split("```sql\n")[1:] if "CREATE ROLE" in part.split("```")[0]]
        statements = block.replace("orchestrate_writer", role).replace("SCHEMA public", f"SCHEMA {schema}")
        try:
            connection.execute(statements)
            store = PostgresStore(url.replace("postgres@", f"{role}@"), write=True)
            store.locks.acquire("run")
            [known] = [tail(each) for each in store.write([appending("run", accounts=("account/org",))])]
            assert store.write([appending("run", known)])[0].error is None
            store.close()
            for statement in ("UPDATE events SET at = 0", "DELETE FROM events", "TRUNCATE events"):
                with (
                    psycopg.connect(url.replace("postgres@", f"{role}@")) as writer,
                    pytest.raises(psycopg.errors.InsufficientPrivilege),
                ):
                    writer.execute(statement)
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def test_text_that_a_server_cannot_keep(opened: Opened) -> None:
    """Is refused on one line."""
    with pytest.raises((StoreError, UsageError)) as caught:
        opened().write([appending("a\0b")])
    assert "\n" not in str(caught.value)
