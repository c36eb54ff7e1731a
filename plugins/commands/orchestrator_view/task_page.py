"""The page of a task: its final files first, then how they came to be."""

from typing import Any, Final

from orchestrator.cli.kit import Placement
from orchestrator.errors import DamagedLogError, NoTextError
from orchestrator.reading import TaskState
from orchestrator_insight.report.drawing import task_row
from orchestrator_insight.task_history import StepShown, iterations, side_by_side
from orchestrator_view.calls_shown import exchange_values
from orchestrator_view.kept_run import RunReading

_LONGEST_LINE: Final = 2_000


def task_values(reading: RunReading, name: str) -> dict[str, Any]:
    """What the page of a task, or of a node before the tasks, shows."""
    task = reading.state.tasks.get(name)
    exchanges = [each for each in reading.exchanges.by_selection.values() if each.node == name]
    return {
        "run": reading.run,
        "node": name,
        "task": None if task is None else task_row(reading.state, name, reading.text),
        "prompt": None if task is None else reading.text(task.planned.prompt),
        "files": [] if task is None else files_of(reading, task),
        "iterations": [] if task is None else list(iterations(task, reading.text)),
        "exchanges": [exchange_values(reading, each) for each in exchanges],
        "decisions": reading.decisions(name)[0],
        "event_name": reading.event,
        "rows_of": _rows,
        "dependants": reading.state.dependants.get(name, []),
    }


def files_of(reading: RunReading, task: TaskState) -> list[dict[str, Any]]:
    """The final files of a task as they are delivered, the main one first."""
    if task.output is None:
        return []
    try:
        found = Placement(reading.state, reading.texts.get).files(task)
    except (NoTextError, DamagedLogError) as error:
        why = error.why if isinstance(error, NoTextError) else "is damaged"
        return [{"name": f"(the text of the output {why})", "text": "", "digest": None}]
    return [{"name": name, "text": text, "digest": task.output.answer} for name, text in found.items()]


def _rows(step: StepShown) -> list[tuple[str, str, str]]:
    """What a step changed, side by side; empty where there is nothing to compare."""
    return side_by_side(step.changes or (), _LONGEST_LINE)
