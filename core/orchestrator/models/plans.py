"""What models are asked for before the first task: a plan, and improvements of the project."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import frozen

from orchestrator.models.codes import PlanProblem
from orchestrator.models.vocabulary import TaskType

PLAN_PROBLEMS: Final[Mapping[PlanProblem, str]] = MappingProxyType(
    {
        PlanProblem.EMPTY: "it is empty",
        PlanProblem.NO_JSON: "it holds no JSON that could be read",
        PlanProblem.NO_TASKS: "it holds no list of tasks",
        PlanProblem.BAD_TASK: "a task has no prompt, or a type that does not exist",
        PlanProblem.DUPLICATE: "two tasks have the same id",
        PlanProblem.TOO_MANY: "it has more than 50 tasks",
        PlanProblem.UNKNOWN_DEPENDENCY: "a dependency is not in the plan",
        PlanProblem.CYCLE: "the dependencies form a cycle",
    }
)
"""The codes of what is wrong with a plan, in words."""


@frozen
class PlannedTask:
    """One task of a plan. Its texts are blobs: here stand their digests and sizes."""

    id: str
    type: TaskType
    prompt: str
    """Digest of the prompt."""
    prompt_bytes: int
    title: str | None = None
    """Digest of the title."""
    dependencies: tuple[str, ...] = ()
    validators: tuple[str, ...] = ()
    schema: str | None = None
    """Digest of a JSON Schema for the ``json_schema`` validator."""
    tests: str | None = None
    """Digest of the tests that the ``pytest`` validator runs against the output."""
    path: str | None = None
    """Digest of the file's name that the user wants; a folder's where it ends in ``/``."""


class SuggestionKind(StrEnum):
    """What a suggestion of the enhancer is about."""

    COMPLETENESS = "completeness"
    CRITERIA = "criteria"
    RISK = "risk"


@frozen
class Suggestion:
    """One improvement of the project's description or criteria. Its texts are blobs: here stand their digests."""

    kind: SuggestionKind
    title: str
    """Digest of the title, eight words at most."""
    description: str | None = None
    """Digest of the sentence to add to the description."""
    criteria: str | None = None
    """Digest of the condition to add to the criteria."""
