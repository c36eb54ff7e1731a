"""The success criteria as a list, so that a judge answers each of them."""

import re
from collections.abc import Iterator
from typing import Final

MOST: Final = 20
"""Criteria that a judge answers one by one; those beyond stay in the last of them."""

_LIST_MARK: Final = re.compile(r"\s*(?:[-*+•–]|\(?\d{1,3}[.)]|\[[ xX]?\])\s+")
_BETWEEN: Final = re.compile(r"(`[^`\n]*`)|;")


def criteria_of(text: str) -> tuple[str, ...]:
    """The criteria in a text, in their order.

    It is split at line ends, list marks and semicolons and nowhere else: a full stop or a comma ends no criterion. A
    line that is indented below an item of a list goes on with it, and a semicolon inside backticks is code.
    """
    found = [" ".join(part.split()) for item in _items(text) for part in _parts(item)]
    criteria = [each for each in found if each.strip(".,:")]
    return tuple(criteria) if len(criteria) <= MOST else (*criteria[: MOST - 1], "; ".join(criteria[MOST - 1 :]))


def numbered(criteria: tuple[str, ...]) -> str:
    """The criteria, one a line, each after its number."""
    return "\n".join(f"{number}. {each}" for number, each in enumerate(criteria, 1))


def _items(text: str) -> Iterator[str]:
    """The lines without their list marks, an item that is wrapped over several lines as one."""
    item, listed = "", False
    for line in text.splitlines():
        mark = _LIST_MARK.match(line)
        if listed and mark is None and line[:1].isspace() and line.strip():
            item = f"{item} {line.strip()}"
            continue
        yield item
        listed, item = mark is not None, line
        while (mark := _LIST_MARK.match(item)) is not None:
            item = item[mark.end() :]
    yield item


def _parts(item: str) -> list[str]:
    parts, start = [], 0
    for match in _BETWEEN.finditer(item):
        if match[1] is None:
            parts.append(item[start : match.start()])
            start = match.end()
    return [*parts, item[start:]]
