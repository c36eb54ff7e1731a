"""Kills the process just before its n-th call that reaches outside: put this folder on PYTHONPATH.

``KILL_AT`` is n. Counted are the calls of C functions that write, commit, rename, connect or send, in every thread.
"""

import os
import signal
import sys
import threading
from types import FrameType
from typing import Any

_REACHING = frozenset(
    ["execute", "executemany", "write", "pwrite", "fsync", "rename", "replace", "send", "connect", "flock", "open"]
)


def _arm(at: int) -> None:
    count = 0

    def profile(frame: FrameType, event: str, called: Any) -> None:
        nonlocal count
        if event == "c_call" and getattr(called, "__name__", "") in _REACHING:
            count += 1
            if count == at:
                os.kill(os.getpid(), signal.SIGKILL)

    threading.setprofile(profile)
    sys.setprofile(profile)


if os.environ.get("KILL_AT"):
    _arm(int(os.environ["KILL_AT"]))
