"""An output folder that holds nothing but the unchanged files of an earlier run, which the log holds, too."""

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.engine.outputs.folder_readme import tables
from orchestrator.engine.outputs.folder_writing import MARKER, is_own_mark
from orchestrator.engine.outputs.run_results import summary
from orchestrator.errors import OrchestrateError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.state.fold import fold


def take_away_earlier(log: EventLog, path: Path, run: str, texts_of: Callable[[str], Texts]) -> str | None:
    """Empty a folder for a run where it holds only what an earlier, finished run wrote; returns that run.

    Nothing is lost: ``runs export`` writes every file again. A folder with anything else stays as it is (None).
    """
    try:
        owner = (path / MARKER).read_text().strip()
        if owner == run or log.last(owner) is None or log.locks.is_held(owner):
            return None
        found = _files(path)
        if found is None or found != _written(log, owner, texts_of(owner)):
            return None
        for name in (*found, MARKER):
            (path / name).unlink()
        for folder in sorted({parent for name in found for parent in Path(name).parents}, reverse=True):
            with suppress(OSError):
                (path / folder).rmdir()
    except (OSError, UnicodeError, KeyError, OrchestrateError):
        return None
    return owner


def _files(path: Path) -> dict[str, bytes] | None:
    """The content of each file but the run's own mark, by name; None where something is no regular file."""
    found: dict[str, bytes] = {}
    for folder, folders, files in os.walk(path):
        for name in (*folders, *files):
            each = Path(folder) / name
            relative = each.relative_to(path).as_posix()
            if each.is_symlink() or not (each.is_file() or each.is_dir()):
                return None
            if each.is_file() and not is_own_mark(relative):
                found[relative] = each.read_bytes()
    return found


def _written(log: EventLog, run: str, texts: Texts) -> dict[str, bytes] | None:
    """What a finished run wrote; None of an application, to which more than the log's texts belongs."""
    records = list(log.read(run))
    state = fold((record.at, record.event) for record in records)
    if state.finished is None or state.settings.app is not None:
        return None
    placement = Placement(state, texts.get)
    files: dict[str, str] = {}
    for name in state.execution_order:
        files.update(placement.files(state.tasks[name]))
    files |= tables(summary(state, run, records[-1].hash, texts.get), is_app=False)
    return {name: text.encode(errors="replace") for name, text in files.items()}
