"""How much of the machine a job in a sandbox may take: memory, time, processes, files, output."""

import math
import os
import platform
from pathlib import Path
from typing import Any, Final

from orchestrator.spi.sandboxes import MIB, Job

UNPRIVILEGED_UID: Final = 65534
PROCESSES: Final = 64
OUTPUT: Final = 64 * 1024
"""Bytes of output that are kept; the rest is read and thrown away."""
TAKEN: Final = 8 * MIB
"""The largest result file that is taken out, in bytes."""
WRITTEN: Final = 256 * MIB
"""Bytes on disk at which a job is ended."""
ENTRIES: Final = 20_000
"""Files and folders at which a job is ended."""


def limits(job: Job, processes: int) -> list[list[Any]]:
    """The resource limits of a job as (name, soft, hard)."""
    cpu = math.ceil(job.seconds)
    return [
        ["RLIMIT_AS", job.memory, job.memory],
        ["RLIMIT_CPU", cpu, cpu + 1],
        ["RLIMIT_FSIZE", job.file_size, job.file_size],
        ["RLIMIT_NOFILE", 256, 256],
        ["RLIMIT_NPROC", processes, processes],
        ["RLIMIT_CORE", 0, 0],
    ]


def is_root() -> bool:
    """Whether the program could drop to an unprivileged user."""
    return os.geteuid() == 0


def processes_allowed(private: bool) -> int:
    """The limit on processes. It counts all of the user's, unless the count is private or the user is ours alone."""
    if private and _kernel() >= (5, 14):
        return PROCESSES
    return PROCESSES + _threads_of(UNPRIVILEGED_UID if is_root() else os.getuid())


def _threads_of(user: int) -> int:
    total = 0
    for entry in os.scandir("/proc"):
        if not entry.name.isdecimal():
            continue
        try:
            if entry.stat().st_uid == user:
                total += sum(1 for _ in Path(entry.path, "task").iterdir())
        except OSError:
            continue
    return total


def _kernel() -> tuple[int, int]:
    major, minor = platform.release().split(".")[:2]
    digits = "".join(letter for letter in minor if letter.isdecimal())
    return int(major), int(digits or 0)
