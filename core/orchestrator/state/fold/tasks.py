"""Folds the way of a task, and the verification of the result; keeps which tasks are ready, blocked and running."""

from bisect import insort
from collections.abc import Iterable
from heapq import heapify, heappop, heappush
from typing import Final

from orchestrator import events as e
from orchestrator.models import TaskStatus
from orchestrator.state.fold.open_effects import Handlers, closed
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Check, Probe, Scoring, TaskState


def _task_started(state: RunState, at: int, event: e.TaskStarted) -> None:
    task = state.tasks[event.task]
    task.started = state.version
    state.begun = True
    _take(state.ready, task.order)
    insort(state.running, task.order)


def _task_finished(state: RunState, at: int, event: e.TaskFinished) -> None:
    task = state.tasks[event.task]
    task.finished = event
    task.finished_version = state.version
    state.unfinished -= 1
    if task.started is not None:
        state.running.remove(task.order)
    else:
        _take(state.ready, task.order)
        _take(state.blocked, task.order)
    for name in state.dependants[event.task]:
        dependant = state.tasks[name]
        dependant.waiting -= 1
        if event.status is TaskStatus.FAILED:
            dependant.failed_dependencies.append(event.task)
        if dependant.waiting == 0 and dependant.finished is None:
            heappush(state.blocked if dependant.failed_dependencies else state.ready, dependant.order)


def _take(heap: list[int], order: int) -> None:
    """Take a place out of a heap; at its head, where it nearly always is, at the cost of a pop."""
    if heap and heap[0] == order:
        heappop(heap)
    elif order in heap:
        heap.remove(order)
        heapify(heap)


def reopen(state: RunState, names: Iterable[str]) -> None:
    """Begin again with tasks that had ended; ``plan`` stands for the plan."""
    tasks = []
    for name in names:
        if name == e.PLAN:
            state.plan.reopen()
            continue
        task = state.tasks[name]
        task.reopen()
        task.finished = None
        state.unfinished += 1
        tasks.append(task)
    for task in tasks:
        dependencies = [state.tasks[name] for name in task.planned.dependencies]
        task.waiting = sum(dependency.finished is None for dependency in dependencies)
        task.failed_dependencies = [d.name for d in dependencies if _failed(d)]
        task.started = None
        if task.waiting == 0:
            heappush(state.blocked if task.failed_dependencies else state.ready, task.order)


def _failed(task: TaskState) -> bool:
    return task.finished is not None and task.finished.status is TaskStatus.FAILED


def _step_skipped(state: RunState, at: int, event: e.StepSkipped) -> None:
    state.tasks[event.task].skipped[event.role, event.iteration] = event.reason


def _check_started(state: RunState, at: int, event: e.CheckStarted) -> None:
    checks = state.tasks[event.task].checks.setdefault(event.call, {})
    checks[event.validator] = Check(state.version, vote=event.vote)
    state.pending[state.version] = event


def _validated(state: RunState, at: int, event: e.Validated) -> None:
    opened = closed(state, event.check, e.CheckStarted)
    state.tasks[opened.task].checks[opened.call][opened.validator] = Check(
        version=event.check,
        verdict=event.verdict,
        details=event.details,
        vote=opened.vote,
        permanent=event.permanent,
        passed_tests=event.passed_tests,
        total_tests=event.total_tests,
    )


def _probe_started(state: RunState, at: int, event: e.ProbeStarted) -> None:
    state.tasks[event.task].probes[event.critique] = Probe(state.version)
    state.pending[state.version] = event


def _probed(state: RunState, at: int, event: e.Probed) -> None:
    opened = closed(state, event.probe, e.ProbeStarted)
    state.tasks[opened.task].probes[opened.critique] = Probe(event.probe, event.results)


def _scoring_started(state: RunState, at: int, event: e.ScoringStarted) -> None:
    state.tasks[event.task].scorings[event.call] = Scoring(state.version, event.scorer)
    state.pending[state.version] = event


def _scored(state: RunState, at: int, event: e.Scored) -> None:
    opened = closed(state, event.scoring, e.ScoringStarted)
    found = Scoring(event.scoring, opened.scorer, event.score, event.problem, event.reasons)
    state.tasks[opened.task].scorings[opened.call] = found


def _evaluated(state: RunState, at: int, event: e.Evaluated) -> None:
    task = state.tasks[event.task]
    task.evaluated[event.iteration] = event
    if event.score is None:
        return
    author = next(
        (a.model for call in task.calls.values() for a in call.answers if a.version == event.call and not a.reused),
        None,
    )
    if author is not None:
        state.record(author).measured(task.planned.type).observe_quality(event.score)


def _compared(state: RunState, at: int, event: e.Compared) -> None:
    state.tasks[event.task].compared = event


def _output_chosen(state: RunState, at: int, event: e.OutputChosen) -> None:
    task = state.tasks[event.task]
    task.output = event
    task.written = None
    if event.file:
        state.pending[state.version] = event


def _file_written(state: RunState, at: int, event: e.FileWritten) -> None:
    opened = closed(state, event.chosen, e.OutputChosen)
    state.tasks[opened.task].written = event


def _verification_started(state: RunState, at: int, event: e.VerificationStarted) -> None:
    state.verification = state.version
    state.verified = None
    state.pending[state.version] = event


def _result_verified(state: RunState, at: int, event: e.ResultVerified) -> None:
    closed(state, event.verification, e.VerificationStarted)
    state.verified = event


HANDLERS: Final[Handlers] = {
    e.TaskStarted: _task_started,
    e.StepSkipped: _step_skipped,
    e.CheckStarted: _check_started,
    e.Validated: _validated,
    e.ProbeStarted: _probe_started,
    e.Probed: _probed,
    e.ScoringStarted: _scoring_started,
    e.Scored: _scored,
    e.Evaluated: _evaluated,
    e.Compared: _compared,
    e.OutputChosen: _output_chosen,
    e.FileWritten: _file_written,
    e.TaskFinished: _task_finished,
    e.VerificationStarted: _verification_started,
    e.ResultVerified: _result_verified,
}
