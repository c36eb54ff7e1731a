"""The output folder: the files of each task, a summary and a table. A projection of the log, and no more."""

import errno
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any, Final

from orchestrator.engine.answers.fences import blocks, chosen_block, is_file_name, named_files, suffix_of
from orchestrator.engine.outputs.confinement import UnsafeNameError, checked_name, folder_of
from orchestrator.errors import OutputError
from orchestrator.models import TaskType

_MARKER: Final = ".orchestrate-run"
_OURS: Final = frozenset({_MARKER, "summary.json", "readme.md"})
LARGEST_FILE: Final = 16 * 1024 * 1024
"""Bytes of one file; more is not written."""
MOST_FILES: Final = 200
"""Files of one answer; what goes beyond is not written."""


def render(kind: TaskType, text: str) -> tuple[str, str]:
    """The ending and the content of an output's one file: bare code, pretty JSON where it is JSON, else prose."""
    if kind is TaskType.CODE_GEN:
        block = chosen_block(blocks(text), kind)
        return suffix_of(block), _ended(text if block is None else block.content)
    if kind is TaskType.DATA_EXTRACTION:
        block = chosen_block(blocks(text), kind)
        try:
            value = json.loads(text if block is None else block.content)
            return ".json", json.dumps(value, indent=2, ensure_ascii=False) + "\n"
        except (ValueError, RecursionError):
            return ".md", _ended(text)
    return ".md", _ended(text)


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def file_name(number: int, kind: TaskType, suffix: str) -> str:
    """Such as ``task_001_code_generation.py``."""
    return f"task_{number:03d}_{kind.value}{suffix}"


def output_files(number: int, kind: TaskType, text: str, path: str | None = None) -> dict[str, str]:
    """The files of a task's output by their names, the main one first.

    One file as a rule. Code that names several files becomes a folder of them. ``path`` is where the user wants it: a
    folder, where it ends in ``/`` or does not look like a file's name; else the name of the file that suits it best,
    and the others of the answer lie beside that one as they do in the answer.
    """
    suffix, content = render(kind, text)
    several = named_files(text) if kind is TaskType.CODE_GEN else {}
    wanted = None if path is None else wanted_name(path)
    if several:
        inside = {name: _ended(body) for name, body in list(several.items())[:MOST_FILES]}
        if wanted is not None and path is not None and not is_folder(path) and is_file_name(wanted):
            return _around(wanted, inside, file_name(number, kind, ""))
        folder = wanted or file_name(number, kind, "")
        return {f"{folder}/{name}": body for name, body in inside.items() if wanted_name(f"{folder}/{name}")}
    name = file_name(number, kind, suffix)
    if wanted is not None and path is not None:
        name = f"{wanted}/{name}" if is_folder(path) else wanted
    return {name: content}


def is_folder(path: str) -> bool:
    """Whether a path that a user or a plan gives is a folder's whatever the answer is."""
    return path.endswith("/")


def wanted_name(path: str) -> str | None:
    """The name a path stands for, or None where it must not be used or is the folder's own."""
    name = path.rstrip("/")
    try:
        return None if name.casefold() in _OURS else checked_name(name)
    except UnsafeNameError:
        return None


def _around(wanted: str, files: Mapping[str, str], otherwise: str) -> dict[str, str]:
    """The files of an answer, that one under the wanted name which suits it best, the others as they lie around it.

    It suits best to have the most parts of the path in common, from the end; else the same ending; else to be first.
    What cannot lie there, such as the folder's own ``README.md``, lies in the folder ``otherwise``.
    """
    goal = wanted.split("/")
    main = max(files, key=lambda name: (_common(name.split("/"), goal), name.endswith(PurePosixPath(goal[-1]).suffix)))
    parts = main.split("/")
    common = max(1, _common(parts, goal))
    left, put = parts[:-common], goal[:-common]
    placed = {wanted: files[main]}
    taken = {wanted.casefold()}
    for name, content in files.items():
        own = name.split("/")
        target = "/".join((*put, *(own[len(left) :] if own[: len(left)] == left else own)))
        if wanted_name(target) is None or target.casefold() in taken:
            target = f"{otherwise}/{name}"
        if name != main and wanted_name(target):
            taken.add(target.casefold())
            placed[target] = content
    return placed


