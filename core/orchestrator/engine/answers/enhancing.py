"""The enhancer: its prompt, what is read of its answer, and how a suggestion is joined to a text."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from orchestrator.events import Reading
from orchestrator.models import ReadingProblem, Suggestion, SuggestionKind

MOST: Final = 7
"""Suggestions; what a model says beyond them is left out."""

_FEWEST: Final = 3
_LONGEST_TITLE: Final = 8  # words
_LONGEST_PATCH: Final = 2_000  # characters

RULES: Final = (
    "You read what somebody wants to have built, before any work begins, and suggest what should be added.\n"
    f"Make {_FEWEST} to {MOST} suggestions, the most useful first, each short, concrete and of its own.\n"
    "type is completeness (a detail of scope or requirements is missing), criteria (the result could not be measured "
    "by them) or risk (security, performance or an edge case is not spoken of).\n"
    f"title says it in {_LONGEST_TITLE} words at most; patch_description is a sentence to add to the description, "
    "patch_criteria a condition to add to the criteria; one of the two may be empty.\n"
    'Answer with JSON only: {"suggestions": [{"type", "title", "patch_description", "patch_criteria"}]}.'
)

SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["suggestions"],
    "properties": {
        "suggestions": {
            "type": "array",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["type", "title", "patch_description", "patch_criteria"],
                "properties": {
                    "type": {"type": "string", "enum": [kind.value for kind in SuggestionKind]},
                    "title": {"type": "string"},
                    "patch_description": {"type": "string"},
                    "patch_criteria": {"type": "string"},
                },
            },
        }
    },
}
"""What the suggestions should look like."""


def read_suggestions(documents: Iterable[Any], keep: Callable[[str], str]) -> Reading:
    """The suggestions in the JSON documents of an answer; those without a type, a title or a patch are left out."""
    lists = []
    for value in documents:
        inner = value.get("suggestions") if isinstance(value, dict) else value
        if isinstance(inner, list):
            lists.append(inner)
    if not lists:
        return Reading(problem=ReadingProblem.NO_JSON)
    found = (_suggestion(item, keep) for item in max(lists, key=len))
    suggestions = tuple(each for each in found if each is not None)[:MOST]
    return Reading(suggestions=suggestions) if suggestions else Reading(problem=ReadingProblem.NO_SUGGESTIONS)


def _suggestion(item: Any, keep: Callable[[str], str]) -> Suggestion | None:
    if not isinstance(item, dict):
        return None
    kind = next((kind for kind in SuggestionKind if kind.value == str(item.get("type", "")).strip().lower()), None)
    title = " ".join(_text(item, "title").split()[:_LONGEST_TITLE])
    patches = [" ".join(_text(item, name).split()) for name in ("patch_description", "patch_criteria")]
    if kind is None or not title or not any(patches) or any(len(patch) > _LONGEST_PATCH for patch in patches):
        return None
    description, criteria = (keep(patch) if patch else None for patch in patches)
    return Suggestion(kind, keep(title), description, criteria)


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
