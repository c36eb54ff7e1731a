"""Heads kept outside the database: a chain proves something only once its head is elsewhere."""

import os
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
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, line)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise LogError(f"{path}: {error.strerror}; the head of {run} is {head}") from error


def read_heads(folder: Path) -> list[Head]:
    """Every head kept in the data folder, oldest first; a line that a crash cut is left out."""
    path = folder / FILE
    if not path.exists():
        return []
    heads = []
    for line in path.read_bytes().splitlines():
        try:
            heads.append(Head(**orjson.loads(line)))
        except (ValueError, TypeError):
            continue
    return heads
