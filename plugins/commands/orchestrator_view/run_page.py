"""The page of a run: its header, what it waits for, its tasks, its calls."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from orchestrator.cli.kit import DOING, HALTED, Reader, money, question_of, read_live, seconds, shown_status
from orchestrator.reading import CallKey, RunState
from orchestrator.reading import events as e
from orchestrator_insight.page_values import duration, visible
from orchestrator_insight.report.drawing import charts, spend_bar, task_picture, task_row, timeline_picture
from orchestrator_view.kept_run import RunReading, title_of
from orchestrator_view.task_page import files_of

_BEFORE: Final = {e.ENHANCE: "suggestions", e.ADVISE: "architecture", e.PLAN: "plan"}
_MOST_WAITS: Final = 12
_MOST_OF_FINAL: Final = 4_000


@frozen
class CallRow:
    """An attempt in the list of calls."""

    version: int
    node: str
    role: str
    iteration: int
    model: str
    started_at: int
    waited: str
    took: str
    tokens: str
    cost: Any
    end: str
    remark: str
    """That it is a retry or a fallback, and how it failed."""


def run_values(reading: RunReading, log: Reader, folder: Path) -> dict[str, Any]:
    """What the page of a run shows."""
    state = reading.state
    rows = [task_row(state, name, reading.text) for name in state.execution_order]
    status = run_status(reading, log)
    return {
        "run": reading.run,
        "title": title_of(reading.texts, state.project) or reading.run,
        "criteria": reading.text(state.criteria) or "",
        "status": status,
        "state": state,
        "reason": ""
        if state.finished is None or not state.finished.reason
        else HALTED.get(state.finished.reason, str(state.finished.reason)),
        "mark": reading.trust.mark,
        "damage": [each.warning("what is shown cannot be trusted") for each in reading.trust.damage],
        "bar": spend_bar(state),
        "active": seconds(state.active(state.at)),
        "limit": seconds(state.time_limit),
        "ended": sum(row.status in ("completed", "degraded", "failed") for row in rows),
        "waits": list(waits(state, status))[:_MOST_WAITS],
        "tasks": rows,
        "before": [
            {"name": name, "title": title, "cost": state.before_tasks[name].spend.total}
            for name, title in _BEFORE.items()
            if state.before_tasks[name].calls
        ],
        "final": _final(reading),
        "texts": [] if status != "running" else texts_now(reading, folder),
        "graph": task_picture(state, rows),
        "timeline": timeline_picture(state, reading.timeline),
        "calls": list(call_rows(reading)),
        "charts": charts(state, reading.timeline),
        "sessions": reading.timeline.sessions,
        "questions": list(_questions(reading)),
        "asked": list(reading.questions.values()),
        "can_edit_plan": state.planned and not state.begun and state.finished is None,
        "unreconciled": [
            {"version": version, "call": started, "event": reading.event(version)}
            for version, started in state.unreconciled.items()
        ],
        "head": reading.head,
        "forecast": state.forecast,
    }


def texts_now(reading: RunReading, folder: Path) -> list[dict[str, str]]:
    """What models write at this moment, a text for each call in flight that has begun to answer."""
    found = read_live(folder, reading.run)
    return [
        {"what": f"{event.node}: {DOING[event.role]} by {event.model}", "text": visible(found[event.node])}
        for event in reading.state.pending.values()
        if isinstance(event, e.CallStarted) and found.get(event.node)
    ]


def _final(reading: RunReading) -> dict[str, Any] | None:
    """The output that was chosen last in the order of execution: its task and its main file."""
    state = reading.state
    task = next((state.tasks[name] for name in reversed(state.execution_order) if state.tasks[name].output), None)
    files = [] if task is None else files_of(reading, task)
    if task is None or not files:
        return None
    text = files[0]["text"]
    shown = {"name": files[0]["name"], "text": text[:_MOST_OF_FINAL], "more": len(text) > _MOST_OF_FINAL}
    return {"task": task_row(state, task.name, reading.text), **shown, "others": len(files) - 1}


def run_status(reading: RunReading, log: Reader) -> str:
    """How the run stands now."""
    finished = reading.state.finished
    return finished.status.value if finished is not None else shown_status(log, reading.run, "open")


def waits(state: RunState, status: str) -> Iterator[str]:
    """What an unfinished run waits for, a line each."""
    if state.finished is not None:
        return
    if status == "interrupted":
        yield "no process works on it; resume it to go on"
    for event in state.pending.values():
        yield from _waits_for(state, event)
    if status == "running":
        yield from _paused(state)


def _waits_for(state: RunState, event: e.Event) -> Iterator[str]:
    match event:
        case e.CallStarted():
            iteration = f" (iteration {event.iteration})" if event.iteration > 1 else ""
            yield f"{event.model}: {DOING[event.role]} for {event.node}{iteration}, {money(event.hold)} held"
        case e.CheckStarted():
            yield f"the check {event.validator} of {event.task}"
        case e.QuestionAsked():
            yield f"an answer: {question_of(event, state)}"
        case e.VerificationStarted():
            yield "the verification of the result"


def _paused(state: RunState) -> Iterator[str]:
    """Calls that failed, or for which an account had no money, and that are tried again."""
    for place in state.running:
        for call in state.tasks[state.execution_order[place]].calls.values():
            if call.in_flight is not None or call.answer is not None or call.refused or call.current is None:
                continue
            if call.failure is not None and call.failure.retryable:
                yield f"another try of {call.current.model} for {call.key.node}: {call.failure.kind.value}"
            elif call.refusals:
                yield f"money of the account {call.refusals[-1].event.account} for {call.key.node}"


def call_rows(reading: RunReading) -> Iterator[CallRow]:
    """Every attempt, in the order in which they began."""
    sent = {each.version: (found, each) for found, each in reading.exchanges.by_start.values()}
    models: dict[CallKey, str] = {}
    for each in reading.timeline.attempts:
        key = CallKey(each.node, each.role, each.iteration, each.sample)
        exchange, request = sent[each.version]
        before, models[key] = models.get(key), each.model
        kind = "" if before is None else "retry" if before == each.model else f"fallback from {before}"
        usage = request.usage
        ended = reading.state.at if each.ended_at is None else each.ended_at
        yield CallRow(
            version=exchange.version,
            node=each.node,
            role=DOING[each.role],
            iteration=each.iteration,
            model=each.model,
            started_at=each.started_at,
            waited=duration(max(0, each.started_at - each.selected_at)),
            took=duration(max(0, ended - each.started_at)),
            tokens="–" if usage is None else f"{usage.input_tokens:,} → {usage.output_tokens:,}",
            cost=each.cost,
            end=each.end,
            remark=" · ".join(filter(None, (kind, each.error or "", request.problem or ""))),
        )


def _questions(reading: RunReading) -> Iterator[dict[str, Any]]:
    """The questions of a run that have no answer yet."""
    for version, event in reading.state.pending.items():
        if isinstance(event, e.QuestionAsked):
            yield {
                "version": version,
                "event": reading.event(version),
                "what": question_of(event, reading.state),
                "ceiling": event.node == "approve_ceiling",
            }
