"""docs/context.md and docs/steering.md say what is true: their specs are specs, their commands work."""

import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.cli.command import ROOT, count, finish, orchestrate, scripted_spec, start, wait_until
from tests.pages import page

QUICKSTART = ROOT / "examples" / "quickstart"


def _lines(text: str) -> list[list[str]]:
    """The words of every call of the program on a page, without comments."""
    blocks = re.findall(r"^```console\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)
    lines = [line for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    return [shlex.split(line.partition("orchestrate ")[2], comments=True) for line in lines]


@pytest.mark.parametrize("name", ["context.md", "steering.md"])
def test_the_specs_of_a_page_are_specs(name: str, tmp_path: Path) -> None:
    """Each is read, beside the files that it names."""
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "stats.py").write_text("x = 1\n")
    (tmp_path / "data.csv").write_text("a,b\n1,2\n")
    blocks = re.findall(r"^```yaml\n(.*?)^```$", page(name), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 2
    for number, block in enumerate(blocks):
        path = tmp_path / f"{number}.yaml"
        path.write_text(block)
        assert orchestrate(tmp_path, "spec", "validate", str(path)).code == 0, block


def test_the_commands_of_the_page_of_files_work(tmp_path: Path) -> None:
    """With the folders that they name."""
    home = tmp_path / "home"
    for each in QUICKSTART.iterdir():
        shutil.copy(each, tmp_path / each.name)
    for name in ("src/stats.py", "data/a.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text("a = 1\n")
    first, piped, *explained = _lines(page("context.md"))
    ended = orchestrate(home, *first, "--project-id", "r", cwd=tmp_path)
    assert (ended.code, "context: 2 files" in ended.err) == (0, True), ended.err
    assert "no task of the plan names a file of yours" in ended.err
    assert piped == ["run", "spec.yaml", "--context", "-"]
    for words in explained:
        shown = orchestrate(home, *("r" if word == "RUN" else word for word in words))
        assert shown.code == 0, shown.err
        assert ("src/stats.py" in shown.out) is ("plan" in words)  # the example's planner names no file


def test_the_commands_of_the_page_of_steering_work(tmp_path: Path) -> None:
    """On a run that waits for its plan to be approved."""
    home, plan = tmp_path / "home", tmp_path / "plan.yaml"
    process = start(home, "run", str(scripted_spec(tmp_path, approve="plan", project_id="r")))
    wait_until(lambda: count(home, "question.asked"), process)
    called = [["r" if word == "RUN" else word for word in words] for words in _lines(page("steering.md"))]
    assert called == [
        ["answer", "r"],
        ["answer", "r", "yes"],
        ["answer", "r", "yes", "--add-budget", "2"],
        ["plan", "edit", "r"],
        ["plan", "edit", "r", "--show", ">", "plan.yaml"],
        ["plan", "edit", "r", "--file", "plan.yaml"],
    ]
    assert orchestrate(home, *called[0]).code == 0
    assert orchestrate(home, *called[2]).code == 2  # it asks about its plan, and not at its ceiling
    assert orchestrate(home, *called[3]).code == 2  # there is no terminal for an editor
    plan.write_text(orchestrate(home, *called[4][:-2]).out)
    assert orchestrate(home, *called[5], cwd=tmp_path).code == 0
    wait_until(lambda: count(home, "question.asked") == 2, process)
    assert orchestrate(home, *called[1]).code == 0
    assert finish(process).code == 0
