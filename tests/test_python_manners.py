"""What Python users expect of a library: types, names, errors and records where they look for them."""

import asyncio
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import orchestrator
from orchestrator import Budget, Orchestrator, ProjectState, ProjectStatus, StateManager
from orchestrator.errors import SpecError, UsageError
from tests.cli.command import ANSWERS, MODELS

ROOT = Path(__file__).parents[1]


def _orchestrator(folder: Path, answers: list[dict[str, Any]] | None = None, **keys: Any) -> Orchestrator:
    """An orchestrator whose models answer from a script, with one task."""
    import json

    script = {"models": MODELS, "delay_ms": 0, "answers": [*ANSWERS, *(answers or [])]}
    (folder / "answers.json").write_text(json.dumps(script))
    return Orchestrator(
        budget=Budget(max_usd=2.0),
        state_manager=StateManager(folder / "home"),
        providers={"scripted": {"answers": str(folder / "answers.json")}},
        tasks=[{"id": "only", "type": "code_generation", "prompt": "Write x."}],
        **keys,
    )


def test_a_run_without_asyncio(tmp_path: Path) -> None:
    """``run_project_sync`` plays the run and returns its state."""
    state = _orchestrator(tmp_path).run_project_sync("Write x.", "x is a number", project_id="plain")
    assert (state.project_id, state.status, state.is_open) == ("plain", ProjectStatus.SUCCESS, False)


def test_a_run_without_asyncio_inside_a_running_loop(tmp_path: Path) -> None:
    """One line says what to write instead; nothing is run."""
    asked = _orchestrator(tmp_path)

    async def notebook() -> None:
        asked.run_project_sync("Write x.", "x is a number")

    with pytest.raises(UsageError, match=r"^an event loop is running here.*await orchestrator\.run_project") as raised:
        asyncio.run(notebook())
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize(
    ("given", "meant"), [("max_concurency", "max_concurrency"), ("provider", "providers"), ("budjet", "budget")]
)
def test_a_misspelt_keyword_is_an_error_at_once(given: str, meant: str) -> None:
    """It is a TypeError, as of any function, and says what may be meant."""
    with pytest.raises(TypeError, match=f"no argument '{given}'; did you mean '{meant}'") as raised:
        Orchestrator(**{given: 3})  # type: ignore[arg-type]
    assert isinstance(raised.value, SpecError)


def test_dir_lists_what_can_be_imported() -> None:
    """Completion in a shell finds the public names before any of them is loaded."""
    code = "import orchestrator, json; print(json.dumps(dir(orchestrator)))"
    listed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    for name in orchestrator.__all__:
        assert f'"{name}"' in listed


def test_an_open_run_has_no_status() -> None:
    """Asking for it is an error that names the run."""
    state = ProjectState("r", None, {}, Budget(), {}, [], {})
    assert state.is_open
    with pytest.raises(UsageError, match="run r is open"):
        state.status  # noqa: B018 - reading it is what fails


def test_records_of_a_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """INFO tells of the run and its tasks, WARNING of failures and fallbacks; no record has a text of the run."""
    failing = [{"role": "generator", "model": "north", "error": "server"}]
    with caplog.at_level(logging.INFO, "orchestrator"):
        _orchestrator(tmp_path, failing).run_project_sync("Write x.", "x is a number", project_id="seen")
    found = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "orchestrator.runs"]
    assert found[0] == ("INFO", "seen: started")
    assert ("WARNING", "seen: only generator: north failed (server)") in found
    assert ("WARNING", "seen: only generator: south is called (fallback)") in found
    assert any(level == "INFO" and re.match(r"seen: task only completed, south, \$0\.", text) for level, text in found)
    assert found[-1] == ("INFO", "seen: ended with SUCCESS")
    assert not any("Write x" in text for _, text in found)


def test_the_program_of_the_documentation_is_typed(tmp_path: Path) -> None:
    """It passes ``mypy --strict`` as it stands."""
    pages = [ROOT / "docs" / "python.md"]
    (program,) = [
        block
        for page in pages
        for block in re.findall(r"^```python\n(.*?)^```$", page.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    ][:1]
    (tmp_path / "sample.py").write_text(program)
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", str(tmp_path / "sample.py")],
        cwd=tmp_path,
        env={"PATH": "", "MYPYPATH": str(ROOT / "core"), "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
