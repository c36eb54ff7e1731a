"""The JSON documents of an answer, as models write them: in prose or fences, with small faults, cut off.

What is put up with: line breaks and tabs inside strings, escapes that JSON does not know, trailing commas, comments,
Python's ``True``, ``False`` and ``None``, and unescaped quotes in the last text of an object. NaN and Infinity are no
values. The text is gone through once; only a string that turns out to be none is looked at again.
"""

import json
import math
import re
from typing import Any, Final

from attrs import Factory, define, field, frozen

from orchestrator.engine.answers.thoughts import MOST_CHARACTERS
from orchestrator.errors import present

_OPEN: Final = re.compile(r"""\{\s*+["}/\#]|\[\s*+["\[{\]0-9tfnTFN+./\#-]""")
_BLANK: Final = re.compile(r"[\s\ufeff]*+")
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NUMBER: Final = re.compile(r"[+-]?+(?:[0-9]++(?:\.[0-9]++)?+|\.[0-9]++)(?:[eE][+-]?+[0-9]++)?+(?![\w.])")
_WORD: Final = re.compile(r"[A-Za-z]{1,9}+")
_WORDS: Final = {"true": True, "True": True, "false": False, "False": False, "null": None, "None": None}
_TEXT_END: Final = re.compile(r'"(?=\s*+\}(?:[}\],\s]*+(?:\Z|```)|[}\], \t]*+[\r\n]|\s*+,\s*+\{))')
_ANOTHER_KEY: Final = re.compile(r'"\s*+,\s*+"[^"\\]{0,100}"\s*+:')
_ESCAPE: Final = re.compile(r'\\(?:(?P<known>["\\/bfnrt]|u[0-9a-fA-F]{4})|)')
_BARE_QUOTE: Final = re.compile(r'\\.|"', re.DOTALL)
_DEEPEST: Final = 100
_LONGEST_NUMBER: Final = 300


@frozen
class JsonDocument:
    """An object or a list."""

    value: Any
    cut: bool = False
    """Whether the text ends inside it; what is complete of it is there."""
    repaired: bool = False
    """Whether a text in it holds quotes that are not escaped, so that its end is a guess."""
    doubled: frozenset[str] = frozenset()
    """Keys of the object that it has twice, with different values; the later value is there."""


@frozen
class JsonSearch:
    """The documents of a text in their order, and how many characters were looked at to find them."""

    documents: tuple[JsonDocument, ...]
    visited: int
    """At most four times the length of the text."""


def json_documents(text: str) -> tuple[JsonDocument, ...]:
    """The objects and lists of a text in their order; of one that is damaged, those complete in it."""
    return find(text).documents


def whole_values(text: str) -> list[Any]:
    """The values of the documents that are not cut off."""
    return [each.value for each in json_documents(text) if not each.cut]


def find(text: str) -> JsonSearch:
    """The documents of a text, and the work it took."""
    reader = _Reader(text[:MOST_CHARACTERS])
    reader.read()
    return JsonSearch(tuple(reader.found), reader.visited)


@define
class _Open:
    """A container that is not complete yet."""

    value: dict[str, Any] | list[Any]
    expects: str
    """``key``, ``colon``, ``value`` or ``comma``; each but ``colon`` and a value after a key may be the end."""
    key: str = ""
    inner: list[JsonDocument] = Factory(list)
    """What is complete in it."""
    doubled: frozenset[str] = frozenset()
    repaired: bool = False

    def take(self, value: Any) -> None:
        if isinstance(self.value, list):
            self.value.append(value)
        else:
            if self.key in self.value and self.value[self.key] != value:
                self.doubled |= {self.key}
            self.value[self.key] = value
        self.expects = "comma"

    def document(self, *, cut: bool = False) -> JsonDocument:
        return JsonDocument(self.value, cut, self.repaired, self.doubled)


class _DamagedError(Exception):
    """What follows cannot be part of the document."""


