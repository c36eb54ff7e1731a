import re
from pathlib import Path

import pytest

from orchestrator.plugin_kinds import KINDS
from orchestrator.plugins import PluginStatus
from orchestrator.spi import hookspecs
from tests.plugins.conftest import build_wheels, install_wheels, run_python

PAGE = Path(__file__).parents[2] / "docs" / "plugins.md"

JUDGING = """
from orchestrator.models import TaskType
from orchestrator.plugins import Catalogue
from orchestrator.spi import Candidate, ValidatorContext
brief = Catalogue.discover().validator("brief")
for text in ("word " * 100, "word " * 101):
    finding = brief(Candidate("t", TaskType.SUMMARIZATION, text, text), ValidatorContext())
    print(finding.verdict, finding.details)
"""


def _block(language: str) -> str:
    (block,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    return str(block)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page's own distribution, built from its code blocks and installed."""
    work = tmp_path_factory.mktemp("page")
    source = work / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text(_block("toml"))
    (source / "orchestrator_brief.py").write_text(_block("python"))
    install_wheels(work / "site", *build_wheels(work / "wheels", source))
    return work / "site"


def test_the_pages_distribution_builds_and_its_validator_judges(site: Path) -> None:
    """The validator on the page for authors works when it is built, installed and used exactly as printed."""
    done = run_python("-c", JUDGING, environ={"PYTHONPATH": str(site)})
    assert done.stdout.splitlines() == ["passed ", "failed 101 words; use at most 100"], done.stderr


def test_the_pages_validator_is_short() -> None:
    """The validator on the page stays under twenty lines."""
    assert len(_block("python").splitlines()) < 20


def test_the_page_names_every_kind_group_hook_and_status() -> None:
    """The page knows every kind of plugin with its group and hook, and every status of the listing."""
    page = PAGE.read_text()
    assert {name for name in dir(hookspecs) if name.startswith("orchestrator_")} == {
        kind.hook for kind in KINDS.values()
    }
    words = [*KINDS, *(kind.group for kind in KINDS.values()), *PluginStatus]
    assert [word for word in words if f"`{word}`" not in page] == []
    assert [kind.hook for kind in KINDS.values() if f"`{kind.hook}(" not in page] == []
