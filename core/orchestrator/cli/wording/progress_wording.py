"""What is said of events that needs nothing but the event and the state of its run."""

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final

from attrs import frozen

from orchestrator import events as e
from orchestrator.cli.terminal.terminal_output import clean, line, money, seconds
from orchestrator.cli.wording.code_words import (
    DOING,
    REMOVED_ALL,
    SHORTFALLS,
    UNVERIFIED,
)
from orchestrator.cli.wording.shared_sentences import remarks_on
from orchestrator.decide.compliance import binding, undeclared
from orchestrator.models import (
    LEFT_OUT_FILES,
    RejectionReason,
    RiskLevel,
    Role,
    SpendLimit,
    TaskStatus,
    size_remark,
)
from orchestrator.state.run import RunState

_MOST_REMARKS: Final = 12
"""Lines about one plan, at most."""


class Tone(Enum):
    """What a line is for."""

    PLAIN = "plain"
    STARTED = "started"
    GOOD = "good"
    FAIR = "fair"
    BAD = "bad"
    WARNING = "warning"
    DETAIL = "detail"
    ROW = "row"
    """A row of a table; the live view shows the tasks itself."""


@frozen
class Note:
    """One line for people."""

    text: str
    tone: Tone = Tone.PLAIN


_MARKS: Final = {
    Tone.PLAIN: "",
    Tone.STARTED: "· ",
    Tone.GOOD: "✓ ",
    Tone.FAIR: "~ ",
    Tone.BAD: "✗ ",
    Tone.WARNING: "! ",
    Tone.DETAIL: "",
    Tone.ROW: "",
}
STYLES_OF_NOTES: Final = {
    Tone.GOOD: "green",
    Tone.FAIR: "yellow",
    Tone.BAD: "red",
    Tone.WARNING: "yellow",
    Tone.DETAIL: "dim",
}


def said(note: Note) -> str:
    """A note on one line; the columns of a detail and of a row stay aligned."""
    return clean(note.text) if note.tone in (Tone.DETAIL, Tone.ROW) else _MARKS[note.tone] + line(note.text)


def at_work(node: str, role: Role) -> str:
    """What a call does, and for which task where it is one's."""
    return DOING[role] if node in (e.PLAN, e.ENHANCE, e.ADVISE) else f"{node} {DOING[role]}"


def forbidden(state: RunState, node: str, name: str, models: Iterable[str]) -> str:
    """That a policy rules models out, and which facts it asks for that are not declared."""
    policy = next((each for each in binding(state.settings, node) if each.name == name), None)
    known = [state.models[model] for model in models if model in state.models]
    facts = dict.fromkeys(fact for model in known if policy is not None for fact in undeclared(policy, model))
    return f"policy {name!r} rules it out" + "".join(f"; {fact} is not declared" for fact in facts)


def removed_notes(state: RunState, node: str, removed: Iterable[e.ModelCandidate]) -> Iterable[Note]:
    """What removed which models, where none is left: one line per reason."""
    by_reason: dict[tuple[RejectionReason | None, str | None], list[str]] = {}
    for candidate in removed:
        by_reason.setdefault((candidate.rejection, candidate.policy), []).append(candidate.model)
    for (rejection, policy), models in by_reason.items():
        why = (
            ("" if rejection is None else REMOVED_ALL.get(rejection, rejection.value))
            if policy is None
            else forbidden(state, node, policy, models)
        )
        yield Note(f"{node}: {', '.join(models)} cannot be called: {why}", Tone.WARNING)


def context_notes(context: e.RunContext, text_of: Callable[[str], str]) -> Iterable[Note]:
    """How many files of the user's the run works with, and which of those that were named it does not."""
    size = sum(file.size for file in context.files)
    yield Note(f"context: {len(context.files)} file{'s' * (len(context.files) != 1)}, {size:,} bytes")
    for each in context.left_out[:_MOST_REMARKS]:
        yield Note(f"context: {text_of(each.name)} is left out: {LEFT_OUT_FILES[each.reason]}", Tone.WARNING)
    more = len(context.left_out) + context.more_left_out - _MOST_REMARKS
    if more > 0:
        yield Note(f"context: {more:,} more files are left out", Tone.WARNING)


