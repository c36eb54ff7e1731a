"""Fitting text to a screen: lines break at spaces, so that no id, amount, status or model is ever broken.

Only a word of wide characters (Chinese, Japanese, Korean), or one of a title, breaks where it is wider than its line.
"""

import os
import re
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any, Final

_COMMAND: Final = re.compile(r"\borchestrate [^;,()\n]*[^;,()\s]")
_HASH: Final = re.compile("[0-9a-f]{64}")
_NARROWEST: Final = 20
_GLUE: Final = "\x00"
"""Stands for a space at which no line may break."""
_JOINT: Final = "\x01"
"""Stands where a line may break though there is no space."""

LEAST_TEXT: Final = 16
"""The width below which a column of texts is not made narrower."""

MOST_WORD: Final = 32
"""The width of a title's column in which a longer word is broken."""

GAP: Final = 2
"""The spaces between two columns."""


def width_of(stream: Any) -> int | None:
    """How many columns a stream's terminal has; None where it is no terminal."""
    try:
        if stream is None or not stream.isatty():
            return None
        given = os.environ.get("COLUMNS", "")
        found = int(given) if given.isdecimal() and int(given) else os.get_terminal_size(stream.fileno()).columns
    except (OSError, ValueError, AttributeError):
        return 80
    return max(_NARROWEST, found or 80)


def columns_of(text: str) -> int:
    """How many columns a text takes on a screen: wide characters take two, combining ones none."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def _columns_of(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in ("W", "F") else 1


def padded(text: str, width: int, *, right: bool = False) -> str:
    """The text with spaces to a width of columns, on its right side or on its left."""
    spaces = " " * (width - columns_of(text))
    return spaces + text if right else text + spaces


def wrapped(text: str, width: int, indent: str = "    ", *, is_title: bool = False) -> list[str]:
    """The lines of a text on a screen; what goes on of a line is indented. A command to type is kept whole.

    ``is_title``: any word that is too long is broken, not only one of wide characters.
    """
    return [piece for line in text.split("\n") for piece in _wrapped_line(line, width, indent, is_title)]


def _wrapped_line(line: str, width: int, indent: str, is_title: bool) -> list[str]:
    if columns_of(line) <= width:
        return [line]
    start = line[: len(line) - len(line.lstrip())]
    glued = _COMMAND.sub(lambda found: found[0].replace(" ", _GLUE), line[len(start) :])
    lines: list[str] = []
    now = start
    for word in _words(glued, width - len(start + indent)):
        joined = now + word if not now.strip() or now.endswith(_JOINT) else f"{now} {word}"
        if columns_of(joined) <= width:
            now = joined
            continue
        goes_on = bool(now.strip())
        if goes_on:
            lines.append(now)
        begin = start + indent if goes_on else now
        if columns_of(begin + word) > width and (is_title or _is_wide(word)):
            *full, last = _broken(word, max(1, width - len(start + indent)))
            lines += [begin + piece for piece in full]
            now = begin + last
        else:
            now = begin + word if not goes_on or columns_of(begin + word) <= width else cut(word, width)
    return [each.replace(_GLUE, " ").replace(_JOINT, "") for each in (*lines, now)]


def _words(text: str, width: int) -> list[str]:
    """The words of a text; a list of names that is wider than the screen is one of several, each ending in a comma."""
    found: list[str] = []
    for word in text.split(" "):
        names = word.split(",") if len(word) > width and _GLUE not in word else [word]
        found += [*(f"{name},{_JOINT}" for name in names[:-1]), names[-1]]
    return found


def _is_wide(word: str) -> bool:
    return columns_of(word) > len(word)


def _broken(word: str, width: int) -> list[str]:
    """The pieces of a word, each at most so many columns wide."""
    pieces = [""]
    for letter in word:
        if pieces[-1] and columns_of(pieces[-1] + letter) > width:
            pieces.append("")
        pieces[-1] += letter
    return pieces


def cut(word: str, width: int) -> str:
    """A hash that is too long for the screen is shortened; nothing else is, because it may be copied."""
    return f"{word[: width - 1]}…" if len(word) > width and _HASH.fullmatch(word) else word


def fitting(
    widths: Mapping[int, int], texts: Mapping[int, int], spare: Sequence[int], width: int
) -> dict[int, int] | None:
    """The columns that fit a screen, with their widths; None where even the most important do not.

    Args:
        widths: the columns by place, from the left, with the widths of their longest cells.
        texts: the columns whose cells may go on in a second line, with the least width of each.
        spare: the columns that can be left out, the least important first.
        width: the screen's.
    """
    for dropped in range(len(spare) + 1):
        left = {name: size for name, size in widths.items() if name not in spare[:dropped]}
        free = width - sum(size for name, size in left.items() if name not in texts) - GAP * (len(left) - 1)
        flexible = [name for name in left if name in texts]
        if free >= sum(min(left[name], texts[name]) for name in flexible):
            return {**left, **_shared(free, {name: (texts[name], left[name]) for name in flexible})}
    return None


def _shared(free: int, wanted: Mapping[int, tuple[int, int]]) -> dict[int, int]:
    """The free width, divided among columns with a least and a greatest width; the narrow ones are served first."""
    found: dict[int, int] = {}
    for number, name in enumerate(sorted(wanted, key=lambda each: wanted[each][1])):
        least, most = wanted[name]
        found[name] = max(min(least, most), min(most, free // (len(wanted) - number)))
        free -= found[name]
    return found


def longest_word(cells: Sequence[str]) -> int:
    """The width of the widest word of any cell that is not broken."""
    return max((columns_of(word) for cell in cells for word in cell.split() if not _is_wide(word)), default=0)
