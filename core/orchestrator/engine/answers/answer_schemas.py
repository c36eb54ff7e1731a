"""The JSON Schemas that are sent with requests.

Their keys stand in the order in which a model should write them: grounds before a score. Texts and lists are bounded,
so that a weak model cannot run on; numbers are whole, because servers do not enforce the bounds of others.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orchestrator.models import PairChoice

Schema = Mapping[str, Any]

ANSWERS: Final = ("yes", "partly", "no", "open")
"""What a judge says of a criterion; ``open``: it is no matter of this task."""

_MOST_DEFECTS: Final = 3
_LONGEST_REASONS: Final = 240
_FILE: Final = r"^[A-Za-z_][A-Za-z0-9_-]{0,40}\.[A-Za-z]{1,5}$"


def closed(properties: Mapping[str, Any]) -> dict[str, Any]:
    """An object that has these properties, in this order, and no others."""
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def short_text(longest: int, shortest: int = 0) -> dict[str, Any]:
    """A text of bounded length, in characters."""
    return {"type": "string", **({"minLength": shortest} if shortest else {}), "maxLength": longest}


def list_of(each: Mapping[str, Any], most: int, fewest: int = 0) -> dict[str, Any]:
    """A list of bounded length."""
    return {"type": "array", "items": dict(each), **({"minItems": fewest} if fewest else {}), "maxItems": most}


def plan_schema(most: int, *, application: bool = False, context: bool = False, patch: bool = False) -> Schema:
    """A plan of at most so many files, with their places in an application, and what each needs or replaces."""
    task = {
        "file": {"type": "string", "pattern": _FILE},
        **({"path": short_text(120)} if application else {}),
        "prompt": short_text(400 if application else 200, 20),
        "needs": list_of(short_text(48), 4),
        **({"context": list_of(short_text(200), 12)} if context else {}),
        **({"replaces": short_text(64)} if patch else {}),
    }
    return closed({"tasks": list_of(closed(task), most, 1)})


def verdict_schema(order: Sequence[int]) -> Schema:
    """A judge's verdict; ``order`` is the criteria's, by their numbers, empty where none is answered by itself."""
    answers = closed({str(number): {"type": "string", "enum": list(ANSWERS)} for number in order})
    return closed(
        {
            "reasons": short_text(_LONGEST_REASONS),
            "score": {"type": "integer", "minimum": 0, "maximum": 10},
            **({"criteria": answers} if order else {}),
        }
    )


def choice_schema() -> Schema:
    """A judge's choice between two results."""
    return closed(
        {
            "reasons": short_text(_LONGEST_REASONS),
            "better": {"type": "string", "enum": [each.value for each in PairChoice]},
        }
    )


def critique_schema(*, code: bool) -> Schema:
    """A critic's defects; only those of code have counterexamples."""
    call = closed({"input": short_text(160), "expected": short_text(80), "actual": short_text(80)})
    counterexample = {"anyOf": [call, {"type": "null"}]} if code else {"type": "null"}
    defect = closed({"where": short_text(80), "problem": short_text(160), "counterexample": counterexample})
    return closed({"defects": list_of(defect, _MOST_DEFECTS)})
