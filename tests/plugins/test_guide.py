"""The guide, the cookbook and the reference say what is true; their code is the code that is tested."""

import linecache
import re
import runpy
import subprocess
import sys
import types
from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator import testing
from orchestrator.cli.templates import distribution_files
from orchestrator.plugin_kinds import KINDS
from orchestrator.testing import pytest_plugin, specs, strategies
from orchestrator.testing.contracts import SUITES, play
from tests.plugins.conftest import run_python
from tests.plugins.installed import install_source

ROOT: Final = Path(__file__).parents[2]
DOCS: Final = ROOT / "docs"
EXAMPLES: Final = ROOT / "examples" / "plugins"


def blocks(page: str) -> list[str]:
    """The Python blocks of a page."""
    return re.findall(r"^```python\n(.*?)^```$", (DOCS / page).read_text(), re.MULTILINE | re.DOTALL)


def test_the_hook_reference_is_what_the_specifications_say() -> None:
    """The page docs/hooks.md equals what the specifications generate."""
    generator = str(DOCS / "hooks_reference.py")
    generated = subprocess.run([sys.executable, generator], capture_output=True, text=True, check=True).stdout
    assert (DOCS / "hooks.md").read_text() == generated
    assert all(kind.hook in generated for kind in KINDS.values())


def test_the_pages_say_what_the_table_of_kinds_says() -> None:
    """What is between marks is what ``docs/kinds.py`` writes there."""
    kinds = runpy.run_path(str(DOCS / "kinds.py"))
    for page in kinds["PAGES"]:
        text = (DOCS / page).read_text()
        assert kinds["written"](text) == text
        assert "<!-- kinds: " in text


def test_the_guides_code_is_what_plugins_new_writes() -> None:
    """One tutorial per kind; test_new.py runs what they show."""
    text = (DOCS / "plugin-guide.md").read_text()
    named = re.findall(r"`orchestrate plugins new ([a-z_]+) (\w+)` writes", text)
    assert named == [(kind.name, kind.example) for kind in KINDS.values()]
    expected = []
    for kind, name in named:
        files = distribution_files(kind, name, KINDS[kind].group)
        expected += [files[f"orchestrator_{name}.py"], files["tests/test_contract.py"]]
    assert blocks("plugin-guide.md")[: len(expected)] == expected


def test_the_guides_own_tests_pass(tmp_path: Path) -> None:
    """What the page shows of fixtures and state machines is a file of tests that pass, warnings being errors."""
    shown = blocks("plugin-guide.md")[2 * len(KINDS) :]
    assert len(shown) == 2
    (tmp_path / "test_shown.py").write_text("\n\n".join(reversed(shown)))
    strict = ("-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", str(tmp_path), str(tmp_path))
    done = run_python(*strict)
    assert done.returncode == 0, done.stdout[-3000:]
    assert "4 passed" in done.stdout


def test_the_guide_names_every_suite_fixture_and_strategy() -> None:
    """Nothing public is left out, and nothing is named that is not there."""
    text = (DOCS / "plugin-guide.md").read_text()
    assert [suite.__name__ for suite in SUITES.values() if f"`{suite.__name__}`" not in text] == []
    named = re.search(
        r"`orchestrator.testing.strategies` has (.*?);\n`orchestrator.testing.specs` has (.*?)\.", text, re.DOTALL
    )
    assert named is not None
    for module, names in ((strategies, named[1]), (specs, named[2])):
        assert all(callable(getattr(module, name)) for name in re.findall(r"`(\w+)`", names))
    assert all(getattr(testing, name) for name in testing.__all__)
    assert [name for name in testing.__all__ if not re.search(rf"\b{name}\b", text)] == []
    fixtures = [name for name, value in vars(pytest_plugin).items() if "fixture" in type(value).__name__.lower()]
    assert len(fixtures) == 3
    assert [name for name in fixtures if f"`{name}" not in text] == []


@pytest.mark.heavy
@pytest.mark.parametrize("kind", KINDS)
def test_a_tutorials_plugin_keeps_the_contract(kind: str) -> None:
    """The block is run as it stands; test_new.py runs the same text under other names every day."""
    place = list(KINDS).index(kind) * 2
    assert _problems(kind, blocks("plugin-guide.md")[place]) == []


def test_the_cookbooks_code_is_that_of_the_examples_and_keeps_the_contract() -> None:
    """Three recipes are whole distributions; the one between is run as it stands."""
    gateway, style, seasoned, daily = blocks("plugin-cookbook.md")
    assert gateway == (EXAMPLES / "orchestrator-gateway" / "orchestrator_gateway.py").read_text()
    assert style == (EXAMPLES / "orchestrator-house-style" / "orchestrator_house_style.py").read_text()
    assert daily == (EXAMPLES / "orchestrator-daily" / "orchestrator_daily.py").read_text()
    assert _problems("backend", seasoned) == []


def _problems(kind: str, source: str) -> list[str]:
    module = types.ModuleType("block")
    module.__file__ = "block"
    sys.modules["block"] = module
    linecache.cache["block"] = (len(source), None, source.splitlines(keepends=True), "block")
    try:
        exec(compile(source, "block", "exec"), module.__dict__)
        given: dict[str, Any] = {"plugin": module, "shrinks": False}
        return [f"{each.test}: {each.problem}" for each in play(type("Block", (SUITES[kind],), given)) if each.problem]
    finally:
        del sys.modules["block"], linecache.cache["block"]


def test_the_examples_pass_their_tests(tmp_path: Path) -> None:
    """Installed as they are; test_new.py does it from wheels."""
    folders = sorted(path for path in EXAMPLES.iterdir() if path.is_dir())
    assert len(folders) == 3
    for folder in folders:
        install_source(tmp_path / "site", folder)
    tests = [str(folder / "tests") for folder in folders]
    quiet = ("-q", "-p", "no:cacheprovider", "--import-mode=importlib", "--rootdir", str(tmp_path))
    done = run_python("-m", "pytest", *quiet, *tests, environ={"PYTHONPATH": str(tmp_path / "site")})
    assert done.returncode == 0, done.stdout[-3000:]
