"""What the README shows is true: its files are read, its program runs, its commands and views exist."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from orchestrator.money import Usd
from orchestrator.spec import read_models, read_spec
from tests.cli import in_process

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
USAGE = (ROOT / "docs" / "usage.md").read_text(encoding="utf-8")
PYTHON = (ROOT / "docs" / "python.md").read_text(encoding="utf-8")
COMMANDS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
_SCREEN = 80
"""Lines of the README: a screen, and links."""


def _blocks(language: str, page: str = README) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)


def _environment(home: Path) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.endswith(("_API_KEY", "_BASE_URL"))}
    return {**kept, "ORCHESTRATE_HOME": str(home), "COLUMNS": "120"}


def _orchestrate(home: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "orchestrator", *arguments],
        cwd=ROOT,
        env=_environment(home),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_the_models_file_and_the_spec_can_be_used(tmp_path: Path) -> None:
    """The YAML blocks are a models file, a spec, and keys of specs."""
    models, spec, tested, elsewhere = _blocks("yaml", USAGE)
    (tmp_path / "short.yaml").write_text(_blocks("yaml")[0])
    assert read_spec(tmp_path / "short.yaml").budget_usd == Usd.parse("2.0")
    (tmp_path / "elsewhere.yaml").write_text(f"project: p\ncriteria: c\n{elsewhere}")
    assert read_spec(tmp_path / "elsewhere.yaml").policies[0].blocked_providers == ("openai", "mistral")
    (tmp_path / "models.yaml").write_text(models)
    (tmp_path / "spec.yaml").write_text(spec)
    assert [model.provider for model in read_models(tmp_path / "models.yaml")] == ["openai_compatible"]
    assert read_spec(tmp_path / "spec.yaml").policies
    (tmp_path / "tested.yaml").write_text(f"project: p\ncriteria: c\n{tested}")
    found = read_spec(tmp_path / "tested.yaml")
    assert {strategy.name for strategy in found.loop.values()} == {"best_of"}
    assert found.tasks is not None
    assert "test_mean" in str(found.tasks[0].tests)


def test_the_program_runs_as_written(tmp_path: Path) -> None:
    """The Python block prints a status and a line per task."""
    program = _blocks("python", PYTHON)[0]
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=_environment(tmp_path),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    first, *rest = ended.stdout.splitlines()
    assert first.startswith("SUCCESS $0.")
    assert len(rest) == 7


def test_the_first_line_does_what_it_says(tmp_path: Path) -> None:
    """The command of the first line, with its flags, runs the quickstart; the screen in the README is its output."""
    line = next(line for block in _blocks("bash") for line in block.splitlines() if "quickstart" in line)
    arguments = line.rpartition("orchestrate ")[2].split()
    ended = _orchestrate(tmp_path, *arguments[:-1], str(tmp_path / arguments[-1]))
    assert ended.returncode == 0, ended.stderr
    shown = _blocks("text")[0]
    reported = re.findall(r"^(?:task|status|spend|planning|files).*$", shown, re.MULTILINE)
    assert len(reported) == 12
    assert [line for line in reported if line.replace("results", str(tmp_path / "results")) not in ended.stdout] == []
    written = {path.name for path in (tmp_path / "results").iterdir() if not path.name.startswith(".")}
    assert {"summary.json", "README.md", "task_001_code_generation.py"} <= written
    database = str(tmp_path / "events.db")
    query = next(block for block in _blocks("bash", USAGE) if block.startswith("sqlite-utils"))
    sql = re.search(r'"(select .*?)"', query, re.DOTALL)
    assert sql is not None
    tool = Path(sys.executable).parent / "sqlite-utils"
    found = subprocess.run([str(tool), "query", database, sql[1]], capture_output=True, text=True, check=True)
    assert "decomposer" in found.stdout
    for view in re.findall(r"`([a-z]+)`", USAGE.partition("Views:")[2].partition(";")[0]):
        subprocess.run([str(tool), "query", database, f"select * from {view}"], capture_output=True, check=True)


def test_every_command_of_the_table_exists(capsys: pytest.CaptureFixture[str]) -> None:
    """Each command of the table answers to --help, and nothing in `orchestrate --help` is left out of it."""
    table = COMMANDS.partition("Exit codes")[0]
    named = {command for cell in re.findall(r"^\| (`.*?) \|", table, re.MULTILINE) for command in _commands(cell)}
    assert named
    for command in sorted(named):
        assert in_process.command(capsys, *command.split(), "--help").code == 0, command
    shown = in_process.command(capsys, "--help").out.partition("Commands:")[2]
    listed = re.findall(r"^  ([a-z]+) ", shown, re.MULTILINE)
    assert set(listed) == {command.split()[0] for command in named}


def _commands(cell: str) -> list[str]:
    """The commands in a cell: the lower-case words at the start of each code span."""
    return [" ".join(re.match(r"[a-z ]+", span)[0].split()) for span in re.findall(r"`([a-z][^`]*)`", cell)]  # type: ignore[index]


def test_the_readme_is_one_screen_and_links_that_lead_somewhere() -> None:
    """Every page it names exists, and what it says fits on a screen."""
    assert len(README.splitlines()) <= _SCREEN
    for target in re.findall(r"\]\(([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
def test_no_path_of_a_machine_stands_in_tracked_files() -> None:
    """Tracked files name no folder of the machine they were written on."""
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    # a folder such as /tmp, which texts may name, is none of this machine's own
    needle = f"{ROOT.parent if len(ROOT.parent.parts) > 2 else ROOT}{os.sep}"
    guilty = [name for name in tracked if needle in (ROOT / name).read_text(encoding="utf-8", errors="replace")]
    assert guilty == []
