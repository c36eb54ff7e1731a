"""Untrusted names, confined to one folder: checked as text, then walked without following any link."""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from orchestrator.forbidden_file_names import is_reserved

LONGEST_PART: Final = 200
LONGEST_NAME: Final = 1000
DEEPEST: Final = 20

_WINDOWS: Final = re.compile(r"(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?", re.IGNORECASE)
_FORBIDDEN: Final = re.compile(r'[\x00-\x1f\x7f-\x9f<>:"|?*\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]')


class UnsafeNameError(ValueError):
    """A name that must not be used; its text is the reason, on one line."""


def checked_name(name: str) -> str:
    """The name itself: relative, below the folder, and writable on every system.

    Raises:
        UnsafeNameError: it is none of that.
    """
    if not name or len(name) > LONGEST_NAME:
        raise UnsafeNameError("the name is empty" if not name else "the name is too long")
    if "\\" in name or name.startswith(("/", "~")):
        raise UnsafeNameError("the name is not a plain relative path")
    if _FORBIDDEN.search(name):
        raise UnsafeNameError("the name holds a character that is not allowed")
    parts = name.split("/")
    if len(parts) > DEEPEST:
        raise UnsafeNameError("the name has too many folders")
    for part in parts:
        _check_part(part)
    return name


def _check_part(part: str) -> None:
    if part in ("", ".", ".."):
        raise UnsafeNameError("the name has an empty part or climbs")
    try:
        size = len(part.encode())
    except UnicodeEncodeError:
        raise UnsafeNameError("the name is not Unicode") from None
    if size > LONGEST_PART:
        raise UnsafeNameError("a part of the name is too long")
    if part.startswith(("~", "-", " ")) or part.endswith((".", " ")):
        raise UnsafeNameError("a part of the name begins or ends in a way that is not allowed")
    if _WINDOWS.fullmatch(part) or is_reserved(part):
        raise UnsafeNameError("a part of the name is reserved, for a tool runs or trusts what it finds there")


def is_allowed(path: str) -> bool:
    """Whether a path, of a file or of a folder that ends in ``/``, may be used as a name."""
    try:
        checked_name(path.rstrip("/"))
    except UnsafeNameError:
        return False
    return True


@contextmanager
def folder_of(root: Path, name: str, create: bool = False) -> Iterator[tuple[int, str]]:
    """(descriptor of the folder a checked name lies in, its last part). No link on the way is followed.

    Raises:
        OSError: a folder on the way is missing, or is a link.
        UnsafeNameError: see ``checked_name``.
    """
    *folders, last = checked_name(name).split("/")
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    descriptor = os.open(root, flags)
    try:
        for part in folders:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(part, 0o755, dir_fd=descriptor)
            inner = os.open(part, flags | os.O_NOFOLLOW, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = inner
        yield descriptor, last
    finally:
        os.close(descriptor)


def read_file(root: Path, name: str, limit: int) -> bytes | None:
    """A regular file's content; None where it is missing, a link, a device, a pipe, or larger than ``limit`` bytes."""
    try:
        with folder_of(root, name) as (folder, last):
            descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    except OSError:
        return None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return None
    with os.fdopen(descriptor, "rb") as file:
        content = file.read(limit + 1)
    return content if len(content) <= limit else None
