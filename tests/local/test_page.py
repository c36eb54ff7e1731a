"""docs/local-plugins.md: its spec, its file and its program run as they are printed."""

import re
import subprocess
import sys
from pathlib import Path

from tests.cli.command import ROOT, clean_environment, orchestrate

PAGE = (ROOT / "docs" / "local-plugins.md").read_text(encoding="utf-8")
ANSWERS = """answers:
  - {role: generator, text: "```python\\ndef add(a, b):\\n    return a + b\\n```"}
  - {role: evaluator, text: '{"score": 0.95}'}
  - {role: critic, text: '[]'}
"""


def _blocks(language: str) -> list[str]:
    return [str(found) for found in re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)]


def test_the_command_of_the_page(tmp_path: Path) -> None:
    """It checks what it says, and passes."""
    (spec,) = _blocks("yaml")
    (tmp_path / "spec.yaml").write_text(spec)
    (tmp_path / "answers.yaml").write_text(ANSWERS)
    done = orchestrate(tmp_path, "run", "spec.yaml")
    assert done.code == 0, done.err


def test_the_file_of_the_page(tmp_path: Path) -> None:
    """By the command line of the page."""
    spec = _blocks("yaml")[0].replace("[house]", "[house, check]")
    (tmp_path / "spec.yaml").write_text(spec)
    (tmp_path / "answers.yaml").write_text(ANSWERS)
    (tmp_path / "check.py").write_text(_blocks("python")[0])
    (line,) = _blocks("console")
    done = orchestrate(tmp_path, *line.removeprefix("$ orchestrate ").split())
    assert done.code == 0, done.err


def test_the_program_of_the_page(tmp_path: Path) -> None:
    """It prints that its check was passed, and that its exporter saw calls."""
    (tmp_path / "answers.yaml").write_text(ANSWERS)
    (tmp_path / "program.py").write_text(_blocks("python")[1])
    done = subprocess.run(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env=clean_environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.stdout.strip() == "SUCCESS True True", done.stderr
