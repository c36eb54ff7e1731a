"""The page: one HTML document with style, script and data inside, and a policy that lets in nothing else."""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from attrs import frozen
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.events import ADVISE, ENHANCE, PLAN, VERIFY
from orchestrator.log.transaction import Recorded
from orchestrator.models import TaskStatus
from orchestrator.money import Usd
from orchestrator.replay import Verification
from orchestrator.state.run import RunState
from orchestrator_insight.explanation import BackendFallback
from orchestrator_insight.report import graph
from orchestrator_insight.report.calls import Attempt, Timeline
from orchestrator_insight.report.choices import choices_of
from orchestrator_insight.report.packing import Packed
from orchestrator_insight.report.reading import ReportData
from orchestrator_insight.report.work import PageTexts, work_of

_MOST_ROWS: Final = 400
"""Rows of the timeline and bars of a chart; what goes beyond is summed up."""
_ROW_HEIGHT: Final = 16
_AXIS: Final = 24
_TICKS: Final = 6
_BEFORE: Final = {ENHANCE: "the suggestions", ADVISE: "the architecture", PLAN: "the plan", VERIFY: "the verification"}
_MARKS: Final = {"completed": "✓", "degraded": "≈", "failed": "✗", "running": "…", "pending": "·"}


@frozen
class Facts:
    """What the page shows beside the history itself.

    Attributes:
        run: its id.
        unfinished: what the run is called where it has not ended: ``running`` or ``interrupted``.
        damage: what the check of the chain found, one line each; empty: unbroken.
        verified: what computing every decision anew showed; None: it was not done.
        made_at: microseconds UTC.
    """

    run: str
    unfinished: str
    damage: Sequence[str]
    verified: Verification | None
    made_at: int


def render(records: Iterable[Recorded], get: Callable[[str], str], facts: Facts) -> Iterator[bytes]:
    """The page of a run, part by part: from its stored events (at least one, read once) and the text of each digest."""
    read = ReportData()
    read.all(records)
    explainer, state, line = read.explainer, read.explainer.state, read.chronicler.line
    texts = PageTexts(get)
    decided = {each.node for each in explainer.explained if not isinstance(each, BackendFallback)}
    shown: dict[str, Any] = {
        "facts": facts,
        "status": facts.unfinished if state.finished is None else state.finished.status.value,
        "before": {name: title for name, title in _BEFORE.items() if name in decided},
        "made_at": _when(facts.made_at),
        "title": (texts.read(state.project) or "").strip() or facts.run,
        "criteria": texts.read(state.criteria) or "",
        "state": state,
        "head": read.head,
        "events": read.count,
        "bar": _bar(state),
        "tasks": [_row(state, name) for name in state.execution_order],
        "graph": _graph(state),
        "marks": _MARKS,
        "timeline": _timeline(state, line),
        "charts": _charts(state, line),
        "sessions": [_session(each) for each in line.sessions],
        "seconds": _seconds(state.active(state.at)),
        "limit": _seconds(state.time_limit),
    }
    work = Packed()
    for name, done in work_of(state, texts):
        work.add(done, name)
    choices = Packed()
    for choice in choices_of(explainer.explained, read.positions, read.calls.by_selection, texts):
        choices.add(choice)
    style, script = _resource("page.css"), _resource("page.js")
    parts = _template().generate(**shown, left_out=texts.left_out, style=Markup(style), policy=_policy(style, script))
    yield from (part.encode() for part in parts)
    yield from _data(work, choices, read.events)
    yield f"</script>\n<script>{script}</script>\n</body>\n</html>".encode()


def _data(work: Packed, choices: Packed, events: Packed) -> Iterator[bytes]:
    """What the page's script shows, as one JSON document."""
    yield b'{"tasks":{'
    yield from work
    yield b'},"choices":['
    yield from choices
    yield b'],"events":['
    yield from events
    yield b"]}"


def _policy(style: str, script: str) -> str:
    """A content security policy: this style, this script, and nothing from anywhere."""

    def source(text: str) -> str:
        return f"'sha256-{base64.b64encode(sha256(text.encode()).digest()).decode()}'"

    return (
        f"default-src 'none'; style-src {source(style)}; script-src {source(script)}; "
        "base-uri 'none'; form-action 'none'"
    )


