"""What a run amounts to, with its texts: for the output folder and the Python API."""

from collections.abc import Callable
from typing import Any

from orchestrator.engine.outputs.file_placement import Placement
from orchestrator.errors import present
from orchestrator.events import Reading, ResultVerified
from orchestrator.models import Budget, Model, ProjectState, Task, TaskResult, TaskStatus
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

Get = Callable[[str], str]
"""The text of a digest."""


def project_state(state: RunState, run: str, head: str, get: Get, budget: Budget | None = None) -> ProjectState:
    """The run as the Python API shows it; ``budget`` is filled in where one is given."""
    budget = Budget(float(state.cap), state.time_limit / 1_000_000) if budget is None else budget
    phases = {phase.value: spend.total for phase, spend in state.phases.items()}
    budget.record(state.spend.total, phases, state.active(state.at) / 1_000_000)
    return ProjectState(
        project_id=run,
        status=None if state.finished is None else state.finished.status,
        results={
            name: _result(state.tasks[name], get)
            for name in state.execution_order
            if state.tasks[name].finished is not None
        },
        budget=budget,
        tasks={name: _task(state.tasks[name], get) for name in state.execution_order},
        execution_order=list(state.execution_order),
        api_health={
            model: not (model in state.records and (state.records[model].opened or state.records[model].exceeded))
            for model in state.models
        },
        head=head,
    )


def _task(task: TaskState, get: Get) -> Task:
    planned = task.planned
    return Task(
        id=planned.id,
        type=planned.type,
        prompt=get(planned.prompt),
        title=get(planned.title) if planned.title else "",
        dependencies=planned.dependencies,
        hard_validators=planned.validators,
    )


def _result(task: TaskState, get: Get) -> TaskResult:
    end = present(task.finished, "end")
    return TaskResult(
        task_id=task.name,
        output=get(task.output.answer) if task.output is not None else "",
        score=end.score or 0.0,
        status=end.status,
        model_used=Model(end.model or ""),
        reviewer_model=Model(end.reviewer) if end.reviewer else None,
        iterations=end.iterations,
        cost_usd=float(task.spend.total),
        deterministic_check_passed=end.gate,
        degraded_fallback_count=end.fallbacks,
        reason=end.reason or "",
    )


def summary(state: RunState, run: str, head: str, get: Get) -> dict[str, Any]:
    """What ``summary.json`` holds: all scores, costs (exact decimals) and outputs."""
    placement = Placement(state, get)
    tasks = [state.tasks[name] for name in state.execution_order]
    return {
        "run_id": run,
        "status": "open" if state.finished is None else state.finished.status.value,
        "simulated": state.settings.simulated,
        "head": head,
        "cap_usd": str(state.cap),
        "settled_usd": str(state.spend.settled),
        "held_usd": str(state.held),
        "spent_usd": str(state.spend.total),
        "active_seconds": round(state.active(state.at) / 1_000_000, 3),
        "execution_order": list(state.execution_order),
        "input_stage_cost_usd": str(state.enhance.spend.total + state.advise.spend.total),
        "plan_cost_usd": str(state.plan.spend.total),
        "reason": None if state.finished is None else state.finished.reason,
        "verification": _verification(state.verified, get),
        "tasks": [_row(task, get, list(placement.files(task))) for task in tasks],
    }


def reading_of(task: TaskState) -> Reading | None:
    """What was read of the answer that is a task's output; None where it has no output."""
    if task.output is None:
        return None
    answers = (answer for call in task.calls.values() for answer in call.answers)
    return next((answer.reading for answer in answers if answer.version == task.output.call), None)


def _verification(verified: ResultVerified | None, get: Get) -> dict[str, Any] | None:
    if verified is None:
        return None
    return {
        "verdict": verified.verdict.value,
        "exit_code": verified.code,
        "problem": verified.problem,
        "sandbox": verified.sandbox,
        "seconds": round(verified.latency / 1_000_000, 3),
        "command": get(verified.command) if verified.command else None,
        "output": get(verified.details) if verified.details else "",
    }


def _row(task: TaskState, get: Get, files: list[str]) -> dict[str, Any]:
    end, planned, reading = task.finished, task.planned, reading_of(task)
    text = get(task.output.answer) if task.output is not None else None
    return {
        "id": task.name,
        "type": planned.type.value,
        "title": get(planned.title) if planned.title else None,
        "status": (end.status if end is not None else TaskStatus.RUNNING if task.started else TaskStatus.PENDING).value,
        "reason": end.reason if end is not None else None,
        "score": end.score if end is not None else None,
        "gate_passed": end.gate if end is not None else False,
        "iterations": task.iteration,
        "model": end.model if end is not None else None,
        "reviewer_model": end.reviewer if end is not None else None,
        "fallbacks": task.fallbacks,
        "cost_usd": str(task.spend.total),
        "file": next(iter(files), None),
        "files": files,
        "blocks_left_out": 0 if reading is None else reading.left_out,
        "files_renamed": 0 if reading is None else reading.renamed,
        "shadowing": [] if reading is None else [get(name) for name in reading.shadowing],
        "output": text,
    }
