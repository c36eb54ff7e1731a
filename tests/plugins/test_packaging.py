import configparser
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

from orchestrator.plugins import DISTRIBUTION, GROUPS
from orchestrator.plugins.parts import GROUP as PARTS
from tests.cli.command import clean_environment
from tests.plugins.conftest import build_wheels, install_wheels

ROOT = Path(__file__).parents[2]
CODE = (".py", ".pyc", ".so", "py.typed")
STALE = "the installed metadata is older than pyproject.toml: run pip install -e . again"


def _pyproject() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())


def _declared() -> dict[str, dict[str, str]]:
    project = _pyproject()["project"]
    return {"console_scripts": project["scripts"], **project["entry-points"]}


def _packages() -> list[str]:
    return list(_pyproject()["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"])


def _sources(package: Path) -> set[str]:
    files = [*package.rglob("*.py"), *package.rglob("py.typed")]
    return {file.relative_to(package.parent).as_posix() for file in files}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project's own wheel, built offline from this tree."""
    (built,) = build_wheels(tmp_path_factory.mktemp("wheel"), ROOT)
    return built


def test_the_installed_entry_points_are_those_of_pyproject() -> None:
    """What is installed offers exactly the plugins and the command that pyproject.toml declares."""
    installed: dict[str, dict[str, str]] = {}
    for point in distribution(DISTRIBUTION).entry_points:
        installed.setdefault(point.group, {})[point.name] = point.value
    assert installed == _declared(), STALE


def test_every_group_is_one_the_catalogue_reads() -> None:
    """No built-in plugin, and no part, is in a group that is not searched."""
    assert set(_declared()) - {"console_scripts", "pytest11"} <= {*GROUPS.values(), PARTS}


def test_every_entry_point_names_a_module_of_the_tree() -> None:
    """An entry point's module exists where its package says it does."""
    homes = {Path(package).name: ROOT / package for package in _packages()}
    values = [value.partition(":")[0] for points in _declared().values() for value in points.values()]
    assert values
    missing = []
    for value in values:
        package, _, module = value.partition(".")
        place = homes[package].joinpath(*module.split("."))
        if not (place.with_suffix(".py").is_file() or (place / "__init__.py").is_file()):
            missing.append(value)
    assert missing == []


def test_the_packages_of_the_wheel_are_those_of_the_tree() -> None:
    """Each import package of the source roots is declared, typed, and not shadowed by a package around it."""
    found = [*ROOT.glob("core/*/__init__.py"), *ROOT.glob("plugins/*/*/__init__.py")]
    assert sorted(_packages()) == sorted(file.parent.relative_to(ROOT).as_posix() for file in found)
    for package in _packages():
        assert (ROOT / package / "py.typed").is_file()
        assert not (ROOT / package).parent.joinpath("__init__.py").exists()


def test_the_wheel_holds_the_packages_and_nothing_else(wheel: Path) -> None:
    """The wheel has every module and marker of the declared packages, its metadata, and no other file."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
    info = {name for name in names if name.split("/")[0].endswith(".dist-info")}
    expected: set[str] = set()
    for package in _packages():
        expected |= _sources(ROOT / package)
    homes = tuple(f"{Path(package).name}/" for package in _packages())
    data = {name for name in names - info - expected if name.startswith(homes) and not name.endswith(CODE)}
    assert names - info - data == expected
    assert any(name.endswith("licenses/LICENSE") for name in info)


def test_the_wheel_declares_the_entry_points(wheel: Path) -> None:
    """A wheel carries the entry points of pyproject.toml."""
    parser = configparser.ConfigParser(delimiters=("=",))
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (each for each in archive.namelist() if each.endswith(".dist-info/entry_points.txt"))
        parser.read_string(archive.read(name).decode())
    assert {section: dict(parser[section]) for section in parser.sections()} == _declared()


API = """
import sys
from orchestrator import AgentPool, AppBuilder, AuditLog, Budget, Model, Orchestrator, Policy, PolicySet
from orchestrator.audit import AuditLog
from orchestrator.cost import BudgetHierarchy, CostForecaster, CostPredictor, RiskLevel
from orchestrator.hooks import EventType
from orchestrator.metrics import ConsoleExporter, JSONExporter, PrometheusExporter
from orchestrator.models import build_default_profiles
from orchestrator.optimization import GreedyBackend, ParetoBackend, WeightedSumBackend
from orchestrator.policy import EnforcementMode, JobSpec, Policy, PolicyHierarchy
from orchestrator.policy_dsl import PolicyAnalyzer, load_policy_file

for each in (AgentPool, AppBuilder, AuditLog, Orchestrator):
    print(sys.modules[each.__module__].__file__)
"""
"""Every import of the specification's examples."""


def test_the_wheel_alone_has_the_python_api_and_runs_the_demo(wheel: Path, tmp_path: Path) -> None:
    """Installed into a folder, away from the tree, its packages find each other by their entry points."""
    site = tmp_path / "site"
    install_wheels(site, wheel)
    environ = clean_environment(tmp_path / "home", PYTHONPATH=str(site))
    for arguments in (["-c", API], ["-m", "orchestrator", "demo", "--quiet"]):
        done = subprocess.run(
            [sys.executable, *arguments], cwd=tmp_path, env=environ, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        if "-c" in arguments:
            assert all(Path(line).is_relative_to(site) for line in done.stdout.splitlines()), done.stdout
