"""Small suites for tests: cases of one line each, answered by a script."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

MODELS: Final = [
    {"id": "small-1", "vendor": "small", "price": {"input": 0.1, "output": 0.4}, "slots": ["deepseek-chat"],
     "context": 64000, "max_output": 4096, "tier": "small"},
    {"id": "large-1", "vendor": "large", "price": {"input": 2, "output": 8}, "slots": ["gpt-4o"],
     "context": 64000, "max_output": 4096, "tier": "premium"},
]  # fmt: skip
SCRIPTED: Final = {"scripted": {"answers": "answers.json"}}
"""The provider of the suites that ``write`` makes."""
MARK: Final = "quokka"
"""What every right answer holds, and every grader looks for."""


def case(number: int, **changes: Any) -> dict[str, Any]:
    """A case whose right answer holds its number and the mark; no model is shown either."""
    return {
        "id": f"case-{number:02d}",
        "type": "summarization",
        "prompt": f"Say the word that belongs to {number}.",
        "grade": {"regex": f"^{MARK}-{number}$"},
        "oracle": f"{MARK}-{number}",
        **changes,
    }


def write(
    folder: Path,
    cases: Sequence[Mapping[str, Any]],
    answers: Sequence[Mapping[str, Any]],
    *,
    models: Sequence[Mapping[str, Any]] = MODELS,
    name: str = "suite.json",
    **keys: Any,
) -> Path:
    """A suite file with the script of its answers beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    script = {"models": list(models), "delay_ms": 0, "answers": [*DEFAULTS, *answers]}
    (folder / "answers.json").write_text(json.dumps(script))
    spec = {"providers": SCRIPTED, **keys.pop("spec", {})}
    path = folder / name
    path.write_text(json.dumps({"suite": "tried", "spec": spec, "cases": list(cases), **keys}))
    return path


DEFAULTS: Final = (
    {"role": "critic", "text": '{"defects": []}'},
    {"role": "evaluator", "text": '{"reasons": "It does.", "score": 9}'},
)


def answer(number: int, text: str | None = None, **keys: Any) -> dict[str, Any]:
    """The answer to a case: the right one, unless a text is given."""
    return {
        "task": f"case-{number:02d}",
        "role": "generator",
        "text": f"{MARK}-{number}" if text is None else text,
        **keys,
    }
