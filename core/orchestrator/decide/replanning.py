"""Other tasks in the place of one that failed and that others wait for; off unless the settings allow some.

The planner is asked at most so often, once about each failed task; what is finished stays, and without an answer that
can be used the run goes on as it would without.
"""

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

from attrs import evolve

from orchestrator.decide.calling import NoAnswer, next_call
from orchestrator.decide.outcome import conclude
from orchestrator.decide.plan_checks import execution_order
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import Query
from orchestrator.events import PLAN, Decision, PlanPatched, PlanRefused, Rewired
from orchestrator.models import PlannedTask, PlanProblem, Role, TaskEndReason, TaskStatus
from orchestrator.state.calls import Answer, CallKey
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_MENDED: Final = (
    TaskEndReason.FAILED,
    TaskEndReason.UNREADABLE,
    TaskEndReason.CONTEXT,
    TaskEndReason.NO_MODEL,
    TaskEndReason.POLICY,
)
"""Failures that another plan may help: not those for want of money or time, nor what a person left out."""


class Mend(Enum):
    """What replanning leaves to do."""

    NOTHING = "nothing"
    """Blocked tasks end."""
    WAIT = "wait"
    """The planner is at work: the other tasks go on, blocked ones wait."""


def next_patch(m: RoutingContext) -> Decision | Mend:
    """What has to be done before blocked tasks end."""
    state = m.state
    failed = failed_causes(state)
    if not failed or m.time_up or state.patches >= state.settings.replans:
        return Mend.NOTHING
    key = CallKey(PLAN, Role.DECOMPOSER, state.patches + 2, 1)
    call = state.call(key)
    if call is not None and call.answers:
        latest = call.answers[-1]
        if not any(refused.call == latest.version for refused in state.plan.refused):
            found = _judged(state, latest, failed, key.iteration)
            if isinstance(found, PlanRefused):
                return found
    progress = next_call(m, key, Query(Role.DECOMPOSER, None))
    if isinstance(progress, NoAnswer):
        return PlanPatched(None, failed, (), (), (), state.execution_order)
    if isinstance(progress, Answer):
        return _judged(state, progress, failed, key.iteration)
    return Mend.WAIT if progress is None else progress


def failed_causes(state: RunState) -> tuple[str, ...]:
    """The failed tasks that blocked ones wait for, and about which the planner was not asked yet."""
    waited_for = {name for order in state.blocked for name in _blockers(state, state.execution_order[order])}
    return tuple(name for name in state.execution_order if name in waited_for and _can_mend(state.tasks[name]))


def _blockers(state: RunState, name: str) -> Iterable[str]:
    return state.tasks[name].failed_dependencies


def _can_mend(task: TaskState) -> bool:
    return task.finished is not None and task.finished.reason in _MENDED and not task.asked_about


def next_replaced(m: RoutingContext) -> Decision | None:
    """The end of a task that others have replaced before it began."""
    tasks = m.state.tasks.values() if m.state.patches else ()
    replaced = next((task for task in tasks if task.replaced and task.finished is None), None)
    return None if replaced is None else conclude(m, replaced, TaskEndReason.REPLACED)


def _judged(state: RunState, answer: Answer, failed: tuple[str, ...], iteration: int) -> PlanPatched | PlanRefused:
    """Make the patch of an answer, or say what is wrong with it."""

    def refused(problem: PlanProblem, tasks: Iterable[str] = ()) -> PlanRefused:
        return PlanRefused(answer.version, iteration, problem, tuple(tasks))

    new = answer.reading.plan
    if not new:
        return refused(PlanProblem(answer.reading.problem or PlanProblem.NO_TASKS))
    if len(state.tasks) + len(new) > state.settings.limits.max_tasks:
        return refused(PlanProblem.TOO_MANY)
    new = _with_replaced(new, failed)
    kept = [each.id for each in new if each.replaces and not _may_replace(state, each.replaces)]
    if kept:
        return refused(PlanProblem.REPLACES_FINISHED, kept)
    places: dict[str, list[str]] = {}
    for each in new:
        if each.replaces:
            places.setdefault(each.replaces, []).append(each.id)
    tasks = tuple(evolve(each, dependencies=_moved(each.dependencies, places, each.id)) for each in new)
    rewired = tuple(
        Rewired(name, moved)
        for name in state.execution_order
        if state.tasks[name].finished is None and name not in places
        if (moved := _moved(state.tasks[name].planned.dependencies, places)) != state.tasks[name].planned.dependencies
    )
    lost = [each.id for each in tasks if any(_is_lost(state, need, tasks) for need in each.dependencies)]
    if lost:
        return refused(PlanProblem.UNKNOWN_DEPENDENCY, lost)
    order = execution_order(_all(state, tasks, rewired))
    if len(order) < len(state.tasks) + len(tasks):
        return refused(PlanProblem.CYCLE, (each.id for each in tasks if each.id not in order))
    return PlanPatched(
        answer.version,
        failed,
        tasks,
        tuple(name for name in state.execution_order if name in places),
        rewired,
        order,
        answer.reading.repairs,
    )


def _with_replaced(new: tuple[PlannedTask, ...], failed: tuple[str, ...]) -> tuple[PlannedTask, ...]:
    """Where no task says what it replaces and one has failed, those that no new task waits for take its place."""
    if len(failed) > 1 or any(each.replaces for each in new):
        return new
    needed = {need for each in new for need in each.dependencies}
    return tuple(each if each.id in needed else evolve(each, replaces=failed[0]) for each in new)


def _may_replace(state: RunState, name: str) -> bool:
    """Whether a task has no result and is not at work."""
    task = state.tasks.get(name)
    if task is None or task.replaced:
        return False
    return task.started is None if task.finished is None else task.finished.status is TaskStatus.FAILED


def _moved(needs: Iterable[str], places: Mapping[str, list[str]], itself: str = "") -> tuple[str, ...]:
    """Dependencies, with the tasks that take their place."""
    moved = (new for need in needs for new in places.get(need, [need]))
    return tuple(dict.fromkeys(each for each in moved if each != itself))


def _is_lost(state: RunState, need: str, new: tuple[PlannedTask, ...]) -> bool:
    """Whether a new task would wait for what is not there, or will have no result."""
    if any(each.id == need for each in new):
        return False
    task = state.tasks.get(need)
    return task is None or (task.finished is not None and task.finished.status is TaskStatus.FAILED)


def _all(state: RunState, new: tuple[PlannedTask, ...], rewired: tuple[Rewired, ...]) -> list[PlannedTask]:
    """The whole plan after a patch."""
    moved = {each.task: each.dependencies for each in rewired}
    old = sorted(state.tasks.values(), key=lambda each: each.number)
    return [*(evolve(each.planned, dependencies=moved.get(each.name, each.planned.dependencies)) for each in old), *new]
