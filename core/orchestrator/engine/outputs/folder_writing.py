"""The output folder: the files of each task, a summary and a table. A projection of the log, and no more."""

import errno
import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from orchestrator.allowed_file_names import UnsafeNameError, folder_of, read_file
from orchestrator.errors import OutputError

MARKER: Final = ".orchestrate-run"
"""The file that says whose the folder is."""
ASIDE: Final = ".orchestrate"
"""The folder of the summary and the table where the output folder is an application's own."""
LARGEST_FILE: Final = 16 * 1024 * 1024
"""Bytes of one file; more is not written."""


class OutputFolder:
    """A folder that belongs to one run.

    Raises:
        OutputError: it holds something else (unless ``force``), or cannot be made or written.
    """

    def __init__(self, path: Path, run: str, force: bool = False) -> None:
        self.path = path
        marker = path / MARKER
        try:
            path.mkdir(parents=True, exist_ok=True)
            owner = marker.read_text().strip() if marker.is_file() else None
            if owner != run and not force and any(each.name != _part(MARKER) for each in path.iterdir()):
                whose = f"belongs to run {owner}" if owner else "is not empty"
                raise OutputError(f"{path} {whose}; choose another folder with -o, or overwrite with --force")
            if owner != run:
                self.write(MARKER, run + "\n")
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}; choose another folder with -o") from error

    def write(self, name: str, content: str) -> int:
        """Write a file so that it is there whole or not at all; returns its size in bytes.

        The name may have folders, which are made; no link on the way is followed, one at its end is replaced.

        Raises:
            OSError: it cannot be written, or is too large (EFBIG).
            UnsafeNameError: the name leads out of the folder, or would elsewhere.
        """
        data = _bytes(content)
        if len(data) > LARGEST_FILE:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        with folder_of(self.path, name, create=True) as (folder, last):
            temporary = _part(last)
            with suppress(FileNotFoundError):
                os.unlink(temporary, dir_fd=folder)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            descriptor = os.open(temporary, flags, 0o644, dir_fd=folder)
            try:
                with os.fdopen(descriptor, "wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
                os.rename(temporary, last, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with suppress(OSError):
                    os.unlink(temporary, dir_fd=folder)
                raise
            _sync_folder(folder)
        return len(data)

    def is_missing(self, name: str) -> bool:
        """Whether a file is not there."""
        return not (self.path / name).is_file()

    def has_other(self, name: str, content: str) -> bool:
        """Whether a file is there, and is not what ``write`` would write; one behind a link is the user's own."""
        try:
            return not self.is_missing(name) and read_file(self.path, name, LARGEST_FILE) != _bytes(content)
        except UnsafeNameError:
            return False


def _bytes(content: str) -> bytes:
    return content.encode(errors="replace")


def is_own_mark(name: str) -> bool:
    """Whether a name in the folder is its run's: the mark, a build's tables, or what a dead process left unfinished."""
    last = name.rpartition("/")[2]
    return name == MARKER or name.startswith(f"{ASIDE}/") or (last.startswith(".") and last.endswith(".part"))


def _part(name: str) -> str:
    """What a file is called while it is written; a process that dies leaves it."""
    return f".{name[:100]}.part"


def _sync_folder(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
