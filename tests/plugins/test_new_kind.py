"""A new kind of plugin is added in the four places that docs/architecture.md names; everything else follows."""

import json
import re
import shutil
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.plugins.conftest import run_python
from tests.plugins.installed import install_source

ROOT: Final = Path(__file__).parents[2]
MARK: Final = "KINDS: Final["


def blocks() -> Iterator[str]:
    """The blocks of the page's example, in their order."""
    page = (ROOT / "docs" / "architecture.md").read_text()
    chapter = page.partition("### A kind of plugin\n")[2].partition("\n### ")[0]
    for block in re.findall(r"^   ```\w+\n(.*?)^   ```$", chapter, re.MULTILINE | re.DOTALL):
        yield textwrap.dedent(block)


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program with the page's four edits."""
    copy = tmp_path_factory.mktemp("copy")
    ignored = shutil.ignore_patterns("__pycache__")
    core = shutil.copytree(ROOT / "core" / "orchestrator", copy / "core" / "orchestrator", ignore=ignored)
    shutil.copytree(ROOT / "docs", copy / "docs", ignore=ignored)
    hook, check, row, module, test, use, about, suite = blocks()
    hooks = core / "spi" / "hookspecs.py"
    hooks.write_text(f"{hooks.read_text()}\n\n{hook}")
    contract = core / "plugin_kinds.py"
    before, mark, table = contract.read_text().partition(MARK)
    rows, end, after = table.partition("        )\n    }\n)")
    contract.write_text(f"{before}{check}\n\n{mark}{rows}            {row}{end}{after}")
    folder = core / "cli" / "templates" / "greeting"
    folder.mkdir()
    for name, text in {"module.py.txt": module, "test_contract.py.txt": test, "use.md": use, "about.md": about}.items():
        (folder / name).write_text(text)
    (core / "testing" / "contracts" / "greetings.py").write_text(suite)
    return copy


def run(copy: Path, *words: str, site: Path | None = None) -> str:
    """What Python prints with the copy in the program's place."""
    path = ":".join(str(each) for each in (site, copy / "core") if each is not None)
    environ = {"PYTHONPATH": path, "HOME": str(copy / "home"), "ORCHESTRATE_HOME": str(copy / "home")}
    done = run_python(*words, environ=environ)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def test_four_edits_make_a_kind(copy: Path, tmp_path: Path) -> None:
    """A plugin of it is begun, installed, listed, described and checked, and its own tests pass."""
    plugin, site = tmp_path / "orchestrator-good-day", tmp_path / "site"
    run(copy, "-m", "orchestrator", "plugins", "new", "greeting", "good_day", "-o", str(plugin))
    assert "It greets at the beginning of a run." in (plugin / "README.md").read_text()
    install_source(site, plugin)
    document = json.loads(run(copy, "-m", "orchestrator", "plugins", "info", "good_day", "--json", site=site))
    (listed,) = document["items"]
    assert (listed["kind"], listed["status"], listed["hooks"]) == ("greeting", "loaded", ["orchestrator_greeting"])
    checked = run(copy, "-m", "orchestrator", "plugins", "check", "orchestrator-good-day", site=site)
    assert checked == "greeting_good_day: 3 passed, 0 left out, 0 failed\n"
    quiet = ("-q", "-W", "error", "-p", "no:cacheprovider", "--rootdir", str(plugin), str(plugin))
    assert "3 passed" in run(copy, "-m", "pytest", *quiet, site=site)


def test_the_pages_and_the_interface_follow(copy: Path) -> None:
    """The generators write the kind's chapter, its row and its hook; the described interface has it."""
    run(copy, str(copy / "docs" / "kinds.py"))
    guide = (copy / "docs" / "plugin-guide.md").read_text()
    assert "## A greeting" in guide
    assert "`orchestrate plugins new greeting hello` writes `orchestrator_hello.py`" in guide
    assert "| greeting | `GreetingContract` |" in guide
    assert "| `greeting` | `orchestrator.greetings` |" in (copy / "docs" / "plugins.md").read_text()
    assert "## `greeting`" in run(copy, str(copy / "docs" / "hooks_reference.py"))
    described = run(
        copy, "-c", "from tests.plugins.promise import described; print(described()['orchestrator_greeting'])"
    )
    assert described == "{'hook': []}\n"
