"""Whatever happens to server and network: what was acknowledged is there, and a person reads one line."""

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from orchestrator.log import chain
from orchestrator.log.protocol import StoreError
from orchestrator.log.stored_rows import Last, Select
from orchestrator_postgres.store import PostgresStore
from orchestrator_postgres.temporary_server import TemporaryServer
from tests.cli.command import QUICKSTART, Ended, finish, orchestrate, scripted_spec, start
from tests.postgres.members import appending, tail
from tests.postgres.wire import Wire

SOON = 300
"""Milliseconds after which a server counts as gone here."""


def write_until_it_ends(store: PostgresStore, stream: str, acknowledged: dict[str, list[Last]]) -> None:
    """Append to a stream and to an account until the store says no; remember what it acknowledged."""
    known: Last | None = None
    with suppress(StoreError):
        for _ in range(40):
            [written] = store.write([appending(stream, known, 2, accounts=("account/org",), data='{"x": "yz"}')])
            known = tail(written)
            acknowledged.setdefault(stream, []).append(known)


def check_whole(store: PostgresStore, acknowledged: dict[str, list[Last]]) -> None:
    """Every acknowledged event is there; no stream has a gap; every chain holds."""
    for stream, lasts in acknowledged.items():
        hashes = {row.version: row.hash for row in store.page(Select(streams=(stream,))).rows}
        assert {each.version: each.hash for each in lasts}.items() <= hashes.items()
        assert sorted(hashes) == list(range(1, len(hashes) + 1))
        assert len(hashes) - lasts[-1].version in (0, 2)  # at most the group that was under way, as a whole
    assert chain.verify(store, texts=False) == []


