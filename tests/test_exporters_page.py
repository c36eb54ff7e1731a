"""docs/exporters.md says what is true: its spec runs, its commands print what it shows, its programs work."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from orchestrator.plugins import DISTRIBUTION, Catalogue
from orchestrator.spi import Metrics, RunEvent
from tests.cli.command import MODELS, ROOT, clean_environment

PAGE = (ROOT / "docs" / "exporters.md").read_text()
PLAN = {"tasks": [{"id": "stack", "type": "code_generation", "prompt": "Write a stack."}]}
ANSWERS = [
    {"role": "decomposer", "text": json.dumps(PLAN)},
    {"role": "generator", "text": "```python\nclass Stack: ...\n```"},
    {"role": "critic", "text": "Add types."},
    {"role": "reviser", "text": "```python\nclass Stack: ...\n```"},
    {"role": "evaluator", "text": '{"score": 0.95, "reasons": "fine"}'},
]


def _blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the page's spec and its answers; its port is any free one."""
    (text,) = _blocks("yaml")
    assert text.count("port: 9464") == 1
    (tmp_path / "spec.yaml").write_text(text.replace("9464", "0"))
    (tmp_path / "answers.yaml").write_text(json.dumps({"models": MODELS, "answers": ANSWERS}))
    return tmp_path


def _run(folder: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    environ = {**clean_environment(folder / "home"), "PYTHONPATH": os.environ.get("PYTHONPATH", "")}
    return subprocess.run([sys.executable, *words], cwd=folder, env=environ, capture_output=True, text=True, check=True)


def _matches(shown: str, printed: str) -> bool:
    """Whether a line of the page is this one; ``…`` in it stands for anything."""
    pattern = "".join(".*" if part == "…" else re.escape(part) for part in re.split("(…)", " ".join(shown.split())))
    return re.fullmatch(pattern, " ".join(printed.split())) is not None


def test_the_commands_print_what_the_page_shows(folder: Path) -> None:
    """Each command, run in order, prints the lines below it in that order; the spec's files are there afterwards."""
    count = 0
    for line in "".join(_blocks("console")).splitlines():
        if line.startswith("$ orchestrate "):
            done = _run(folder, "-m", "orchestrator", *shlex.split(line)[2:])
            printed = iter([*done.stdout.splitlines(), *done.stderr.splitlines()])
            count += 1
        elif line != "…":
            assert any(_matches(line, each) for each in printed), (line, done.stdout, done.stderr)
    assert count == 5
    written = {path.name for path in (folder / "metrics").iterdir()}
    assert written == {"orchestrator.prom", "orchestrator.json"}
    assert json.loads((folder / "stack.json").read_text())["runs"]["stack"]["status"] == "SUCCESS"


def test_the_program_exports(folder: Path) -> None:
    """The Python example prints the table and writes both files."""
    program = _blocks("python")[0]
    done = _run(folder, "-c", program)
    assert "validator_failures_total" in done.stdout.splitlines()[0]
    assert (folder / "metrics.json").exists()
    assert (folder / "orchestrator.prom").exists()


def test_the_exporter_of_the_page_works(tmp_path: Path) -> None:
    """The class on the page follows the contract."""
    names: dict[str, type] = {}
    exec(compile(_blocks("python")[1], "page", "exec"), names)
    exporter = names["Spend"](tmp_path / "spend")
    exporter.observe(RunEvent("r", 1, 1, "call.started", {}))
    exporter.export(Metrics(0))
    exporter.close()
    assert exporter.calls == 1
    assert (tmp_path / "spend").read_text() == ""


def test_the_page_names_every_exporter_and_metric() -> None:
    """No built-in exporter and no metric of the specification is missing from its tables."""
    entries = Catalogue.discover().entries()
    own = [each.name for each in entries if each.kind == "exporter" and each.distribution == DISTRIBUTION]
    assert len(own) == 6
    for name in own:
        assert f"| `{name}` |" in PAGE, name
    for name in ("calls_total", "success_rate", "latency_avg_ms", "latency_p95_ms", "quality_score"):
        assert f"| `{name}` |" in PAGE, name
    for name in ("trust_factor", "cost_avg_usd", "validator_failures_total"):
        assert f"| `{name}` |" in PAGE, name
