"""From a project to tasks that can be ordered."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from orchestrator.decide.calling import NoAnswer, next_call
from orchestrator.decide.context import RoutingContext
from orchestrator.decide.outcome import finish_run
from orchestrator.decide.routing import Query
from orchestrator.events import PLAN, Decision, PlanMade, PlanRefused
from orchestrator.models import CallEnd, PlannedTask, PlanProblem, ProjectStatus, Role, RunEndReason
from orchestrator.state.calls import Answer, CallKey

_ITERATIONS = 2
_MOST_TASKS = 50


def next_planning(m: RoutingContext) -> Decision | None:
    """What the plan needs next: a given one is taken, else a model is asked, twice at the most."""
    state = m.state
    assert state.start is not None
    given = state.start.given_plan
    if given is not None:
        return PlanMade(given, execution_order(given), None)
    refused = len(state.plan.refused)
    if refused - state.plan.refused_before >= _ITERATIONS:
        return finish_run(m, ProjectStatus.SYSTEM_FAILURE, RunEndReason.NO_PLAN)
    key = CallKey(PLAN, Role.DECOMPOSER, refused + 1, 1)
    progress = next_call(m, key, Query(Role.DECOMPOSER, None))
    if isinstance(progress, Answer):
        return _judge(progress, refused + 1)
    if isinstance(progress, NoAnswer):
        return finish_run(m, *_END[progress.reason], progress.removed)
    return progress


_END = {
    CallEnd.BUDGET: (ProjectStatus.BUDGET_EXHAUSTED, RunEndReason.BUDGET),
    CallEnd.POLICY: (ProjectStatus.SYSTEM_FAILURE, RunEndReason.POLICY),
    CallEnd.TIME: (ProjectStatus.TIMEOUT, RunEndReason.TIME),
    CallEnd.NO_MODEL: (ProjectStatus.SYSTEM_FAILURE, RunEndReason.NO_MODEL),
    CallEnd.FAILED: (ProjectStatus.SYSTEM_FAILURE, RunEndReason.NO_PLAN),
}


def _judge(answer: Answer, iteration: int) -> Decision:
    """Make the plan of an answer, or say what is wrong with it."""
    tasks = answer.reading.plan
    if tasks is None:
        return PlanRefused(answer.version, iteration, PlanProblem(answer.reading.problem or PlanProblem.NO_TASKS))
    if not tasks:
        return PlanRefused(answer.version, iteration, PlanProblem.NO_TASKS)
    if len(tasks) > _MOST_TASKS:
        return PlanRefused(answer.version, iteration, PlanProblem.TOO_MANY)
    names = [task.id for task in tasks]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        return PlanRefused(answer.version, iteration, PlanProblem.DUPLICATE, tuple(doubled))
    lost = [task.id for task in tasks if not set(task.dependencies) <= set(names)]
    if lost:
        return PlanRefused(answer.version, iteration, PlanProblem.UNKNOWN_DEPENDENCY, tuple(lost))
    order = execution_order(tasks)
    if len(order) < len(tasks):
        return PlanRefused(
            answer.version, iteration, PlanProblem.CYCLE, tuple(name for name in names if name not in order)
        )
    return PlanMade(tasks, order, answer.version, answer.reading.dropped_validators)


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
