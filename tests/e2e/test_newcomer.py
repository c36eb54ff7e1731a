"""The first hour of somebody new: the wheel, an empty folder, no key, no network."""

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from orchestrator.spec import read_spec
from tests.cli.command import PATIENCE, Ended, orchestrate
from tests.plugins.conftest import build_wheels, install_wheels

ROOT = Path(__file__).parents[2]
_NOBODY = "import pwd\ndef gone(uid):\n    raise KeyError(uid)\npwd.getpwuid = gone\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the project's own wheel installs."""
    folder = tmp_path_factory.mktemp("wheel")
    install_wheels(folder / "site", *build_wheels(folder, ROOT))
    return folder / "site"


@pytest.fixture(params=["with a home", pytest.param("without a home or a name", marks=pytest.mark.heavy)])
def newcomer(request: pytest.FixtureRequest, site: Path, tmp_path: Path) -> Callable[..., Ended]:
    """Runs a command of the wheel in an empty folder, in an environment with nothing but a path."""
    folder = tmp_path / "empty"
    folder.mkdir()
    paths = [str(site)]
    variables = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "COLUMNS": "80", "HOME": str(tmp_path / "home")}
    if request.param.startswith("without"):
        (tmp_path / "nobody").mkdir()
        (tmp_path / "nobody" / "sitecustomize.py").write_text(_NOBODY)
        paths.append(str(tmp_path / "nobody"))
        del variables["HOME"]
    variables["PYTHONPATH"] = os.pathsep.join(paths)

    def run(words: str) -> Ended:
        ended = subprocess.run(
            [sys.executable, "-m", "orchestrator", *words.split()],
            cwd=folder,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        return Ended(ended.returncode, ended.stdout, ended.stderr)

    return run


def test_the_first_hour(newcomer: Callable[..., Ended], tmp_path: Path) -> None:
    """The demo and the commands it ends with, a spec of one's own, a run of it, twice: nothing fails."""
    demo = newcomer("demo")
    assert demo.code == 0, demo.err
    assert re.search(r"^status +SUCCESS$", demo.out, re.MULTILINE)
    offered = re.findall(r"^  orchestrate (.*)$", demo.err.partition("next:")[2], re.MULTILINE)
    assert offered == ["explain last", "report last", "spec init --demo my.yaml", "run my.yaml"]
    for words in [*offered, "run my.yaml -o results", "run my.yaml -o results", "explain last", "costs", "metrics"]:
        ended = newcomer(words)
        assert ended.code == 0, (words, ended.err)
    assert (tmp_path / "empty" / "report.html").is_file()
    assert (tmp_path / "empty" / "results" / "mean.py").is_file()
    titles = [line.split(maxsplit=4)[-1] for line in newcomer("explain last").lines[1:]]
    assert [title.rpartition("  ")[2] for title in titles] == ["Write the function", "Explain its use"]
    listed = newcomer("runs list --json").json
    assert [each["status"] for each in listed] == ["SUCCESS"] * 4
    assert newcomer("audit verify").code == 0


def test_without_a_key_the_hints_lead_somewhere(newcomer: Callable[..., Ended]) -> None:
    """A spec that needs a key says what runs without one; what it names exists and works."""
    assert newcomer("spec init").code == 0
    refused = newcomer("run spec.yaml")
    assert refused.code == 3
    assert "or try it without one: orchestrate demo, or orchestrate spec init --demo FILE" in refused.err
    assert "try without a key: orchestrate demo" in newcomer("doctor").err
    assert newcomer("doctor --strict").code == 3
    assert newcomer("demo -q").code == 0


def test_the_first_spec_needs_nothing_that_the_wheel_does_not_bring(tmp_path: Path) -> None:
    """``spec init --demo`` names only checks that need no program: pytest is none of the wheel's requirements."""
    assert orchestrate(tmp_path, "spec", "init", "--demo", "my.yaml", cwd=tmp_path).code == 0
    found = read_spec(tmp_path / "my.yaml")
    assert {name for task in found.tasks for name in task.hard_validators} == {"python_syntax"}
    text = (tmp_path / "my.yaml").read_text()
    offered = re.sub(r"^    # ((?:hard_validators|tests|  ).*)$", r"    \1", text, flags=re.MULTILINE)
    with_tests = re.sub(r"^    hard_validators: \[python_syntax\]\n", "", offered, flags=re.MULTILINE)
    (tmp_path / "tested.yaml").write_text(with_tests)
    done = orchestrate(tmp_path, "run", "tested.yaml", "-q", cwd=tmp_path)
    assert (done.code, " 1.000 " in done.out) == (0, True), done.err
