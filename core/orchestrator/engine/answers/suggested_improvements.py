"""The enhancer: its prompt, what is read of its answer, and how a suggestion is joined to a text."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from orchestrator.engine.answers.answer_schemas import closed, list_of, short_text
from orchestrator.errors import present
from orchestrator.events import Reading
from orchestrator.models import ReadingProblem, Suggestion, SuggestionKind

MOST: Final = 7
"""Suggestions; what a model says beyond them is left out."""

_FEWEST: Final = 3
_LONGEST_TITLE: Final = 8  # words
_LONGEST_PATCH: Final = 2_000  # characters

VALUES: Final = {"fewest": _FEWEST, "most": MOST, "words": _LONGEST_TITLE}
"""What the enhancer's template is filled with."""

_SUGGESTION: Final = {
    "type": {"type": "string", "enum": [kind.value for kind in SuggestionKind]},
    "title": short_text(80),
    "patch_description": short_text(400),
    "patch_criteria": short_text(400),
}
SCHEMA: Final = closed({"suggestions": list_of(closed(_SUGGESTION), MOST)})
"""What the suggestions should look like."""


def read_suggestions(documents: Iterable[Any], keep: Callable[[str], str]) -> Reading:
    """The suggestions of the last list of them among an answer's JSON documents.

    Those without a type, a title or a patch are left out.
    """
    lists = []
    for value in documents:
        inner = value.get("suggestions") if isinstance(value, dict) else value
        if isinstance(inner, list):
            lists.append(inner)
    if not lists:
        return Reading(problem=ReadingProblem.NO_JSON)
    for each in reversed(lists):
        usable = [item for item in each if _is_usable(item)][:MOST]
        if usable:
            return Reading(suggestions=tuple(_suggestion(item, keep) for item in usable))
    return Reading(problem=ReadingProblem.NO_SUGGESTIONS)


def _is_usable(item: Any) -> bool:
    if not isinstance(item, dict) or _kind(item) is None or not _text(item, "title").split():
        return False
    patches = _patches(item)
    return any(patches) and all(len(patch) <= _LONGEST_PATCH for patch in patches)


def _suggestion(item: Mapping[str, Any], keep: Callable[[str], str]) -> Suggestion:
    kind = present(_kind(item), "kind of task")
    title = " ".join(_text(item, "title").split()[:_LONGEST_TITLE])
    description, criteria = (keep(patch) if patch else None for patch in _patches(item))
    return Suggestion(kind, keep(title), description, criteria)


def _kind(item: Mapping[str, Any]) -> SuggestionKind | None:
    return next((kind for kind in SuggestionKind if kind.value == str(item.get("type", "")).strip().lower()), None)


def _patches(item: Mapping[str, Any]) -> list[str]:
    return [" ".join(_text(item, name).split()) for name in ("patch_description", "patch_criteria")]


def _text(item: Mapping[str, Any], name: str) -> str:
    value = item.get(name)
    return value if isinstance(value, str) else ""


def joined_description(text: str, patch: str) -> str:
    """The description with a sentence more."""
    text = text.rstrip()
    end = "" if text.endswith((".", "!", "?", ":", ";")) or not text else "."
    return f"{text}{end} {patch}"


def joined_criteria(text: str, patch: str) -> str:
    """The criteria with a condition more."""
    return f"{text.rstrip().rstrip('.;')}; {patch}"


def count_words(text: str) -> int:
    """How many words a text has."""
    return len(text.split())
