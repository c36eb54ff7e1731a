"""The page on evaluations: its commands do what it shows, its suites can be read, and it knows every word."""

import re
import shutil
from pathlib import Path

from orchestrator.models import CellProblem
from orchestrator_eval.grading_rules import GraderKind
from orchestrator_eval.suite_file import read_suite
from tests.cli.command import ROOT
from tests.pages import page, run_all

FOLDER = ROOT / "examples" / "eval"


def test_the_page_shows_what_is_printed(tmp_path: Path) -> None:
    """Every example on the page, run in its order."""
    work = tmp_path / "work"
    shutil.copytree(FOLDER, work)  # a suite may not read what lies elsewhere
    assert run_all(page("eval.md"), work, {}) == 7


def test_the_page_names_every_grader_and_error() -> None:
    """Each kind of grader, and whose an error can be."""
    text = page("eval.md")
    assert [kind for kind in GraderKind if f"`{kind.value}: " not in text] == []
    assert [problem for problem in CellProblem if f"`{problem.value}`" not in text] == []


def test_the_suite_on_the_page_is_one(tmp_path: Path) -> None:
    """It can be read as it stands."""
    first = re.findall(r"^```yaml\n(.*?)^```$", page("eval.md"), re.DOTALL | re.MULTILINE)[0]
    path = tmp_path / "suite.yaml"
    path.write_text(first)
    assert [case.id for case in read_suite(path).cases] == ["trains"]
