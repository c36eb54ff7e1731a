"""The process that keeps one worker running: it starts the worker again when it dies, and ends it in order.

``python keeper.py LOCK GRACE COMMAND…``; it leaves the caller at once. It holds the lock of the file LOCK, which
has its number, as long as it lives. Nothing of the program is imported: it stays small.
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Final

FIRST: Final = 0.2
LONGEST: Final = 30.0
"""Seconds before a worker is started again: each time twice as many as before, until one lives for long."""
LONG: Final = 10.0
"""Seconds after which a worker has lived for long."""
_DEATH: Final = 1
"""``PR_SET_PDEATHSIG``."""


def main(words: Sequence[str]) -> int:
    """Keep the worker of a command line until SIGTERM."""
    lock, grace, command = Path(words[0]), float(words[1]), list(words[2:])
    if os.fork():
        return 0
    os.setsid()
    file = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return 0  # it is kept already
    os.ftruncate(file, 0)
    os.pwrite(file, str(os.getpid()).encode(), 0)
    output = os.open(lock.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    _keep(command, grace)
    return 0


def _keep(command: list[str], grace: float) -> None:
    ending: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, frame: ending.append(number))
    pause = FIRST
    while not ending:
        began = time.monotonic()
        child = subprocess.Popen(command, stdin=subprocess.DEVNULL, preexec_fn=end_with_parent)
        while child.poll() is None and not ending:
            time.sleep(0.05)
        if ending:
            end(child, grace)
            return
        pause = FIRST if time.monotonic() - began > LONG else min(2 * pause, LONGEST)
        until = time.monotonic() + pause
        while time.monotonic() < until and not ending:
            time.sleep(0.05)


def end_with_parent() -> None:
    """Let the system end this process in order when the one that started it is gone, as far as it can."""
    try:
        ctypes.CDLL(None).prctl(_DEATH, signal.SIGTERM)
    except (AttributeError, OSError):
        return


def end(child: "subprocess.Popen[bytes]", grace: float) -> None:
    """End a process in order; after the grace at once."""
    child.terminate()
    try:
        child.wait(grace)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
