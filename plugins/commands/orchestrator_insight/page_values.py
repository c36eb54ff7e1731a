"""How values and texts of a run are shown on a page: readable, on request exact, and never as markup or commands."""

import re
from typing import Final

from orchestrator.cli.kit import seconds
from orchestrator.money import Usd

NONE: Final = "–"
"""In the place of what is not known."""
_CONTROL: Final = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")
_TURNING: Final = re.compile("[\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff\ufff9-\ufffb]")
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_PICTURES: Final = 0x2400
"""Where Unicode has the pictures of control characters: ESC is shown as ␛."""


def visible(text: str) -> str:
    """The text with a sign for each character that commands a terminal or turns the direction of writing."""
    text = _SURROGATE.sub("\ufffd", text.replace("\r\n", "\n"))
    text = _CONTROL.sub(lambda found: chr(_PICTURES + ord(found[0])) if ord(found[0]) < 32 else "\ufffd", text)
    return _TURNING.sub(lambda found: f"‹U+{ord(found[0]):04X}›", text)


def one_line(text: str, width: int = 160) -> str:
    """The text on one line, cut."""
    text = visible(" ".join(text.split()))
    return text if len(text) <= width else f"{text[: width - 1]}…"


def exact(amount: Usd) -> str:
    """An amount in full, without the zeros at its end: as the log has it."""
    return amount.trimmed


def duration(microseconds: int) -> str:
    """A duration, below a second in milliseconds."""
    return seconds(microseconds) if microseconds >= 1_000_000 else f"{microseconds / 1000:.0f} ms"


def score(value: float | None) -> str:
    """A score with three decimals."""
    return NONE if value is None else f"{value:.3f}"