def remarks(event: e.PlanMade) -> Iterable[Note]:
    """What there is to say of a model's plan; that it is small or large is no fault of it."""
    remarks, size = remarks_on(event), size_remark(len(event.tasks))
    for remark in remarks[:_MOST_REMARKS]:
        yield Note(remark, Tone.PLAIN if remark == size else Tone.WARNING)
    if len(remarks) > _MOST_REMARKS:
        more = len(remarks) - _MOST_REMARKS
        yield Note(f"{more} more remarks on the plan; orchestrate explain RUN plan shows all", Tone.WARNING)


def finished(event: e.TaskFinished) -> Note:
    """The line of a task's end."""
    why = f" ({SHORTFALLS[event.reason]})" if event.reason else ""
    score = "" if event.score is None else f", score {event.score:.3f}"
    model = f", {event.model}" if event.model else ""
    tests = {None: "", 1: ", on a later try and by 1 test only"}
    few = tests.get(event.few_tests, f", on a later try and by {event.few_tests} tests only")
    tone = {TaskStatus.COMPLETED: Tone.GOOD, TaskStatus.DEGRADED: Tone.FAIR}.get(event.status, Tone.BAD)
    return Note(f"{event.task} {event.status.value}{why}{score}{few}{model}, {money(event.cost)}", tone)


def verification(event: e.ResultVerified) -> str:
    """What came of a verification, in a few words."""
    if event.problem:
        return f"{event.verdict.value} ({UNVERIFIED[event.problem]})"
    how = "" if event.code is None else f" (exit status {event.code})"
    where = "nothing was run" if event.sandbox is None else f"sandbox {event.sandbox}"
    return f"{event.verdict.value}{how} in {seconds(event.latency)}, {where}"


def gist(details: str) -> str:
    """What a verification said; of an application that was put together only what is wrong with it."""
    from orchestrator.engine.applications import assembly_gist

    return assembly_gist(details)


def forecast_line(event: e.ForecastMade) -> str:
    """A forecast on one line."""
    models = ", ".join(dict.fromkeys(event.models.values()))
    by = f"; drafts by {models}" if models else ""
    risk = f"{event.risk.value} risk for the ceiling"
    tokens = "" if event.expected else f" ({event.tokens:,} tokens)"
    return f"forecast {money(event.expected)}{tokens} and {seconds(event.duration)}, {risk}{by}"


def money_notes(event: e.Event) -> Iterable[Note]:
    """What is said of an event about money or limits; nothing of others."""
    match event:
        case e.ForecastMade(risk=risk):
            yield Note(forecast_line(event), Tone.WARNING if risk is RiskLevel.HIGH else Tone.PLAIN)
        case e.SpendReconciled(call=call):
            yield Note(f"call {call} cost {money(event.settled)}; {money(event.unreconciled)} was unreconciled")
        case e.BudgetWarned(phase=phase, percent=percent):
            text = f"{phase.value} has used {percent} % of its share ({money(event.spent)} of {money(event.share)})"
            yield Note(text, Tone.WARNING)
        case e.SpendRefused(node=node, role=role, limit=SpendLimit.POLICY, name=name):
            need, free = money(event.need), money(event.free)
            text = f"it may cost {need}; policy {name!r} leaves {free} for the task"
            yield Note(f"{at_work(node, role)}: not called; {text}", Tone.WARNING)
        case e.SpendRefused(node=node, role=role):
            need, free = money(event.need), money(event.free)
            yield Note(f"{at_work(node, role)}: not called; it may cost {need}, {free} is left", Tone.WARNING)
        case e.SpendExceeded(model=model):
            billed, held = money(event.settled), money(event.hold)
            yield Note(f"{model} billed {billed}, more than the bound of {held}; it is not called again", Tone.WARNING)
        case e.BudgetRaised(cap=cap):
            yield Note(f"the ceiling is now {money(cap)}")
        case e.TimeRaised(time_limit=limit):
            yield Note(f"the time limit is now {seconds(limit)}")
