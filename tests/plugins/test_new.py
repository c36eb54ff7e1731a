"""``plugins new`` writes distributions that install and pass their tests untouched."""

import os
import sys
import venv
from pathlib import Path
from typing import Final

import pytest

from orchestrator.plugins import GROUPS
from tests.cli.command import orchestrate
from tests.cli.in_process import command
from tests.plugins.conftest import build_wheels, run_python
from tests.plugins.installed import install_source

KINDS: Final = tuple(GROUPS)
ROOT: Final = Path(__file__).parents[2]


def begin(folder: Path, kind: str, capsys: pytest.CaptureFixture[str]) -> Path:
    """A new distribution of a kind."""
    target = folder / f"orchestrator-my-{kind.replace('_', '-')}"
    done = command(capsys, "plugins", "new", kind, f"my_{kind}", "-o", str(target))
    assert done.code == 0, done.err
    return target


def test_a_plugin_of_each_kind_passes_its_tests_untouched(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is written has a module, metadata, tests, a readme and a CI file; its tests pass, warnings being errors."""
    site = tmp_path / "site"
    tests = []
    for kind in KINDS:
        folder = begin(tmp_path, kind, capsys)
        assert (folder / "README.md").is_file()
        assert (folder / ".github" / "workflows" / "tests.yml").is_file()
        install_source(site, folder)
        tests.append((folder / "tests" / "test_contract.py").rename(folder / "tests" / f"test_{kind}.py"))
    quiet = ("-q", "-W", "error", "--import-mode=importlib", "-p", "no:cacheprovider", "--rootdir", str(tmp_path))
    done = run_python("-m", "pytest", *quiet, *map(str, tests), environ={"PYTHONPATH": str(site)})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr
    assert "skipped" not in done.stdout or " passed" in done.stdout


def test_what_is_written_is_clean(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The linter finds nothing in the modules that are written."""
    folders = [begin(tmp_path, kind, capsys) for kind in KINDS]
    modules = [str(path) for folder in folders for path in folder.glob("*.py")]
    done = run_python("-m", "ruff", "check", "--isolated", "--line-length=120", "--select=E,F,I,B,UP,SIM,RET", *modules)
    assert done.returncode == 0, done.stdout
    done = run_python("-m", "ruff", "format", "--isolated", "--line-length=120", "--check", *modules)
    assert done.returncode == 0, done.stdout


def test_installed_plugins_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``plugins check`` says of each plugin of a distribution how many tests of its contract passed."""
    folder = begin(tmp_path, "scaffold", capsys)
    module = folder / "orchestrator_my_scaffold.py"
    install_source(tmp_path / "site", folder)
    environ = {"PYTHONPATH": str(tmp_path / "site")}
    done = orchestrate(tmp_path / "home", "plugins", "check", "orchestrator-my-scaffold", environ=environ)
    assert (done.code, done.lines) == (0, ["scaffold_my_scaffold: 7 passed, 0 left out, 0 failed"]), done.err

    module.write_text(module.read_text().replace('"index.md"', '"../index.md"'))
    install_source(tmp_path / "bad", folder)
    done = orchestrate(
        tmp_path / "home",
        "plugins",
        "check",
        environ={"PYTHONPATH": str(tmp_path / "bad"), "ORCHESTRATE_DISABLE_PLUGINS": ",".join(_built_in())},
    )
    assert done.code == 1, done.err
    assert "6 passed, 0 left out, 1 failed" in done.out
    assert "test_its_files_stay_in_their_folder: the file name '../index.md' cannot be used" in done.out


def _built_in() -> list[str]:
    from orchestrator.plugins import Catalogue

    return [each.name for each in Catalogue.discover().entries()]


def test_without_the_extra_one_line_says_so(tmp_path: Path) -> None:
    """Where Hypothesis is not installed, ``plugins check`` names it and how to get it."""
    (tmp_path / "hypothesis.py").write_text("raise ModuleNotFoundError('no', name='hypothesis')")
    done = orchestrate(tmp_path / "home", "plugins", "check", environ={"PYTHONPATH": str(tmp_path)})
    assert done.code == 2
    assert done.err == "orchestrate: checking plugins needs hypothesis: pip install 'multi-llm-orchestrator[testing]'\n"


@pytest.mark.parametrize("name", ["", "9lives", "Ünï", "a b", "../x", "class", "Upper"])
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written for a name that cannot be a module's."""
    done = command(capsys, "plugins", "new", "validator", name, "-o", str(tmp_path / "x"))
    assert done.code == 2
    assert "is no name for a plugin" in done.err
    assert not (tmp_path / "x").exists()


def test_a_folder_that_holds_something_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A second time the command refuses."""
    begin(tmp_path, "backend", capsys)
    again = command(capsys, "plugins", "new", "backend", "b", "-o", str(tmp_path / "orchestrator-my-backend"))
    assert again.code == 2
    assert "is not empty" in again.err


@pytest.mark.heavy
def test_templates_and_examples_work_from_wheels_in_a_fresh_environment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Wheels of the program, of every template and of both examples, installed without an index, are checked and used.

    The environment sees only the third-party packages that are installed here, by a path file, and not this checkout.
    """
    import shutil

    templates = [begin(tmp_path, kind, capsys) for kind in KINDS]
    examples = [
        Path(shutil.copytree(path, tmp_path / path.name, ignore=shutil.ignore_patterns("__pycache__")))
        for path in sorted((ROOT / "examples" / "plugins").iterdir())
        if path.is_dir()
    ]
    assert len(examples) == 2
    wheels = build_wheels(tmp_path / "wheels", ROOT, *templates, *examples)
    assert len(wheels) == 1 + len(KINDS) + 2
    fresh = tmp_path / "venv"
    venv.create(fresh, with_pip=False)
    python = fresh / "bin" / "python"
    (site,) = fresh.glob("lib/python*/site-packages")
    third_party = tmp_path / "third-party"
    third_party.mkdir()
    for place in map(Path, {path for path in sys.path if path.endswith("site-packages")}):
        for each in place.iterdir():
            if not each.name.startswith(("multi_llm_orchestrator", "_multi_llm", "__editable__")):
                (third_party / each.name).symlink_to(each)
    (site / "third_party.pth").write_text(f"{third_party}\n")
    offline = ("--no-deps", "--no-index", "--no-cache-dir", "--quiet")
    done = run_python("-m", "pip", "--python", str(python), "install", *offline, *map(str, wheels))
    assert done.returncode == 0, done.stderr

    import subprocess

    def run(*words: str) -> "subprocess.CompletedProcess[str]":
        clean = {"PATH": f"{fresh / 'bin'}:{os.environ['PATH']}", "HOME": str(tmp_path), "LC_ALL": "C.UTF-8"}
        return subprocess.run(words, cwd=tmp_path, env=clean, capture_output=True, text=True, timeout=600, check=False)

    where = run(str(python), "-c", "import orchestrator; print(orchestrator.__file__)").stdout
    assert where.startswith(str(fresh)), where
    command_ = str(fresh / "bin" / "orchestrate")
    listed = run(command_, "plugins", "list", "--strict-plugins")
    assert listed.returncode == 0, listed.stderr
    for folder in (*templates, *examples):
        checked = run(command_, "plugins", "check", folder.name)
        assert checked.returncode == 0, checked.stdout + checked.stderr
        tested = run(str(python), "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", str(folder), str(folder))
        assert tested.returncode == 0, tested.stdout[-3000:]
