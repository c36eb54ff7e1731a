"""Fleets through the front door: workers of this machine are started, die, are started again, scaled and ended."""

import configparser
import os
import re
import shlex
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.documents import load_yaml
from orchestrator.spi import Fleet
from orchestrator.testing import ExecutorContract
from orchestrator_executors import local
from orchestrator_executors.local import _keeper
from tests.cli.command import ROOT, count, orchestrate
from tests.cli.test_every_command import LEAVES
from tests.fleet.test_submit import status
from tests.fleet.test_workers import ended, submitted

EXAMPLES = ROOT / "examples" / "fleet"


def lose_keepers(fleet: Fleet) -> None:
    """What stands for a node here: the process that keeps a worker is killed, and the worker ends with it."""
    for lock in sorted(fleet.folder.glob("*.lock"))[:1]:
        os.kill(_keeper(lock) or 0, signal.SIGKILL)


class TestLocal(ExecutorContract):
    """The executor of this machine, with what stands for a node."""

    plugin = local
    lose_node = staticmethod(lose_keepers)  # type: ignore[assignment]


def until(holds: Callable[[], Any]) -> Any:
    """Wait until something holds."""
    deadline = time.monotonic() + 60
    while not (found := holds()):
        assert time.monotonic() < deadline, "it never came to pass"
        time.sleep(0.05)
    return found


def test_a_fleet_of_this_machine(tmp_path: Path) -> None:
    """Two workers play runs; one that is killed comes back; one is left after scaling; none after down."""
    home = tmp_path / "home"
    assert orchestrate(home, "fleet", "status").code == 0
    up = orchestrate(home, "fleet", "up", "--workers", "2", "--jobs", "3", "--grace", "5", "--json")
    try:
        assert up.code == 0, up.err
        assert [each["alive"] for each in up.json["workers"]] == [True, True]
        until(lambda: count(home, "worker.started") == 2)
        first = orchestrate(home, "workers", "list", "--json").json[0]
        assert first["jobs"] == 3
        os.kill(first["process"], signal.SIGKILL)
        until(lambda: count(home, "worker.started") == 3)
        (run,) = submitted(home, tmp_path, many=1, delay_ms=0)
        until(lambda: ended(home) == 1)
        assert status(home, run) == "SUCCESS"
        other = orchestrate(home, "fleet", "up", "--executor", "ray", "--address", "127.0.0.1:1")
        assert (other.code, "first: orchestrate fleet down" in other.err) == (2, True)
        scaled = orchestrate(home, "fleet", "up", "--workers", "1")
        assert scaled.out.startswith("1 worker by local; one that is added plays 3 runs at once; see: "), scaled
        left = orchestrate(home, "fleet", "status", "--json").json
        assert (left["jobs"], len(left["workers"])) == (3, 1)
        other = orchestrate(home, "fleet", "up", "--executor", "ray", "--address", "127.0.0.1:1")
        assert "1 worker is kept by local; first" in other.err
        assert orchestrate(home, "fleet", "up", "--workers", "2").code == 0
        until(lambda: len(orchestrate(home, "workers", "list", "--json").json) == 2)
        assert [each["jobs"] for each in orchestrate(home, "workers", "list", "--json").json] == [3, 3]
    finally:
        down = orchestrate(home, "fleet", "down")
    assert down.code == 0, down.err
    assert orchestrate(home, "workers", "list", "--json").json == []
    assert orchestrate(home, "fleet", "status", "--json").json["workers"] == []


def test_an_executor_that_is_none_is_named(tmp_path: Path) -> None:
    """One line; an address is refused where there is none to be given."""
    unknown = orchestrate(tmp_path, "fleet", "up", "--executor", "nomad")
    assert unknown.code == 2
    assert "nomad" in unknown.err
    here = orchestrate(tmp_path, "fleet", "up", "--address", "10.0.0.5:6379")
    assert (here.code, "takes no address" in here.err) == (2, True)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"executor": 5, "allow": []}',
        '{"grace": "q", "allow": []}',
        '{"allow": [1]}',
        '{"x": 1}',
        "\xff",
    ],
)
def test_what_fleet_up_remembered_is_no_settings(text: str, tmp_path: Path) -> None:
    """One line says what to do, and doing it helps."""
    path = tmp_path / "fleet" / "fleet.json"
    path.parent.mkdir()
    path.write_text(text, encoding="latin-1")
    for arguments in (("up",), ("status",), ("down", "--executor", "local")):
        shown = orchestrate(tmp_path, "fleet", *arguments)
        assert (shown.code, shown.err.count("\n")) == (2, 1), shown.err
        assert "delete it, then say --executor and --address" in shown.err
    path.unlink()
    assert orchestrate(tmp_path, "fleet", "down", "--executor", "local").code == 0


def commands_of(text: str) -> list[list[str]]:
    """The words of every call of a worker in a text."""
    return [shlex.split(found) for found in re.findall(r"orchestrate (worker [^\n\"]*)", text)]


def check(words: list[str]) -> None:
    """The options of a command line exist."""
    options = {name for parameter in LEAVES["worker"].params for name in parameter.opts}
    assert {word for word in words if word.startswith("--")} <= options, words


def test_the_deployment_for_kubernetes_can_be_read(tmp_path: Path) -> None:
    """Its command is one, and a pod has longer to end than a worker takes."""
    deployment: Any = load_yaml((EXAMPLES / "kubernetes.yaml").read_text(), "kubernetes.yaml").value
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    program, command, *options = container["command"]
    assert (deployment["kind"], program, command) == ("Deployment", "orchestrate", "worker")
    check(options)
    assert pod["terminationGracePeriodSeconds"] > int(options[options.index("--grace") + 1])
    assert deployment["spec"]["selector"]["matchLabels"] == deployment["spec"]["template"]["metadata"]["labels"]
    assert {each["name"] for each in container["volumeMounts"]} == {each["name"] for each in pod["volumes"]}


def test_the_unit_of_systemd_can_be_read() -> None:
    """Its command is one, and systemd waits longer than a worker takes."""
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(EXAMPLES / "worker.service")
    assert unit["Service"]["Restart"] == "always"
    (words,) = commands_of(unit["Service"]["ExecStart"].replace("/usr/local/bin/", ""))
    check(words)
    assert int(unit["Service"]["TimeoutStopSec"]) > int(words[words.index("--grace") + 1])


def test_the_array_of_slurm_can_be_read() -> None:
    """It is a script that bash can read, with an array, and drains before its time is up."""
    path = EXAMPLES / "slurm.sh"
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    text = path.read_text()
    (words,) = commands_of(text)
    check(words)
    notice = re.search(r"^#SBATCH --signal=B:TERM@(\d+)$", text, re.MULTILINE)
    assert notice is not None
    assert int(notice[1]) > int(words[words.index("--grace") + 1])
    assert re.search(r"^#SBATCH --array=\d+-\d+$", text, re.MULTILINE)
