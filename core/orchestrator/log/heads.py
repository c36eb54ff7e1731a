"""Heads kept outside the database: a chain proves something only once its head is elsewhere."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import orjson
from attrs import frozen

from orchestrator.errors import LogError

FILE: Final = "heads.jsonl"
"""The file's name in the data folder."""


@frozen
class Head:
    """The hash of a run's event at a version."""

    run: str
    head: str
    version: int


def append_head(folder: Path, run: str, head: str, version: int) -> None:
    """Add a line to ``heads.jsonl`` in the data folder, durably.

    Raises:
        LogError: the file cannot be written.
    """
    line = orjson.dumps({"run": run, "version": version, "head": head}) + b"\n"
    path = folder / FILE
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
    return [head for head in _lines(folder) if head is not None]


def unreadable_lines(folder: Path) -> list[int]:
    """The numbers, from 1, of the lines of ``heads.jsonl`` that hold no head.

    Raises:
        LogError: the file cannot be read.
    """
    return [number for number, head in enumerate(_lines(folder), 1) if head is None]


def _lines(folder: Path) -> list[Head | None]:
    path = folder / FILE
    try:
        lines = path.read_bytes().splitlines()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}; make it readable, or move it away") from error
    return [_head(line) for line in lines]


def _head(line: bytes) -> Head | None:
    with suppress(ValueError, TypeError):
        head = Head(**orjson.loads(line))
        if isinstance(head.run, str) and isinstance(head.head, str) and type(head.version) is int:
            return head
    return None
