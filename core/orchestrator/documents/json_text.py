"""JSON to nodes: strict, with lines, nothing recursive beyond the bound."""

import json
import math
import re
from collections.abc import Callable
from typing import Any, Final, NoReturn

from orchestrator.documents.document import MAX_DEPTH, Document, DocumentNode, refusal, shown, text_node
from orchestrator.documents.yaml_scalars import number
from orchestrator.errors import MissingError, SpecError, present

_SPACE: Final = re.compile(r"[ \t\n\r]*")


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is not a JSON number")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value


_SCALARS: Final = json.JSONDecoder(parse_float=number, parse_int=number, parse_constant=_no_constant)


def parse_json(text: str, pairs: Callable[[list[tuple[str, Any]]], dict[str, Any]]) -> Any:
    """Plain values of JSON that has no NaN and no number beyond a float; ``pairs`` makes each object.

    Raises:
        ValueError: not such JSON.
        RecursionError: nested too deeply.
    """
    return json.loads(text, object_pairs_hook=pairs, parse_constant=_no_constant, parse_float=_finite)


def load_json(text: str, source: str) -> Document:
    """The JSON document in ``text``.

    Raises:
        SpecError: not JSON, or beyond the bounds; duplicate keys, NaN and numbers too large for a float are not JSON.
    """
    reader = _Reader(text.removeprefix("\ufeff"), source)
    root = reader.value(1)
    if reader.peek():
        raise reader.wrong("there is something after the end of the document")
    return Document.of(root, source)


class _Reader:
    """Reads forward through a text, counting lines."""

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.position = 0
        self._counted = 0
        self._line = 1

    @property
    def line(self) -> int:
        self._line += self.text.count("\n", self._counted, self.position)
        self._counted = self.position
        return self._line

    def wrong(self, message: str) -> SpecError:
        return refusal(self.source, self.line, message)

    def peek(self) -> str:
        """The next character that is no white space, or nothing at the end."""
        match = present(_SPACE.match(self.text, self.position), "match")
        self.position = match.end()
        return self.text[self.position : self.position + 1]

    def take(self, wanted: str) -> str:
        """Step over one of the wanted characters."""
        found = self.peek()
        if not found:
            raise self.wrong("the document ends too early")
        if found not in wanted:
            raise self.wrong(f"expected {' or '.join(wanted)}, found {found!r}")
        self.position += 1
        return found

    def value(self, depth: int) -> DocumentNode:
        opening = self.peek()
        if opening not in ("{", "["):
            return self.scalar()
        if depth > MAX_DEPTH:
            raise self.wrong(f"nested more than {MAX_DEPTH} levels deep")
        node = DocumentNode(self.line)
        self.position += 1
        if opening == "{":
            self.mapping(node, depth)
        else:
            self.list(node, depth)
        return node

    def mapping(self, node: DocumentNode, depth: int) -> None:
        entries: dict[str, DocumentNode] = {}
        node.value = entries
        if self.peek() == "}":
            self.position += 1
            return
        separator = ","
        while separator == ",":
            if self.peek() != '"':
                raise self.wrong("expected a key in double quotes")
            line = self.line
            key = self.scalar()
            if not isinstance(key.value, str):
                raise MissingError("str")
            if key.value in entries:
                raise refusal(self.source, line, f"the key {shown(key.value)} stands here twice")
            node.characters += key.characters
            self.take(":")
            child = self.value(depth + 1)
            node.key_lines[key.value] = line
            entries[key.value] = child
            self.adopt(node, child)
            separator = self.take(",}")

    def list(self, node: DocumentNode, depth: int) -> None:
        items: list[DocumentNode] = []
        node.value = items
        if self.peek() == "]":
            self.position += 1
            return
        separator = ","
        while separator == ",":
            child = self.value(depth + 1)
            items.append(child)
            self.adopt(node, child)
            separator = self.take(",]")

    def adopt(self, node: DocumentNode, child: DocumentNode) -> None:
        problem = node.adopt(child)
        if problem:
            raise self.wrong(problem)

    def scalar(self) -> DocumentNode:
        line = self.line
        try:
            value: Any
            value, self.position = _SCALARS.raw_decode(self.text, self.position)
        except json.JSONDecodeError as error:
            self.position = min(error.pos, len(self.text))
            raise self.wrong(f"this is not JSON: {error.msg[:1].lower()}{error.msg[1:]}") from error
        except ValueError as error:
            raise self.wrong(str(error)) from error
        if isinstance(value, str):
            return text_node(line, value, self.source)
        if value in (float("inf"), float("-inf")):
            raise refusal(self.source, line, "the number is larger than any this program handles")
        return DocumentNode(line, value)
