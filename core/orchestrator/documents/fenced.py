"""The fenced code blocks of a Markdown text, found line by line as CommonMark has them.

Two things that models write are read as they are meant, where CommonMark would end a block early: a fence inside a
triple-quoted string of a Python block, and labelled fences inside a Markdown block whose own fence is no longer than
theirs. Where that reading finds no end of the block, CommonMark's holds for the rest of the text.
"""

import re
from typing import Final

from attrs import define, field, frozen

from orchestrator.errors import present

_LINE: Final = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+\Z")
_QUOTES: Final = re.compile(r"(?: {0,3}>[ \t]?)*")
_OPENING: Final = re.compile(
    r"(?P<lead>[ \t]*+(?P<items>(?:(?:[-*+]|[0-9]{1,9}[.)])[ \t]++)*+))(?P<marks>`{3,}+|~{3,}+)(?P<info>[^\r\n]*)"
)
_CLOSING: Final = re.compile(r"(?P<lead>[ \t]*)(?P<marks>`{3,}|~{3,})[ \t]*[\r\n]*\Z")
_ITEM: Final = re.compile(r"(?P<lead>[ \t]*)(?P<mark>[-*+]|[0-9]{1,9}[.)])(?P<space>[ \t]+)(?=\S)")
_BLANKS: Final = re.compile(r"[ \t]*")
_WORD: Final = re.compile(r"[\w+#-]+")
_LITERAL: Final = re.compile(r"""\"{3}|'{3}|"(?:[^"\\\r\n]|\\.)*"|'(?:[^'\\\r\n]|\\.)*'|\#.*|\\.""")
_ENDS: Final = {mark: re.compile(rf"\\.|{mark}") for mark in ('"""', "'''")}
_PYTHON: Final = frozenset({"", "py", "python", "python3"})
_MARKDOWN: Final = frozenset({"md", "markdown"})
_TAB: Final = 4
_DEEPEST: Final = 20
"""List items within each other."""
_LOOSEST: Final = 3
"""Columns that a fence may be indented beyond the text it belongs to."""


@frozen
class Fenced:
    """One fenced block."""

    info: str
    """What follows the opening fence on its line, stripped."""
    content: str
    """Its lines without the indentation of the opening fence, each ended by a line feed."""
    above: str
    """The last line before it that is not blank, stripped; empty directly after another block."""
    start: int
    """Where its opening line begins, in characters of the text."""
    end: int
    """Where the line after its closing fence begins."""
    closed: bool = True
    """False where the text ends first."""


@frozen
class Scanned:
    """The blocks of a text in their order, and how many characters were looked at to find them."""

    blocks: tuple[Fenced, ...]
    visited: int
    """At most four times the length of the text."""


def fenced_blocks(text: str) -> tuple[Fenced, ...]:
    """The fenced blocks of a text in their order; the last one may lack its end."""
    return scan(text).blocks


def scan(text: str) -> Scanned:
    """The fenced blocks of a text, and the work it took: linear in the length of the text."""
    scanner = _Scanner(_LINE.findall(text))
    return Scanned(tuple(scanner.blocks()), len(text) + scanner.visited)


@frozen
class _Fence:
    """An opening fence."""

    marks: str
    info: str
    quotes: int
    """Block quotes around it."""
    width: int
    """Columns before it: what its lines lose of their indentation."""
    base: int
    """The column where the text around it begins."""

    @property
    def language(self) -> str:
        """The first word of its info line in lower case."""
        word = _WORD.search(self.info)
        return word.group().lower() if word else ""

    def is_closed_by(self, line: str) -> bool:
        """Whether a line, without the marks of block quotes, closes it."""
        found = _CLOSING.match(line)
        return (
            found is not None
            and found["marks"].startswith(self.marks)
            and _width(found["lead"]) <= (self.base + _LOOSEST)
        )


