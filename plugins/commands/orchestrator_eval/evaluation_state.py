"""The stream of an evaluation: what its events amount to, and appending to it."""

from collections.abc import Callable, Iterable, Sequence

from attrs import Factory, define, field, frozen

from orchestrator.errors import MissingError, NoTextError, UsageError
from orchestrator.log.stream_names import EVAL
from orchestrator.models import CellOutcome
from orchestrator.reading import EventLog, Texts
from orchestrator.reading import events as e
from orchestrator_eval.cell_matrix import Cell, EvalPlan


def stream_name(name: str) -> str:
    """The stream of an evaluation, which is the name of its account, too."""
    return EVAL + name


@frozen
class CellState:
    """A cell that has begun, and its latest grade."""

    version: int
    """Of its CellStarted."""
    run: str
    attempt: int = 1
    graded: e.Graded | None = None

    @property
    def outcome(self) -> CellOutcome | None:
        """What became of it; None while it has no grade."""
        return None if self.graded is None else self.graded.outcome


@define
class EvalState:
    """What the history of an evaluation amounts to."""

    version: int = 0
    at: int = 0
    started: e.EvalStarted | None = None
    cells: dict[Cell, CellState] = Factory(dict)
    finished: e.EvalFinished | None = None
    taught: bool = False
    """Whether its grades count in what later runs know of the models."""
    _versions: dict[int, Cell] = Factory(dict)

    def take(self, version: int, at: int, event: e.Event) -> None:
        """Fold one event.

        Raises:
            ValueError: it is none of an evaluation, or refers to nothing.
        """
        self.version, self.at = version, at
        match event:
            case e.EvalStarted():
                self.started = event
            case e.CellStarted():
                cell = Cell(event.case, event.arm, event.repetition)
                self._versions[version] = cell
                self.cells[cell] = CellState(version, event.run, event.attempt)
                self.finished = None
            case e.Graded() if event.cell in self._versions:
                cell = self._versions[event.cell]
                known = self.cells[cell]
                self.cells[cell] = CellState(known.version, known.run, known.attempt, event)
            case e.EvalFinished():
                self.finished = event
            case e.EvalTaught():
                self.taught = event.on
            case _:
                raise ValueError(f"{type(event).__name__} at version {version} is not an event of an evaluation")

    def count(self, outcome: CellOutcome) -> int:
        """How many cells came to an outcome."""
        return sum(each.outcome is outcome for each in self.cells.values())


def folded(log: EventLog, name: str) -> EvalState:
    """The state of an evaluation; an empty one where there is none of the name."""
    state = EvalState()
    for record in log.read_own(stream_name(name)):
        state.take(record.version, record.at, record.event)
    return state


def existing(log: EventLog, name: str) -> EvalState:
    """The state of an evaluation that there is.

    Raises:
        UsageError: there is none of the name.
    """
    state = folded(log, name)
    if state.started is None:
        known = names(log)
        there = f"; there are {', '.join(known[-5:])}" if known else "; there is none yet: orchestrate eval run SUITE"
        raise UsageError(f"there is no evaluation {name!r}{there}")
    return state


def names(log: EventLog) -> list[str]:
    """The names of all evaluations, oldest first."""
    return [stream.removeprefix(EVAL) for stream in log.streams(EVAL)]


def plan_of(state: EvalState, texts: Texts) -> EvalPlan:
    """The plan of an evaluation.

    Raises:
        UsageError: its content was deleted, or cannot be read here.
    """
    if state.started is None:
        raise MissingError("first event")
    try:
        return EvalPlan.of(texts.get(state.started.plan))
    except NoTextError as error:
        raise UsageError(f"the content of the evaluation {error.why}; its plan is not known here") from None


@define
class EvalStream:
    """Appends to the stream of one evaluation, whose lock is held.

    Attributes:
        log: the log of the data folder.
        name: of the evaluation.
        texts: its texts.
        clock: gives microseconds UTC.
        state: kept equal to the history.
    """

    log: EventLog
    name: str
    texts: Texts
    clock: Callable[[], int]
    state: EvalState
    head: str = field(default="", init=False)

    async def append(self, events: Sequence[e.EvalEvent]) -> None:
        """Write events at the end, durably, with the texts that were put.

        Raises:
            LogError: the log cannot be written.
        """
        now = max(self.clock(), self.state.at + 1)
        expected, texts, salt = self.state.version, self.texts.take(), self.texts.salt
        for number, event in enumerate(events, 1):
            self.state.take(expected + number, now, event)  # before the write: others append while it is awaited
        committed = await self.log.append(stream_name(self.name), expected, now, events, texts, salt=salt)
        self.head = committed.hash


def open_stream(log: EventLog, name: str, clock: Callable[[], int], random: Callable[[int], bytes]) -> EvalStream:
    """The stream of an evaluation, which may not exist yet."""
    texts = Texts(log, stream_name(name), random, log.redactor)
    return EvalStream(log, name, texts, clock, folded(log, name))


def open_cells(plan: EvalPlan, state: EvalState, again: Iterable[CellOutcome] = ()) -> list[Cell]:
    """The cells that have no grade, or one of these outcomes; in the order of the plan."""
    repeated = set(again)
    return [
        cell
        for cell in plan.cells()
        if (known := state.cells.get(cell)) is None or known.graded is None or known.graded.outcome in repeated
    ]
