"""Whom to ask: the row of the task's type, then everybody else, less those who may not."""

from collections.abc import Mapping, Sequence

from attrs import evolve as changed
from attrs import frozen

from orchestrator.decide.compliance import violated
from orchestrator.decide.moment import Moment
from orchestrator.decide.retry import is_behind, is_off
from orchestrator.events import Candidate
from orchestrator.models import SLOT_ALIASES, ModelInfo, Role, TaskType
from orchestrator.settings import CrossVendor
from orchestrator.spi import ModelTelemetry, RoutingCandidate
from orchestrator.state.health import ModelRecord
from orchestrator.state.run import RunState

_MEASURED = 10
_WAIVERS = (None, "same_vendor", "same_tier", "same_model")


@frozen
class Question:
    """A call that is wanted, as far as routing is concerned."""

    role: Role
    type: TaskType | None
    """The task's type; None for the plan."""
    author: str | None = None
    """The model whose output is reviewed, scored or revised."""


@frozen
class Listing:
    """The candidates for a question, best first, and what ordered them."""

    candidates: tuple[Candidate, ...]
    """Losers carry the code of their reason; a model behind an open breaker carries ``breaker``."""
    backend: str
    waivers: Mapping[str, str]
    """By model: what using it as a reviewer waives."""


def list_candidates(m: Moment, question: Question, visited: Mapping[str, str]) -> Listing:
    """Every model of the session, in the order in which it would be asked. ``visited`` maps models to reasons."""
    state = m.state
    order = _row_order(state, question)
    author = state.models.get(question.author) if question.author else None
    classes = {model.id: _distance(model, author) for model in order}
    candidates = [_judge(m, question, model, classes[model.id], visited) for model in order]
    ranked, backend = _ranked(m, question, candidates, order)
    if question.role in (Role.CRITIC, Role.EVALUATOR) and _cross_vendor(state, question) is not CrossVendor.OFF:
        ranked = sorted(ranked, key=lambda candidate: classes[candidate.model])
    if question.role is Role.REVISER:
        ranked = sorted(ranked, key=lambda candidate: candidate.model != question.author)
    reviewing = question.role in (Role.CRITIC, Role.EVALUATOR)
    waivers = {name: waiver for name, kind in classes.items() if reviewing and (waiver := _WAIVERS[kind])}
    return Listing(tuple(ranked), backend, waivers)


def possible(m: Moment, question: Question) -> list[ModelInfo]:
    """The models that may be asked, were there no breakers; in no particular order."""
    return [model for model in m.state.models.values() if _reason_against(m, question, model, 0) is None]


def _row_order(state: RunState, question: Question) -> list[ModelInfo]:
    models = state.models
    by_price = sorted(models.values(), key=_blended)
    if question.type is None:
        return by_price
    kind = TaskType.EVALUATION if question.role is Role.EVALUATOR else question.type
    row = (models.get(resolve(state, name) or "") for name in state.settings.routing.get(kind, ()))
    return list({model.id: model for model in (*row, *by_price) if model is not None}.values())


def resolve(state: RunState, name: str) -> str | None:
    """The model a name of a spec stands for in this session: a model id, a slot, or an older name of a slot."""
    if name in state.models:
        return name
    assert state.session is not None
    return state.session.slots.get(SLOT_ALIASES.get(name, name))


def slots_of(state: RunState, model: str) -> list[str]:
    """The slots a model fills in this session."""
    assert state.session is not None
    return [slot for slot, filled_by in state.session.slots.items() if filled_by == model]


def _blended(model: ModelInfo) -> tuple[bool, int, str]:
    return (model.price is None, model.price.blended.nano if model.price else 0, model.id)


def _judge(m: Moment, question: Question, model: ModelInfo, distance: int, visited: Mapping[str, str]) -> Candidate:
    return Candidate(
        model.id, lost=_reason_against(m, question, model, distance) or visited.get(model.id) or _behind(m, model)
    )


def _reason_against(m: Moment, question: Question, model: ModelInfo, distance: int) -> str | None:
    state = m.state
    record = state.records.get(model.id)
    if model.price is None:
        return "no_price"
    if model.output_bound(1) is None and not state.settings.allow_unbounded:
        return "unbounded"
    policy = violated(state.settings.policies, model, slots_of(state, model.id), record)
    if policy is not None:
        return f"policy:{policy}"
    if is_off(record):
        return "off"
    if question.role is Role.CRITIC and distance and state.settings.cross_vendor is CrossVendor.REQUIRE:
        return "vendor"
    return None


def is_excluded(m: Moment, question: Question, model: ModelInfo) -> bool:
    """Whether a model that was selected earlier may not be asked now: another session can know other facts of it."""
    author = m.state.models.get(question.author) if question.author else None
    return _reason_against(m, question, model, _distance(model, author)) is not None


def _behind(m: Moment, model: ModelInfo) -> str | None:
    return "breaker" if is_behind(m.state.records.get(model.id), m.now) else None


def _cross_vendor(state: RunState, question: Question) -> CrossVendor:
    """An evaluator of another vendor is always preferred; the setting speaks of reviewers."""
    return state.settings.cross_vendor if question.role is Role.CRITIC else CrossVendor.PREFER


def _distance(model: ModelInfo, author: ModelInfo | None) -> int:
    """0: another vendor; 1: another tier; 2: another model; 3: the author itself."""
    if author is None or model.vendor != author.vendor:
        return 0
    if model.id == author.id:
        return 3
    return 1 if model.tier != author.tier else 2


def _ranked(
    m: Moment, question: Question, candidates: Sequence[Candidate], order: Sequence[ModelInfo]
) -> tuple[list[Candidate], str]:
    """The backend's order: of all, where it was named; else of the measured among the places they hold."""
    state = m.state
    result = list(candidates)
    if m.rank is None or state.backend_failed or question.type is None:
        return result, "row"
    kind = TaskType.EVALUATION if question.role is Role.EVALUATOR else question.type
    telemetry = {model.id: telemetry_of(state.records.get(model.id), kind) for model in order}
    named = state.settings.backend_named
    places = [
        place
        for place, candidate in enumerate(candidates)
        if candidate.lost is None and (named or telemetry[candidate.model].calls >= _MEASURED)
    ]
    if len(places) < 2 and not (named and places):
        return result, "row"
    offered = [_offer(order[place], place) for place in places]
    ranking = m.rank(offered, {offer.model: telemetry[offer.model] for offer in offered})
    by_model = {candidates[place].model: candidates[place] for place in places}
    for place, ranked in zip(places, ranking, strict=True):
        result[place] = changed(by_model[ranked.model], score=ranked.score)
    return result, backend_name(state)


def _offer(model: ModelInfo, place: int) -> RoutingCandidate:
    assert model.price is not None, "a model without a price is no candidate"
    return RoutingCandidate(model.id, model.provider, model.vendor, model.price, place)


def backend_name(state: RunState) -> str:
    """The name of the session's backend."""
    assert state.session is not None
    return next((plugin.name for plugin in state.session.plugins if plugin.kind == "backend"), "row")


def telemetry_of(record: ModelRecord | None, kind: TaskType) -> ModelTelemetry:
    """What a backend is shown of a model."""
    if record is None:
        return ModelTelemetry()
    measured = record.by_type.get(kind)
    p95, success = record.p95_ms, record.success_rate
    if measured is None:
        return ModelTelemetry(latency_p95_ms=p95, success_rate=success)
    return ModelTelemetry(
        measured.calls, measured.quality, measured.trust, measured.cost, measured.latency_ms, p95, success
    )
