"""docs/trust.md says what is true: its lists are those of the code, its files are read, its screen is printed."""

import re
from pathlib import Path

import pytest

from orchestrator.models import CapabilityKind
from orchestrator.policy_dsl import read_policy_file
from orchestrator.trust import CONFIGURATION, read_configuration
from tests.cli.command import ROOT, orchestrate, scripted_spec

PAGE = (ROOT / "docs" / "trust.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    """The page's one block in a language."""
    (found,) = re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)
    return str(found)


def test_every_kind_is_on_the_page() -> None:
    """The table has a row for each, in the order of the code."""
    assert re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE) == [kind.value for kind in CapabilityKind]


def test_the_configuration_of_the_page(tmp_path: Path) -> None:
    """It is read as it stands, and shows every key there is."""
    path = tmp_path / "config.toml"
    path.write_text(block("toml"))
    found = read_configuration({"ORCHESTRATE_CONFIG": str(path)})
    assert set(found.sources) == set(CONFIGURATION.keys)
    assert "address=https://gateway.corp.example" in found.allowed


def test_the_policy_file_of_the_page(tmp_path: Path) -> None:
    """It is read as it stands."""
    path = tmp_path / "policies.yaml"
    path.write_text(block("yaml"))
    assert read_policy_file(path).hierarchy.capabilities.deny == ("sandbox=none",)


def test_the_screen_of_the_page(tmp_path: Path) -> None:
    """The command prints what the page shows."""
    (tmp_path / "home").mkdir()
    scripted_spec(tmp_path / "home", name="spec.yaml", validators={"sandbox": "none"}, verify_cmd="make test")
    first, *shown = block("console").splitlines()
    ended = orchestrate(tmp_path / "home", *first.removeprefix("$ orchestrate ").split())
    assert ended.lines == shown


@pytest.mark.parametrize("page", ["docs/threat-model.md", "SECURITY.md"])
def test_what_pages_refer_to_is_there(page: str) -> None:
    """Every test and every page that they name exists."""
    text = (ROOT / page).read_text(encoding="utf-8")
    for name in re.findall(r"`(tests/[\w/]+\.py)`", text):
        assert (ROOT / name).is_file(), name
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests" / "trust").glob("*.py"))
    for name in re.findall(r"`(test_\w+)`", text):
        assert f"def {name}(" in tests, name
    for link in re.findall(r"\]\(([\w/.-]+\.md)\)", text):
        assert ((ROOT / page).parent / link).is_file(), link
