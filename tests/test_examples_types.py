"""Every example in Python passes ``mypy --strict``, as who copies it would check it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
EXAMPLES = sorted((ROOT / "examples").rglob("*.py"))


def test_there_are_examples() -> None:
    """The service, the verifier, and the plugins with their tests."""
    assert {path.name for path in EXAMPLES} >= {"app.py", "verify_bundle.py", "orchestrator_gateway.py"}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(ROOT / "examples")))
def test_an_example_is_fully_typed(path: Path) -> None:
    """No error, and no setting of this repository that would hide one; its own modules are found beside it."""
    pytest.importorskip("mypy", reason="mypy is not installed")
    if "service" in path.parts:
        pytest.importorskip("fastapi", reason="the extra `service` is not installed")
    beside = path.parent.parent if path.parent.name == "tests" else path.parent
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", "", str(path)],
        cwd=ROOT,
        env={**os.environ, "MYPYPATH": str(beside)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
