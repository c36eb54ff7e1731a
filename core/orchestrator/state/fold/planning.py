"""Folds what comes before the first task: questions, the specification as enhanced, the architecture, the plan."""

from heapq import heappush
from typing import Final

from orchestrator import events as e
from orchestrator.state.fold.handlers import Handlers, closed
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState


def _question_asked(state: RunState, at: int, event: e.QuestionAsked) -> None:
    state.pending[state.version] = event
    state.enhance.asked_at = at
    if event.node == e.FORECAST:
        state.consent.asked += 1
        state.consent.asked_version = state.version


def _question_answered(state: RunState, at: int, event: e.QuestionAnswered) -> None:
    opened = closed(state, event.question, e.QuestionAsked)
    node = state.enhance
    if opened.node == e.FORECAST:
        state.consent.answer = event
    else:
        node.answers[opened.number] = event
        node.project = event.project or node.project
        node.criteria = event.criteria or node.criteria
        node.words = node.words if event.words is None else event.words
    if node.asked_at is not None:
        state.active_before -= at - node.asked_at
        node.asked_at = None


def _spec_enhanced(state: RunState, at: int, event: e.SpecEnhanced) -> None:
    state.enhance.ended = event


def _architecture_decided(state: RunState, at: int, event: e.ArchitectureDecided) -> None:
    state.advise.decided = event


def _plan_made(state: RunState, at: int, event: e.PlanMade) -> None:
    state.planned = True
    state.fallback_plan = event.fallback
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
    e.PlanRefused: _plan_refused,
    e.ForecastMade: _forecast_made,
}
