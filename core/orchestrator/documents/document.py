"""What a document is once it is read: a tree of values that know their lines, within bounds."""

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any, Final

from attrs import define, field, frozen

from orchestrator.errors import SpecError

MAX_BYTES: Final = 1_000_000
MAX_DEPTH: Final = 64
MAX_VALUES: Final = 100_000
"""A plan of 10,000 tasks fits; an alias bomb does not."""
MAX_CHARACTERS: Final = 4 * MAX_BYTES

Address = tuple[str | int, ...]
"""Where a value stands: keys of mappings and, from 0, places in lists."""

LineOf = Callable[[Address], int | None]
"""Gives the line (from 1) of an address, or None where nothing stands there."""

Scalar = str | int | float | Decimal | bool | None


def refusal(source: str, line: int, message: str) -> SpecError:
    """The error of one problem at one line."""
    return SpecError([f"{source}:{line}: {message}"])


def shown(text: str, limit: int = 40) -> str:
    """An untrusted text as one short quoted line."""
    return repr(text if len(text) <= limit else text[: limit - 1] + "…")


@define
class DocumentNode:
    """One value and what stands below it; sizes count what aliases expand to."""

    line: int
    value: "Scalar | dict[str, DocumentNode] | list[DocumentNode]" = None
    key_lines: dict[str, int] = field(factory=dict)
    values: int = 1
    characters: int = 0
    height: int = 0
    """Levels of nesting; 0 for a scalar."""
    is_commented: bool = False
    """Whether it is a text without quotes, and a comment follows on its line."""

    def adopt(self, child: "DocumentNode") -> str | None:
        """Count a child in; the answer is what is wrong with the sum, if anything is."""
        self.values += child.values
        self.characters += child.characters
        self.height = max(self.height, child.height + 1)
        if self.values > MAX_VALUES:
            return f"the document has more than {MAX_VALUES} values (aliases expanded); shorten it"
        if self.characters > MAX_CHARACTERS:
            return f"the document has more than {MAX_CHARACTERS} characters (aliases expanded); shorten it"
        return None

    def child(self, step: str | int) -> "DocumentNode | None":
        """The value under a key or at a place in a list."""
        if isinstance(self.value, dict) and isinstance(step, str):
            return self.value.get(step)
        if isinstance(self.value, list) and isinstance(step, int) and 0 <= step < len(self.value):
            return self.value[step]
        return None

    def plain(self) -> Any:
        """The value as dicts, lists and scalars, nothing shared."""
        if isinstance(self.value, dict):
            return {key: node.plain() for key, node in self.value.items()}
        if isinstance(self.value, list):
            return [node.plain() for node in self.value]
        return self.value

    def commented(self, address: Address) -> Iterator[tuple[Address, int]]:
        """Every text from here down that a comment follows on its line, with that line."""
        if self.is_commented:
            yield address, self.line
        items = self.value.items() if isinstance(self.value, dict) else ()
        for key, node in items or (enumerate(self.value) if isinstance(self.value, list) else ()):
            yield from node.commented((*address, key))

    def walk(self, line: int, address: Address = ()) -> Iterator[tuple[Address, int]]:
        """Every address from here down, with its line."""
        yield address, line
        if isinstance(self.value, dict):
            for key, node in self.value.items():
                yield from node.walk(self.key_lines[key], (*address, key))
        elif isinstance(self.value, list):
            for place, node in enumerate(self.value):
                yield from node.walk(node.line, (*address, place))


def text_node(line: int, text: str, source: str) -> DocumentNode:
    """A text, proved to be encodable; escaped surrogate pairs, as JSON writes them, become the character they mean.

    Raises:
        SpecError: it holds half of a surrogate pair.
    """
    try:
        if not text.isascii():
            text = text.encode("utf-16", "surrogatepass").decode("utf-16")
    except UnicodeDecodeError as error:
        raise refusal(source, line, "the text holds an escape that is no Unicode character") from error
    return DocumentNode(line, text, characters=len(text))


@frozen
class Document:
    """A document's data and where each part of it stands.

    A number with more digits than a float holds is a ``Decimal``; YAML's ``.nan`` and ``.inf`` are floats.
    """

    value: Any
    source: str
    root: DocumentNode

    @classmethod
    def of(cls, root: DocumentNode, source: str) -> "Document":
        """The document under a root."""
        return cls(root.plain(), source, root)

    def line_of(self, path: Address) -> int | None:
        """The line (from 1) of a key of a mapping, an item of a list, or the root; None where nothing stands there."""
        node, line = self.root, self.root.line
        for step in path:
            below = node.child(step)
            if below is None:
                return None
            line = node.key_lines[step] if isinstance(step, str) else below.line
            node = below
        return line

    @property
    def commented(self) -> Iterator[tuple[Address, int]]:
        """The texts without quotes that a comment follows on their line, with that line."""
        return self.root.commented(())

    def lines(self) -> dict[Address, int]:
        """The line of every address."""
        return dict(self.root.walk(self.root.line))
