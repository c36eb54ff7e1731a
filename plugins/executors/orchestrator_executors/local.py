"""The executor ``local``: workers as processes of this machine, each with a small process that starts it again.

They outlive the command that started them. What they print is in ``WORKER.log`` in the fleet's folder.
"""

import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from orchestrator.errors import UsageError
from orchestrator.spi import Executor, Fleet, FleetWorker, hookimpl

orchestrator_interface = ">=1,<2"

_KEEPER: Final = Path(__file__).with_name("keeper.py")
_PAUSE: Final = 0.02
_START: Final = 10.0
"""Seconds within which a keeper has to run."""
_MARGIN: Final = 5.0


class LocalExecutor:
    """Keeps workers on this machine."""

    def scale(self, fleet: Fleet) -> None:
        """Start or end keepers until there are as many as are wanted."""
        if fleet.address is not None:
            raise UsageError("the executor local starts workers on this machine; it takes no address")
        fleet.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        locks = self._locks(fleet)
        for lock in reversed(locks[fleet.workers :]):
            _signal(lock)
        for number in range(fleet.workers):
            lock = fleet.folder / f"{fleet.name}-{number:03}.lock"
            if not _is_held(lock):
                words = [sys.executable, "-S", str(_KEEPER), str(lock), str(fleet.grace), *fleet.command]
                environment = {**os.environ, **fleet.environment}
                subprocess.run(words, check=True, stdin=subprocess.DEVNULL, env=environment)
                _wait(lock, True, _START)
        for lock in locks[fleet.workers :]:
            _wait(lock, False, fleet.grace + _MARGIN)
            lock.unlink(missing_ok=True)

    def status(self, fleet: Fleet) -> Sequence[FleetWorker]:
        """The keepers that live, and those that a crash of the machine has left without one."""
        return [
            FleetWorker(lock.stem, _is_held(lock), f"process {_keeper(lock) or '?'}") for lock in self._locks(fleet)
        ]

    @staticmethod
    def _locks(fleet: Fleet) -> list[Path]:
        return sorted(fleet.folder.glob(f"{fleet.name}-[0-9][0-9][0-9].lock"))


def _keeper(lock: Path) -> int | None:
    """The number of the process that keeps a worker."""
    with suppress(OSError, ValueError):
        return int(lock.read_text())
    return None


def _signal(lock: Path) -> None:
    number = _keeper(lock)
    if number is not None and _is_held(lock):
        with suppress(ProcessLookupError):
            os.kill(number, signal.SIGTERM)


def _is_held(lock: Path) -> bool:
    try:
        file = os.open(lock, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(file)
    return False


def _wait(lock: Path, held: bool, seconds: float) -> None:
    until = time.monotonic() + seconds
    while _is_held(lock) is not held or (held and _keeper(lock) is None):
        if time.monotonic() > until:
            raise UsageError(f"{lock.with_suffix('.log')}: the worker {'does not start' if held else 'does not end'}")
        time.sleep(_PAUSE)


@hookimpl
def orchestrator_executor() -> Executor:
    """Return the executor."""
    return LocalExecutor()
