"""Every Python block and every command line of the specification, run as it is written.

A block is found by a text that stands in it alone. Its prelude brings what the block takes for granted; vendors are one
server on this machine, reached by a key and an address in the environment.
"""

import ast
import asyncio
import inspect
import re
import shlex
import shutil
import signal
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import Factory, frozen

from orchestrator import Budget, Orchestrator, ProjectState, ProjectStatus, Task, TaskType
from orchestrator.cost import CostPredictor
from orchestrator.metrics import PrometheusExporter
from tests.cli.command import ROOT, rows
from tests.cli.in_process import command
from tests.plugins.providers.vendors import VENDORS
from tests.servers.deepseek import deepseek_server, reaching

SPECIFICATION: Final = ROOT.parent / "shared" / "seed" / "README.md"
POLICIES: Final = "global: [{name: gdpr, allow_training_on_output: false}]"

pytestmark = pytest.mark.skipif(not SPECIFICATION.is_file(), reason="the specification is not beside the project")

Names = dict[str, Any]


@frozen
class Block:
    """What a block takes for granted, and what it must have done."""

    names: Callable[[Path], Names] = lambda folder: {}
    printed: str = ""
    """A pattern of what it prints."""
    check: Callable[[Names, Path], object] = lambda names, folder: True


@frozen
class Line:
    """What a command line takes for granted, and what it must have done."""

    printed: str
    before: tuple[str, ...] = ()
    """A command line that comes first; ``<project_id>`` in the line is the run it left."""
    files: tuple[str, ...] = Factory(tuple)


def _after_a_run(folder: Path) -> Names:
    """An orchestrator that has run a project."""
    orch = Orchestrator(budget=Budget(max_usd=1.0))
    asyncio.run(orch.run_project("Keep data.", "tests pass"))
    return {"orch": orch}


def _policy_files(folder: Path) -> Names:
    (folder / "policies.yaml").write_text(POLICIES)
    (folder / "policies.json").write_text('{"team": {"eng": [{"name": "eu_only", "allowed_regions": ["eu"]}]}}')
    return {}


def _orchestrator(folder: Path) -> Names:
    return {"orch": Orchestrator(budget=Budget(max_usd=2.0)), "schema_json": "{}"}


def _forecast(folder: Path) -> Names:
    tasks = {"t1": Task("t1", TaskType.CODE_GEN, "Do it.")}
    return {"tasks": tasks, "predictor": CostPredictor(), "Budget": Budget}


def _succeeded(names: Names, folder: Path) -> bool:
    state: ProjectState = names["state"]
    return state.status is ProjectStatus.SUCCESS and state.budget.spent_usd > 0


BLOCKS: Final[Mapping[str, Block]] = {
    "from orchestrator import AppBuilder": Block(
        printed=r"Status: (True|False)\nArchitecture: layered / monolith\nGenerated: [1-9]\d* files",
        check=lambda names, folder: any((folder / "my_api").iterdir()),
    ),
    "Budget(max_usd=8.0, max_time_seconds=5400)": Block(
        printed=r"SUCCESS\n\$0\.\d{4}\n(task_\d+: score=0\.930 model=deepseek\S*\n){5}", check=_succeeded
    ),
    "# Tight budget? Use DeepSeek for maximum value": Block(
        printed=r"Status: SUCCESS\nCost: \$0\.\d{4} \(budget: \$1\.5\)\n(  ✓ \w+: deepseek\S* \(score: 0\.93\)\n){5}",
        check=_succeeded,
    ),
    "# For algorithm design and deep reasoning": Block(check=_succeeded),
    "orch = Orchestrator(budget=Budget(max_usd=2.0))": Block(check=_succeeded),
    "Design an efficient caching strategy": Block(names=_orchestrator, check=_succeeded),
    "# Switch to Pareto-optimal routing": Block(
        check=lambda names, folder: (
            asyncio.run(names["orch"].run_project("Keep data.", "tests pass")).status == "SUCCESS"
        )
    ),
    "# 4-level hierarchy": Block(
        names=_after_a_run,
        check=lambda names, folder: len((folder / "audit.jsonl").read_text().splitlines()) > 5,
    ),
    "orch.add_hook(EventType.TASK_COMPLETED": Block(
        check=lambda names, folder: (
            asyncio.run(names["orch"].run_project("Keep data.", "tests pass")).status == "SUCCESS"
        )
    ),
    "ConsoleExporter, JSONExporter, PrometheusExporter": Block(
        names=_after_a_run,
        printed="deepseek",
        check=lambda names, folder: "calls_total" in (folder / "var/lib/node_exporter/orchestrator.prom").read_text(),
    ),
    'load_policy_file("policies.yaml")': Block(
        names=_policy_files, check=lambda names, folder: names["report"].is_clean()
    ),
    "pool = AgentPool()": Block(
        names=lambda folder: {"asyncio": asyncio},
        check=lambda names, folder: names["best"].status == "SUCCESS" and names["merged_profiles"],
    ),
    'orch.get_channel("artifacts")': Block(
        names=_orchestrator, check=lambda names, folder: names["msgs"] == [{"type": "schema", "content": "{}"}]
    ),
    "hier = BudgetHierarchy(": Block(
        names=lambda folder: {"Orchestrator": Orchestrator},
        check=lambda names, folder: names["orch"].budget_hierarchy is names["hier"],
    ),
    "cost_predictor=predictor": Block(
        names=lambda folder: {"Orchestrator": Orchestrator, "Budget": Budget, "predictor": CostPredictor()},
        check=lambda names, folder: names["orch"].cost_predictor is names["predictor"],
    ),
    "profiles = build_default_profiles()": Block(names=_forecast, printed=r"Risk level: low\nBreakdown: \{"),
}
FRAGMENTS: Final[Mapping[str, str]] = {
    "predictor = CostPredictor(": "its candidates are written as [...], which the reader is to fill in",
}
"""Blocks that cannot be run as they are, and why."""

