"""The documentation says what is true."""

import re
import subprocess
import sys
from pathlib import Path
from string import Template

from orchestrator.engine.answers.prompt_templates import built_in

ROOT = Path(__file__).parent.parent


def test_the_event_reference_is_what_the_classes_say() -> None:
    """The page docs/events.md equals what the event classes generate."""
    generated = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "reference.py")], capture_output=True, text=True, check=True
    ).stdout
    assert (ROOT / "docs" / "events.md").read_text(encoding="utf-8") == generated


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
