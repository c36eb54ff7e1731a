"""A plan given in a spec: its tasks, and what makes a list of them a plan."""

from collections import deque
from collections.abc import Mapping
from typing import Any, Final

from attrs import field, frozen

from orchestrator.models import Lane, TaskType
from orchestrator.spec.container_kinds import FreeMapping, ListOf, MapOf, OneOrMore, Record, key
from orchestrator.spec.value_kinds import Choice, GivenFile, NameOf, Place, Reference, Text, suggestion

IDENTIFIER: Final = Text(
    r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}",
    "an id is 1 to 64 letters, digits, '_', '.' or '-' and begins with a letter or digit",
)
"""An id of a task or a run; it may become part of a file's name."""

RESERVED: Final = frozenset({"plan", "enhance", "advise", "verify"})
"""Names of nodes that are no tasks."""

MAX_TASKS: Final = 10_000

TASK_PATHS: Final[MapOf[str, str]] = MapOf(
    Text(
        r"(?!.*(^|/)(\.|\.\.|\.git|~[^/]*)?(/|$).)[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*/?",
        "a path inside the output folder has parts of letters, digits, '_', '.' and '-', and does not climb",
        1000,
    ),
    least=1,
)
"""File names, or folders ending in ``/``, by a task's number or id."""


CONTEXT: Final = OneOrMore(GivenFile(), unique=True, most=1_000)
"""Files, folders and patterns, from the spec's folder; ``-`` is stdin."""


@frozen(kw_only=True)
class TaskSpec:
    """One task of a plan that the user gives."""

    id: str = field(metadata=key(IDENTIFIER, "The task's name; dependencies refer to it."))
    type: TaskType = field(metadata=key(Choice(TaskType), "What kind of task it is."))
    prompt: str = field(metadata=key(Text(), "What is asked of the model."))
    title: str | None = field(default=None, metadata=key(Text(longest=500), "What the task is called in reports."))
    dependencies: tuple[str, ...] = field(
        default=(),
        metadata=key(ListOf(IDENTIFIER, unique=True), "Ids of the tasks whose outputs it needs."),
    )
    hard_validators: tuple[str, ...] = field(
        default=(),
        metadata=key(
            ListOf(Reference(NameOf.VALIDATOR), unique=True, most=100),
            "Validators whose failure its output must not have.",
        ),
    )
    schema: Mapping[str, Any] | None = field(
        default=None, metadata=key(FreeMapping(), "The JSON Schema its output must meet.")
    )
    tests: str | None = field(
        default=None, metadata=key(Text(), "Tests for pytest, as a Python module that imports the output.")
    )
    context: tuple[str, ...] | None = field(
        default=None,
        metadata=key(CONTEXT, "Files of yours that it needs; left out: all that the spec names, empty: none."),
    )
    lane: Lane | None = field(
        default=None, metadata=key(Choice(Lane), "How its calls are sent; left out: as the spec says.", blank=True)
    )


def _check_plan(tasks: dict[int, TaskSpec], raw: list[Any], at: Place) -> None:
    """Ids are distinct, dependencies exist, and no task waits for itself."""
    places: dict[str, int] = {}
    for place, task in tasks.items():
        here = at.below(place)
        if task.id in RESERVED:
            here.below("id").report(f"{task.id!r} is reserved for a node of the program; choose another id")
        if task.id in places:
            here.below("id").report(f"the id {task.id!r} stands above already")
        places.setdefault(task.id, place)
    # A task that could not be read still has a name that others may depend on.
    named = {item["id"] for item in raw if isinstance(item, Mapping) and isinstance(item.get("id"), str)}
    for place, task in tasks.items():
        for number, dependency in enumerate(task.dependencies):
            if dependency not in places and dependency not in named:
                at.below(place).below("dependencies").below(number).report(
                    f"no task has the id {dependency!r}{suggestion(dependency, places)}"
                )
    cycle = _cycle({task.id: task.dependencies for task in tasks.values()})
    if cycle:
        chain = cycle if len(cycle) <= 8 else [*cycle[:7], "…"]
        at.below(places[cycle[0]]).below("dependencies").report(f"tasks wait for each other: {' → '.join(chain)}")


def _cycle(needs: dict[str, tuple[str, ...]]) -> list[str]:
    """One cycle, its first id repeated at the end, or nothing."""
    waiting = {task: sum(need in needs for need in needed) for task, needed in needs.items()}
    dependants: dict[str, list[str]] = {task: [] for task in needs}
    for task, needed in needs.items():
        for need in needed:
            if need in needs:
                dependants[need].append(task)
    ready = deque(task for task, count in waiting.items() if not count)
    while ready:
        done = ready.popleft()
        del waiting[done]
        for task in dependants[done]:
            waiting[task] -= 1
            if not waiting[task]:
                ready.append(task)
    if not waiting:
        return []
    # Whatever still waits needs something that still waits: following that must come round.
    path: dict[str, int] = {}
    task = next(iter(waiting))
    while task not in path:
        path[task] = len(path)
        task = next(need for need in needs[task] if need in waiting)
    return [*list(path)[path[task] :], task]


TASK: Final = Record(TaskSpec)
PLAN: Final = ListOf(TASK, least=1, most=MAX_TASKS, check=_check_plan)