AUTH: Final = 'python -m orchestrator --project "Build a FastAPI auth service"'
LINES: Final[Mapping[str, Line]] = {
    "--budget 2.0": Line(r"of at most \$2\.00"),
    '"Build a REST API" --criteria "tests pass"': Line(r"status +SUCCESS"),
    "--no-enhance": Line(r"status +SUCCESS"),
    AUTH: Line(r"status +SUCCESS"),
    "--new-project": Line(r"status +SUCCESS", before=(AUTH,)),
    "--output-dir ./my_results": Line(
        r"files +\S*my_results",
        files=("my_results/task_001_code_generation.py", "my_results/summary.json", "my_results/README.md"),
    ),
    "--time     5400": Line(r"of at most 1 h 30 min"),
    "--file projects/example_full.yaml": Line(r"of at most \$3\.00"),
    "--file projects/example_full.yaml --output-dir ./results": Line(r"SUCCESS", files=("results/summary.json",)),
    "--resume <project_id>": Line("nothing is left to do", before=(AUTH,)),
    "--list-projects": Line(r"run-\w+ +SUCCESS", before=(AUTH,)),
}
"""Every command line, by its end (the shorter of two that fit is the whole line's)."""


def _python_blocks() -> list[str]:
    text = SPECIFICATION.read_text(encoding="utf-8")
    found = re.findall(r"^( *)```python\n(.*?)^\1```$", text, re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


def _command_lines() -> list[str]:
    text = SPECIFICATION.read_text(encoding="utf-8").replace("\\\n", " ")
    return re.findall(r"^python -m orchestrator.*$", text, re.MULTILINE)


def _line_of(end: str) -> str:
    return next(line for line in _command_lines() if line.endswith(end))


@pytest.fixture(autouse=True)
def surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An empty working folder, a data folder, one vendor; the signals stay pytest's."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("COLUMNS", "200")
    for name in [name for reached in VENDORS.values() for name in (reached.key, reached.address)]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("OPENAI_COMPATIBLE_BASE_URL", raising=False)
    monkeypatch.setattr(  # its example writes where only an administrator may
        "orchestrator.metrics.PrometheusExporter",
        lambda path: PrometheusExporter(_made(tmp_path / path.removeprefix("/"))),
    )
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    with deepseek_server() as server:
        for name, value in reaching(server).items():
            monkeypatch.setenv(name, value)
        yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


@pytest.mark.parametrize("mark", BLOCKS)
def test_a_python_block_runs_as_it_is_written(mark: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It does what it says; where it awaits outside of a function, in a coroutine."""
    (block,) = (block for block in _python_blocks() if mark in block)
    names = BLOCKS[mark].names(tmp_path)
    capsys.readouterr()
    code = compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, names))
    else:
        exec(code, names)
    assert re.search(BLOCKS[mark].printed, capsys.readouterr().out)
    assert BLOCKS[mark].check(names, tmp_path)


def test_every_python_block_is_in_the_table() -> None:
    """Each of them once, and at most five are only fragments."""
    marks = [*BLOCKS, *FRAGMENTS]
    assert [sum(mark in block for mark in marks) for block in _python_blocks()] == [1] * len(marks)
    assert len(FRAGMENTS) <= 5


@pytest.mark.parametrize("end", LINES)
def test_a_command_line_does_what_it_says(end: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It runs to its end, with the example projects beside it, and no person to ask."""
    shutil.copytree(ROOT / "examples" / "projects", tmp_path / "projects")
    line, wanted = _line_of(end), LINES[end]
    for first in wanted.before:
        assert command(capsys, *shlex.split(_line_of(first))[3:]).code == 0
        ((run,),) = rows(tmp_path / "home", "SELECT run_id FROM runs")
        line = line.replace("<project_id>", run)
    program, *arguments = shlex.split(line.removeprefix("python -m "))
    assert program == "orchestrator"
    ended = command(capsys, *arguments)
    assert ended.code == 0, ended.err
    assert re.search(wanted.printed, ended.out + ended.err)
    assert all((tmp_path / name).is_file() for name in wanted.files)


def test_every_command_line_is_in_the_table() -> None:
    """None is left out."""
    assert sorted(map(_line_of, LINES)) == sorted(set(_command_lines()))
