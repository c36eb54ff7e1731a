"""From a project to tasks that can be ordered."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush
from typing import Final

from orchestrator.decide.calling import NoAnswer, next_call
from orchestrator.decide.outcome import finish_run
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import Query
from orchestrator.events import PLAN, Decision, PlanMade, PlanRefused
from orchestrator.models import CallEnd, PlannedTask, PlanProblem, ProjectStatus, Role, RunEndReason, TaskType
from orchestrator.state.calls import Answer, CallKey, LogicalCall
from orchestrator.state.run import RunState

_ALL: Final = "project"
"""The id of the only task of the plan where no answer is one."""


def next_planning(m: RoutingContext) -> Decision | None:
    """What the plan needs next: a given one is taken, else models are called until an answer is one."""
    state = m.state
    given = state.first.given_plan
    if given is not None:
        return PlanMade(given, execution_order(given), None)
    key = CallKey(PLAN, Role.DECOMPOSER, 1, 1)
    call = state.call(key)
    if call is not None and call.answers and (refusal := _refusal(state, call)) is not None:
        return refusal
    progress = next_call(m, key, Query(Role.DECOMPOSER, None))
    if isinstance(progress, Answer):
        return _judge(progress, state.settings.limits.max_tasks)
    if isinstance(progress, NoAnswer):
        return _without_plan(m, progress)
    return progress


def _refusal(state: RunState, call: LogicalCall) -> PlanRefused | None:
    """The latest answer is refused where it cannot be read, or is no plan; it is said of each once."""
    latest = call.answers[-1]
    if any(refused.call == latest.version for refused in state.plan.refused):
        return None
    found = _judge(latest, state.settings.limits.max_tasks)
    return found if isinstance(found, PlanRefused) else None


def _without_plan(m: RoutingContext, end: NoAnswer) -> Decision | None:
    """Where there were answers, and none is a plan, the project as it is becomes the only task."""
    state = m.state
    if end.reason in _UNPLANNED and state.plan.refused and state.settings.limits.single_task_fallback:
        only = PlannedTask(_ALL, TaskType.CODE_GEN, state.project, 0)
        return PlanMade((only,), (only.id,), None, fallback=True)
    return finish_run(m, *_END[end.reason], end.removed)


_UNPLANNED: Final = (CallEnd.UNREADABLE, CallEnd.FAILED, CallEnd.NO_MODEL)

_END = {
    CallEnd.BUDGET: (ProjectStatus.BUDGET_EXHAUSTED, RunEndReason.BUDGET),
    CallEnd.POLICY: (ProjectStatus.SYSTEM_FAILURE, RunEndReason.POLICY),
    CallEnd.TIME: (ProjectStatus.TIMEOUT, RunEndReason.TIME),
    CallEnd.CONTEXT: (ProjectStatus.SYSTEM_FAILURE, RunEndReason.CONTEXT),
    CallEnd.NO_MODEL: (ProjectStatus.SYSTEM_FAILURE, RunEndReason.NO_MODEL),
    CallEnd.FAILED: (ProjectStatus.SYSTEM_FAILURE, RunEndReason.NO_PLAN),
    CallEnd.UNREADABLE: (ProjectStatus.SYSTEM_FAILURE, RunEndReason.NO_PLAN),
}


def _judge(answer: Answer, most: int) -> PlanMade | PlanRefused:
    """Make the plan of an answer, or say what is wrong with it."""
    tasks = answer.reading.plan
    if tasks is None:
        return PlanRefused(answer.version, 1, PlanProblem(answer.reading.problem or PlanProblem.NO_TASKS))
    if not tasks:
        return PlanRefused(answer.version, 1, PlanProblem.NO_TASKS)
    if len(tasks) > most:
        return PlanRefused(answer.version, 1, PlanProblem.TOO_MANY)
    names = [task.id for task in tasks]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        return PlanRefused(answer.version, 1, PlanProblem.DUPLICATE, tuple(doubled))
    lost = [task.id for task in tasks if not set(task.dependencies) <= set(names)]
    if lost:
        return PlanRefused(answer.version, 1, PlanProblem.UNKNOWN_DEPENDENCY, tuple(lost))
    order = execution_order(tasks)
    if len(order) < len(tasks):
        return PlanRefused(answer.version, 1, PlanProblem.CYCLE, tuple(name for name in names if name not in order))
    return PlanMade(tasks, order, answer.version, answer.reading.dropped_validators, answer.reading.repairs)


def execution_order(tasks: Sequence[PlannedTask]) -> tuple[str, ...]:
    """Kahn's order; among those that are free, the earlier in the plan first. Tasks in a cycle are left out."""
    place = {task.id: index for index, task in enumerate(tasks)}
    waiting = {task.id: len(set(task.dependencies)) for task in tasks}
    dependants: dict[str, list[str]] = {task.id: [] for task in tasks}
    for task in tasks:
        for dependency in set(task.dependencies):
            dependants[dependency].append(task.id)
    free = [place[name] for name, count in waiting.items() if count == 0]
    heapify(free)
    order = []
    while free:
        name = tasks[heappop(free)].id
        order.append(name)
        for dependant in dependants[name]:
            waiting[dependant] -= 1
            if waiting[dependant] == 0:
                heappush(free, place[dependant])
    return tuple(order)
