"""``plugins new`` writes distributions that install and pass their tests untouched."""

import ast
import builtins
import os
import re
import sys
import tomllib
import types
import venv
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

from orchestrator.cli.templates import distribution_files
from orchestrator.plugins import DISTRIBUTION, GROUPS
from orchestrator.spec import read_spec
from tests.cli.command import orchestrate
from tests.cli.in_process import command
from tests.plugins.conftest import build_wheels, run_python
from tests.plugins.installed import install_source, installed

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
    (line,) = done.lines
    assert done.code == 0, done.err
    assert re.fullmatch(r"scaffold_my_scaffold: \d+ passed, 0 left out, 0 failed", line)

    module.write_text(module.read_text().replace('"index.md"', '"../index.md"'))
    install_source(tmp_path / "bad", folder)
    done = orchestrate(
        tmp_path / "home",
        "plugins",
        "check",
        environ={"PYTHONPATH": str(tmp_path / "bad"), "ORCHESTRATE_DISABLE_PLUGINS": ",".join(_built_in())},
    )
    assert done.code == 1, done.err
    assert ", 0 left out, 1 failed" in done.out
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


NO_NAMES: Final = (
    "",
    "9lives",
    "Ünï",
    "a b",
    "../x",
    "class",
    "Upper",
    "a.b",
    "_x",
    "x_",
    "a--b",
    "__init__",
    "x" * 300,
)


@pytest.mark.parametrize("name", NO_NAMES)
def test_a_name_that_is_none_is_refused(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing is written for a name that cannot be a module's, an entry point's and a distribution's."""
    done = command(capsys, "plugins", "new", "validator", name, "-o", str(tmp_path / "x"))
    assert done.code == 2
    assert "is no name for a plugin" in done.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("kind", "name", "said"),
    [
        ("validator", "length", "there is a built-in validator 'length'"),
        ("policy_loader", "yaml", "there is a built-in policy_loader 'yaml'"),
        ("command", "run", "'run' is a command of the core, which no plugin can replace"),
        ("backend", "providers", "its module would replace orchestrator_providers, which is built in"),
    ],
)
def test_a_name_that_is_taken_is_refused(
    kind: str, name: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A second built-in name would only be a conflict, and a module of ours must not be written over by installing."""
    done = command(capsys, "plugins", "new", kind, name, "-o", str(tmp_path / "x"))
    assert (done.code, said in done.err) == (2, True), done.err
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("kind", "name"),
    [
        ("provider", "reply"),
        ("validator", "isinstance"),
        ("backend", "ranked"),
        ("policy_loader", "loader"),
        ("exporter", "path"),
        ("scaffold", "app"),
        ("command", "click"),
    ],
)
def test_no_name_hides_what_the_module_needs(kind: str, name: str) -> None:
    """A plugin may be called like something that its module imports or calls."""
    source = distribution_files(kind, name, GROUPS[kind])[f"orchestrator_{name}.py"]
    module = types.ModuleType("named")
    exec(compile(source, "named", "exec"), module.__dict__)
    names = [node.name for node in ast.parse(source).body if isinstance(node, ast.ClassDef | ast.FunctionDef)]
    imported = re.findall(r"\b\w+\b", source.partition("orchestrator_interface")[0].partition("import ")[2])
    assert not set(names) & {*imported, *dir(builtins)}


def test_a_readme_tells_how_a_spec_names_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The lines of a spec in each readme are lines of a spec; the metadata have a licence and what they depend on."""
    for kind in KINDS:
        folder = begin(tmp_path, kind, capsys)
        readme = (folder / "README.md").read_text()
        lines = re.findall(r"^```yaml\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL)
        assert len(lines) == (kind not in ("command", "executor", "store"))  # no spec names those
        assert kind != "command" or "    orchestrate my_command RUN --json\n" in readme
        spec = tmp_path / "spec.yaml"
        spec.write_text(f"project: Write x.\ncriteria: x is there\n{''.join(lines)}")
        assert read_spec(spec).project == "Write x."
        project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
        assert project["license"] in (folder / "LICENSE").read_text().splitlines()[0]
        assert project["dependencies"] == [f"{DISTRIBUTION}>={version(DISTRIBUTION)}"]
        left = [path for path in folder.rglob("*") if path.is_file() and re.search(r"__[A-Z]+__", path.read_text())]
        assert left == []


def test_a_fresh_clone_may_be_begun_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A folder that holds nothing but its history is empty; what is no folder is said to be none."""
    (tmp_path / "clone" / ".git").mkdir(parents=True)
    assert command(capsys, "plugins", "new", "validator", "brisk", "-o", str(tmp_path / "clone")).code == 0
    (tmp_path / "file").write_text("x")
    done = command(capsys, "plugins", "new", "validator", "brisk", "-o", str(tmp_path / "file"))
    assert (done.code, "file is no folder" in done.err) == (2, True)


def test_what_breaks_everything_is_said_once(tmp_path: Path) -> None:
    """A plugin that cannot be imported, or whose hook raises, is one line of ``plugins check``."""
    hook = (
        "from orchestrator.spi import hookimpl\n\n@hookimpl\ndef orchestrator_validator():\n    raise KeyError('no')\n"
    )
    modules = {"orchestrator_gone": "import nothing_there", "orchestrator_raising": hook}
    points = {"orchestrator.validators": {name.removeprefix("orchestrator_"): name for name in modules}}
    installed(tmp_path / "site", "orchestrator-poor", "1.0", points, modules)
    environ = {"PYTHONPATH": str(tmp_path / "site")}
    done = orchestrate(tmp_path / "home", "plugins", "check", "Orchestrator.Poor", environ=environ)
    assert done.code == 1, done.err
    first, why, second, rest = done.lines
    assert (first, "ModuleNotFoundError" in why) == ("validator_gone: 0 passed, 0 left out, 1 failed", True)
    assert second.startswith("validator_raising: ")
    assert re.fullmatch(r"  test_a_missing_tool_is_said and \d+ more: KeyError: 'no'", rest)


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
    """Wheels of the program, of every template and of every example, installed without an index, are checked and used.

    The environment sees only the third-party packages that are installed here, by a path file, and not this checkout.
    """
    import shutil

    templates = [begin(tmp_path, kind, capsys) for kind in KINDS]
    examples = [
        Path(shutil.copytree(path, tmp_path / path.name, ignore=shutil.ignore_patterns("__pycache__")))
        for path in sorted((ROOT / "examples" / "plugins").iterdir())
        if path.is_dir()
    ]
    assert len(examples) == 3
    wheels = build_wheels(tmp_path / "wheels", ROOT, *templates, *examples)
    assert len(wheels) == 1 + len(KINDS) + len(examples)
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
