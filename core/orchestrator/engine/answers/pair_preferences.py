"""Which of two results a judge prefers: the word ``A``, ``B`` or ``tie``, and nothing that merely contains it.

The choice is that of the JSON documents; where none has one, what the text calls better; else the answer as a whole,
where it is such a word. Two choices that differ are none.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from orchestrator.engine.answers.json_documents import JsonDocument, json_documents
from orchestrator.engine.answers.thoughts import MOST_CHARACTERS
from orchestrator.events import Reading
from orchestrator.models import PairChoice, ReadingProblem

_KEYS: Final = ("better", "choice", "winner")
_WORDS: Final[Mapping[str, PairChoice]] = {
    "a": PairChoice.A,
    "b": PairChoice.B,
    **dict.fromkeys(("tie", "draw", "equal", "neither", "both"), PairChoice.TIE),
}
_MARKUP: Final = r"[\"'`*_]{0,6}+"
_RESULT: Final = r"(?:(?:the\s{1,3}+)?result\s{1,3}+)?"
_TIES: Final = "tie|draw|equal|neither|both"
_CLOSED: Final = r"(?=[ \t]*+(?:[.!,;:)\n}]|\Z|(?:for|because|since|as)\b))"
_LABELLED: Final = re.compile(
    rf"\b(?:better|choice|winner){_MARKUP}\s{{0,3}}+(?:is|[:=–-])\s{{0,3}}+{_MARKUP}\s{{0,3}}+{_RESULT}"
    rf"(?P<word>(?-i:A|B)|{_TIES})(?!\w){_MARKUP}{_CLOSED}",
    re.IGNORECASE,
)
_WHOLE: Final = re.compile(rf"\s*+{_MARKUP}{_RESULT}(?P<word>a|b|{_TIES})(?!\w){_MARKUP}[.!]?\s*+", re.IGNORECASE)
_LONGEST: Final = 100


def read_choice(text: str) -> Reading:
    """The choice between two results, or why there is none."""
    text = text[:MOST_CHARACTERS]
    for found in _sources(text, json_documents(text)):
        read = {each for each in map(_choice, found) if each is not None}
        if len(read) > 1:
            return Reading(problem=ReadingProblem.AMBIGUOUS_CHOICE)
        if read:
            return Reading(choice=read.pop())
    return Reading(problem=ReadingProblem.NO_CHOICE)


def _sources(text: str, documents: Sequence[JsonDocument]) -> Iterator[list[Any]]:
    """What the places of an answer that may hold its choice say, the best place first."""
    yield [value for document in documents if not document.cut for value in _in_document(document)]
    yield [value for document in documents if document.cut for value in _in_document(document)]
    if any(document.cut for document in documents):
        return  # what it calls better may be cut off, too
    yield [match["word"] for match in _LABELLED.finditer(text)]
    bare = _WHOLE.fullmatch(text) if len(text) <= _LONGEST else None
    yield [bare["word"]] if bare else []


def _in_document(document: JsonDocument) -> Iterator[Any]:
    """The choices of a document; of one that is within another object, too. A key given twice counts as both words."""
    level = [document.value]
    while level:
        found = [each for each in level if isinstance(each, dict) and any(key in each for key in _KEYS)]
        if found:
            for each in found:
                yield from (each[key] for key in _KEYS if key in each)
            if any(key in document.doubled for key in _KEYS):
                yield from (PairChoice.A, PairChoice.B)
            return
        level = [inner for each in level if isinstance(each, dict) for inner in each.values()]


def _choice(value: Any) -> PairChoice | None:
    """A word that is a choice; markup and the word ``result`` around it are no part of it."""
    found = _WHOLE.fullmatch(value) if isinstance(value, str) and len(value) <= _LONGEST else None
    return None if found is None else _WORDS[found["word"].lower()]
