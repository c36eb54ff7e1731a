"""The documentation says what is true."""

import subprocess
import sys
from pathlib import Path

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
