"""Folds what comes before the first task: questions, the specification as enhanced, the architecture, the plan."""

from collections.abc import Sequence
from heapq import heappush
from typing import Final

from attrs import evolve

from orchestrator import events as e
from orchestrator.models import ApprovalPoint, Lane, PlannedTask, TaskStatus
from orchestrator.state.fold.open_effects import Handlers, closed
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

APPROVALS: Final = frozenset(point.value for point in ApprovalPoint)


def _question_asked(state: RunState, at: int, event: e.QuestionAsked) -> None:
    state.pending[state.version] = event
    state.enhance.asked_at = at
    if event.node == e.FORECAST:
        state.consent.asked += 1
        state.consent.asked_version = state.version
    elif event.node in APPROVALS:
        state.approvals.asked += 1
        state.approvals.open = state.version


def _question_answered(state: RunState, at: int, event: e.QuestionAnswered) -> None:
    opened = closed(state, event.question, e.QuestionAsked)
    node = state.enhance
    if opened.node == e.FORECAST:
        state.consent.answer = event
    elif opened.node in APPROVALS:
        _approved(state, opened, event)
    else:
        node.answers[opened.number] = event
        node.project = event.project or node.project
        node.criteria = event.criteria or node.criteria
        node.words = node.words if event.words is None else event.words
    go_on(state, at)


def go_on(state: RunState, at: int) -> None:
    """No person is asked any more: time counts again."""
    asked_at = state.enhance.asked_at
    if asked_at is not None:
        state.active_before -= at - asked_at
        state.enhance.asked_at = None


def _approved(state: RunState, asked: e.QuestionAsked, event: e.QuestionAnswered) -> None:
    """What a person said at an approval point."""
    record, accepted = state.approvals, event.accepted
    record.open = None
    match asked.node:
        case ApprovalPoint.TASK:
            (record.tasks if accepted else record.refused).add(asked.task or "")
        case ApprovalPoint.CEILING if accepted:
            state.cap = event.cap or state.cap
        case ApprovalPoint.CEILING:
            record.at_ceiling = True
        case _ if not accepted:
            record.declined = state.version
        case ApprovalPoint.PLAN:
            record.plan = state.version
        case ApprovalPoint.SPEND:
            record.spend = asked.amount or record.spend
        case ApprovalPoint.FORECAST:
            record.forecast = True


def _spec_enhanced(state: RunState, at: int, event: e.SpecEnhanced) -> None:
    state.enhance.ended = event


def _architecture_decided(state: RunState, at: int, event: e.ArchitectureDecided) -> None:
    state.advise.decided = event


def _plan_made(state: RunState, at: int, event: e.PlanMade) -> None:
    state.planned = True
    state.fallback_plan = event.fallback
    _lay_out(state, event)


def _plan_edited(state: RunState, at: int, event: e.PlanEdited) -> None:
    """The plan is another; what was asked about the one before has no answer."""
    if state.approvals.open is not None:
        del state.pending[state.approvals.open]
        state.approvals.open = None
        go_on(state, at)
    for kept in (state.tasks, state.dependants, state.ready, state.blocked, state.approvals.tasks):
        kept.clear()
    state.approvals.refused.clear()
    state.approvals.forecast = False
    state.forecast = None
    state.fallback_plan = False
    _lay_out(state, event)


def _lay_out(state: RunState, event: e.PlanMade | e.PlanEdited) -> None:
    """The tasks of a plan, none of them begun."""
    state.plan_version = state.version
    state.execution_order = event.execution_order
    place = {name: order for order, name in enumerate(event.execution_order)}
    for number, planned in enumerate(event.tasks, 1):
        state.tasks[planned.id] = TaskState(
            planned.id, planned=planned, number=number, order=place[planned.id], waiting=len(planned.dependencies)
        )
        state.dependants.setdefault(planned.id, [])
        for dependency in planned.dependencies:
            state.dependants.setdefault(dependency, []).append(planned.id)
        if not planned.dependencies:
            heappush(state.ready, place[planned.id])
    state.unfinished = len(event.tasks)
    state.plans_batches = _names_batches(event.tasks)


def _plan_patched(state: RunState, at: int, event: e.PlanPatched) -> None:
    """Tasks are added and others are replaced; what is finished or at work stays."""
    state.patches += 1
    for name in event.failed:
        state.tasks[name].asked_about = True
    for name in event.replaced:
        state.tasks[name].replaced = True
    for planned in event.tasks:
        state.tasks[planned.id] = TaskState(planned.id, planned=planned, number=len(state.tasks) + 1)
    for each in event.rewired:
        task = state.tasks[each.task]
        task.planned = evolve(task.planned, dependencies=each.dependencies)
    if event.tasks:
        state.plan_version = state.version
        state.execution_order = event.execution_order
        state.plans_batches |= _names_batches(event.tasks)
        _arrange(state)


def _arrange(state: RunState) -> None:
    """Put every task in its place, by the order of the plan and by what has ended."""
    for kept in (state.ready, state.blocked, state.running, state.dependants):
        kept.clear()
    tasks = [state.tasks[name] for name in state.execution_order]
    state.dependants.update({task.name: [] for task in tasks})
    for order, task in enumerate(tasks):
        task.order = order
        needed = [state.tasks[name] for name in task.planned.dependencies]
        for each in needed:
            state.dependants[each.name].append(task.name)
        if task.finished is not None or task.replaced:
            continue
        task.waiting = sum(each.finished is None for each in needed)
        task.failed_dependencies = [each.name for each in needed if _has_failed(each)]
        if task.started is not None:
            state.running.append(order)
        elif task.waiting == 0:
            heappush(state.blocked if task.failed_dependencies else state.ready, order)
    state.unfinished = sum(task.finished is None for task in tasks)


def _names_batches(tasks: Sequence[PlannedTask]) -> bool:
    return any(task.lane is Lane.BATCH for task in tasks)


def _has_failed(task: TaskState) -> bool:
    return task.finished is not None and task.finished.status is TaskStatus.FAILED


def _plan_refused(state: RunState, at: int, event: e.PlanRefused) -> None:
    state.plan.refused.append(event)
    for call in state.plan.calls.values():
        if any(answer.version == event.call for answer in call.answers):
            call.rejected.add(event.call)


def _forecast_made(state: RunState, at: int, event: e.ForecastMade) -> None:
    state.forecast = event
    state.forecast_version = state.version


HANDLERS: Final[Handlers] = {
    e.QuestionAsked: _question_asked,
    e.QuestionAnswered: _question_answered,
    e.SpecEnhanced: _spec_enhanced,
    e.ArchitectureDecided: _architecture_decided,
    e.PlanMade: _plan_made,
    e.PlanEdited: _plan_edited,
    e.PlanPatched: _plan_patched,
    e.PlanRefused: _plan_refused,
    e.ForecastMade: _forecast_made,
}