def _common(name: Sequence[str], goal: Sequence[str]) -> int:
    """How many parts two paths have in common, from the end."""
    pairs = zip(reversed(name), reversed(goal), strict=False)
    return sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))


class OutputFolder:
    """A folder that belongs to one run.

    Raises:
        OutputError: it holds something else (unless ``force``), or cannot be made or written.
    """

    def __init__(self, path: Path, run: str, force: bool = False) -> None:
        self.path = path
        marker = path / _MARKER
        try:
            path.mkdir(parents=True, exist_ok=True)
            owner = marker.read_text().strip() if marker.is_file() else None
            if owner != run and not force and any(each.name != _part(_MARKER) for each in path.iterdir()):
                whose = f"belongs to run {owner}" if owner else "is not empty"
                raise OutputError(f"{path} {whose}; choose another folder with -o, or overwrite with --force")
            if owner != run:
                self.write(_MARKER, run + "\n")
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}; choose another folder with -o") from error

    def write(self, name: str, content: str) -> int:
        """Write a file so that it is there whole or not at all; returns its size in bytes.

        The name may have folders, which are made; no link on the way is followed, one at its end is replaced.

        Raises:
            OSError: it cannot be written, or is too large (EFBIG).
            UnsafeNameError: the name leads out of the folder, or would elsewhere.
        """
        data = content.encode(errors="replace")
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


def is_own_mark(name: str) -> bool:
    """Whether a name in the folder is the mark of its run, or a file that a dead process left unfinished."""
    last = name.rpartition("/")[2]
    return name == _MARKER or (last.startswith(".") and last.endswith(".part"))


def _part(name: str) -> str:
    """What a file is called while it is written; a process that dies leaves it."""
    return f".{name[:100]}.part"


def _sync_folder(descriptor: int) -> None:
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise


def summary_text(summary: Mapping[str, Any]) -> str:
    """The content of ``summary.json``."""
    return json.dumps(summary, indent=2, ensure_ascii=False) + "\n"


def readme_text(summary: Mapping[str, Any]) -> str:
    """The content of the folder's ``README.md``: what the run did, as a table."""
    lines = [
        f"# {summary['run_id']}: {summary['status']}",
        "",
        f"Spent ${summary['spent_usd']} of at most ${summary['cap_usd']}"
        + (" (simulated: no provider was called)" if summary["simulated"] else "")
        + f". Head of the log: `{summary['head']}`.",
        "",
        *_verification_lines(summary["verification"]),
        "| task | type | file | status | score | iterations | model | reviewer | cost |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for task in summary["tasks"]:
        score = "–" if task["score"] is None else f"{task['score']:.3f}"
        cells = (
            task["id"],
            task["type"],
            f"[{task['file']}]({task['file']})" if task["file"] else "–",
            task["status"] + (f" ({task['reason']})" if task["reason"] else ""),
            score,
            str(task["iterations"]),
            task["model"] or "–",
            task["reviewer_model"] or "–",
            f"${task['cost_usd']}",
        )
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _verification_lines(verification: Mapping[str, Any] | None) -> list[str]:
    if verification is None:
        return []
    code, problem, sandbox = (verification[name] for name in ("exit_code", "problem", "sandbox"))
    how = [f"exit status {code}"] if code is not None else [problem] if problem else []
    how += [f"sandbox {sandbox}"] if sandbox else []
    return [f"Verification of the whole: {verification['verdict']}" + (f" ({', '.join(how)})." if how else "."), ""]
