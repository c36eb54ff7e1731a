"""What models are asked for before the first task: a plan, and improvements of the project."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import frozen

from orchestrator.models.answer_codes import PlanProblem
from orchestrator.models.vocabulary import Lane, TaskType

PLAN_PROBLEMS: Final[Mapping[PlanProblem, str]] = MappingProxyType(
    {
        PlanProblem.UNREADABLE: "reading it failed, or took too long",
        PlanProblem.EMPTY: "it is empty",
        PlanProblem.NO_JSON: "it holds no JSON that could be read",
        PlanProblem.NO_TASKS: "it holds no list of tasks",
        PlanProblem.BAD_TASK: "none of its tasks has a prompt that can be used",
        PlanProblem.DUPLICATE: "two tasks have the same id",
        PlanProblem.TOO_MANY: "it has more tasks than limits.max_tasks allows",
        PlanProblem.UNKNOWN_DEPENDENCY: "a dependency is not in the plan",
        PlanProblem.CYCLE: "the dependencies form a cycle",
        PlanProblem.REPLACES_FINISHED: "a task replaces one that has a result, or is at work",
    }
)
"""The codes of what is wrong with a plan, in words."""


@frozen
class PlannedTask:
    """One task of a plan. Its texts are blobs: the fields hold their digests and sizes."""

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
    context: tuple[int, ...] | None = None
    """Numbers, from 1, of the files of the run's context that it needs; None: all."""
    replaces: str | None = None
    """In a patch: the task in whose place it stands."""
    lane: Lane | None = None
    """How its calls are sent; None: as the run's are."""


class PlanRepairKind(StrEnum):
    """What was repaired in a model's plan."""

    NOT_A_TASK = "not_a_task"
    NO_PROMPT = "no_prompt"
    SHORT_PROMPT = "short_prompt"
    PLACEHOLDER = "placeholder"
    EQUAL_PROMPT = "equal_prompt"
    TOO_MANY_TASKS = "too_many_tasks"
    DUPLICATE_ID = "duplicate_id"
    TYPE_REPLACED = "type_replaced"
    TYPE_ADDED = "type_added"
    TEXT_AS_LIST = "text_as_list"
    UNKNOWN_DEPENDENCY = "unknown_dependency"
    SELF_DEPENDENCY = "self_dependency"
    CYCLE = "cycle"
    UNFIT_VALIDATOR = "unfit_validator"
    TESTS_UNREADABLE = "tests_unreadable"
    TESTS_EMPTY = "tests_empty"
    PATH_REFUSED = "path_refused"
    UNKNOWN_FILE = "unknown_file"
    MORE_REPAIRS = "more_repairs"


PLAN_REPAIRS: Final[Mapping[PlanRepairKind, str]] = MappingProxyType(
    {
        PlanRepairKind.NOT_A_TASK: "entry {detail} of the plan is left out: it is no task",
        PlanRepairKind.NO_PROMPT: "entry {detail} of the plan is left out: it has no prompt",
        PlanRepairKind.SHORT_PROMPT: "entry {detail} of the plan is left out: its prompt is too short to be one",
        PlanRepairKind.PLACEHOLDER: "entry {detail} of the plan is left out: a placeholder of the form is left in it",
        PlanRepairKind.EQUAL_PROMPT: "entry {detail} of the plan is left out: an entry before it has the same prompt",
        PlanRepairKind.TOO_MANY_TASKS: "{detail} tasks of the plan are left out: limits.max_tasks allows no more",
        PlanRepairKind.DUPLICATE_ID: "{task}: another task has its id {detail} too; who depends on it waits for both",
        PlanRepairKind.TYPE_REPLACED: "{task}: its type does not exist; {detail} is the nearest",
        PlanRepairKind.TYPE_ADDED: "{task}: it had no type; {detail} is taken",
        PlanRepairKind.TEXT_AS_LIST: "{task}: {detail} is read as a list",
        PlanRepairKind.UNKNOWN_DEPENDENCY: "{task}: its dependency {detail} is not in the plan and is left out",
        PlanRepairKind.SELF_DEPENDENCY: "{task}: its dependency on itself is left out",
        PlanRepairKind.CYCLE: "{task}: its dependency on {detail} closes a cycle and is left out",
        PlanRepairKind.UNFIT_VALIDATOR: "{task}: the validator {detail} does not fit its type and is left out",
        PlanRepairKind.TESTS_UNREADABLE: "{task}: its tests are no Python and are left out",
        PlanRepairKind.TESTS_EMPTY: "{task}: its tests hold no test function and are left out",
        PlanRepairKind.PATH_REFUSED: "{task}: its file has a name that is not allowed; it is named for the task",
        PlanRepairKind.UNKNOWN_FILE: "{task}: {detail} is no file of the context and is left out",
        PlanRepairKind.MORE_REPAIRS: "{detail} more repairs of the plan are not listed",
    }
)
"""Every repair in words; ``task`` and ``detail`` are those of the ``PlanRepair``."""

USUAL_TASKS: Final = (5, 15)
"""The fewest and the most tasks of a usual plan, by the specification."""


@frozen
class PlanRepair:
    """One thing that was wrong in a model's plan, and is repaired."""

    code: PlanRepairKind
    task: str | None = None
    """The task's id in the repaired plan; None where it is left out, or no single task is meant."""
    detail: str | None = None
    """A name from the plan (``unnamed`` where it is no identifier), a key, a count, or the number of an entry."""

    @property
    def words(self) -> str:
        """It as a line for people."""
        return PLAN_REPAIRS[self.code].format(task=self.task, detail=self.detail)


def size_remark(tasks: int) -> str | None:
    """What to say of the size of a model's plan; None for a usual one."""
    fewest, most = USUAL_TASKS
    if fewest <= tasks <= most:
        return None
    return f"the plan has {tasks} task{'s' * (tasks != 1)}; {fewest} to {most} are usual"


class SuggestionKind(StrEnum):
    """What a suggestion of the enhancer is about."""

    COMPLETENESS = "completeness"
    CRITERIA = "criteria"
    RISK = "risk"


@frozen
class Suggestion:
    """One improvement of the project's description or criteria. Its texts are blobs: the fields hold their digests."""

    kind: SuggestionKind
    title: str
    """Digest of the title, eight words at most."""
    description: str | None = None
    """Digest of the sentence to add to the description."""
    criteria: str | None = None
    """Digest of the condition to add to the criteria."""
