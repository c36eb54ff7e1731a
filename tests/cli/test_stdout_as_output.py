"""``-`` as an output: stdout where a command can write to it, and one line where stdout has other content."""

from pathlib import Path

import pytest

from tests.cli.conftest import Finished
from tests.cli.in_process import command

REFUSING = (
    "run spec.yaml -o -",
    "run spec.yaml --junit -",
    "resume done -o -",
    "runs export done -o -",
    "audit verify done --junit -",
    "audit export done -o -",
    "audit anchor done --to -",
    "audit keygen -",
    "log import done.tar --into -",
    "log recover done --into -",
    "log archive --older-than 9d --to -",
    "log export done --as-script -",
    "plugins new validator tidy -o -",
    "eval show --out -",
    "eval show --junit -",
    "build words -o -",
    "pool spec.yaml -o -",
)


@pytest.fixture(autouse=True)
def here(finished: Finished, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and the data folder of a finished run."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(finished.home))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("words", REFUSING)
def test_where_stdout_has_other_content_it_is_refused(
    words: str, here: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """In one line, and nothing is written."""
    ended = command(capsys, *words.split())
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 1), ended
    assert "stdout has other content: name a file or a folder" in ended.err
    assert list(here.iterdir()) == []


def test_a_report_and_a_spec_go_to_stdout(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing else is there; a file that is named so is written with its folder."""
    page = command(capsys, "report", "done", "-o", "-", "--no-verify")
    assert (page.code, page.err) == (0, "")
    assert page.out.startswith("<!DOCTYPE html>")
    assert page.out.endswith("</html>\n")
    assert command(capsys, "spec", "init", "-").out.splitlines()
    assert list(here.iterdir()) == []
    assert command(capsys, "report", "done", "-o", "./-", "--no-verify").code == 0
    assert "</html>" in (here / "-").read_text()


def test_two_results_for_stdout_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    """They would be one text that nothing reads."""
    ended = command(capsys, "eval", "show", "--json", "--markdown", "-")
    assert (ended.code, "both write to stdout" in ended.err) == (2, True)
