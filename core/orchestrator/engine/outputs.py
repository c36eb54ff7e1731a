"""The output folder: one file per task, a summary and a table. A projection of the log, and no more."""

import errno
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.engine.reading import content_of
from orchestrator.errors import OutputError
from orchestrator.models import TaskType

_MARKER: Final = ".orchestrate-run"


def render(kind: TaskType, text: str) -> tuple[str, str]:
    """The file name's ending and the content for an output: bare code, pretty JSON where it is JSON, else prose."""
    if kind is TaskType.CODE_GEN:
        return ".py", _ended(content_of(text))
    if kind is TaskType.DATA_EXTRACTION:
        try:
            value = json.loads(content_of(text))
        except (ValueError, RecursionError):
            return ".md", _ended(text)
        return ".json", json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    return ".md", _ended(text)


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def file_name(number: int, kind: TaskType, suffix: str) -> str:
    """Such as ``task_001_code_generation.py``."""
    return f"task_{number:03d}_{kind.value}{suffix}"


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
            if owner != run and not force and any(path.iterdir()):
                whose = f"belongs to run {owner}" if owner else "is not empty"
                raise OutputError(f"{path} {whose}; choose another folder with -o, or overwrite with --force")
            if owner != run:
                self.write(_MARKER, run + "\n")
        except OSError as error:
            raise OutputError(f"{path}: {error.strerror}; choose another folder with -o") from error

    def write(self, name: str, content: str) -> int:
        """Write a file so that it is there whole or not at all; returns its size in bytes.

        Raises:
            OSError: it cannot be written.
        """
        data = content.encode(errors="replace")
        target, temporary = self.path / name, self.path / f".{name}.part"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(target)
        except OSError:
            temporary.unlink(missing_ok=True)
            raise
        _sync_folder(self.path)
        return len(data)

    def is_missing(self, name: str) -> bool:
        """Whether a file is not there."""
        return not (self.path / name).is_file()


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


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
