"""The order that a backend gives to candidates, and what it knows of them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Final

from attrs import Factory, frozen

from orchestrator.decide.compliance import MEASURED
from orchestrator.decide.retries_and_circuits import uniform
from orchestrator.decide.roster import Rejection, Row
from orchestrator.decide.round_context import RoutingContext
from orchestrator.models import TaskType
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.state.model_health import ModelRecord
from orchestrator.state.run import RunState

_LONGEST_CODE = 40
_UNSEEN: Final = ModelTelemetry()


@frozen
class Ranking:
    """The models in their order, what ordered them, and what the backend said of those it ranked."""

    order: Sequence[str]
    backend: str = "row"
    ranked: Mapping[str, Ranked] = Factory(dict)
    draw: float | None = None


def ranked(
    m: RoutingContext, row: Row, kind: TaskType | None, out: Mapping[str, Rejection], identity: tuple[object, ...]
) -> Ranking:
    """The backend's order: of all, where it was named; else of the measured among the places they hold."""
    state = m.state
    if m.rank is None or state.backend_failed or kind is None:
        return Ranking(row.models)
    named = state.settings.backend_named
    places: Sequence[int]
    if named:
        places = [place for place, name in enumerate(row.models) if name not in out] if out else row.places
    else:
        measured = _measured(state, kind)
        if len(measured) < 2:
            return Ranking(row.models)
        places = [place for place, name in enumerate(row.models) if name in measured and name not in out]
    if len(places) < 2 and not (named and places):
        return Ranking(row.models)
    offers = row.offers
    offered = offers if places is row.places else [offers[place] for place in places]
    telemetry = _telemetry_of_all(state, kind, offered)
    draw = uniform(state.first.seed, "rank", *identity)
    ranked = {each.model: each for each in m.rank(offered, telemetry, draw)}
    order = list(ranked)
    if len(places) < len(row.models):
        moved, order = order, list(row.models)
        for place, name in zip(places, moved, strict=True):
            order[place] = name
    return Ranking(order, backend_name(state), ranked, draw)


def _telemetry_of_all(
    state: RunState, kind: TaskType, offered: Sequence[RoutingCandidate]
) -> dict[str, ModelTelemetry]:
    """What the backend is shown of each."""
    records, telemetry = state.records, {}
    for offer in offered:
        name = offer.model
        record = records.get(name)
        telemetry[name] = (record.shown.get(kind) if record else None) or telemetry_of(record, kind)
    return telemetry


def _measured(state: RunState, kind: TaskType) -> set[str]:
    """The models with ten calls or more for a type of task."""
    return {
        name
        for name, record in state.records.items()
        if (seen := record.by_type.get(kind)) is not None and seen.calls >= MEASURED
    }


@lru_cache(256)
def code_of(reason: str) -> str | None:
    """A backend's reason, where it is a code: events hold no free text."""
    is_code = len(reason) <= _LONGEST_CODE and reason.isascii() and reason.replace("-", "_").isidentifier()
    return reason if is_code else None


def backend_name(state: RunState) -> str:
    """The name of the session's backend."""
    return next((plugin.name for plugin in state.opened.plugins if plugin.kind == "backend"), "row")


def telemetry_of(record: ModelRecord | None, kind: TaskType) -> ModelTelemetry:
    """What a backend is shown of a model."""
    if record is None:
        return _UNSEEN
    shown = record.shown.get(kind)
    if not isinstance(shown, ModelTelemetry):
        shown = record.shown[kind] = _telemetry(record, kind)
    return shown


def _telemetry(record: ModelRecord, kind: TaskType) -> ModelTelemetry:
    measured = record.by_type.get(kind)
    p95, success = record.shown_p95_ms, record.shown_success_rate
    if measured is None:
        return ModelTelemetry(latency_p95_ms=p95, success_rate=success)
    return ModelTelemetry(
        measured.calls, measured.quality, measured.trust, measured.cost, measured.latency_ms, p95, success
    )
