"""The page of models: their prices as sessions knew them, and what runs have measured of them."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from attrs import frozen

from orchestrator.cli.kit import Grades, Reader, grades, measured, qualified
from orchestrator.models import ModelInfo
from orchestrator.money import Price, Usd
from orchestrator.reading import Recorded
from orchestrator.reading import events as e
from orchestrator_insight.page_values import duration

_SESSIONS: Final = 40
MEASURED: Final = 5_000
"""Events of which scores are at least; more where running commands have kept what they measured."""


@frozen
class ModelRow:
    """A model in the table."""

    model: str
    provider: str
    slots: Sequence[str]
    price: Price | None
    simulated: bool
    calls: int
    failed: int
    p50: str
    p95: str
    quality: float | None
    graded: str
    spent: Usd
    circuit: str


def model_rows(log: Reader | None, folder: Path) -> list[ModelRow]:
    """Every model that a recent session knew or that was ever called, the most called first."""
    if log is None:
        return []
    known = _known(log)
    called = _called(log)
    open_circuits = _open_circuits(log)
    graded: dict[str, list[Grades]] = {}
    found = grades(log)
    for each in found:
        graded.setdefault(each.model, []).append(each)
    records = measured(log, keep=False, newest=MEASURED, graded=found)
    rows = []
    for key in {**known, **called}:
        info, slots, simulated = known.get(key, (None, (), False))
        outcomes = called.get(key, [])
        record = records.of(simulated).get(qualified(*key))
        took = sorted(each[1] for each in outcomes if each[0] == "answered" and each[1] is not None)
        rows.append(
            ModelRow(
                model=key[1],
                provider=key[0],
                slots=slots,
                price=None if info is None else info.price,
                simulated=simulated,
                calls=len(outcomes),
                failed=sum(each[0] == "failed" for each in outcomes),
                p50=_rank(took, 0.5),
                p95=_rank(took, 0.95),
                quality=None if record is None else record.measured(None).quality,
                graded=_graded(graded.get(qualified(*key), ())),
                spent=Usd(sum(each[2] or 0 for each in outcomes)),
                circuit="open" if key[1] in open_circuits else "closed",
            )
        )
    return sorted(rows, key=lambda row: (-row.calls, row.model))


def _graded(found: Sequence[Grades]) -> str:
    """How many graded answers were right, over all types of task."""
    solved, answers = (sum(getattr(each, name) for each in found) for name in ("solved", "answers"))
    return f"{solved}/{answers}" if answers else "–"


def _rank(took: Sequence[float], share: float) -> str:
    """The nearest rank of sorted milliseconds."""
    return "–" if not took else duration(round(took[min(len(took) - 1, int(share * len(took)))] * 1000))


def _sessions(log: Reader) -> list[Recorded]:
    """The latest sessions, the newest first."""
    return log.newest(_SESSIONS, types=(e.SessionOpened,))


def _known(log: Reader) -> dict[tuple[str, str], tuple[ModelInfo, tuple[str, ...], bool]]:
    """What the latest sessions knew, by provider and model."""
    found: dict[tuple[str, str], tuple[ModelInfo, tuple[str, ...], bool]] = {}
    for record in _sessions(log):
        event = record.event
        if isinstance(event, e.SessionOpened):
            simulated = _is_simulated(log, record.stream)
            for info in event.models:
                slots = tuple(slot for slot, model in event.slots.items() if model == info.id)
                found.setdefault((info.provider, info.id), (info, slots, simulated))
    return found


def _is_simulated(log: Reader, stream: str) -> bool:
    first = next(log.read_own(stream, types=(e.RunStarted, e.RunForked)), None)
    event = None if first is None else first.event
    return isinstance(event, e.RunStarted | e.RunForked) and event.settings.simulated


def _called(log: Reader) -> dict[tuple[str, str], list[tuple[str, float | None, int]]]:
    found: dict[tuple[str, str], list[tuple[str, float | None, int]]] = {}
    for row in log.view("calls"):
        nano = (row["settled_nano"] or 0) + (row["held_nano"] or 0)
        found.setdefault((row["provider"], row["model"]), []).append((row["outcome"], row["latency_ms"], nano))
    return found


def _open_circuits(log: Reader) -> set[str]:
    """The models whose circuit is open in a run that a process has now."""
    found: set[str] = set()
    for record in _sessions(log):
        if log.locks.is_held(record.stream):
            found.update(_open_in(log, record.stream))
    return found


def _open_in(log: Reader, stream: str) -> Iterator[str]:
    opened: set[str] = set()
    for record in log.read_own(stream, types=(e.SessionOpened, e.BreakerOpened, e.BreakerClosed)):
        match record.event:
            case e.SessionOpened():
                opened.clear()
            case e.BreakerOpened(model=model):
                opened.add(model)
            case e.BreakerClosed(model=model):
                opened.discard(model)
    yield from opened
