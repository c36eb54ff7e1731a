"""Who may write: one process per run, and one write transaction at a time over all processes.

The locks are the kernel's (flock): they end with the process, however it dies, and are not inherited by programs it
starts. What the files contain only serves the message.
"""

import errno
import fcntl
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

from orchestrator.errors import LogError, RunLockedError, UsageError
from orchestrator.log.stream_names import is_evaluation, is_worker

_PROBE_PAUSE: Final = 0.02
_PROBE_PATIENCE: Final = 0.05
"""Seconds of pauses after the first: five tries in all."""
_ENDING: Final = 5.0
"""Seconds for which a process that was killed is waited for."""
_PAUSE: Final = 0.0002
_LONGEST_PAUSE: Final = 0.01
_PATIENCE: Final = 60.0
_BUSY: Final = (errno.EWOULDBLOCK, errno.EAGAIN, errno.EACCES)


class Handle(Protocol):
    """The lock of a run, held."""

    def release(self) -> None:
        """Give it back; a second time does nothing."""


class Locks(Protocol):
    """The locks of runs."""

    def acquire(self, run: str) -> Handle:
        """Take the lock of a run.

        Raises:
            RunLockedError: a process has it; the message says which.
        """

    def is_held(self, run: str) -> bool:
        """Whether any process has the lock of a run, this one included."""

    def evict(self, run: str) -> bool:
        """Make the process that has the lock of a run lose it, with every other run that it has; whether it has.

        For a process that is stopped, or cut off: it cannot write any more, and what it had is free.
        """

    def discard_free(self) -> int:
        """Remove what locks that no process has have left behind; returns how many there were."""


class _FileHandle:
    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    def release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


