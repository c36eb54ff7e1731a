"""Hostile spec, models and policy files given to the real command: one clear line, exit 2, before any call."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.fire.harness import Command, environment, spec_file
from tests.servers.openai_server import OpenAIServer
from tests.spec.test_reading import HOSTILE

_MOST_KILOBYTES = 400 * 1024
_DEADLINE = 10.0
_WEIGHED = """
import os, sys
child = os.posix_spawn(sys.executable, [sys.executable, *sys.argv[1:]], os.environ)
_, status, usage = os.wait4(child, 0)
print(os.waitstatus_to_exitcode(status), usage.ru_maxrss)
"""
"""Between the tests and the command: a process counts the largest memory of the one that has begun it as its own."""


def _arguments(kind: str, bad: Path, folder: Path) -> list[str]:
    if kind == "spec":
        return ["run", str(bad)]
    return ["run", str(spec_file(folder)), f"--{kind}", str(bad)]


@pytest.mark.parametrize("kind", ["spec", "models", "policy"])
@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_file_is_refused_in_clear_lines(kind: str, case: str, tmp_path: Path) -> None:
    """Exit 2 within ten seconds and 400 MB, every line names file and line, no call is made, nothing is recorded."""
    bad = tmp_path / "bad.yaml"
    HOSTILE[case](bad)
    with OpenAIServer() as server:
        command = Command(tmp_path, server)
        ended = command.run(*_arguments(kind, bad, tmp_path), timeout=_DEADLINE)
        assert ended.code == 2, ended.stderr
        assert server.ledger == ()
    said = ended.stderr
    assert "Traceback" not in said
    lines = [line for line in said.splitlines() if line.strip()]
    assert lines
    assert any(line.removeprefix("orchestrate: ").startswith(f"{bad}:") for line in lines), said
    assert command.history() == []


@pytest.mark.parametrize("case", ["alias bomb", "10 MB", "device", "deeply nested"])
def test_refusing_takes_little_memory(case: str, tmp_path: Path) -> None:
    """The largest memory of the whole process stays below 400 MB."""
    bad = tmp_path / "bad.yaml"
    HOSTILE[case](bad)
    words = ["-m", "orchestrator", "run", str(bad), "--home", str(tmp_path / "home")]
    ended = subprocess.run(
        [sys.executable, "-c", _WEIGHED, *words],
        env=environment(None),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    code, kilobytes = map(int, ended.stdout.split())
    assert code == 2
    assert kilobytes < _MOST_KILOBYTES
