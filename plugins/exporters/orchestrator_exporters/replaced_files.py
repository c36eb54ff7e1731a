"""Writing a file so that a reader meanwhile sees the old content or the new, never a part."""

import os
import stat
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

_LARGEST: Final = 16 * 1024 * 1024


class ForeignFileError(Exception):
    """There is a file of another kind in the place of an export; it is left as it is."""

    def __init__(self, path: Path) -> None:
        super().__init__(f"{path} is no earlier export of this kind, and is left as it is; choose another path")


def replace(path: Path, text: str, is_ours: Callable[[str], bool]) -> None:
    """Put a text in the place of an earlier export, readable by all users; its folder is made where there is none.

    Args:
        path: the file.
        text: its new content.
        is_ours: whether a content is an earlier export of this kind.

    Raises:
        ForeignFileError: there is something else; it stays.
        OSError: it cannot be written; the old content stays.
    """
    if not _is_free(path, is_ours):
        raise ForeignFileError(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
        Path(temporary).chmod(0o644)
        Path(temporary).replace(path)
    except BaseException:
        with suppress(OSError):
            Path(temporary).unlink()
        raise


def _is_free(path: Path, is_ours: Callable[[str], bool]) -> bool:
    """Whether there is nothing in the place, or an earlier export; a link and a device are neither."""
    try:
        status = path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST:
        return False
    try:
        return is_ours(path.read_bytes().decode())
    except ValueError:
        return False
