import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from orchestrator.errors import RunLockedError, UsageError
from orchestrator.log.protocol import StoreError
from orchestrator_postgres.store import PostgresStore
from tests.postgres.members import appending, tail

Opened = Callable[..., PostgresStore]

_OWNER = """
import sys
from orchestrator_postgres.store import PostgresStore
store = PostgresStore(sys.argv[1], write=True)
for run in sys.argv[2:]:
    store.locks.acquire(run)
print("has them", flush=True)
sys.stdin.read()
"""


@contextmanager
def owner(url: str, *runs: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that has runs."""
    command = [sys.executable, "-c", _OWNER, url, *runs]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "has them\n"
            yield process
        finally:
            process.kill()


def test_a_run_has_one_owner(opened: Opened) -> None:
    """Named in the message; a second time not even by itself."""
    store, other, reader = opened(), opened(), opened(write=False)
    handle = store.locks.acquire("run")
    for each in (store, other):
        with pytest.raises(RunLockedError, match=f"run is being run by process {os.getpid()} on "):
            each.locks.acquire("run")
    assert reader.locks.is_held("run")
    assert not reader.locks.is_held("another")
    handle.release()
    handle.release()
    assert not reader.locks.is_held("run")
    other.locks.acquire("run")


def test_a_process_that_is_killed_frees_its_runs(opened: Opened, url: str) -> None:
    """At once: the server notices the end of the connection."""
    store = opened()
    with owner(url, "one", "two") as process:
        with pytest.raises(RunLockedError, match=f"process {process.pid} on"):
            store.locks.acquire("one")
        process.send_signal(signal.SIGKILL)
        process.wait()
        while store.locks.is_held("one"):
            time.sleep(0.005)
    store.locks.acquire("one")
    assert store.locks.discard_free() == 1
    with pytest.raises(RunLockedError):
        store.locks.acquire("one")


def test_a_stopped_owner_cannot_write_after_a_take_over(opened: Opened, url: str) -> None:
    """Neither may it go on once its connection was ended by an administrator, nor behind what the taker wrote."""
    zombie, taker = opened(), opened()
    zombie.locks.acquire("run")
    [known] = [tail(each) for each in zombie.write([appending("run")])]
    assert taker.locks.evict("run")
    with pytest.raises(StoreError):
        zombie.write([appending("run", known)])
    taker.locks.acquire("run")
    taker.write([appending("run", known)])
    again = opened()
    [fenced] = again.write([appending("run", known)])
    assert str(fenced.error) == "run is at version 2, not at 1: another writer was first"


def test_logs_on_one_server_do_not_take_their_locks_for_each_others(opened: Opened, url: str) -> None:
    """Owners are counted in each schema from 1 on."""
    first, second = opened(), url + "_b"
    with psycopg.connect(url, autocommit=True) as connection:
        name = str(connection.execute("SELECT current_schema()").fetchone()[0])  # type: ignore[index]
        connection.execute(f"CREATE SCHEMA {name}_b")
    store = PostgresStore(second, write=True)
    gone = PostgresStore(second, write=True)
    gone.locks.acquire("run")
    gone.close()
    first.locks.acquire("run")
    assert not store.locks.is_held("run")
    store.locks.acquire("run")
    store.close()
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f"DROP SCHEMA {name}_b CASCADE")


@pytest.mark.parametrize("run", ["", ".hidden", "a\0b"])
def test_what_cannot_be_the_id_of_a_run(opened: Opened, run: str) -> None:
    """Is refused before the server sees it."""
    with pytest.raises(UsageError, match="cannot be the id of a run"):
        opened().locks.acquire(run)
