"""YAML to nodes: ruamel.yaml's parser gives the events, this composes them within bounds.

Tags are refused while scanning (the scanner needs quadratic time for a hostile one), depth while the events come in,
and aliases by the size they expand to, before anything is expanded.
"""

import io
import re
from collections.abc import Iterator
from typing import Any, Final, NoReturn

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)
from ruamel.yaml.reader import ReaderError
from ruamel.yaml.scanner import Scanner, ScannerError

from orchestrator.documents.document import MAX_DEPTH, Document, DocumentNode, refusal, shown, text_node
from orchestrator.documents.yaml_scalars import resolve
from orchestrator.errors import SpecError

_COMMENT: Final = re.compile(r"\S\s+#")


class _TaglessScanner(Scanner):
    def scan_tag(self) -> NoReturn:
        raise ScannerError(problem="tags such as !!python/object are not accepted", problem_mark=self.reader.get_mark())


def compose(text: str, source: str) -> Document:
    """The one document in ``text``.

    Raises:
        SpecError: not YAML, or beyond the bounds.
    """
    yaml = YAML(typ="safe", pure=True)
    yaml.Scanner = _TaglessScanner
    text = text.removeprefix("\ufeff")
    composer = _Composer(iter(yaml.parse(io.StringIO(text))), source, text)
    try:
        return Document.of(composer.document(), source)
    except SpecError:
        raise
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        reason = error.problem or error.context or "it cannot be parsed"
        line = mark.line + 1 if mark else composer.line
        hint = composer.comment_before(line)
        raise refusal(source, line, f"this is not YAML: {_one_line(reason)}{hint}") from error
    except ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise refusal(source, line, "a character here is not allowed in YAML; write it as an escape") from error
    except YAMLError as error:
        raise refusal(source, composer.line, f"this is not YAML: {_one_line(str(error))}") from error
    except Exception as error:  # the parser raises ValueError and others on some broken escapes
        raise refusal(source, composer.line, "this is not YAML: it cannot be parsed from here on") from error


def _one_line(reason: str) -> str:
    return " ".join(reason.split())[:160]


class _Composer:
    """Builds nodes from events, one document's worth."""

    def __init__(self, events: Iterator[Any], source: str, text: str) -> None:
        self.events = events
        self.lines = re.split("\r\n|[\n\r\x85\u2028\u2029]", text)
        self.source = source
        self.line = 1
        self.anchors: dict[str, DocumentNode | None] = {}

    def next(self) -> Any:
        event = next(self.events)
        self.line = event.start_mark.line + 1
        return event

    def wrong(self, message: str) -> SpecError:
        return refusal(self.source, self.line, message)

    def document(self) -> DocumentNode:
        self.next()
        event = self.next()
        if isinstance(event, StreamEndEvent):
            return DocumentNode(1)
        root = self.node(self.next(), 1)
        self.next()
        if isinstance(self.next(), DocumentStartEvent):
            raise self.wrong("a second document starts here; keep one")
        return root

    def node(self, event: Any, depth: int) -> DocumentNode:
        if isinstance(event, AliasEvent):
            return self.alias(event.anchor, depth)
        node = DocumentNode(self.line)
        anchor = event.anchor
        if anchor is not None:
            self.anchors[anchor] = None  # known, and open until the node is complete
        if isinstance(event, ScalarEvent):
            node = self.scalar(event)
        elif depth > MAX_DEPTH:
            raise self.wrong(f"nested more than {MAX_DEPTH} levels deep")
        elif isinstance(event, MappingStartEvent):
            self.mapping(node, depth)
        elif isinstance(event, SequenceStartEvent):
            self.list(node, depth)
        if anchor is not None:
            self.anchors[anchor] = node
        return node

    def alias(self, name: str, depth: int) -> DocumentNode:
        if name not in self.anchors:
            raise self.wrong(f"the alias *{_one_line(name)[:40]} has no anchor before it")
        node = self.anchors[name]
        if node is None:
            raise self.wrong(f"the alias *{_one_line(name)[:40]} stands inside its own anchor")
        if node.height + depth - 1 > MAX_DEPTH:
            raise self.wrong(f"nested more than {MAX_DEPTH} levels deep")
        return node

    def scalar(self, event: Any) -> DocumentNode:
        if event.style is not None:
            return text_node(self.line, event.value, self.source)
        try:
            value = resolve(event.value)
        except ValueError as error:
            raise self.wrong(str(error)) from error
        if not isinstance(value, str):
            return DocumentNode(self.line, value)
        node = text_node(self.line, value, self.source)
        node.is_commented = self.has_comment_behind(event.end_mark)
        return node

    def comment_before(self, line: int) -> str:
        """What to look at where a comment begins on a line, or on the last one before it that is not blank."""
        before = [text for text in self.lines[:line] if text.strip()][-2:]
        if any(_COMMENT.search(text) for text in before):
            return "; a ' #' begins a comment: put a text that has one in quotes"
        return ""

    def has_comment_behind(self, mark: Any) -> bool:
        """Whether a comment follows on the line on which a text ends."""
        rest = self.lines[mark.line][mark.column :] if mark.line < len(self.lines) else ""
        return rest[:1].isspace() and rest.lstrip().startswith("#")

    def mapping(self, node: DocumentNode, depth: int) -> None:
        entries: dict[str, DocumentNode] = {}
        node.value = entries
        while not isinstance(event := self.next(), MappingEndEvent):
            key = self.key(event)
            line = self.line
            if key in entries:
                raise self.wrong(f"the key {shown(key)} stands here twice")
            node.characters += len(key)
            child = self.node(self.next(), depth + 1)
            node.key_lines[key] = line
            entries[key] = child
            self.adopt(node, child)

    def key(self, event: Any) -> str:
        if not isinstance(event, ScalarEvent):
            raise self.wrong("a key must be a text")
        if event.style is None and event.value == "<<":
            raise self.wrong("merge keys (<<) are not accepted; write the keys out")
        if event.anchor is not None:
            raise self.wrong("a key cannot have an anchor")
        return str(text_node(self.line, event.value, self.source).value)

    def list(self, node: DocumentNode, depth: int) -> None:
        items: list[DocumentNode] = []
        node.value = items
        while not isinstance(event := self.next(), SequenceEndEvent):
            child = self.node(event, depth + 1)
            items.append(child)
            self.adopt(node, child)

    def adopt(self, node: DocumentNode, child: DocumentNode) -> None:
        problem = node.adopt(child)
        if problem:
            raise self.wrong(problem)
