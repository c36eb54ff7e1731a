"""From a project to tasks that can be ordered."""

from collections.abc import Sequence
from heapq import heapify, heappop, heappush

from orchestrator.decide.asking import GaveUp, ask
from orchestrator.decide.moment import Moment
from orchestrator.decide.outcome import finish_run
from orchestrator.decide.routing import Question
from orchestrator.events import PLAN, Decision, PlanMade, PlanRefused
from orchestrator.models import PlannedTask, ProjectStatus, Role
from orchestrator.state.calls import Answer, CallKey

_TURNS = 2
_MOST_TASKS = 50


def next_planning(m: Moment) -> Decision | None:
    """What the plan needs next: a given one is taken, else a model is asked, twice at the most."""
    state = m.state
    assert state.start is not None
    given = state.start.given_plan
    if given is not None:
        return PlanMade(given, execution_order(given), None)
    refused = len(state.plan.refused)
    if refused - state.plan.refused_before >= _TURNS:
        return finish_run(m, ProjectStatus.SYSTEM_FAILURE, "no_plan")
    key = CallKey(PLAN, Role.DECOMPOSER, refused + 1, 1)
    progress = ask(m, key, Question(Role.DECOMPOSER, None))
    if isinstance(progress, Answer):
        return _judge(progress, refused + 1)
    if isinstance(progress, GaveUp):
        return finish_run(m, *_END[progress.reason], progress.removed)
    return progress


_END = {
    "budget": (ProjectStatus.BUDGET_EXHAUSTED, "budget"),
    "policy": (ProjectStatus.SYSTEM_FAILURE, "policy"),
    "time": (ProjectStatus.TIMEOUT, "time"),
    "no_model": (ProjectStatus.SYSTEM_FAILURE, "no_model"),
    "failed": (ProjectStatus.SYSTEM_FAILURE, "no_plan"),
}


def _judge(answer: Answer, turn: int) -> Decision:
    """Make the plan of an answer, or say what is wrong with it."""
    tasks = answer.reading.plan
    if tasks is None:
        return PlanRefused(answer.version, turn, answer.reading.problem or "no_tasks")
    if not tasks:
        return PlanRefused(answer.version, turn, "no_tasks")
    if len(tasks) > _MOST_TASKS:
        return PlanRefused(answer.version, turn, "too_many")
    names = [task.id for task in tasks]
    doubled = sorted({name for name in names if names.count(name) > 1})
    if doubled:
        return PlanRefused(answer.version, turn, "duplicate", tuple(doubled))
    lost = [task.id for task in tasks if not set(task.dependencies) <= set(names)]
    if lost:
        return PlanRefused(answer.version, turn, "unknown_dependency", tuple(lost))
    order = execution_order(tasks)
    if len(order) < len(tasks):
        return PlanRefused(answer.version, turn, "cycle", tuple(name for name in names if name not in order))
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
