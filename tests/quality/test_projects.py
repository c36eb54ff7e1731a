"""Whole projects through the command, against a local server."""

from pathlib import Path

import pytest
from benchmarks.quality.projects import PROJECTS, Ended, main

from tests.servers.openai_server import OpenAIServer


def test_each_project_ends_with_a_plan_and_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command is the product's own; the table says how each ended."""
    with OpenAIServer() as server:
        code = main(["--base-url", server.base_url, "--model", "m", "--time", "120", "--work", str(tmp_path / "work")])
    said = capsys.readouterr()
    assert code == 0, said.out + said.err
    lines = said.out.splitlines()[2:]
    assert [line.split(" | ")[0] for line in lines] == [f"| {project.id}" for project in PROJECTS]
    plan = next(line for line in lines if "`plan --decompose`" in line)
    assert "| 5 | 0 |" in plan
    assert any((tmp_path / "work" / "roman" / "out").iterdir())


def test_a_project_without_a_plan_is_not_met(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A server that is gone leaves no plan, and the command says so."""
    with OpenAIServer() as server:
        address = server.base_url
    words = ["--base-url", address, "--model", "m", "--time", "5", "--only", "roman", "--work", str(tmp_path / "work")]
    assert main(words) == 1
    assert "| no plan | 0 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("tasks", "files", "wanted", "met"),
    [(0, ("a",), True, False), (1, (), True, False), (1, (), False, True), (1, ("a",), True, True)],
)
def test_what_is_met(tasks: int, files: tuple[str, ...], wanted: bool, met: bool) -> None:
    """A plan always, files where the command delivers some."""
    project = next(each for each in PROJECTS if each.files is wanted)
    assert Ended(project.id, "", 0, "SUCCESS", tasks, files, 1, 1.0).is_met(project) is met
