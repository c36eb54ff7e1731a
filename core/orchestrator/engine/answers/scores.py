"""The score in an evaluator's answer, and its reasons.

A whole number is one from 0 to 10, as the schema has it: ``1`` is 0.1. A decimal point shows another scale: up to
``1.0`` that from 0 to 1, above it that from 0 to 10 in smaller steps. A fraction such as ``9/10`` or ``85 out of 100``
is what it says. The score is that of the JSON documents; where none has one, what the text calls a score; else the
answer as a whole, where it is a number; else a fraction at the end of a clause. Two scores that differ are none.
"""

import math
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final

from orchestrator.engine.answers.json_documents import JsonDocument, json_documents
from orchestrator.engine.answers.thoughts import MOST_CHARACTERS
from orchestrator.events import Reading
from orchestrator.models import ReadingProblem

_SCALE: Final = 10
_PLAIN: Final = r"-?(?:[0-9]{1,9}+(?:[.,][0-9]{1,30}+)?+|\.[0-9]{1,30}+)"
_FRACTION: Final = r"\s{0,3}+(?:/|out\s{1,3}+of)\s{0,3}+"
_VALUE: Final = rf"(?P<value>{_PLAIN}(?:{_FRACTION}[0-9]{{1,9}}+)?+)"
_CLOSED: Final = r"(?![\w%]|[.,/][0-9])"
_MARKUP: Final = r"[\"'`*_]{0,6}+"
_PARTS: Final = re.compile(rf"(?P<number>{_PLAIN})(?:{_FRACTION}(?P<whole>[0-9]{{1,9}}))?")
_LABELLED: Final = re.compile(
    rf"\bscore{_MARKUP}\s{{0,3}}+(?:\([^()\n]{{0,40}}\)\s{{0,3}}+)?(?:is|of|[:=–-])\s{{0,3}}+"
    rf"{_MARKUP}{_VALUE}{_CLOSED}",
    re.IGNORECASE,
)
_BARE: Final = re.compile(rf"\s*+{_MARKUP}{_VALUE}{_MARKUP}[.!]?\s*+", re.IGNORECASE)
_IN_PROSE: Final = re.compile(
    rf"(?<![\w.,/])(?P<value>{_PLAIN}{_FRACTION}(?:5|10|20|100))(?![\w%]|[.,/][0-9])"
    r"(?=\s*+(?:[.!,;:)*_\"\n–-]|\Z|(?:for|because|since|as|overall)\b))",
    re.IGNORECASE,
)
_LONGEST_BARE: Final = 100
_UNCLOSED: Final = re.compile(
    r"(?:[\"']score[\"']\s{0,3}+:[ \t]{0,3}+[\"']?[-0-9.,/ \t]{1,40}+(?:o|ou|out|out +o|out +of *[0-9]{0,9})?"
    r"|(?<![\w.,/-])[01][.,])\Z",
    re.IGNORECASE,
)
_LONGEST_UNCLOSED: Final = 200
_OBJECT: Final = re.compile(r"\{[^{}]{0,4000}\}")
_SHORTEST_QUOTE: Final = 7
"""Characters: ``score:1`` is the shortest text that says a score."""


def read_score(text: str) -> Reading:
    """The score of an evaluation, or why there is none."""
    text = _without_cut(text[:MOST_CHARACTERS])
    for found in _sources(text, json_documents(text)):
        read = {each for each in map(_scaled, found) if each is not None}
        if read:
            return _agreed(read)
    return Reading(problem=ReadingProblem.NO_SCORE)


def without_quoted(text: str, draft: str) -> str:
    """A judge's answer without what it repeats of the draft that has a score in it: objects, and whole lines.

    A verdict that a draft holds is the draft's, also where a judge says it again.
    """
    if "score" not in draft.lower():
        return text
    own = draft[:MOST_CHARACTERS]
    quoted = {match[0] for match in _OBJECT.finditer(own)} | set(filter(None, map(_bare_line, own.splitlines())))
    for each in sorted(quoted, key=len, reverse=True):
        if len(each) >= _SHORTEST_QUOTE and "score" in each.lower():
            text = text.replace(each, " ")
    return text


def _bare_line(line: str) -> str:
    return line.strip(" \t>#*/-`\"',")


def reasons_in(text: str) -> str:
    """The reasons of an evaluation, for the next draft; empty where there are none."""
    for document in json_documents(text):
        for value in _objects(document.value):
            if isinstance(value.get("reasons"), str):
                return str(value["reasons"])
    return ""


def _without_cut(text: str) -> str:
    """A text without the score at its end of which more may be missing: ``"score": 0.9``, and ``0.`` of any kind."""
    cut = _UNCLOSED.search(text, max(0, len(text) - _LONGEST_UNCLOSED))
    return text if cut is None else text[: cut.start()]


def _agreed(read: Iterable[float]) -> Reading:
    score, *others = read
    if others:
        return Reading(problem=ReadingProblem.AMBIGUOUS_SCORE)
    return Reading(score=score) if math.isfinite(score) else Reading(problem=ReadingProblem.SCORE_OUT_OF_RANGE)


def _sources(text: str, documents: Sequence[JsonDocument]) -> Iterator[list[Any]]:
    """What the places of an answer that may hold its score say, the best place first."""
    labelled = list(_labelled(text))
    whole = [document for document in documents if not document.cut]
    found = [value for document in whole for value in _scores_in(document)]
    if any(document.repaired for document in whole):
        found += labelled  # a document whose end is a guess may have swallowed another
    yield found
    yield [value for document in documents if document.cut for value in _scores_in(document)]
    yield labelled
    bare = _BARE.fullmatch(text) if len(text) <= _LONGEST_BARE else None
    yield [bare["value"]] if bare else []
    yield [match["value"] for match in _IN_PROSE.finditer(text)]


def _labelled(text: str) -> Iterator[str]:
    """What a text calls a score."""
    for match in _LABELLED.finditer(text):
        yield match["value"]


def _scores_in(document: JsonDocument) -> Iterator[Any]:
    """The scores of a document at the first level that has any."""
    for value in _objects(document.value):
        if "score" in value:
            yield value["score"]
            if "score" in document.doubled:
                yield math.inf


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    """The objects of a value that has a score or reasons, else those within it, level by level."""
    level = [value]
    while level:
        found = [each for each in level if isinstance(each, dict) and ("score" in each or "reasons" in each)]
        if found:
            yield from found
            return
        level = [inner for each in level for inner in _inner(each)]


def _inner(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _scaled(value: Any) -> float | None:
    """A score from 0 to 1, infinity where it is out of range, None where it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return _within(value, _SCALE)
    if isinstance(value, float):
        return _decimal(value)
    return _spelled(value) if isinstance(value, str) and len(value) <= _LONGEST_BARE else None


def _spelled(text: str) -> float | None:
    parts = _PARTS.fullmatch(text.strip())
    if parts is None:
        return None
    number = float(parts["number"].replace(",", "."))
    if parts["whole"] is not None:
        return _within(number, int(parts["whole"]))
    return _decimal(number) if set(parts["number"]) & set(".,") else _within(number, _SCALE)


def _decimal(number: float) -> float:
    """A number that is written with a decimal point."""
    return _within(number, 1 if number <= 1 else _SCALE)


def _within(number: float, whole: int) -> float:
    return number / whole if whole > 0 and 0 <= number <= whole else math.inf
