"""A log moves from a file to a server and back, and to another schema."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import cast

import psycopg
import pytest

from orchestrator.errors import RunLockedError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import chain
from orchestrator.log.protocol import UNFINISHED, Changes, Store, StoreError
from orchestrator.log.sqlite import SqliteStore
from orchestrator_postgres.store import PostgresStore
from orchestrator_stores.copying import copy_log
from tests.cli.command import orchestrate, scripted_spec
from tests.plugins.stores.copies import Dying, everything, fill, rows_of, write
from tests.postgres.members import appending, tail

Opened = Callable[..., PostgresStore]


def test_a_log_comes_back_as_it_went(opened: Opened, tmp_path: Path) -> None:
    """Every golden log, to the server and back: the same bytes at the same positions; then each goes on at the end."""
    source, server, back = SqliteStore.open(tmp_path / "a"), opened(), SqliteStore.open(tmp_path / "b")
    fill(source)
    before = everything(source)
    there = copy_log(source, server)
    assert (there.events, there.position) == (len(before["rows"]), source.high_water())
    assert everything(server) == before
    assert chain.verify(server, texts=False) == []
    [written] = server.write([appending("new")])
    assert written.positions == (there.position + 1,)
    write(server, Changes(asked=(("new", "cancel", "", 1),)))
    during = everything(server)
    copy_log(server, back)
    assert everything(back) == during
    assert [before["rows"], before["texts"]] == [during["rows"][:-1], during["texts"]]
    for store in (source, back):
        store.close()


def test_gaps_of_positions_stay(opened: Opened) -> None:
    """A transaction that was taken back leaves a gap on a server, and the copy has it, too."""
    server, copy = opened(), SqliteStore.in_memory()
    first = tail(server.write([appending("a")])[0])
    assert server.write([appending("a")])[0].error is not None  # drew a position, perhaps
    server._rows("SELECT nextval('events_position_seq')")
    server.write([appending("a", first)])
    copy_log(server, copy)
    assert everything(copy) == everything(server)
    assert copy.high_water() > 2


def test_a_closed_log_refuses_every_process(opened: Opened) -> None:
    """Whatever had it open before, and whatever opens it: one line; a copy of it is not made twice."""
    server, other = opened(), opened()
    fill(server, ["rules-4-small"])
    known = tail(other.write([appending("late")])[0])
    copy_log(server, SqliteStore.in_memory())
    for changes in (Changes(asked=(("a", "cancel", "", 1),)), Changes(forgotten=("gone",)), Changes(pace={"s": 1})):
        with pytest.raises(StoreError, match=r"^postgresql://\S*: this log was moved to memory:: name that"):
            write(other, changes)
    with pytest.raises(StoreError, match="this log was moved to memory:"):
        other.write([appending("late", known)])
    assert other.layout() == []


def test_what_waits_while_a_log_is_copied_is_refused(opened: Opened) -> None:
    """A writer that came during the copy waits for its end, and has written nothing."""
    server, other = opened(), opened()
    fill(server, ["rules-4-small"])
    with ThreadPoolExecutor(1) as pool:
        with server.closing("moved"):
            waiting = pool.submit(other.write, [appending("late")])
            assert server.high_water() == len(rows_of("rules-4-small"))
        with pytest.raises(StoreError, match="moved"):
            waiting.result()
    assert server.last("late") is None
    server.reopen()
    assert other.write([appending("late")])[0].error is None


def test_a_copy_that_ended_early_is_repeated(opened: Opened) -> None:
    """With nothing of it, or closed as unfinished; the old log goes on until a whole copy is made."""
    source, server, other = SqliteStore.in_memory(), opened(), opened()
    fill(source, ["rules-4-small"])
    for dying, has in ((Dying(source, "page"), False), (Dying(source, "cache_rows", 1), True)):
        with pytest.raises(KeyboardInterrupt):
            copy_log(cast("Store", dying), server)
        assert (bool(server.high_water()), server.closed.startswith(UNFINISHED), source.closed) == (has, has, "")
    with pytest.raises(StoreError, match=f"{UNFINISHED} of memory:"):
        other.write([appending("new")])
    write(source, Changes(rows=rows_of("rules-4-paced")))
    copy_log(source, server)
    assert everything(server) == everything(source)
    assert other.write([appending("new")])[0].error is None


def test_live_runs_and_missing_rights_are_refused(opened: Opened, url: str) -> None:
    """One line each, and the log goes on."""
    server, other = opened(), opened()
    fill(server, ["rules-4-small"])
    name = rows_of("rules-4-small")[0].stream
    handle = other.locks.acquire(name)
    with pytest.raises(RunLockedError, match=f"^{name} is live"):
        copy_log(server, SqliteStore.in_memory())
    handle.release()
    with psycopg.connect(url, autocommit=True) as connection:
        schema = connection.execute("SELECT current_schema()").fetchone()
        role = f"writer_{schema[0]}" if schema else ""
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"GRANT USAGE ON SCHEMA {schema[0] if schema else ''} TO {role}")
        connection.execute(f"GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA {schema[0] if schema else ''} TO {role}")
        try:
            writer = PostgresStore(url.replace("postgres@", f"{role}@"), write=True)
            with pytest.raises(StoreError, match="the role may not do this"):
                copy_log(writer, SqliteStore.in_memory())
            writer.close()
        finally:
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")
    assert server.write([appending("new")])[0].error is None


def test_the_owner_of_the_tables_moves_a_log(new_url: Callable[[], str]) -> None:
    """There and away again, without being a superuser; afterwards it has no more rights than before."""
    url = new_url()
    with psycopg.connect(url, autocommit=True) as connection:
        [schema] = connection.execute("SELECT current_schema()").fetchone() or ("",)
        role = f"owner_{schema}"
        connection.execute(f"CREATE ROLE {role} LOGIN")
        connection.execute(f"ALTER SCHEMA {schema} OWNER TO {role}")
        try:
            source, server = SqliteStore.in_memory(), PostgresStore(url.replace("postgres@", f"{role}@"), write=True)
            fill(source, ["rules-4-small"])
            copy_log(source, server)
            for statement in ("UPDATE events SET at = 0", "DELETE FROM events", "TRUNCATE events"):
                with pytest.raises(StoreError, match="permission denied for table events"):
                    server._rows(statement)
            copy_log(server, SqliteStore.in_memory())
            server.close()
        finally:
            connection.execute(f"ALTER SCHEMA {schema} OWNER TO CURRENT_USER")
            connection.execute(f"DROP OWNED BY {role}")
            connection.execute(f"DROP ROLE {role}")


def test_a_copy_may_take_longer_than_a_silence(url: str) -> None:
    """The old log's transaction is idle while the new one is filled, and the server lets it be."""
    server = PostgresStore(f"{url}&tcp_user_timeout=500", write=True)  # ends a silence after 1 s
    with server.closing("moved"):
        time.sleep(1.5)
    assert server.closed == "moved"
    server.close()


def test_runs_move_to_a_server_by_one_command(url: str, tmp_path: Path) -> None:
    """A run, its copy on the server, a sound audit there; the file refuses on one line."""
    home = tmp_path / "home"
    spec = str(scripted_spec(tmp_path, project_id="moved"))
    assert orchestrate(home, "run", spec).code == 0
    head = orchestrate(home, "runs", "show", "moved", "--json").json["head"]
    shown = orchestrate(home, "log", "copy", f"sqlite:{home}", url)
    assert (shown.code, "every hash is the same" in shown.out) == (0, True), shown
    there = {"ORCHESTRATE_STORE": url}
    assert orchestrate(home, "audit", "verify", "moved", "--head", head, environ=there).code == 0
    refused = orchestrate(home, "run", spec, "--new-project")
    assert (refused.code, refused.err.count("\n")) == (3, 1)
    assert "this log was moved to postgresql://" in refused.err
    log = EventLog.open_to_read(home)
    assert log.streams() == ["moved"]
    log.close()
