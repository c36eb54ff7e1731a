"""What a job uses of the disk where no file system of its own bounds it: files, and what is open and has no name.

Folders are walked by their descriptors, however deep they are, and closed ones are opened. Files without a name are
found at the descriptors and in the memory of the job's processes.
"""

import ctypes
import os
import re
import stat
import sys
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import Final

from attrs import Factory, define

from orchestrator_sandbox.job_limits import ENTRIES, UNPRIVILEGED_UID, WRITTEN, is_root

_HANDLE: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_PATIENCE: Final = 4
"""Looks in a row in which a folder cannot be counted, before that is taken for hiding."""
_STARTING: Final = 40
"""The same for a process: one that is being started cannot be looked at, which takes long on a machine that stalls."""
_MAPPED: Final = re.compile(r"^\S+ \S+ \S+ \S+ (\d+) +(/.*) \(deleted\)$", re.MULTILINE)

_File = tuple[int, int]


@define
class DiskUsage:
    """Looks at what one job uses.

    Attributes:
        folders: where it may write.
        process: the process that everything of the job descends from.
        file_size: the largest file it may write, in bytes; what is mapped and cannot be looked at counts so much.
    """

    folders: tuple[Path, ...]
    process: int
    file_size: int
    _moved: int = 0
    _hidden: dict[int, int] = Factory(dict)
    _readable: bool = False

    def is_too_much(self) -> bool:
        """Whether it uses more than is allowed, or hides it."""
        sizes: dict[_File, int] = {}
        try:
            for folder in self.folders:
                for found in _below(folder):
                    sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
                    if len(sizes) > ENTRIES:
                        return True
            self._moved = 0
        except _MovedError:
            self._moved += 1
        if sys.platform == "linux":
            with _as_the_job():
                self._add_nameless(sizes)
        hides = self._moved >= _PATIENCE or any(looks >= _STARTING for looks in self._hidden.values())
        return hides or sum(sizes.values()) > WRITTEN

    def _add_nameless(self, sizes: dict[_File, int]) -> None:
        hidden: dict[int, int] = {}
        for pid in _descendants(self.process):
            try:
                for found in _open_in(pid):
                    if found.st_nlink == 0 and stat.S_ISREG(found.st_mode):
                        sizes[found.st_dev, found.st_ino] = found.st_blocks * 512
                self._add_mapped(pid, sizes)
                self._readable = True
            except PermissionError:
                if self._readable and not _is_dead(f"/proc/{pid}"):
                    hidden[pid] = self._hidden.get(pid, 0) + 1
            except OSError:
                continue  # it has ended meanwhile
        self._hidden = hidden

    def _add_mapped(self, pid: int, sizes: dict[_File, int]) -> None:
        known = {inode for _, inode in sizes}
        for inode, path in _MAPPED.findall(Path(f"/proc/{pid}/maps").read_text(errors="replace")):
            if int(inode) not in known and any(path.startswith(f"{folder}/") for folder in self.folders):
                sizes[-1, int(inode)] = self.file_size


class _MovedError(Exception):
    """A folder was moved while it was walked."""


def _below(folder: Path) -> Iterator[os.stat_result]:
    """Everything below a folder. One descriptor is open at a time, for a job can nest thousands of folders.

    Raises:
        _MovedError: see there.
    """
    here = os.open(folder, _HANDLE)
    names = iter(_listed(here))
    above: list[tuple[Iterator[str], _File]] = []
    try:
        while True:
            inner = -1
            for name in names:
                with suppress(OSError):
                    found = os.stat(name, dir_fd=here, follow_symlinks=False)
                    yield found
                    if stat.S_ISDIR(found.st_mode):
                        inner = os.open(name, _HANDLE, dir_fd=here)
                        break
            if inner >= 0:
                above.append((names, _identity(here)))
                os.close(here)
                here, names = inner, iter(_listed(inner))
                continue
            if not above:
                return
            names, expected = above.pop()
            here = _out_of(here, expected)
    finally:
        os.close(here)


def _out_of(here: int, expected: _File) -> int:
    try:
        parent = os.open("..", _HANDLE, dir_fd=here)
    except OSError as error:
        raise _MovedError from error
    if _identity(parent) != expected:
        os.close(parent)
        raise _MovedError
    os.close(here)
    return parent


def _listed(folder: int) -> list[str]:
    """The names in a folder, as many as matter; one that is closed to its own user is opened."""
    for _ in range(2):
        try:
            descriptor = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
        except OSError:
            with suppress(OSError):
                Path(f"/proc/self/fd/{folder}").chmod(0o700)  # by its descriptor: its name could be another's by now
            continue
        try:
            with os.scandir(descriptor) as entries:
                return [entry.name for entry in islice(entries, ENTRIES + 1)]
        finally:
            os.close(descriptor)
    return []


def _identity(descriptor: int) -> _File:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def _descendants(process: int) -> list[int]:
    children: dict[int, list[int]] = {}
    for name in os.listdir("/proc"):  # noqa: PTH208 - as quick as can be
        if name.isdecimal():
            with suppress(OSError, IndexError, ValueError):
                parent = int(Path(f"/proc/{name}/stat").read_bytes().rpartition(b")")[2].split()[1])
                children.setdefault(parent, []).append(int(name))
    found, waiting = [], [process]
    while waiting:
        below = children.get(waiting.pop(), [])
        found += below
        waiting += below
    return found


def _open_in(pid: int) -> Iterator[os.stat_result]:
    """What each thread of a process has open, for threads may have descriptors of their own.

    Raises:
        PermissionError: it cannot be looked at.
        OSError: it has ended.
    """
    for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 - as quick as can be
        path = f"/proc/{pid}/task/{task}"
        for name in () if _is_dead(path) else os.listdir(f"{path}/fd"):  # noqa: PTH208 - the same
            with suppress(FileNotFoundError):
                yield os.stat(f"{path}/fd/{name}")  # noqa: PTH116


def _is_dead(path: str) -> bool:
    try:
        return Path(path, "stat").read_bytes().rpartition(b")")[2].split()[0] in (b"Z", b"X")
    except (OSError, IndexError):
        return True


class _as_the_job:  # noqa: N801 - a context
    """Look as the job's user where the program is root, for root in a container may not look at others' processes."""

    def __enter__(self) -> None:
        self._set(UNPRIVILEGED_UID)

    def __exit__(self, *raised: object) -> None:
        self._set(0)

    def _set(self, user: int) -> None:
        if is_root():
            libc = ctypes.CDLL(None)
            for change in (libc.setfsgid, libc.setfsuid) if user else (libc.setfsuid, libc.setfsgid):
                change(user)
