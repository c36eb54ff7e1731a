"""Parts that pages of a run share: the bar of its spend, rows of tasks, the picture of the tasks, the timeline."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from attrs import frozen

from orchestrator.cli.kit import money, seconds
from orchestrator.cli.wording.code_words import SHORTFALLS
from orchestrator.decide.outcome import output_of
from orchestrator.models import TaskStatus, Verdict
from orchestrator.money import Usd
from orchestrator.state.equal_answers import checks_of
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState
from orchestrator_insight.report import graph
from orchestrator_insight.timeline import Attempt, Timeline

MOST_ROWS: Final = 500
"""Boxes of a picture, rows of a timeline and bars of a chart; what goes beyond is summed up."""
MARKS: Final = {"completed": "✓", "degraded": "≈", "failed": "✗", "running": "●", "pending": "·"}
_ROW_HEIGHT: Final = 20
_AXIS: Final = 24
_TICKS: Final = 6

Read = Callable[[str | None], str | None]
"""The text of a digest, or a note in its place; None where there is none."""


def spend_bar(state: RunState) -> dict[str, Any]:
    """The spend against the ceiling, in parts of the larger of both; the whole is 1000 wide."""
    settled, unreconciled, flying = state.spend.settled, state.spend.unreconciled, state.in_flight_held
    whole = max(state.cap.nano, (settled + unreconciled + flying).nano, 1)
    parts, x = [], 0.0
    for name, amount in (("settled", settled), ("unreconciled", unreconciled), ("in flight", flying)):
        width = amount.nano / whole * 1000
        parts.append({"name": name, "amount": amount, "x": round(x, 2), "width": round(width, 2)})
        x += width
    return {"parts": parts, "cap": round(state.cap.nano / whole * 1000, 2)}


@frozen
class TaskRow:
    """A task in a table or a picture."""

    name: str
    title: str
    """Its name where it has none."""
    type: str
    status: str
    reason: str
    """Why it is not completed, in words; empty where it is, or has not ended."""
    model: str | None
    reviewer: str | None
    score: float | None
    iterations: int
    fallbacks: int
    failed_checks: tuple[str, ...]
    """The validators that the latest draft or revision did not pass."""
    cost: Usd
    dependencies: Sequence[str]

    @property
    def mark(self) -> str:
        """A sign for its status, for those who do not see colours."""
        return MARKS.get(self.status, "·")

    @property
    def remarks(self) -> list[str]:
        """What did not go as planned, a few words each."""
        fallbacks = f"{self.fallbacks} fallback{'' if self.fallbacks == 1 else 's'}" if self.fallbacks else ""
        checks = f"failed: {', '.join(self.failed_checks)}" if self.failed_checks else ""
        return [each for each in (self.reason, checks, fallbacks) if each]


def task_row(state: RunState, name: str, read: Read) -> TaskRow:
    """A task of a run."""
    task = state.tasks[name]
    end = task.finished
    status = end.status if end else TaskStatus.RUNNING if task.started else TaskStatus.PENDING
    return TaskRow(
        name=name,
        title=" ".join((read(task.planned.title) or "").split()) or name,
        type=task.planned.type.value,
        status=status.value,
        reason=SHORTFALLS.get(end.reason, str(end.reason)) if end and end.reason else "",
        model=end.model if end else None,
        reviewer=end.reviewer if end else None,
        score=end.score if end else None,
        iterations=task.iteration,
        fallbacks=task.fallbacks,
        failed_checks=_failed(task),
        cost=task.spend.total,
        dependencies=task.planned.dependencies,
    )


def _failed(task: TaskState) -> tuple[str, ...]:
    iteration = task.output.iteration if task.output is not None else task.iteration
    output = output_of(task, iteration) if iteration else None
    found = checks_of(task, output) if output is not None else {}
    return tuple(name for name, check in found.items() if check.verdict is Verdict.FAILED)


def task_picture(state: RunState, rows: Sequence[TaskRow]) -> dict[str, Any] | None:
    """The picture of the tasks; None where there are none, or too many."""
    if not rows or len(rows) > MOST_ROWS:
        return None
    picture = graph.draw({row.name: row.dependencies for row in rows}, state.execution_order)
    if picture is None:
        return None
    by_name = {row.name: row for row in rows}
    return {
        "picture": picture,
        "boxes": [(box, by_name[box.name]) for box in picture.boxes],
        "width": graph.WIDTH,
        "height": graph.HEIGHT,
    }


def timeline_picture(state: RunState, line: Timeline) -> dict[str, Any]:
    """Rows by node, in which every attempt is a bar and every wait before one a line."""
    nodes = list(dict.fromkeys(attempt.node for attempt in line.attempts))
    shown = nodes[:MOST_ROWS]
    rows = {name: row for row, name in enumerate(shown)}
    bars = [_attempt(line, attempt, rows[attempt.node], state.at) for attempt in line.attempts if attempt.node in rows]
    whole = sum(session.ended_at - session.opened_at for session in line.sessions)
    return {
        "rows": [{"name": name, "y": row * _ROW_HEIGHT + _AXIS} for name, row in rows.items()],
        "bars": bars,
        "height": len(shown) * _ROW_HEIGHT + _AXIS + 4,
        "row_height": _ROW_HEIGHT,
        "hidden": len(nodes) - len(shown),
        "ticks": [
            {"x": round(1000 * step / _TICKS, 1), "label": _tick(whole * step // _TICKS, whole)}
            for step in range(_TICKS + 1)
        ]
        if len(line.sessions) == 1
        else [],
        "sessions": [
            {"x": round(1000 * line.place(session.opened_at), 1), "label": f"session {session.number}"}
            for session in (line.sessions if len(line.sessions) > 1 else [])
        ],
    }


def _tick(at: int, whole: int) -> str:
    """A time on the axis; under some seconds in milliseconds, so that no two ticks are called the same."""
    return f"{at / 1000:,.0f} ms" if 0 < whole < 3_000_000 else seconds(at)


def _attempt(line: Timeline, attempt: Attempt, row: int, now: int) -> dict[str, Any]:
    ended = now if attempt.ended_at is None else attempt.ended_at
    ready, start, end = (1000 * line.place(at) for at in (attempt.selected_at, attempt.started_at, ended))
    problem = f", {attempt.error}" if attempt.error else ""
    return {
        "y": row * _ROW_HEIGHT + _AXIS,
        "ready": round(min(ready, start), 2),
        "x": round(start, 2),
        "width": round(max(end - start, 1.5), 2),
        "role": attempt.role.value,
        "failed": attempt.error is not None,
        "text": (
            f"{attempt.node}: {attempt.role.value}, iteration {attempt.iteration}, {attempt.model}; "
            f"waited {seconds(attempt.started_at - attempt.selected_at)}, "
            f"took {seconds(ended - attempt.started_at)}; {money(attempt.cost)} {attempt.end}{problem}"
        ),
    }


def charts(state: RunState, line: Timeline) -> list[dict[str, Any]]:
    """What was spent by model, phase and task, as bars."""
    by_task = {name: task.spend.total for name, task in state.tasks.items()}
    by_task |= {name: node.spend.total for name, node in state.before_tasks.items() if node.spend.total}
    return [
        _chart("by model", line.spend_by_model.items()),
        _chart("by phase", ((phase.value.replace("_", " "), amount) for phase, amount in line.spend_by_phase.items())),
        _chart("by task", by_task.items()),
    ]


def _chart(title: str, amounts: Iterable[tuple[str, Usd]], most: int = 20) -> dict[str, Any]:
    """Bars, the longest first; what is beyond ``most`` is one bar."""
    ordered = sorted(amounts, key=lambda pair: (-pair[1].nano, pair[0]))
    rest = ordered[most:]
    bars = [*ordered[:most], *([(f"{len(rest)} more", sum((a for _, a in rest), Usd.ZERO))] if rest else [])]
    largest = max((amount.nano for _, amount in bars), default=0) or 1
    return {
        "title": title,
        "bars": [
            {"name": name, "amount": amount, "width": round(amount.nano / largest * 100, 2)} for name, amount in bars
        ],
    }
