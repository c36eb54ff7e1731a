"""A critique as a reviser sees it: a numbered list of defects, each with what a run of its counterexample showed."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from orchestrator.models import ProbeResult

_MARKS: Final = {ProbeResult.CONFIRMED: "confirmed, it was run", ProbeResult.UNVERIFIED: "not verified"}


def critique_text(defects: Sequence[Mapping[str, Any]], results: Sequence[ProbeResult] = ()) -> str:
    """The defects of a critique, without those that a run refuted.

    Args:
        defects: each with ``where``, ``problem`` and ``counterexample`` (an object, or None).
        results: what a run of each showed: ``confirmed``, ``refuted`` or ``unverified``; none where nothing was run.
    """
    shown = [*results, *[ProbeResult.UNVERIFIED] * (len(defects) - len(results))]
    left = [(each, result) for each, result in zip(defects, shown, strict=True) if result is not ProbeResult.REFUTED]
    return "\n".join(f"{number}. {_line(each, result)}" for number, (each, result) in enumerate(left, 1))


def _line(defect: Mapping[str, Any], result: ProbeResult) -> str:
    where = f"{defect['where']}: " if defect.get("where") else ""
    text = f"[{_MARKS[result]}] {where}{defect.get('problem', '')}"
    example = defect.get("counterexample")
    if not isinstance(example, Mapping):
        return text
    call, expected, actual = (example.get(name) for name in ("input", "expected", "actual"))
    return f"{text}\n   {call} should give {expected}, and gives {actual}"
