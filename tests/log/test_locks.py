import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from orchestrator.errors import RunLockedError, UsageError
from orchestrator.log import FileLocks, Locks, MemoryLocks, TransactionLock

HOLDER = """
import sys
from pathlib import Path
from orchestrator.log import FileLocks
handle = FileLocks(Path(sys.argv[1])).acquire("run")
print("held", flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """A process that holds the lock of ``run`` until its input ends."""
    with subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["file", "memory"])
def test_a_run_is_owned_once(kind: str, tmp_path: Path) -> None:
    """A second owner is refused until the first releases; releasing twice does nothing to a third."""
    locks: Locks = FileLocks(tmp_path, sleep=lambda seconds: None) if kind == "file" else MemoryLocks()

    assert not locks.is_held("run")
    first = locks.acquire("run")
    assert locks.is_held("run")
    assert not locks.is_held("other")
    with pytest.raises(RunLockedError, match="run"):
        locks.acquire("run")
    first.release()
    assert not locks.is_held("run")
    second = locks.acquire("run")
    first.release()
    assert locks.is_held("run")
    second.release()


def test_the_message_names_the_owner_and_its_death_frees_the_lock(tmp_path: Path) -> None:
    """The lock is the kernel's: a killed process leaves none."""
    locks = FileLocks(tmp_path)
    with another_process(tmp_path) as owner:
        assert locks.is_held("run")
        with pytest.raises(RunLockedError, match=f"process {owner.pid} on "):
            locks.acquire("run")
        owner.kill()
        owner.wait()
        assert not locks.is_held("run")
        locks.acquire("run").release()


def test_a_child_process_does_not_inherit_the_lock(tmp_path: Path) -> None:
    """A program started by the owner does not keep the run locked after the owner has released it."""
    locks = FileLocks(tmp_path)
    handle = locks.acquire("run")
    program = "import sys; print('up', flush=True); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, close_fds=False
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        handle.release()
        assert not locks.is_held("run")
        child.kill()


def test_a_look_does_not_keep_an_owner_out(tmp_path: Path) -> None:
    """An acquire that meets a passing look tries again."""
    locks = FileLocks(tmp_path)
    locks.acquire("run").release()
    stop = threading.Event()

    def look() -> None:
        while not stop.is_set():
            locks.is_held("run")
            stop.wait(0.001)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        for _ in range(50):
            locks.acquire("run").release()
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("run", ["", ".hidden", "a/b", ".."])
def test_an_id_that_is_no_file_name_is_refused(run: str, tmp_path: Path) -> None:
    """A run's id cannot lead out of the folder."""
    with pytest.raises(UsageError, match="cannot be the id"):
        FileLocks(tmp_path).acquire(run)


def test_transactions_exclude_each_other(tmp_path: Path) -> None:
    """Two lock objects, as of two processes, and two threads of one never are inside at once."""
    locks = [TransactionLock(tmp_path / "write.lock"), TransactionLock(tmp_path / "write.lock")]
    inside: list[int] = []
    most: list[int] = []

    def work(lock: TransactionLock) -> None:
        for _ in range(20):
            with lock():
                inside.append(1)
                most.append(len(inside))
                inside.pop()

    threads = [threading.Thread(target=work, args=(lock,)) for lock in locks * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(most) == 80
    assert max(most) == 1


def test_a_transaction_lock_that_is_never_free_is_an_error(tmp_path: Path) -> None:
    """Waiting ends after a minute of (here: simulated) time."""
    slept: list[float] = []
    holder = TransactionLock(tmp_path / "write.lock")
    waiter = TransactionLock(tmp_path / "write.lock", sleep=slept.append)

    with holder(), pytest.raises(TimeoutError, match=r"write\.lock"), waiter():
        pytest.fail("two were inside")

    assert 60 < sum(slept) < 61


def test_a_lock_is_had_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a full disk the file cannot say who has the run; the lock holds all the same."""

    def full(*arguments: object) -> int:
        raise OSError(28, "No space left on device")

    locks = FileLocks(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        handle = locks.acquire("run")

    with pytest.raises(RunLockedError, match="another process"):
        FileLocks(tmp_path).acquire("run")
    handle.release()
    locks.acquire("run").release()
