"""Anchors: heads in a file that somebody keeps where those who write the log cannot write."""

from pathlib import Path

from attrs import evolve

from orchestrator.errors import LogError, UsageError
from orchestrator.log.heads import Head, append_line, heads_in

__all__ = ["append_line", "read_anchor"]


def read_anchor(path: Path) -> tuple[list[Head], list[int]]:
    """The heads of an anchor, oldest first, and the numbers of the lines that hold none.

    Raises:
        UsageError: the file cannot be read, or no line holds a head, so that nothing would be verified against it.
    """
    try:
        lines = heads_in(path)
    except LogError as error:
        raise UsageError(str(error)) from error
    heads = [evolve(head, source=path.name) for head in lines if head is not None]
    if not heads:
        raise UsageError(f"{path} holds no head; name a file that audit anchor wrote")
    return heads, [number for number, head in enumerate(lines, 1) if head is None]