@pytest.mark.heavy
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(limit=st.integers(2_500, 30_000), answers=st.booleans(), dead=st.booleans())
def test_no_acknowledged_event_is_missing_after_a_cut(given_url: str, limit: int, answers: bool, dead: bool) -> None:
    """Wherever the wire is cut, or stops forwarding: in a question, in an answer, before either."""
    if os.environ.get("ORCHESTRATE_TEST_POSTGRES"):
        pytest.skip("the socket of a given server is not known")
    folder = Path(given_url.partition("host=")[2].partition("&")[0])
    with schema_of(given_url) as url, Wire(folder, limit, answers=answers, dead=dead) as wire:
        acknowledged: dict[str, list[Last]] = {}
        direct = PostgresStore(url, write=True)  # makes the tables
        with suppress(StoreError):
            store = PostgresStore(wire.url(url, tcp_user_timeout=SOON // 2, connect_timeout=2), write=True)
            write_until_it_ends(store, "run", acknowledged)
            store.close()
        check_whole(direct, acknowledged)
        direct.locks.evict("run")
        direct.close()


@contextmanager
def schema_of(server: str) -> Iterator[str]:
    """The address of an empty schema, for as long as it is needed."""
    name = f"cut_{os.getpid()}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
        connection.execute(f"CREATE SCHEMA {name}")
        yield server.replace("search_path%3Dpublic", f"search_path%3D{name}")
        for tries in range(5):  # the last write of a cut connection may still be under way
            with suppress(psycopg.errors.DeadlockDetected):
                connection.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE")
                return
            time.sleep(0.1 * tries)
        raise AssertionError(f"the schema {name} cannot be dropped")


@pytest.mark.heavy
def test_no_acknowledged_event_is_missing_after_kills_of_the_server(durable_server: TemporaryServer) -> None:
    """Three writers and three kills -9 of the server, each in the middle of what they write."""
    acknowledged: dict[str, list[Last]] = {}
    url = durable_server.url()
    PostgresStore(url, write=True).close()
    for round_ in range(3):
        stores = [PostgresStore(url, write=True) for _ in range(3)]
        streams = [f"run-{round_}-{number}" for number in range(3)]
        threads = [
            threading.Thread(target=write_until_it_ends, args=(store, stream, acknowledged))
            for store, stream in zip(stores, streams, strict=True)
        ]
        for thread in threads:
            thread.start()
        while not all(stream in acknowledged for stream in streams):
            assert any(thread.is_alive() for thread in threads)
        durable_server.kill()
        for thread in threads:
            thread.join()
        durable_server.start()
        for store in stores:
            store.close()
    reader = PostgresStore(url, write=False)
    check_whole(reader, acknowledged)
    reader.close()


# ── what a person reads ────────────────────────────────────────────────────────────────────────────────────────────


def one_line(ended: Ended) -> str:
    """The only line that says what went wrong; the exit code is that of a log that cannot be used."""
    assert ended.code == 3, ended.err
    assert "Traceback" not in ended.err
    assert "hush" not in ended.err + ended.out
    [line] = [each for each in ended.err.splitlines() if each.startswith("orchestrate: ")]
    return line


def every_command_says(home: Path, store: str, text: str) -> None:
    """Reading, running and a worker alike, and nothing is written anywhere else."""
    for arguments in (("runs", "list"), ("submit", str(QUICKSTART)), ("worker", "--until-idle")):
        assert text in one_line(orchestrate(home, *arguments, environ={"ORCHESTRATE_STORE": store}))
    assert not list(home.glob("events.db*"))


@pytest.mark.heavy
def test_what_keeps_a_store_from_being_opened_is_one_line(durable_server: TemporaryServer, tmp_path: Path) -> None:
    """A wrong address, a host that does not answer, a wrong password, another layout, missing rights."""
    url = durable_server.url()
    every_command_says(tmp_path, "postgresql://u:hush@127.0.0.1:1/log", "cannot be reached")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        store = f"postgresql://u:hush@127.0.0.1:{port}/log?connect_timeout=1"
        assert "cannot be reached" in one_line(orchestrate(tmp_path, "runs", "list", "--store", store))
    PostgresStore(url, write=True).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("CREATE ROLE guarded LOGIN PASSWORD 'other'")
        connection.execute("CREATE ROLE reader LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO reader")
        rules = durable_server.folder / "data" / "pg_hba.conf"
        rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
        connection.execute("SELECT pg_reload_conf()")
        every_command_says(tmp_path, url.replace("postgres@", "guarded:hush@"), "check user and password")
        refused = orchestrate(tmp_path, "submit", str(QUICKSTART), "--store", url.replace("postgres@", "reader@"))
        assert "grant it the right" in one_line(refused)
        for number, word in ((0, "older"), (99, "newer")):
            connection.execute("UPDATE layout SET number = %s", (number or -1,))
            every_command_says(tmp_path, url, f"use the {word} program")


@pytest.mark.heavy
def test_a_full_disk_of_the_server(url: str, tmp_path: Path) -> None:
    """The run stops on one line, and goes on once there is room: nothing is lost, nothing asked for again."""
    environ = {"ORCHESTRATE_STORE": url}
    PostgresStore(url, write=True).close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("""
            CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF (SELECT count(*) FROM events) > 60 THEN
                RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100';
            END IF; RETURN NULL; END $$;
            CREATE TRIGGER full_disk AFTER INSERT ON events EXECUTE FUNCTION full_disk()
        """)
        stopped = orchestrate(tmp_path, "run", str(QUICKSTART), "--set", "project_id=one", environ=environ)
        assert "the server's disk is full" in one_line(stopped)
        connection.execute("DROP TRIGGER full_disk ON events")
    resumed = orchestrate(tmp_path, "resume", "one", environ=environ)
    assert resumed.code == 0, resumed.err
    assert "ok: one" in orchestrate(tmp_path, "audit", "verify", environ=environ).out


@pytest.mark.heavy
def test_a_worker_that_is_cut_off(durable_server: TemporaryServer, tmp_path: Path) -> None:
    """A network that stops forwarding: the worker ends on one line; its run is freed, and ended by another one."""
    environ: dict[str, Any] = {"ORCHESTRATE_STORE": durable_server.url()}
    spec = scripted_spec(tmp_path, delay_ms=200, project_id="one")
    assert orchestrate(tmp_path, "submit", str(spec), environ=environ).code == 0
    reader = PostgresStore(durable_server.url(), write=False)
    with Wire(durable_server.folder) as wire:
        store = wire.url(durable_server.url(), tcp_user_timeout=SOON, connect_timeout=2)
        cut_off = start(tmp_path, "worker", environ={"ORCHESTRATE_STORE": store})
        while not reader.page(Select(streams=("one",), types=("call.succeeded",))).rows:
            assert cut_off.poll() is None
        before = [row.hash for row in reader.page(Select(streams=("one",))).rows]
        wire.is_dead = True
        line = one_line(finish(cut_off))
        assert "check the address and the server" in line
        if reader.locks.is_held("one"):  # the wire's end of the connection is there still
            freed = orchestrate(tmp_path, "runs", "take-over", "one", "--patience", "0.1", environ=environ)
            assert freed.code == 0, freed.err
        done = orchestrate(tmp_path, "worker", "--until-idle", environ=environ)
        assert done.code == 0, done.err
    assert reader.view("runs")[0]["status"] == "SUCCESS"
    assert [row.hash for row in reader.page(Select(streams=("one",))).rows][: len(before)] == before
    reader.close()
    assert "ok: one" in orchestrate(tmp_path, "audit", "verify", environ=environ).out
