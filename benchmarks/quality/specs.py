"""The spec of a cell: one problem in one arm."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from benchmarks.quality.problems import Problem
from orchestrator.models import ModelInfo
from orchestrator.money import Price, Usd
from orchestrator.spec import Spec, spec_from

DEFAULT: Final = "default"
"""The arm that names no strategy: whatever the program does by itself."""
FILE: Final = "solution.py"
"""The delivered file; the examples import from it."""

_PROJECT: Final = "Complete a Python function."
_CRITERIA: Final = "The function returns the right result for every input that its docstring allows."
_CHEAPEST: Final = (Usd.parse("0.10"), Usd.parse("0.40"))
"""Dollars per million tokens, input and output, of the first model; each further one costs twice as much."""


@frozen
class Settings:
    """What all cells of a round have in common.

    Attributes:
        models: ids of the models, cheapest first.
        context: tokens of the context window of each.
        max_tokens: the output limit for code; None: the program's default.
        time_seconds: the active time that a run may take.
        seed: of the run seeds. A problem has the same run seed in every arm.
    """

    models: tuple[str, ...]
    context: int = 8192
    max_tokens: int | None = None
    time_seconds: float = 1800.0
    seed: int = 1


def provider_fields(settings: Settings, base_url: str, api_key_env: str | None = None) -> dict[str, Any]:
    """The keys of a spec that name the server and its models."""
    options = {"base_url": base_url, **({} if api_key_env is None else {"api_key_env": api_key_env})}
    return {"providers": {"openai_compatible": options}, "models": _models(settings)}


def _models(settings: Settings) -> Sequence[ModelInfo]:
    low, high = _CHEAPEST
    return [
        ModelInfo(
            name,
            "openai_compatible",
            f"vendor-{number}",
            price=Price(Usd(low.nano << number), Usd(high.nano << number)),
            context=settings.context,
        )
        for number, name in enumerate(settings.models)
    ]


def spec_of(problem: Problem, arm: str, settings: Settings, fields: dict[str, Any], folder: Path) -> Spec:
    """The spec of a cell; the hidden tests are no part of it.

    Raises:
        SpecError: the program knows no such arm.
    """
    limits = {} if settings.max_tokens is None else {"limits": {"max_tokens": {"code_generation": settings.max_tokens}}}
    task = {
        "id": "solution",
        "type": "code_generation",
        "prompt": problem.prompt,
        "hard_validators": ["python_syntax", "pytest"],
        "tests": problem.examples,
    }
    return spec_from(
        _PROJECT,
        _CRITERIA,
        project_id=f"{problem.id}-{arm}",
        budget_usd=100.0,
        time_seconds=settings.time_seconds,
        tasks=[task],
        task_paths={"solution": FILE},
        output_dir=str(folder),
        cache=False,
        **limits,
        **({} if arm == DEFAULT else {"loop": arm}),
        **fields,
    )
