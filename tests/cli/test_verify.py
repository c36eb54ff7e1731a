"""``verify_cmd`` through the front door: what it decides, where it is shown, and that it survives a kill."""

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.engine.checks import selector_for
from orchestrator.settings import SandboxChoice
from tests.cli.command import count, finish, orchestrate, rows, scripted_spec, start, wait_until
from tests.plugins.sandbox.places import with_argument

OUTPUT = "task_001_code_generation.py"


@pytest.fixture(autouse=True)
def _with_sandbox() -> None:
    if selector_for(SandboxChoice.AUTO).level() is None:
        pytest.skip("no sandbox holds on this machine")


def _verified(home: Path, run: str = "whole") -> dict[str, Any]:
    (data,) = rows(home, "SELECT data FROM events WHERE stream = ? AND type = 'result.verified'", run)
    found: dict[str, Any] = json.loads(data[0])
    return found


def test_a_result_that_passes_is_a_success(tmp_path: Path) -> None:
    """The command sees the files of the tasks; its result is in the log, the table, the summary and the README."""
    level = selector_for(SandboxChoice.AUTO).level()
    assert level is not None
    command = f'python -c \'import runpy; assert runpy.run_path("{OUTPUT}")["x"] == 2\' && echo checked'
    spec = scripted_spec(tmp_path / "spec", project_id="whole", verify_cmd=command)
    home, out = tmp_path / "home", tmp_path / "out"
    ended = orchestrate(home, "run", str(spec), "-o", str(out))
    assert ended.code == 0, ended.err
    assert "verifying the result" in ended.err
    assert any(line.startswith("verification  passed (exit status 0)") for line in ended.lines)
    data = _verified(home)
    assert (data["verdict"], data["code"], data["problem"], data["sandbox"]) == ("passed", 0, None, level.value)
    assert command not in json.dumps(rows(home, "SELECT data FROM events WHERE stream = 'whole'"))
    summary = json.loads((out / "summary.json").read_text())
    reported = summary["verification"]
    assert (summary["status"], reported["verdict"], reported["exit_code"], reported["output"]) == (
        "SUCCESS",
        "passed",
        0,
        "checked\n",
    )
    assert reported["command"] == command
    assert (
        f"Verification of the whole: passed (exit status 0, sandbox {level.value})." in (out / "README.md").read_text()
    )
    assert orchestrate(home, "replay", "whole", "--verify").code == 0
    explained = orchestrate(home, "explain", "whole", "verify")
    assert "verification passed (exit status 0)" in explained.out
    again = orchestrate(home, "run", str(spec), "-o", str(out))
    assert (again.code, count(home, "verification.started")) == (0, 1)


def test_a_result_that_does_not_pass_is_partial(tmp_path: Path) -> None:
    """Every task is completed, and yet the run is not: exit 1, with what the command said."""
    spec = scripted_spec(tmp_path / "spec", project_id="whole", verify_cmd="echo 'x is no number'; exit 7")
    home, out = tmp_path / "home", tmp_path / "out"
    ended = orchestrate(home, "run", str(spec), "-o", str(out))
    assert ended.code == 1
    assert "x is no number" in ended.err
    assert "status        PARTIAL_SUCCESS (its verification did not pass)" in ended.lines
    assert (_verified(home)["verdict"], _verified(home)["code"]) == ("failed", 7)
    summary = json.loads((out / "summary.json").read_text())
    assert (summary["reason"], summary["tasks"][0]["status"]) == ("verification", "completed")
    shown = orchestrate(home, "explain", "whole", "verify", "--json").json
    assert [(each["kind"], each["verdict"], each["exit_code"]) for each in shown] == [("verification", "failed", 7)]


def test_without_an_output_folder_nothing_is_verified(tmp_path: Path) -> None:
    """It is said before anything is paid, and it is no pass."""
    spec = scripted_spec(tmp_path / "spec", project_id="whole", verify_cmd="true")
    ended = orchestrate(tmp_path / "home", "run", str(spec))
    assert ended.code == 1
    warned = ended.err.index("cannot be verified without an output folder")
    assert warned < ended.err.index("only started")
    assert _verified(tmp_path / "home")["problem"] == "no_folder"


def test_a_run_killed_while_it_is_verified_is_verified_when_it_goes_on(tmp_path: Path) -> None:
    """The verification is open after the kill, no model is called again, and the resumed run ends with its result."""
    spec = scripted_spec(tmp_path / "spec", project_id="whole", verify_cmd="sleep 2; test -e " + OUTPUT)
    home, out = tmp_path / "home", tmp_path / "out"
    process = start(home, "run", str(spec), "-o", str(out))
    wait_until(lambda: count(home, "verification.started"), process)
    os.kill(process.pid, signal.SIGKILL)
    finish(process)
    assert count(home, "result.verified") == 0
    calls = count(home, "call.started")
    ended = orchestrate(home, "resume", "whole")
    assert ended.code == 0, ended.err
    assert (count(home, "verification.started"), count(home, "result.verified")) == (1, 1)
    assert count(home, "call.started") == calls
    assert orchestrate(home, "replay", "whole", "--verify").code == 0


def test_an_interrupted_verification_is_not_waited_for(tmp_path: Path) -> None:
    """A signal ends the session at once, and the command with it, which leaves no folder behind; the run can go on."""
    marker = str(700_000 + os.getpid() % 90_000)
    spec = scripted_spec(tmp_path / "spec", project_id="whole", verify_cmd=f"sleep {marker}")
    home, temporary = tmp_path / "home", tmp_path / "temporary"
    temporary.mkdir()
    process = start(home, "run", str(spec), "-o", str(tmp_path / "out"), environ={"TMPDIR": str(temporary)})
    wait_until(lambda: with_argument(marker), process)
    process.send_signal(signal.SIGINT)
    ended = finish(process)
    assert ended.code == 130
    assert (count(home, "run.interrupted"), count(home, "result.verified")) == (1, 0)
    assert list(temporary.iterdir()) == []
    assert with_argument(marker) == []
