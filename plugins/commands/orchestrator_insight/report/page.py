"""The page: one HTML document with style, script and data inside, and a policy that lets in nothing else."""

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any, Final

from attrs import asdict, frozen
from jinja2 import Environment, FunctionLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.cli.kit import money
from orchestrator.events import ADVISE, ENHANCE, PLAN, VERIFY
from orchestrator.log.transaction import Recorded
from orchestrator.replay import Verification
from orchestrator_insight.decisions_in_words import shown as decision_shown
from orchestrator_insight.event_fields import amounts
from orchestrator_insight.explained_choices import BackendFallback
from orchestrator_insight.page_values import exact, one_line, score, visible
from orchestrator_insight.report.call_texts import said_in
from orchestrator_insight.report.drawing import charts, spend_bar, task_picture, task_row, timeline_picture
from orchestrator_insight.report.packing import Packed, inert
from orchestrator_insight.report.page_history import read_for_report
from orchestrator_insight.report.text_limits import PageTexts, results_of
from orchestrator_insight.task_history import iterations

_BEFORE: Final = {ENHANCE: "the suggestions", ADVISE: "the architecture", PLAN: "the plan", VERIFY: "the verification"}


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
    history, events = read_for_report(records)
    explainer, state, line = history.explainer, history.state, history.timeline
    texts = PageTexts(get)
    decided = {each.node for each in explainer.explained if not isinstance(each, BackendFallback)}
    rows = [task_row(state, name, texts.read) for name in state.execution_order]
    ended = [row for row in rows if state.tasks[row.name].output is not None]
    shown: dict[str, Any] = {
        "facts": facts,
        "status": facts.unfinished if state.finished is None else state.finished.status.value,
        "reason": "" if state.finished is None or not state.finished.reason else str(state.finished.reason),
        "before": {name: title for name, title in _BEFORE.items() if name in decided},
        "made_at": _when(facts.made_at),
        "title": (texts.read(state.project) or "").strip() or facts.run,
        "criteria": texts.read(state.criteria) or "",
        "state": state,
        "head": history.head,
        "events": history.count,
        "bar": spend_bar(state),
        "tasks": rows,
        "numbers": {row.name: number for number, row in enumerate(rows, 1)},
        "results": results_of(state, rows, texts),
        "final": next(results_of(state, ended[-1:], texts), None),
        "picture": task_picture(state, rows),
        "line": timeline_picture(state, line),
        "charts": charts(state, line),
        "sessions": [_session(each) for each in line.sessions],
        "seconds": _seconds(state.active(state.at)),
        "limit": _seconds(state.time_limit),
    }
    work = Packed()
    for name, task in state.tasks.items():
        asked = {"title": texts.read(task.planned.title), "prompt": texts.read(task.planned.prompt)}
        work.add({**asked, "iterations": tuple(iterations(task, texts.read))}, name)
    decisions = Packed()
    for each in explainer.explained:
        said = history.exchanges.by_selection.get(each.version)
        values = asdict(decision_shown(each), recurse=False) | {"event": history.event(each.version)}
        decisions.add(values if said is None else {**values, "said": list(said_in(said, texts.read))})
    style, script = _resource("parts.css") + _resource("page.css"), _resource("page.js")
    parts = _template().generate(**shown, left_out=texts.left_out, style=Markup(style), policy=_policy(style, script))
    yield from (part.encode() for part in parts)
    yield from _data(work, decisions, events)
    yield f"</script>\n<script>{script}</script>\n</body>\n</html>".encode()


def _data(work: Packed, decisions: Packed, events: Packed) -> Iterator[bytes]:
    """What the page's script shows, as one JSON document."""
    yield b'{"amounts":' + inert(amounts()) + b',"tasks":{'
    yield from work
    yield b'},"choices":['
    yield from decisions
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
    environment.filters.update(usd=money, exact=exact, one_line=one_line, score=score, visible=visible)
    return environment.get_template("page.html.j2")


def _when(at: int) -> Markup:
    """A time: the page's script shows it in the reader's zone, and the exact one in its title."""
    when = datetime.fromtimestamp(at / 1_000_000, UTC)
    return Markup('<time datetime="{}">{}</time>').format(when.isoformat(), when.strftime("%Y-%m-%d %H:%M:%S UTC"))


def _seconds(microseconds: int) -> str:
    return f"{microseconds / 1_000_000:,.1f} s"


def _session(session: Any) -> dict[str, Any]:
    return {
        "number": session.number,
        "opened": _when(session.opened_at),
        "length": _seconds(session.ended_at - session.opened_at),
        "program": session.program,
        "end": session.end,
    }
