"""docs/building.md says what is true: its commands print what it shows, its program runs, its table is complete."""

import os
import re
import subprocess
import sys
from pathlib import Path

from orchestrator.plugins import Catalogue
from tests.cli.command import ROOT, clean_environment
from tests.pages import page, run_all

PAGE = page("building.md")
GREETER = ROOT / "examples" / "greeter"


def test_the_commands_print_what_the_page_shows(tmp_path: Path) -> None:
    """Build, explain, replay and pool, in order, in one folder."""
    assert run_all(PAGE, tmp_path / "work", {"greeter": GREETER}) == 4
    assert (tmp_path / "work" / "app" / "greeter" / "__main__.py").exists()
    said = subprocess.run(
        [sys.executable, "-m", "greeter", "Ada"],
        cwd=tmp_path / "work" / "app",
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout == "Hello, Ada!\n"


def test_the_program_runs(tmp_path: Path) -> None:
    """The Python block builds the same application."""
    (program,) = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    (tmp_path / "greeter").symlink_to(GREETER)
    environ = {**clean_environment(tmp_path / "home"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environ, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines() == ["True script 6", "tests passed", "start passed"]


def test_the_table_has_every_scaffold() -> None:
    """The types of the page are the installed ones."""
    table = PAGE.partition("## Scaffolds")[2].partition("## The trial")[0]
    named = re.findall(r"^\| `([a-z]+)` \|", table, re.MULTILINE)
    assert sorted(named) == sorted(Catalogue.discover().names("scaffold"))
