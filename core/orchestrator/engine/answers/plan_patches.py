"""What a planner is shown of a plan that it is to patch, and the names by which it may mean the tasks of it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from orchestrator.decide.replanning import failed_causes
from orchestrator.engine.answers.plans import ExistingTasks
from orchestrator.engine.answers.prompt_marks import cut
from orchestrator.models import TaskEndReason
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_LONGEST_PROMPT: Final = 400
_LONGEST_PLAN: Final = 20_000
_WHY: Final[Mapping[TaskEndReason, str]] = {
    TaskEndReason.FAILED: "no model gave an answer",
    TaskEndReason.UNREADABLE: "no answer could be used",
    TaskEndReason.CONTEXT: "its prompt is too long for every model",
    TaskEndReason.NO_MODEL: "no model was left to ask",
    TaskEndReason.POLICY: "it went beyond a policy's limits",
}
"""Why a task failed, in words; those of other reasons are not asked about."""


def plan_text(state: RunState, get: Callable[[str], str]) -> str:
    """The plan as it stands, a line or two for each task."""
    tasks = (state.tasks[name] for name in state.execution_order)
    return cut("\n".join(_line(task, get) for task in tasks if not task.replaced), _LONGEST_PLAN)


def failed_text(state: RunState, get: Callable[[str], str]) -> str:
    """The failed tasks, each with why it failed and what was asked."""
    return cut("\n\n".join(_failure(state.tasks[name], get) for name in failed_causes(state)), _LONGEST_PLAN)


def _line(task: TaskState, get: Callable[[str], str]) -> str:
    end = task.finished
    stands = "not begun" if task.started is None else "at work"
    stands = stands if end is None else end.status.value
    needs = f"; needs {', '.join(task.planned.dependencies)}" if task.planned.dependencies else ""
    called = f" {get(task.planned.path)}" if task.planned.path else ""
    return f"{task.name}{called}: {stands}{needs}: {cut(get(task.planned.prompt), _LONGEST_PROMPT)}"


def _failure(task: TaskState, get: Callable[[str], str]) -> str:
    reason = None if task.finished is None else task.finished.reason
    why = "" if reason is None else f": {_WHY.get(reason, reason.value)}"
    return f"{task.name}{why}\n{get(task.planned.prompt)}"


def existing_tasks(state: RunState, get: Callable[[str], str]) -> ExistingTasks:
    """The tasks of a run's plan by the names that mean one of them."""
    meant: dict[str, set[str]] = {}
    for task in state.tasks.values():
        for name in _names(task, get):
            meant.setdefault(name.strip().casefold(), set()).add(task.name)
    ids = {name.casefold(): name for name in state.tasks}
    return ExistingTasks({name: min(found) for name, found in meant.items() if len(found) == 1} | ids, len(state.tasks))


def _names(task: TaskState, get: Callable[[str], str]) -> Iterator[str]:
    for digest in (task.planned.path, task.planned.title):
        if digest is not None:
            name = get(digest)
            yield name
            yield name.rpartition("/")[2] or name
