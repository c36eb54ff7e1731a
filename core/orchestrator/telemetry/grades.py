"""What evaluations teach: grades of answers, by model and type of task, where a person wanted that.

They are no part of the snapshot: they are looked up anew each time, so that what was taught can be taken back.
"""

from collections.abc import Iterator, Mapping

from attrs import frozen

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Select
from orchestrator.models import CellOutcome, TaskType
from orchestrator.models.offers import qualified
from orchestrator.state.model_health import ModelRecord


@frozen
class Grades:
    """What one evaluation says of a model's answers to tasks of a type."""

    evaluation: str
    """Its stream."""
    simulated: bool
    model: str
    """``PROVIDER/MODEL``."""
    type: TaskType
    answers: int
    """Graded ones; errors are none."""
    solved: int


def grades(log: EventLog) -> list[Grades]:
    """The grades that count in routing, by evaluation, model and type.

    Raises:
        LogError: the log cannot be read.
    """
    taught: dict[str, bool] = {}
    for record in log.select(Select(types=("eval.taught",))):
        taught.pop(record.stream, None)
        taught[record.stream] = bool(getattr(record.event, "on", False))
    return [found for stream, on in taught.items() if on for found in _of(log, stream)]


def _of(log: EventLog, stream: str) -> Iterator[Grades]:
    simulated, runs, latest = False, dict[int, str](), dict[int, e.Graded]()
    for record in log.read_own(stream, types=[e.EvalStarted, e.CellStarted, e.Graded]):
        match record.event:
            case e.EvalStarted(simulated=simulated):
                continue
            case e.CellStarted(run=run):
                runs[record.version] = run
            case e.Graded() as graded:
                latest[graded.cell] = graded
    counts: dict[tuple[str, TaskType], list[int]] = {}
    for version, graded in latest.items():
        author = None if graded.outcome is CellOutcome.ERROR else _author(log, runs[version])
        if author is not None:
            count = counts.setdefault(author, [0, 0])
            count[0] += 1
            count[1] += graded.outcome is CellOutcome.SOLVED
    for (model, kind), (answers, solved) in sorted(counts.items()):
        yield Grades(stream, simulated, model, kind, answers, solved)


def _author(log: EventLog, run: str) -> tuple[str, TaskType] | None:
    """Who wrote the answer of a cell's run, as ``PROVIDER/MODEL``, and to what type of task."""
    kind: TaskType | None = None
    providers: dict[str, str] = {}
    for record in log.read(run, types=[e.SessionOpened, e.PlanMade, e.PlanEdited, e.PlanPatched, e.TaskFinished]):
        match record.event:
            case e.SessionOpened(models=models):
                providers |= {model.id: model.provider for model in models}
            case e.PlanMade(tasks=tasks) | e.PlanEdited(tasks=tasks) | e.PlanPatched(tasks=tasks):
                kind = tasks[0].type
            case e.TaskFinished(model=str(model)) if kind is not None and model in providers:
                return qualified(providers[model], model), kind
    return None


def learn(records: Mapping[bool, dict[str, ModelRecord]], found: list[Grades]) -> None:
    """Count grades as measured quality: each answer as much as a call. ``records`` are by ``simulated``, then model."""
    for each in found:
        seen = records[each.simulated].setdefault(each.model, ModelRecord()).measured(each.type)
        before = 0 if seen.quality is None else seen.calls
        seen.quality = ((seen.quality or 0.0) * before + each.solved) / (before + each.answers)
        seen.calls += each.answers