@cache
def _resource(name: str) -> str:
    return files("orchestrator_insight.report").joinpath(name).read_text(encoding="utf-8")


@cache
def _template() -> Any:
    environment = Environment(
        loader=FunctionLoader(_resource),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(usd=_usd, inline=_inline)
    return environment.get_template("page.html.j2")


def _inline(text: str) -> str:
    return " ".join(text.split())


def _usd(amount: Usd) -> str:
    """An amount in full, without the zeros at its end: exact, as the log has it."""
    whole, _, rest = str(amount).partition(".")
    rest = rest.rstrip("0")
    return f"${whole}.{rest:0<2}"


def _when(at: int) -> str:
    return datetime.fromtimestamp(at / 1_000_000, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _seconds(microseconds: int) -> str:
    return f"{microseconds / 1_000_000:,.1f} s"


def _bar(state: RunState) -> dict[str, Any]:
    """The spend against the ceiling, in parts of the larger of both."""
    settled, unreconciled, flying = state.spend.settled, state.spend.unreconciled, state.in_flight_held
    whole = max(state.cap.nano, (settled + unreconciled + flying).nano, 1)
    parts, x = [], 0.0
    for name, amount in (("settled", settled), ("unreconciled", unreconciled), ("in flight", flying)):
        width = amount.nano / whole * 1000
        parts.append({"name": name, "amount": amount, "x": round(x, 2), "width": round(width, 2)})
        x += width
    return {"parts": parts, "cap": round(state.cap.nano / whole * 1000, 2)}


def _row(state: RunState, name: str) -> dict[str, Any]:
    task = state.tasks[name]
    end = task.finished
    status = end.status if end else TaskStatus.RUNNING if task.started else TaskStatus.PENDING
    return {
        "name": name,
        "type": task.planned.type.value,
        "status": status.value,
        "reason": end.reason if end else None,
        "model": end.model if end else None,
        "reviewer": end.reviewer if end else None,
        "score": end.score if end else None,
        "iterations": task.iteration,
        "cost": task.spend.total,
        "dependencies": task.planned.dependencies,
    }


def _graph(state: RunState) -> dict[str, Any] | None:
    """The picture of the tasks, where there are few enough to be one."""
    if not state.tasks or len(state.tasks) > _MOST_ROWS:
        return None
    picture = graph.draw({name: task.planned.dependencies for name, task in state.tasks.items()}, state.execution_order)
    rows = {name: _row(state, name) for name in state.execution_order}
    return {
        "picture": picture,
        "boxes": [(box, rows[box.name]) for box in picture.boxes],
        "width": graph.WIDTH,
        "height": graph.HEIGHT,
    }


def _timeline(state: RunState, line: Timeline) -> dict[str, Any]:
    """Rows by node, in which every attempt is a bar and every wait before one a line."""
    nodes = list(dict.fromkeys(attempt.node for attempt in line.attempts))
    shown = nodes[:_MOST_ROWS]
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
            {"x": round(1000 * step / _TICKS, 1), "label": _seconds(whole * step // _TICKS)}
            for step in range(_TICKS + 1)
        ]
        if len(line.sessions) == 1
        else [],
        "sessions": [
            {"x": round(1000 * line.place(session.opened_at), 1), "label": f"session {session.number}"}
            for session in (line.sessions if len(line.sessions) > 1 else [])
        ],
    }


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
            f"waited {_seconds(attempt.started_at - attempt.selected_at)}, "
            f"took {_seconds(ended - attempt.started_at)}; {_usd(attempt.cost)} {attempt.end}{problem}"
        ),
    }


def _charts(state: RunState, line: Timeline) -> list[dict[str, Any]]:
    by_task = {name: task.spend.total for name, task in state.tasks.items()}
    by_task |= {name: node.spend.total for name, node in state.before_tasks.items() if node.spend.total}
    return [
        _chart("by model", line.spend_by_model.items()),
        _chart("by phase", ((phase.value, amount) for phase, amount in line.spend_by_phase.items())),
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


def _session(session: Any) -> dict[str, Any]:
    return {
        "number": session.number,
        "opened": _when(session.opened_at),
        "length": _seconds(session.ended_at - session.opened_at),
        "program": session.program,
        "end": session.end,
    }
