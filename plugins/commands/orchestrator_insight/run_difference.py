"""What differs between two runs: what they were asked, by which rules, what was decided, what came of it."""

from collections.abc import Iterable, Iterator, Mapping

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.errors import DamagedLogError, NoTextError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.models import sample_words
from orchestrator.money import Usd
from orchestrator.spec import differences
from orchestrator.state.fold import apply
from orchestrator.state.run import RunState
from orchestrator_insight.changed_settings import settings_changed


@frozen
class Decided:
    """One decision that differs."""

    what: str
    """Such as ``t1 generator 1``: the node, the role or the event, the iteration."""
    one: str
    other: str
    """What each run decided; empty where it did not come to that."""


@frozen
class TaskResult:
    """What came of a task in one of the runs."""

    status: str
    """``open`` where it has not ended."""
    score: float | None
    model: str | None
    cost: Usd


@frozen
class TaskPair:
    """A task of both runs; None where a run does not have it."""

    task: str
    one: TaskResult | None
    other: TaskResult | None


@frozen
class Comparison:
    """What differs between two runs."""

    one: str
    other: str
    spec: tuple[str, ...]
    settings: tuple[str, ...]
    decisions: tuple[Decided, ...]
    tasks: tuple[TaskPair, ...]
    states: tuple[RunState, RunState]
    common: int
    """How many versions they share as events, because one is a fork of the other, or both are of a third."""

    @property
    def status(self) -> tuple[str, str]:
        """How each has ended; ``open`` where it has not."""
        one, other = ("open" if each.finished is None else each.finished.status.value for each in self.states)
        return one, other

    @property
    def spend(self) -> tuple[Usd, Usd]:
        """Settled + unreconciled, each of its own calls."""
        return self.states[0].spend.total, self.states[1].spend.total


@define
class _ReportedRun:
    """A run, and its decisions in their order."""

    state: RunState = Factory(RunState)
    decisions: dict[str, str] = Factory(dict)

    def take(self, at: int, event: e.Event) -> None:
        for what, value in _reported(event):
            known = self.decisions.get(what)
            self.decisions[what] = value if known is None else f"{known}, {value}"
        apply(self.state, at, event)


def compare(log: EventLog, one: str, other: str, texts: tuple[Texts, Texts]) -> Comparison:
    """Compare two runs of a log; ``texts`` are theirs."""
    found = []
    for run in (one, other):
        reported = _ReportedRun()
        for record in log.read(run):
            reported.take(record.at, record.event)
        found.append(reported)
    first, second = found
    names = dict.fromkeys((*first.state.execution_order, *second.state.execution_order))
    return Comparison(
        one,
        other,
        spec=tuple(_specs(first.state, second.state, texts)),
        settings=tuple(_settings(first.state, second.state)),
        decisions=tuple(_decisions(first.decisions, second.decisions)),
        tasks=tuple(TaskPair(name, _result(first.state, name), _result(second.state, name)) for name in names),
        states=(first.state, second.state),
        common=_common(log, one, other),
    )


def _result(state: RunState, name: str) -> TaskResult | None:
    task = state.tasks.get(name)
    if task is None:
        return None
    end = task.finished
    if end is None:
        return TaskResult("open", None, None, task.spend.total)
    return TaskResult(end.status.value, end.score, end.model, task.spend.total)


def _common(log: EventLog, one: str, other: str) -> int:
    shared = 0
    for mine, theirs in zip(log.segments(one), log.segments(other), strict=False):
        if mine.stream != theirs.stream:
            break
        limits = [each.upto for each in (mine, theirs) if each.upto is not None]
        last = log.last(mine.stream)
        shared = min(limits) if limits else last.version if last is not None else 0
    return shared


def _specs(one: RunState, other: RunState, texts: tuple[Texts, Texts]) -> Iterable[str]:
    found = []
    for state, store in zip((one, other), texts, strict=True):
        try:
            found.append(store.get(state.first.spec))
        except (NoTextError, DamagedLogError) as error:
            why = error.why if isinstance(error, NoTextError) else "is damaged"
            return [f"(the content of a run {why}; the specs cannot be compared)"]
    return differences(*found)


def _settings(one: RunState, other: RunState) -> Iterator[str]:
    yield from settings_changed(one.settings, other.settings)
    if one.cap != other.cap and (one.cap, other.cap) != (one.settings.cap, other.settings.cap):
        yield f"the ceiling at the end: {one.cap.trimmed} → {other.cap.trimmed}"


def _decisions(one: Mapping[str, str], other: Mapping[str, str]) -> Iterator[Decided]:
    for what in dict.fromkeys((*one, *other)):
        mine, theirs = one.get(what, ""), other.get(what, "")
        if mine != theirs:
            yield Decided(what, mine, theirs)


def _reported(event: e.Event) -> Iterator[tuple[str, str]]:
    """What a decision is about, and what it says; nothing for other events and for what follows from them."""
    match event:
        case e.PlanMade():
            yield "plan", ", ".join(event.execution_order)
        case e.ModelSelected():
            sample = sample_words(event.sample).replace(",", "")
            yield f"{event.node} {event.role.value} {event.iteration}{sample}", event.model
        case e.SpendRefused():
            yield f"{event.node} {event.role.value} {event.iteration}", "no money"
        case e.StepSkipped():
            yield f"{event.task} {event.role.value} {event.iteration}", f"left out ({event.reason})"
        case e.Evaluated():
            score = "unscored" if event.score is None else f"{event.score:.3f}"
            yield f"{event.task} score {event.iteration}", score if event.gate else f"{score}, gate not passed"
        case e.Compared():
            yield f"{event.task} choice", f"iteration {event.iteration}"
        case e.OutputChosen():
            yield f"{event.task} output", f"iteration {event.iteration}"
        case e.TaskFinished():
            yield f"{event.task} end", event.status.value + (f" ({event.reason})" if event.reason else "")
        case e.RunFinished():
            yield "run end", event.status.value + (f" ({event.reason})" if event.reason else "")
