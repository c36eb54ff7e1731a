"""Checks and files of a run, seen from outside."""

import signal
from pathlib import Path
from typing import Any

from tests.cli.command import count, orchestrate, rows, scripted_spec, signalled, start, wait_until

LATEX = {"id": "paper", "type": "creative_writing", "prompt": "Write it.", "hard_validators": ["latex"]}


def test_a_tool_that_is_not_there_skips_its_check_and_that_is_shown(tmp_path: Path) -> None:
    """The output stands, with the skip in the log and on the terminal; asked for, the skip is a failure."""
    (tmp_path / "empty").mkdir()
    nowhere = {"PATH": str(tmp_path / "empty")}
    spec = scripted_spec(tmp_path / "spec", tasks=[LATEX], project_id="skips")
    ended = orchestrate(tmp_path / "home", "run", str(spec), environ=nowhere)
    assert ended.code == 0, ended.err
    assert "paper: check latex was skipped: pdflatex is not installed" in ended.err
    assert rows(tmp_path / "home", "SELECT DISTINCT verdict FROM checks") == [("skipped",)]
    strict = scripted_spec(
        tmp_path / "spec", tasks=[LATEX], project_id="fails", validators={"missing_tool": "fail"}, name="strict.json"
    )
    ended = orchestrate(tmp_path / "home", "run", str(strict), environ=nowhere)
    assert ended.code == 1
    assert "paper: check latex was skipped, which counts as failed here: pdflatex" in ended.err
    assert "paper degraded (a check did not pass), score 0.000" in ended.err


def test_files_appear_as_tasks_finish(tmp_path: Path) -> None:
    """While the second task is still being written, the first one's file is there."""
    tasks: list[dict[str, Any]] = [
        {"id": "first", "type": "code_generation", "prompt": "Write x."},
        {"id": "second", "type": "code_generation", "prompt": "Write y.", "dependencies": ["first"]},
    ]
    slow = {"role": "generator", "task": "second", "text": "y = 1", "delay_ms": 60_000}
    spec = scripted_spec(tmp_path / "spec", tasks=tasks, answers=[slow], project_id="files")
    home, out = tmp_path / "home", tmp_path / "out"
    process = start(home, "run", str(spec), "-o", str(out))
    wait_until(lambda: count(home, "task.finished"), process)
    assert (out / "task_001_code_generation.py").read_text() == "x = 2\n"
    assert not (out / "task_002_code_generation.py").exists()
    assert process.poll() is None
    assert signalled(process, signal.SIGINT).code == 130
