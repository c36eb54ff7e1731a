import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CORE = ROOT / "core" / "orchestrator"
PLUGINS = ROOT / "plugins"
WORLD = {"time", "datetime", "random", "os", "asyncio", "socket", "sqlite3", "httpx"}
"""What would make a decision depend on anything but its arguments."""


def imported(source: str, package: str = "") -> set[str]:
    """The dotted names a source imports, at its top or inside functions, relative ones resolved in ``package``."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
            base = ".".join([*parents, *([node.module] if node.module else [])])
            names |= {base} | {f"{base}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func).endswith(("import_module", "__import__")):
            names |= {arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)}
    return names


def offences(folder: Path, forbidden: re.Pattern[str]) -> list[str]:
    """``file: name`` for every import under a folder whose dotted name matches from its start."""
    return [
        f"{file.relative_to(folder)}: {name}"
        for file in sorted(folder.rglob("*.py"))
        for name in sorted(imported(file.read_text(), _package(file, folder)))
        if forbidden.match(name)
    ]


def _package(file: Path, folder: Path) -> str:
    return ".".join((folder.name, *file.relative_to(folder).parent.parts))


def _world() -> re.Pattern[str]:
    return re.compile(rf"({'|'.join(sorted(WORLD))})(\.|$)")


def test_the_walk_sees_every_form_of_import(tmp_path: Path) -> None:
    """The walk that the tests below trust finds imports inside functions, under other names and by string."""
    (tmp_path / "planted.py").write_text(
        "import json, time as clock\n"
        "def f():\n    from os.path import join\n    import_module('sqlite3')\n"
        "if True:\n    from . import random\n"
        "import timeit, asyncio_like\n"
    )
    assert [line.split(": ")[1] for line in offences(tmp_path, _world())] == [
        "os.path",
        "os.path.join",
        "sqlite3",
        "time",
    ]


@pytest.mark.parametrize("package", ["decide", "state"])
def test_rules_and_states_touch_nothing_of_the_world(package: str) -> None:
    """Neither rules nor states import a clock, a random source, the system, a network or a database."""
    assert list((CORE / package).rglob("*.py"))
    assert offences(CORE / package, _world()) == []


def test_the_core_names_no_plugin() -> None:
    """No module of the core imports a plugin package, not even by string."""
    assert offences(CORE, re.compile(r"orchestrator_\w+")) == []


def test_plugins_import_the_contract_by_its_name() -> None:
    """No plugin goes through the bare package ``orchestrator``, whose lazy names the import contracts cannot follow.

    ``Workspace`` is the exception: commands have it from there.
    """
    packages = sorted(PLUGINS.glob("*/orchestrator_*"))
    assert packages
    for package in packages:
        is_of_commands = package.parent.name == "commands"
        bare = re.compile(r"orchestrator\.(?!Workspace$)[A-Z]\w*$" if is_of_commands else r"orchestrator$")
        assert offences(package, bare) == []


def _lint(tree: Path) -> str:
    roots = [tree / "core", *sorted((tree / "plugins").iterdir())]
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command as c; c()", "--no-cache"],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, roots))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A copy of the sources and of the contracts, to plant offences in."""
    for folder in ("core", "plugins"):
        shutil.copytree(ROOT / folder, tmp_path / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def _broken(report: str) -> list[str]:
    return re.findall(r"^(.+) BROKEN\b", report, re.MULTILINE)


def test_the_layers_hold(tree: Path) -> None:
    """Every import contract of pyproject.toml is kept."""
    report = _lint(tree)
    assert _broken(report) == [], report
    assert re.search(r"Contracts: [1-9]\d* kept, 0 broken", report), report


PLANTED = {
    "core/orchestrator/log/planted.py": (
        "import orchestrator.ledger.cache",
        "A package of the core imports only from packages below it",
    ),
    "core/orchestrator/attic.py": ("", "A package of the core imports only from packages below it"),
    "core/orchestrator/ledger/cache.py": (
        "import orchestrator.ledger.event_log",
        "A module of ledger imports only from modules below it",
    ),
    "core/orchestrator/cli/planted.py": ("import orchestrator_validators.length", "The core imports no plugin"),
    "plugins/backends/orchestrator_backends/planted.py": (
        "import orchestrator_validators",
        "Plugins of one kind know nothing of another kind",
    ),
    "core/orchestrator/spi/backends.py": (
        "from orchestrator.spi.exporters import Metrics",
        "The contracts of the plugin kinds are independent",
    ),
    "plugins/validators/orchestrator_validators/planted.py": (
        "from orchestrator.events import Event",
        "Plugins see only the contract and the ground",
    ),
    "plugins/commands/orchestrator_audit/command.py": (
        "from orchestrator.ledger.event_log import EventLog",
        "Commands see the contract, the reading face, the kit and Workspace",
    ),
    "core/orchestrator/decide/planted.py": (
        "from orchestrator import log",
        "Rules and states know neither the log nor the world",
    ),
}


@pytest.mark.parametrize("file", PLANTED)
def test_a_planted_offence_breaks_its_contract(tree: Path, file: str) -> None:
    """Each contract is broken by an import that it is there to forbid, a package without a layer included."""
    line, contract = PLANTED[file]
    with (tree / file).open("a") as source:
        source.write(f"\n{line}\n")
    report = _lint(tree)
    assert contract in _broken(report), report
    assert Path(file).stem in report, report