@define
class _Scanner:
    """Goes through the lines once; back at most once, when it has read too much into a block."""

    lines: list[str]
    visited: int = 0
    _is_lenient: bool = True
    _items: list[int] = field(factory=list)
    """The columns where the texts of the open list items begin."""
    _follows_blank: bool = True

    def blocks(self) -> list[Fenced]:
        found, above, at = [], "", 0
        places = [0]
        for line in self.lines:
            places.append(places[-1] + len(line))
        while at < len(self.lines):
            line = self._read(at)
            fence = self._opening(line)
            if fence is None:
                self._follow(line)
                above, at = line.strip() or above, at + 1
                continue
            content, after, closed = self._inside(fence, at + 1)
            found.append(Fenced(fence.info, content, above, places[at], places[after], closed))
            above, at = "", after
        return found

    def _read(self, number: int) -> str:
        line = self.lines[number]
        self.visited += len(line)
        return line

    def _opening(self, line: str) -> _Fence | None:
        quotes, rest = _unquoted(line)
        found = _OPENING.match(rest)
        if found is None or (found["marks"][0] == "`" and "`" in found["info"]):
            return None
        width = _width(found["lead"])
        if found["items"]:
            self._follow(line)
            return _Fence(found["marks"], found["info"].strip(), quotes, width, width)
        around = max((column for column in self._items if column <= width), default=0)
        if width - around > _LOOSEST:
            if not around:
                return None  # indented code
            around = width
        return _Fence(found["marks"], found["info"].strip(), quotes, width, around)

    def _follow(self, line: str) -> None:
        """Keep up with the list items that a line begins or ends."""
        rest = _unquoted(line)[1]
        if not rest.strip():
            self._follows_blank = True
            return
        item, column = _ITEM.match(rest), 0
        indent = _width(_BLANKS.match(rest).group())  # type: ignore[union-attr]
        if item is not None or self._follows_blank:
            self._items = [each for each in self._items if each <= indent]
        while item is not None and len(self._items) < _DEEPEST:
            space = _width(item["space"])
            column += _width(item["lead"]) + len(item["mark"]) + (space if space <= _TAB else 1)
            self._items.append(column)
            item = _ITEM.match(rest, item.end())
        self._follows_blank = False

    def _inside(self, fence: _Fence, at: int) -> tuple[str, int, bool]:
        """(content, number of the line after the block, whether it was closed)."""
        content: list[str] = []
        early: tuple[int, int] | None = None
        inner, quote = 0, ""
        language = fence.language
        for number in range(at, len(self.lines)):
            quotes, line = _unquoted(self._read(number), fence.quotes)
            if quotes < fence.quotes:
                return "".join(content), number, False
            if fence.is_closed_by(line):
                if not (inner or quote):
                    return "".join(content), number + 1, True
                early = early or (number + 1, len(content))
                inner = max(0, inner - 1)
            elif self._is_lenient and language in _MARKDOWN and _opens_inside(fence, line):
                inner += 1
            content.append(_unindented(line, fence.width))
            if self._is_lenient and language in _PYTHON:
                self.visited += len(line)
                quote = _quote_after(line, quote)
        if early is None:
            return "".join(content), len(self.lines), False
        self._is_lenient = False
        after, length = early
        return "".join(content[:length]), after, True


def _opens_inside(fence: _Fence, line: str) -> bool:
    """Whether a line of a Markdown block opens a block of its own that the outer fence's marks would close."""
    found = _OPENING.match(line)
    return found is not None and found["marks"].startswith(fence.marks) and bool(_WORD.match(found["info"].strip()))


def _unquoted(line: str, most: int | None = None) -> tuple[int, str]:
    """(how many block quotes a line stands in, the line without their marks); ``most`` marks are taken off."""
    if most == 0 or ">" not in line:
        return 0, line
    marks = present(_QUOTES.match(line), "marks")
    count, end = marks.group().count(">"), marks.end()
    if most is not None and count > most:
        count, end = most, 0
        for _ in range(most):
            end = line.index(">", end) + 1
        end += line[end : end + 1] == " "
    return count, line[end:]


def _width(blanks: str) -> int:
    """The columns that a text takes; a tab goes to the next multiple of four."""
    return len(blanks.expandtabs(_TAB)) if "\t" in blanks else len(blanks)


def _unindented(line: str, columns: int) -> str:
    """A line without as much of its indentation, ended by a line feed where it is ended at all."""
    body = line.rstrip("\r\n")
    end = "\n" if len(body) < len(line) else ""
    if columns and body[:1] in " \t":
        blanks = _BLANKS.match(body).group()  # type: ignore[union-attr]
        wide = blanks.expandtabs(_TAB) if "\t" in blanks[: columns + 1] else blanks
        body = wide[columns:] + body[len(blanks) :]
    return body + end


def _quote_after(line: str, quote: str) -> str:
    """The triple quote that is open after a line of Python; empty where none is. ``quote`` was open before it."""
    at = 0
    while at < len(line):
        found = (_ENDS[quote] if quote else _LITERAL).search(line, at)
        if found is None:
            break
        at = found.end()
        if quote:
            quote = "" if found.group() == quote else quote
        elif found.group() in _ENDS:
            quote = found.group()
    return quote
