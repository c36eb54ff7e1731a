import time
from contextlib import suppress
from pathlib import Path

import pytest

from orchestrator.log.protocol import StoreError
from orchestrator.log.stored_rows import Select
from orchestrator.money import Usd
from orchestrator_postgres.store import PostgresStore
from orchestrator_postgres.temporary_server import TemporaryServer
from tests.cli.command import QUICKSTART, finish, orchestrate, start


def test_reading_where_there_is_nothing_makes_nothing(url: str, tmp_path: Path) -> None:
    """Neither tables on the server nor a database in the data folder."""
    ended = orchestrate(tmp_path, "runs", "list", "--store", url)
    assert ended.code == 0, ended.err
    assert not list(tmp_path.glob("events.db*"))
    with pytest.raises(StoreError, match="there is no event log"):
        PostgresStore(url, write=False)


@pytest.mark.parametrize(
    ("store", "says"),
    [
        ("postgresql://u:secret@127.0.0.1:1/log", "the server cannot be reached"),
        ("postgresql://u:secret@h/log?nonsense=1", "this is no address of a PostgreSQL database"),
    ],
)
def test_a_wrong_address_is_one_line(tmp_path: Path, store: str, says: str) -> None:
    """Of reading and of running alike; the password is not shown, and nothing is written anywhere else."""
    for arguments in (("runs", "list"), ("run", str(QUICKSTART))):
        ended = orchestrate(tmp_path, *arguments, environ={"ORCHESTRATE_STORE": store})
        assert ended.code != 0
        [line] = ended.err.splitlines()
        assert says in line
        assert "secret" not in line
    assert not list(tmp_path.glob("events.db*"))


@pytest.mark.heavy
def test_every_command_reads_a_log_on_a_server(url: str, tmp_path: Path) -> None:
    """Runs, accounts, forks, reports and verification; the head is also where the server is not."""

    def do(*arguments: str) -> str:
        ended = orchestrate(tmp_path, *arguments, environ={"ORCHESTRATE_STORE": url})
        assert ended.code == 0, (arguments, ended.err)
        return ended.out + ended.err

    do("budget", "set", "sim/org", "5")
    do("run", str(QUICKSTART), "--set", "project_id=one", "--output-dir", str(tmp_path / "one"))
    assert not list(tmp_path.glob("events.db*"))
    store = PostgresStore(url, write=False)
    last = store.last("one")
    store.close()
    assert last is not None
    assert last.hash in (tmp_path / "heads.jsonl").read_text()
    assert "SUCCESS" in do("runs", "list")
    assert "total" in do("costs", "one")
    assert "task_001" in do("explain", "one")
    assert do("replay", "one", "--verify").startswith("ok: ")
    do("report", "one")
    do("fork", "one", "--at", "40")
    assert "org" in do("budget", "show")
    assert "nothing is left to do" in do("resume", "one")
    assert "ok: " in do("audit", "verify", "one", "--head", last.hash)
    assert "write-ahead log and its backups keep what was deleted" in do("runs", "delete", "one", "--yes")
    assert "ok: " in do("audit", "verify")
    do("run", str(QUICKSTART), "--set", "project_id=two")
    assert "two.bundle: " in do("log", "archive", "--older-than", "0d", "--to", str(tmp_path / "archive"))
    assert "archived" in do("runs", "list")
    assert "ok: two, " in do("audit", "verify")


@pytest.mark.heavy
def test_a_killed_server_costs_a_session_and_no_money(durable_server: TemporaryServer, tmp_path: Path) -> None:
    """What the run had is there when the server is back; resuming ends it, and money is exact."""
    environ = {"ORCHESTRATE_STORE": durable_server.url()}
    assert orchestrate(tmp_path, "budget", "set", "sim/org", "5", environ=environ).code == 0
    store = PostgresStore(durable_server.url(), write=False)
    running = start(tmp_path, "run", str(QUICKSTART), "--set", "project_id=one", environ=environ)
    calls = Select(streams=("one",), types=("call.succeeded",))
    while len(store.page(calls).rows) < 5:
        assert running.poll() is None
        time.sleep(0.02)
    acknowledged = [row.hash for row in store.page(Select(streams=("one",))).rows]
    durable_server.kill()
    ended = finish(running)
    assert ended.code != 0
    assert "Traceback" not in ended.err
    [line] = [each for each in ended.err.splitlines() if each.startswith("orchestrate: ")]
    assert "resume" in line or "check the address and the server" in line
    durable_server.start()
    with suppress(StoreError):
        store.high_water()
    resumed = orchestrate(tmp_path, "resume", "one", environ=environ)
    assert resumed.code == 0, resumed.err
    rows = store.page(Select(streams=("one",), limit=10_000)).rows
    assert [row.hash for row in rows][: len(acknowledged)] == acknowledged
    [run] = store.view("runs")
    assert run["status"] == "SUCCESS"
    totals = orchestrate(tmp_path, "budget", "show", "--json", environ=environ).out
    assert f"{Usd(run['settled_nano'])}" in totals or str(run["settled_nano"]) in totals
    assert "ok: one" in orchestrate(tmp_path, "audit", "verify", environ=environ).out
    store.close()
