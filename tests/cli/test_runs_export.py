"""``runs export``: what is missing is written, what was changed is named, and written again only with --force."""

from pathlib import Path

import pytest

from tests.cli.command import orchestrate, scripted_spec
from tests.cli.in_process import command

MEAN = "task_001_code_generation.py"


@pytest.fixture
def results(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The output folder of a finished run, ``x1``, in which an output was changed and a file of the user's is."""
    folder = tmp_path / "results"
    ended = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path)), "--project-id", "x1", "-o", str(folder))
    assert ended.code == 0, ended.err
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    with (folder / MEAN).open("a") as file:
        file.write("# changed\n")
    (folder / "mine.txt").write_text("mine")
    return folder


def test_a_changed_output_is_named_and_left(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The exit code says so; what is missing is written all the same."""
    (results / "summary.json").unlink()
    ended = command(capsys, "runs", "export", "x1", "-o", str(results))
    assert ended.code == 2
    assert f"without what differs there: {MEAN}; overwrite with --force" in ended.err
    assert "# changed" in (results / MEAN).read_text()
    assert (results / "summary.json").is_file()


def test_force_restores_it_and_touches_nothing_else(results: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The audit, which found it changed, passes."""
    (results / MEAN).chmod(0o600)
    assert command(capsys, "audit", "verify", "x1").code == 6
    ended = command(capsys, "runs", "export", "x1", "-o", str(results), "--force")
    assert (ended.code, ended.err) == (0, f"x1: written to {results}\n")
    assert "# changed" not in (results / MEAN).read_text()
    assert (results / "mine.txt").read_text() == "mine"
    assert command(capsys, "audit", "verify", "x1").code == 0
    assert command(capsys, "runs", "export", "x1", "-o", str(results)).code == 0


def test_resume_of_a_run_that_has_ended_restores_it_with_force(
    results: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without, only what is missing is written."""
    assert command(capsys, "resume", "x1").code == 0
    assert "# changed" in (results / MEAN).read_text()
    assert command(capsys, "resume", "x1", "--force").code == 0
    assert "# changed" not in (results / MEAN).read_text()
