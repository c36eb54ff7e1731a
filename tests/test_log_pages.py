"""The pages on auditing and on the log show what the commands print."""

import re
from pathlib import Path

import pytest

from orchestrator_audit.checks import CHECKS
from orchestrator_audit.laws.shadow_state import OF_A_HISTORY
from tests.cli.command import ROOT
from tests.pages import page, run_all

AUDITING = page("auditing.md")


def test_the_worked_example_on_auditing_prints_what_the_page_shows(tmp_path: Path) -> None:
    """The commands run in order on one data folder, and every line shown is printed, in the order shown."""
    pytest.importorskip("cryptography")
    assert run_all(AUDITING, tmp_path, {"examples": ROOT / "examples"}) == 11


def test_the_worked_example_on_the_log_prints_what_the_page_shows(tmp_path: Path) -> None:
    """The same for the page on the log."""
    assert run_all(page("log.md"), tmp_path, {"examples": ROOT / "examples"}) == 15


def test_the_program_on_the_page_reads_the_newest_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It writes a line per model considered, as the specification has it."""
    from tests.log.project import in_workspace, spec_of, write_project

    spec = spec_of(write_project(tmp_path / "project"))
    in_workspace(tmp_path / "home", lambda w: w.start(spec))
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (program,) = re.findall(r"^```python\n(.*?)^```$", AUDITING, re.DOTALL | re.MULTILINE)
    names: dict[str, object] = {}
    exec(program, names)
    assert names["refused"] == []
    assert len((tmp_path / "audit.jsonl").read_text().splitlines()) > 20


def test_every_check_of_a_log_is_on_the_page() -> None:
    """The table names the checks with what they make sure of, in their order."""
    rows = re.findall(r"^\| `([a-z]+)` \| (.+) \|$", AUDITING, re.MULTILINE)
    of_texts = ("readings", "settings", "prompts", "files", "decisions")
    wanted = ("chain", "texts", "heads", "layout", "rows", *OF_A_HISTORY, *of_texts, "pace", "accounts")
    assert rows == [(name, CHECKS[name]) for name in wanted]
