"""Heads kept outside the database: a chain proves something only once its head is elsewhere."""

import errno
import os
import stat
from contextlib import suppress
from io import BufferedReader
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from orchestrator.errors import LogError

FILE: Final = "heads.jsonl"
"""The file's name in the data folder."""

_LARGEST: Final = 32 << 20


@frozen
class Head:
    """The hash of a run's event at a version."""

    run: str
    head: str
    version: int
    source: str = FILE
    """The file it was read from, for people."""


def append_head(folder: Path, run: str, head: str, version: int) -> None:
    """Add a line to ``heads.jsonl`` in the data folder, durably.

    Raises:
        LogError: the file cannot be written.
    """
    append_line(folder / FILE, Head(run, head, version))


def append_line(path: Path, kept: Head) -> None:
    """Add a head to a file, durably; a link in its place is not followed.

    Raises:
        LogError: the file cannot be written.
    """
    run, head = kept.run, kept.head
    line = orjson.dumps({"run": run, "version": kept.version, "head": head}) + b"\n"
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # a full disk or a crash cut the last one
            if os.write(descriptor, line) < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}; the head of {run} is {head}") from error


def read_heads(folder: Path) -> list[Head]:
    """Every head kept in the data folder, oldest first; a line that a crash cut is left out.

    Raises:
        LogError: the file cannot be read.
    """
    return [head for head in heads_in(folder / FILE, missing_ok=True) if head is not None]


def unreadable_lines(folder: Path) -> list[int]:
    """The numbers, from 1, of the lines of ``heads.jsonl`` that hold no head.

    Raises:
        LogError: the file cannot be read.
    """
    return [number for number, head in enumerate(heads_in(folder / FILE, missing_ok=True), 1) if head is None]


def heads_in(path: Path, *, missing_ok: bool = False) -> list[Head | None]:
    """The heads of any such file, one for each line; None for a line that holds none.

    Raises:
        LogError: the file cannot be read, or is missing and may not be.
    """
    try:
        with open_regular(path) as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError) as error:
        if missing_ok:
            return []
        raise LogError(f"{path}: {error.strerror}; name a file that audit anchor wrote") from error
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}; make it readable, or move it away") from error
    if len(content) > _LARGEST:
        raise LogError(f"{path}: it holds more than {_LARGEST >> 20} MiB, which is no list of heads; move it away")
    return [_head(line) for line in content.splitlines()]


def open_regular(path: Path) -> BufferedReader:
    """A regular file for reading: what is none, such as a pipe, may have no end.

    Raises:
        OSError: it cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "it is no file", str(path))
    return os.fdopen(descriptor, "rb")


def _head(line: bytes) -> Head | None:
    with suppress(ValueError, AttributeError):
        fields = orjson.loads(line)
        if fields.keys() == {"run", "version", "head"}:
            head = Head(fields["run"], fields["head"], fields["version"])
            if isinstance(head.run, str) and isinstance(head.head, str) and type(head.version) is int:
                return head
    return None
