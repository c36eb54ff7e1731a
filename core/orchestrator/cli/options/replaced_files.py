"""Files that commands write where they are told: one that is there is replaced only where it is of the same kind."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestrator.errors import OutputError

_BEGINNING: Final = 4096
"""Bytes."""


def holds_other(path: Path, is_own: Callable[[bytes], bool]) -> bool:
    """Whether a file with something else in it is there; an empty one has nothing to lose.

    Args:
        path: the file.
        is_own: whether a file that begins with these bytes is of the kind that replaces it.

    Raises:
        OSError: it cannot be read.
    """
    if not path.is_file():
        return False
    with path.open("rb") as file:
        beginning = file.read(_BEGINNING)
    return bool(beginning) and not is_own(beginning)


def check_target(option: str, path: Path, is_own: Callable[[bytes], bool], kind: str) -> None:
    """Refuse, before anything is done, a file that could not be written in the end, or that holds something else.

    Args:
        option: the one that names the file.
        path: the file.
        is_own: see ``holds_other``.
        kind: what is written.

    Raises:
        OutputError: it is to be refused.
    """
    try:
        why = _obstacle(path, is_own, kind)
    except OSError as error:
        raise OutputError(f"{option} {path}: {error.strerror}; name another file") from error
    if why:
        raise OutputError(f"{option} {path}: {why}; name another file")


def _obstacle(path: Path, is_own: Callable[[bytes], bool], kind: str) -> str:
    if path.is_dir():
        return "it is a folder"
    if not path.absolute().parent.is_dir():
        return "its folder does not exist"
    return f"it exists and is no {kind}" if holds_other(path, is_own) else ""
