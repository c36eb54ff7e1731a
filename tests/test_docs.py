"""The documentation says what is true."""

import re
import subprocess
import sys
from enum import StrEnum
from pathlib import Path
from string import Template

from orchestrator import models
from orchestrator.engine.answers.prompt_templates import built_in

ROOT = Path(__file__).parent.parent


def test_the_event_reference_is_what_the_classes_say() -> None:
    """The page docs/events.md equals what the event classes generate."""
    generated = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "reference.py")], capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "docs" / "events.md").read_text(encoding="utf-8") == generated


def test_every_code_is_in_the_event_reference() -> None:
    """Whichever module it is in: a module that is divided takes none of its codes from the page."""
    page = (ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    codes = [each for each in vars(models).values() if isinstance(each, type) and issubclass(each, StrEnum)]
    names = [each.__name__ for each in codes if each.__module__.endswith("codes")]
    assert {"SpendLimit", "ReadingProblem", "GrantedBy", "CellOutcome"} <= set(names)
    assert [name for name in names if f"### {name}\n" not in page] == []


def test_what_a_contract_suite_inherits_is_in_its_row() -> None:
    """The table of the plugin guide names attributes that stand in the parts that a suite is made of."""
    guide = (ROOT / "docs" / "plugin-guide.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line for line in guide.splitlines() if line.startswith("| ")}
    for kind, names in {"provider": ("name", "environment", "recordings"), "store": ("address",)}.items():
        assert all(f"`{name}`" in rows[kind] for name in names), rows[kind]


def test_every_decision_page_is_numbered_once() -> None:
    """Decision pages are numbered from 1 without a gap."""
    numbers = [int(page.name[:4]) for page in sorted((ROOT / "docs" / "decisions").glob("*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))


def test_every_template_of_a_prompt_is_in_the_table_with_what_is_filled_in() -> None:
    """The page docs/prompts.md names each file, and exactly the values that it may hold."""
    shown: dict[str, set[str]] = {}
    for line in (ROOT / "docs" / "prompts.md").read_text(encoding="utf-8").splitlines():
        cells = [re.findall(r"`([^`]+)`", cell) for cell in line.split("|")[1:3]]
        if len(cells) == 2 and all(name.endswith(".txt") for name in cells[0]):
            shown |= {name: {each.lstrip("$") for each in cells[1]} for name in cells[0]}
    assert shown == {f"{name}.txt": set(Template(text).get_identifiers()) for name, text in built_in().items()}