class FileLocks:
    """Locks as files ``locks/RUN`` in the data folder."""

    def __init__(self, folder: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        self._folder = folder / "locks"
        self._sleep = sleep

    def _path(self, run: str) -> Path:
        if is_evaluation(run) or is_worker(run):
            run = run.replace("/", "~", 1)
        if not run or run.startswith(".") or "/" in run or "\0" in run:
            raise UsageError(f"{run!r} cannot be the id of a run; use letters, digits, '-' and '_'")
        return self._folder / run

    def acquire(self, run: str) -> Handle:
        """Take the lock of a run; see ``Locks``."""
        path = self._path(run)
        handle = self._acquired(path, run)
        while handle is None:
            handle = self._acquired(path, run)
        return handle

    def _acquired(self, path: Path, run: str) -> Handle | None:
        """The lock; None where another process removed the file meanwhile."""
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise LogError(f"{path}: {error.strerror}; choose another data folder with --home") from error
        # A look by is_held lasts an instant; an owner lasts.
        if _lock(descriptor, self._sleep, pause=_PROBE_PAUSE, longest=_PROBE_PAUSE, patience=_PROBE_PATIENCE):
            if not _is_file_of(descriptor, path):
                os.close(descriptor)
                return None
            with suppress(OSError):  # a full disk, say: who has it only serves the message
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()} {socket.gethostname()}\n".encode(), 0)
            return _FileHandle(descriptor)
        owner = os.pread(descriptor, 300, 0).decode(errors="replace").split()
        os.close(descriptor)
        who = f"process {owner[0]} on {owner[1]}" if len(owner) == 2 else "another process"
        raise RunLockedError(f"{run} is being run by {who}; wait for it to end, or stop it")

    def evict(self, run: str) -> bool:
        """Kill the process that has the lock, where it is one of this machine; see ``Locks``."""
        path = self._path(run)
        with suppress(OSError, ValueError, IndexError):
            process, host = path.read_text().split()[:2]
            if host == socket.gethostname() and self.is_held(run) and _has_open(int(process), path):
                os.kill(int(process), signal.SIGKILL)
        return self._is_freed(run)

    def _is_freed(self, run: str) -> bool:
        """Whether a lock is free within the time that the kernel takes to end a process."""
        until = time.monotonic() + _ENDING
        while held := self.is_held(run):
            if time.monotonic() > until:
                break
            self._sleep(_PROBE_PAUSE)
        return not held

    def discard_free(self) -> int:
        """Remove the files of locks that no process has; returns how many."""
        removed = 0
        for path in self._folder.glob("*"):
            with suppress(OSError):
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    if _try_lock(descriptor, fcntl.LOCK_EX) and _is_file_of(descriptor, path):
                        path.unlink()
                        removed += 1
                finally:
                    os.close(descriptor)
        return removed

    def is_held(self, run: str) -> bool:
        """Whether any process has the lock of a run, this one included."""
        try:
            descriptor = os.open(self._path(run), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        try:
            return not _try_lock(descriptor, fcntl.LOCK_SH)
        finally:
            os.close(descriptor)


def _has_open(process: int, path: Path) -> bool:
    """Whether a process has a file open, as far as the system shows it: its number may be another's by now."""
    opened = Path(f"/proc/{process}/fd")
    if not opened.is_dir():
        return False
    wanted = path.stat()
    for each in opened.iterdir():
        with suppress(OSError):
            found = each.stat()
            if (found.st_dev, found.st_ino) == (wanted.st_dev, wanted.st_ino):
                return True
    return False


def _is_file_of(descriptor: int, path: Path) -> bool:
    """Whether an open file still has its name: a lock on one that was removed locks nothing."""
    try:
        named, opened = path.stat(), os.fstat(descriptor)
    except OSError:
        return False
    return (named.st_dev, named.st_ino) == (opened.st_dev, opened.st_ino)


def _try_lock(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _BUSY:
            return False
        raise
    return True


def _lock(descriptor: int, sleep: Callable[[float], None], *, pause: float, longest: float, patience: float) -> bool:
    """Try to lock until it works or more than ``patience`` seconds were slept, each pause twice as long as the last."""
    if _try_lock(descriptor, fcntl.LOCK_EX):
        return True
    import tenacity  # only where another process has it

    again = tenacity.Retrying(
        sleep=sleep,
        wait=tenacity.wait_exponential(multiplier=pause, max=longest),
        stop=lambda state: state.idle_for > patience,
        retry=tenacity.retry_if_result(lambda had: not had),
        retry_error_callback=lambda state: False,
    )
    sleep(pause)
    return bool(again(_try_lock, descriptor, fcntl.LOCK_EX))


class MemoryLocks:
    """Locks without files, for one process: the simulator's, and that of tests."""

    def __init__(self) -> None:
        self._held: dict[str, object] = {}

    def acquire(self, run: str) -> Handle:
        """Take the lock of a run; see ``Locks``."""
        if run in self._held:
            raise RunLockedError(f"{run} is being run already; wait for it to end, or stop it")
        return _MemoryHandle(self._held, run)

    def is_held(self, run: str) -> bool:
        """Whether any process has the lock of a run."""
        return run in self._held

    def evict(self, run: str) -> bool:
        """Free the lock: there is no other process."""
        self._held.pop(run, None)
        return True

    def discard_free(self) -> int:
        """Nothing is left behind in memory."""
        return 0


class _MemoryHandle:
    def __init__(self, held: dict[str, object], run: str) -> None:
        self._held = held
        self._run = run
        held[run] = self

    def release(self) -> None:
        if self._held.get(self._run) is self:
            del self._held[self._run]


class TransactionLock:
    """The lock of a file that every write transaction and checkpoint of every process holds.

    SQLite before 3.51.3 can corrupt a write-ahead log that two connections reset at once.
    """

    def __init__(self, path: Path, sleep: Callable[[float], None] = time.sleep) -> None:
        self._path = path
        self._sleep = sleep
        self._threads = threading.Lock()

    @contextmanager
    def __call__(self) -> Iterator[None]:
        """Hold it. Raises ``TimeoutError`` when it cannot be had within a minute."""
        with self._threads:
            descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                self._wait(descriptor)
                yield
            finally:
                with suppress(OSError):
                    os.close(descriptor)

    def _wait(self, descriptor: int) -> None:
        if not _lock(descriptor, self._sleep, pause=_PAUSE, longest=_LONGEST_PAUSE, patience=_PATIENCE):
            raise TimeoutError(errno.ETIMEDOUT, f"another process holds {self._path.name} for a minute")


@contextmanager
def no_lock() -> Iterator[None]:
    """A transaction lock for a log that only one thread of one process knows."""
    yield
