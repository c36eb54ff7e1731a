"""Which block of an answer is the result: that which defines what the task or its tests name."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final

from attrs import frozen

from orchestrator.engine.answers.languages import SUFFIXES
from orchestrator.models import TaskType

_LANGUAGES: Final[dict[TaskType, frozenset[str]]] = {
    TaskType.CODE_GEN: frozenset({"python", "py", "python3"}),
    TaskType.DATA_EXTRACTION: frozenset({"json", "jsonc", "json5"}),
}
_MOST_BLOCKS: Final = 200
"""Blocks that are compared; of more, the first ones."""
_SPOKEN: Final = re.compile(r"[\w+#-]+")
_WORD: Final = re.compile(r"[A-Za-z_]\w*")
_BEFORE: Final = (
    "export|default|public|private|protected|internal|static|final|abstract|async|pub|pub\\(crate\\)|unsafe|extern|"
    "inline|virtual|override|sealed|data|open"
)
_KEYWORDS: Final = (
    "def|class|function|func|fun|fn|sub|struct|interface|enum|trait|impl|module|namespace|type|object|record|protocol|"
    "contract|const|let|var|macro_rules!|"
    "create[ \\t]+(?:or[ \\t]+replace[ \\t]+)?(?:table|view|function|procedure|trigger)"
)
_DEFINITION: Final = re.compile(
    rf"^[ \t]*+(?:(?:{_BEFORE})[ \t]++){{0,5}}(?:{_KEYWORDS})[ \t*]++(?:if[ \t]++not[ \t]++exists[ \t]++)?+"
    r"(?P<name>[A-Za-z_]\w*+)",
    re.MULTILINE | re.IGNORECASE,
)
_TYPED: Final = re.compile(
    r"^(?:[A-Za-z_][\w:<>,*&\[\]]{0,80}[ \t]{1,8}[*&]{0,2}){1,4}(?P<name>[A-Za-z_]\w{0,80})[ \t]?\([^;\n]{0,300}$",
    re.MULTILINE,
)
_ASSIGNED: Final = re.compile(r"^(?P<name>[A-Za-z_]\w{0,80})[ \t]{0,8}(?::[^=\n]{1,100})?=(?!=)", re.MULTILINE)


@frozen
class Delivery:
    """What an answer is delivered as."""

    files: Mapping[str, str]
    """By name, the main one first."""
    left_out: int = 0
    """How many of the answer's fenced blocks are in none of them."""
    renamed: int = 0
    """How many of them have another name than the answer gives them, because that one is not allowed."""


@frozen
class Block:
    """One fenced block."""

    language: str
    """The first word of its info line in lower case; empty where there is none."""
    name: str | None
    """The file name that the answer gives it, as written there: not checked."""
    content: str


@frozen
class Wanted:
    """What a task is about, as far as it helps to tell the result from an example of its use."""

    prompt: str = ""
    tests: str = ""
    """The text of its tests; empty where it has none."""


NOTHING: Final = Wanted()
"""Nothing is known of the task."""


def chosen_block(found: Sequence[Block], kind: TaskType | None, wanted: Wanted = NOTHING) -> Block | None:
    """The block that is the result of a task of this type, or None where there is no block.

    What counts, in this order: how much it defines of what the tests name, and of what the task names; a language that
    the task names, and one that suits the type; what it assigns of those names; a file name; how much it defines of
    what other blocks use; its length. Of blocks that are named alike only the last counts.
    """
    last = {block.name: place for place, block in enumerate(found) if block.name is not None}
    blocks = [block for place, block in enumerate(found) if block.name is None or last[block.name] == place]
    if len(blocks) < 2:
        return blocks[0] if blocks else None
    if kind is not TaskType.CODE_GEN:
        suitable = _LANGUAGES.get(kind, frozenset()) if kind is not None else frozenset()
        return max(blocks, key=lambda block: (block.language in suitable, len(block.content)))
    return max(map(_seen, blocks[:_MOST_BLOCKS]), key=_Judge(blocks[:_MOST_BLOCKS], wanted)).block


@frozen
class _Seen:
    """A block, and what it defines and uses."""

    block: Block
    defined: frozenset[str]
    """Its functions, classes and the like."""
    assigned: frozenset[str]
    words: frozenset[str]


def _seen(block: Block) -> _Seen:
    found = (*_DEFINITION.finditer(block.content), *_TYPED.finditer(block.content))
    defined = frozenset(each["name"] for each in found if not each["name"].startswith("test_"))
    assigned = frozenset(each["name"] for each in _ASSIGNED.finditer(block.content))
    return _Seen(block, defined, assigned, _words(block.content))


def _words(text: str) -> frozenset[str]:
    return frozenset(_WORD.findall(text))


class _Judge:
    """How well a block suits a task; comparable."""

    def __init__(self, blocks: Sequence[Block], wanted: Wanted) -> None:
        tests = _seen(Block("", None, wanted.tests))
        self._tests = tests.words - tests.defined - tests.assigned
        self._prompt = _words(wanted.prompt)
        self._spoken = {word if len(word) == 1 else word.lower() for word in _SPOKEN.findall(wanted.prompt)}
        self._using: Counter[str] = Counter()
        for seen in map(_seen, blocks):
            self._using.update(seen.words - seen.defined)

    def __call__(self, seen: _Seen) -> tuple[int | bool, ...]:
        block = seen.block
        return (
            len(seen.defined & self._tests),
            len(seen.defined & self._prompt),
            self._is_spoken_of(block.language),
            block.language in _LANGUAGES[TaskType.CODE_GEN],
            len(seen.assigned & self._tests),
            len(seen.assigned & self._prompt),
            block.name is not None,
            sum(self._using[name] > 0 for name in seen.defined),
            len(block.content),
        )

    def _is_spoken_of(self, language: str) -> bool:
        """Whether the task names a language; one of a single letter counts as a capital."""
        suffix = SUFFIXES.get(language)
        return suffix is not None and any(
            SUFFIXES.get(word.lower()) == suffix for word in self._spoken if len(word) > 1 or word.isupper()
        )
