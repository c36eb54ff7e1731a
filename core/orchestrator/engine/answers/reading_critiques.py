"""The defects that a critique names. What it says beside them, a verdict too, does not count."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from orchestrator.engine.answers.json_documents import JsonDocument, json_documents
from orchestrator.engine.answers.thoughts import MOST_CHARACTERS
from orchestrator.events import Defect, Reading
from orchestrator.models import ReadingProblem

_KEYS: Final = ("defects", "issues", "problems", "findings")
_PROBLEM: Final = ("problem", "description", "issue", "text", "message")
_COUNTEREXAMPLE: Final = ("input", "expected", "actual")
_VERDICTS: Final = frozenset({"verdict", "accept", "accepted", "score", "decision"})
_MOST: Final = 50
"""Defects; what a critique names beyond them is left out."""
_LONGEST_LINE: Final = 300

_NOUNS: Final = (
    "(?:defects?|issues?|problems?|changes?|errors?|bugs?|faults?|flaws?|criticisms?|objections?|complaints?|"
    "corrections?|revisions?|mistakes?|concerns?|improvements?|remarks?|findings?)"
)
_ENDS: Final = (
    "(?: (?:(?:are |is )?(?:found|needed|required|necessary|identified|detected|spotted|seen|to (?:report|make|fix)|"
    "with (?:it|this)|in (?:it|this)|here)))?"
)
_SUBJECTS: Final = "(?:it|this|that|everything|all|(?:the|this|your) (?:draft|code|result|answer|text|solution))"
_NOTHING: Final = re.compile(
    r"(?:the )?(?:verdict|critique|review|answer|defects?|issues?)?\s*:?\s*"
    r"(?:there (?:is|are) |i (?:have|see|found|find) )?"
    rf"(?:nothing(?: (?:more|else|further))?(?: (?:to (?:change|fix|improve|add|revise|report|correct|criti[cs]i[sz]e|"
    rf"object(?: to)?|complain about)|(?:is wrong|wrong|needs (?:to (?:be )?)?chang(?:e|ed|ing))))?"
    rf"|no (?:(?:further|more|other|additional|real|obvious) )?{_NOUNS}{_ENDS}"
    rf"|none(?: {_ENDS})?|n/?a|lgtm|looks good(?: to me)?|all good|approved?|accept(?:ed)?"
    rf"|{_SUBJECTS} (?:is|looks|seems) (?:fine|good|correct|right|perfect|ok|okay)"
    r"(?: (?:to me|as (?:it|they) (?:is|are)))?)"
    r"\s*(?:[.!;,:–-].*)?|(?:fine|ok(?:ay)?|good|perfect|correct|right)\s*[.!]?",
    re.IGNORECASE,
)
_BUT: Final = re.compile(r"\b(?:but|however|although|except|though|yet|only|still|unless|minor|nit)\b", re.IGNORECASE)


def read_critique(text: str, keep: Callable[[str], str]) -> Reading:
    """The defects that a critique names: those in its JSON, else its prose as a whole as one.

    A first line that says that nothing is to be changed is a critique without defects.
    """
    if not text.strip():
        return Reading(problem=ReadingProblem.EMPTY)
    named = _named(json_documents(text))
    if named is None:
        named = [] if _accepts(text) else [_defect("", text[:MOST_CHARACTERS].strip(), None)]
    return Reading(
        defects=tuple(
            Defect(keep(json.dumps(each, ensure_ascii=False, sort_keys=True)), each["counterexample"] is not None)
            for each in named[:_MOST]
        )
    )


def _named(documents: Sequence[JsonDocument]) -> list[dict[str, Any]] | None:
    """The defects of the last document that lists any, or has the key for them; None where there is none."""
    for document in reversed(documents):
        found = _listed(document.value)
        if found is None:
            continue
        read = [defect for each in found if (defect := _read(each)) is not None]
        if read or not document.cut:  # an empty list may be the beginning of one
            return read
    return [] if any(_is_verdict(each.value) for each in documents if not each.cut) else None


def _listed(value: Any) -> list[Any] | None:
    """What a document lists as defects; None where it is about something else."""
    if isinstance(value, dict):
        found = next((value[key] for key in _KEYS if key in value), False)
        return found if isinstance(found, list) else [] if found in (None, "") else None
    if isinstance(value, list) and value and all(isinstance(each, dict) and _problem(each) for each in value):
        return value
    return None


def _is_verdict(value: Any) -> bool:
    """Whether a document says nothing but a verdict."""
    return isinstance(value, dict) and bool(value) and all(str(key).lower() in _VERDICTS for key in value)


def _read(given: Any) -> dict[str, Any] | None:
    if isinstance(given, str):
        return _defect("", given.strip(), None) if given.strip() else None
    if not isinstance(given, dict) or not _problem(given):
        return None
    where = given.get("where", given.get("location", ""))
    return _defect(_spelled(where), _problem(given), _counterexample(given.get("counterexample")))


def _problem(given: Mapping[str, Any]) -> str:
    return next((text for key in _PROBLEM if (text := _spelled(given.get(key)))), "")


def _counterexample(given: Any) -> dict[str, Any] | None:
    """An example that names its input, the expected and the actual result, as they are; None where one is missing."""
    if not isinstance(given, dict) or any(key not in given for key in _COUNTEREXAMPLE) or given["input"] in (None, ""):
        return None
    return {key: given[key] for key in _COUNTEREXAMPLE}


def _defect(where: str, problem: str, counterexample: dict[str, Any] | None) -> dict[str, Any]:
    return {"where": where, "problem": problem, "counterexample": counterexample}


def _spelled(value: Any) -> str:
    """A text as it is, another value as JSON; nothing for null."""
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _accepts(text: str) -> bool:
    """Whether the first line of a critique says that nothing is to be changed."""
    line = next(line for line in text[:MOST_CHARACTERS].splitlines() if line.strip())
    said = re.sub(r"[*_`#>\"]", "", line).strip().lstrip("-• ").strip()
    return len(said) <= _LONGEST_LINE and _NOTHING.fullmatch(said) is not None and _BUT.search(said) is None