@define
class _Reader:
    text: str
    found: list[JsonDocument] = Factory(list)
    visited: int = 0
    _at: int = 0
    _stack: list[_Open] = field(factory=list)
    _string: tuple[int, int] | None = None
    """(start, end) of the string read last, where nothing but blanks and comments followed."""
    _text_end: int = -1
    """Where the damaged text ends that was searched for last; the end of the whole text where it has no end."""
    _last_comment: int = -1
    """Where the last comment between ``/*`` and ``*/`` ends; 0 where there is none, -1 where it was not looked for."""
    _refused: int = -1
    """The end of a damaged text that holds more than one field."""

    def read(self) -> None:
        while (opening := _OPEN.search(self.text, self._at)) is not None:
            self._go_to(opening.start())
            try:
                self._document()
            except _DamagedError:
                self._give_up()
        self.visited += len(self.text) - self._at

    def _go_to(self, place: int) -> None:
        self.visited += place - self._at
        self._at = place

    def _document(self) -> None:
        """Read from an opening bracket to the end of its document, or of the text."""
        self._open()
        while self._stack:
            self._skip()
            if self._at >= len(self.text):
                self._end_of_text()
                return
            self._token(self.text[self._at])

    def _token(self, character: str) -> None:
        here = self._stack[-1]
        if here.expects == "comma" and character not in ",}]" and self._repair(here):
            return
        if character in "}]" and here.expects != "colon" and (character == "]") is isinstance(here.value, list):
            self._close(here)
        elif character in ",:":
            self._separator(here, character)
        elif character == '"':
            self._take_string(here)
        elif here.expects != "value":
            raise _DamagedError
        elif character in "{[":
            self._open()
        else:
            self._take_plain(here)

    def _open(self) -> None:
        is_list = self.text[self._at] == "["
        self._go_to(self._at + 1)
        self._string = None
        self._stack.append(_Open([] if is_list else {}, "value" if is_list else "key"))
        if len(self._stack) > _DEEPEST:
            self.found.extend(self._stack.pop(0).inner)

    def _close(self, here: _Open) -> None:
        if here.expects == "value" and isinstance(here.value, dict):
            raise _DamagedError  # a key without a value
        self._go_to(self._at + 1)
        self._string = None
        self._stack.pop()
        if not self._stack:
            self.found.append(here.document())
            return
        around = self._stack[-1]
        around.inner.append(here.document())
        around.repaired |= here.repaired
        around.take(here.value)

    def _separator(self, here: _Open, character: str) -> None:
        if here.expects != ("comma" if character == "," else "colon"):
            raise _DamagedError
        self._go_to(self._at + 1)
        self._string = None
        is_list = isinstance(here.value, list)
        here.expects = "key" if character == "," and not is_list else "value"

    def _take_string(self, here: _Open) -> None:
        if here.expects in ("colon", "comma"):
            raise _DamagedError
        found = _STRING.match(self.text, self._at)
        if found is None:  # the text ends in it
            self._go_to(len(self.text))
            return
        self._string = found.span()
        self._go_to(found.end())
        text = _decoded(found.group()[1:-1])
        if here.expects == "key":
            here.key, here.expects = text, "colon"
        else:
            here.take(text)

    def _take_plain(self, here: _Open) -> None:
        number = _NUMBER.match(self.text, self._at)
        if number is not None:
            if number.end() == len(self.text):  # more digits may be missing
                self._go_to(number.end())
                return
            value: Any = _number(number.group())
            self._go_to(number.end())
        else:
            word = _WORD.match(self.text, self._at)
            if word is None or word.group() not in _WORDS:
                raise _DamagedError
            value = _WORDS[word.group()]
            self._go_to(word.end())
        self._string = None
        here.take(value)

    def _skip(self) -> None:
        """Pass over blanks and comments."""
        while True:
            blank = present(_BLANK.match(self.text, self._at), "blank")
            self._go_to(blank.end())
            end = self._comment_end()
            if end is None:
                return
            self._go_to(end)

    def _comment_end(self) -> int | None:
        text, at = self.text, self._at
        if text.startswith("/*", at):
            if self._last_comment < 0:
                self._last_comment = max(0, text.rfind("*/"))
            return text.index("*/", at + 2) + 2 if at + 2 <= self._last_comment else None
        if text.startswith("//", at) or (text.startswith("#", at) and text[at - 1] in " \t\r\n,"):
            end = text.find("\n", at)
            return len(text) if end < 0 else end
        return None

    def _give_up(self) -> None:
        """Go on behind the damage, or inside the string before it: its quote may be one of prose."""
        for each in self._stack:
            self.found.extend(each.inner)
        self._stack.clear()
        if self._string is not None:
            self._at = self._string[0] + 1
            self._string = None

    def _end_of_text(self) -> None:
        for each in self._stack:
            self.found.extend(each.inner)
        for around, each in zip(reversed(self._stack[:-1]), reversed(self._stack[1:]), strict=True):
            around.take(each.value)
        self.found.append(self._stack[0].document(cut=True))
        self._stack.clear()

    def _repair(self, here: _Open) -> bool:
        """Take a text that seems to end at a stray quote as one that goes on to the end of its object."""
        if self._string is None or not isinstance(here.value, dict):
            return False
        if self._text_end < self._at:
            end = _TEXT_END.search(self.text, self._at)
            self._text_end = len(self.text) if end is None else end.start()
            self.visited += self._text_end - self._at
        raw = self.text[self._string[0] + 1 : self._text_end]
        if self._text_end in (len(self.text), self._refused) or _ANOTHER_KEY.search(raw):
            self._refused = self._text_end
            return False
        here.value[here.key] = _decoded(_BARE_QUOTE.sub(_escaped, raw))
        here.repaired = True
        self._go_to(self._text_end + 1)
        self._string = None
        return True


def _decoded(raw: str) -> str:
    """The text that is written between quotes."""
    try:
        return str(json.loads(f'"{raw}"', strict=False))
    except ValueError:
        known = _ESCAPE.sub(lambda escape: escape.group() if escape["known"] else "\\\\", raw)
        return str(json.loads(f'"{known}"', strict=False))


def _number(digits: str) -> int | float:
    if len(digits) > _LONGEST_NUMBER:
        raise _DamagedError
    value: int | float = float(digits) if set(digits) & set(".eE") else int(digits)
    if not math.isfinite(value):
        raise _DamagedError
    return value


def _escaped(found: re.Match[str]) -> str:
    return '\\"' if found.group() == '"' else found.group()
