"""Whom to ask: the row of the task's type, then everybody else, less those who may not."""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Final

from attrs import define, frozen

from orchestrator.decide.compliance import MEASURED, OF_POLICY, violated, violations
from orchestrator.decide.moment import Moment
from orchestrator.decide.retry import is_behind, is_off
from orchestrator.decide.roster import Roster, Row, Verdicts, is_reviewing, roster_of
from orchestrator.events import Candidate
from orchestrator.models import ModelInfo, Role, TaskType
from orchestrator.settings import CrossVendor
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.state.health import ModelRecord
from orchestrator.state.run import RunState

_WAIVERS = (None, "same_vendor", "same_tier", "same_model")
_LONGEST_CODE = 40
_UNSEEN: Final = ModelTelemetry()
_NOBODY: Final[Mapping[str, int]] = {}


@frozen
class Question:
    """A call that is wanted, as far as routing is concerned."""

    role: Role
    type: TaskType | None
    """The task's type; None for the plan."""
    author: str | None = None
    """The model whose output is reviewed, scored or revised."""
    node: str = ""
    """Whose call it is; only policies of single nodes ask."""
    first: tuple[str, ...] = ()
    """Where there is no type: models or slots to ask before all others, which follow by price."""


@define
class Listing:
    """The candidates for a question, best first, and what ordered them."""

    order: Sequence[str]
    """The models."""
    lost: Mapping[str, str]
    """By model, the code of the reason of those that are out; one behind an open breaker has ``breaker``."""
    violates: Mapping[str, tuple[str, ...]]
    """By model, the SOFT and MONITOR policies it violates."""
    backend: str
    ranked: Mapping[str, Ranked]
    """What the backend said of those it ranked, by model."""
    near: Mapping[str, int]
    """By model, how near a reviewer is to the author."""
    told: dict[str, Candidate]
    """The latest values recorded, which are used again."""

    @property
    def chosen(self) -> str | None:
        """The first that may be asked."""
        lost = self.lost
        return next((name for name in self.order if name not in lost), None)

    @property
    def resting(self) -> list[str]:
        """Those that nothing but an open breaker keeps out."""
        return [name for name in self.order if self.lost.get(name) == "breaker"]

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """All of them as they are recorded, the code of those that are out with them."""
        return tuple(self._told(None, None))

    @property
    def waivers(self) -> Mapping[str, str]:
        """By model: what using it as a reviewer waives."""
        return {name: waiver for name in self.near if (waiver := self.waiver(name))}

    def waiver(self, name: str) -> str | None:
        """What using a model as a reviewer waives, or None."""
        return _WAIVERS[self.near.get(name, 0)]

    def shown(self, chosen: str, known: Mapping[str, Candidate]) -> tuple[Candidate, ...]:
        """Those of which something is not as it is known; who is merely not chosen is ``ranked``."""
        told = self._told(chosen, "ranked")
        return tuple([each for each in told if known.get(each.model) != each] if known else told)

    def _told(self, chosen: str | None, otherwise: str | None) -> list[Candidate]:
        """Each model as it is recorded, with ``otherwise`` for who is neither out nor chosen.

        The value it was last told with is used again, where nothing is different: a choice may be among thousands.
        """
        lost, ranked, violates, told = self.lost, self.ranked, self.violates, self.told
        found = []
        for name in self.order:
            code = lost.get(name) or (None if name == chosen else otherwise)
            broken = violates.get(name, ()) if violates else ()
            score = reason = None
            said, last = ranked.get(name), told.get(name)
            if said is not None:
                score, reason = said.score + 0.0, said.reason or None
                if reason is not None and (last is None or last.reason != reason):  # one that was told is a code
                    reason = _code(reason)
            if (
                last is None
                or last.score != score
                or last.lost != code
                or last.reason != reason
                or last.violates != broken
            ):
                last = told[name] = Candidate(name, score, code, broken, reason)
            found.append(last)
        return found


def list_candidates(m: Moment, question: Question, visited: Mapping[str, str]) -> Listing:
    """Every model of the session, in the order in which it would be asked. ``visited`` maps models to reasons."""
    state = m.state
    roster = roster_of(state)
    verdicts = roster.verdicts(question.node)
    kind = _kind(question)
    row = roster.row(kind, question.first)
    near = roster.distances(question.author)
    lost = _lost(m, question, verdicts, near, visited)
    violates, behind = _violates(state, roster, verdicts)
    order, backend, ranked = _ranked(m, row, kind, _out(lost, visited))
    if is_reviewing(question.role) and near and _cross_vendor(state, question) is not CrossVendor.OFF:
        order = sorted(order, key=lambda name: near.get(name, 0))
    if question.role is Role.REVISER:
        order = sorted(order, key=lambda name: name != question.author)
    if behind:
        order = sorted(order, key=lambda name: name in behind)
    near = near if is_reviewing(question.role) else _NOBODY
    return Listing(order, lost, violates, backend, ranked, near, roster.told.setdefault(kind, {}))


def _kind(question: Question) -> TaskType | None:
    if question.type is None:
        return None
    return TaskType.EVALUATION if question.role is Role.EVALUATOR else question.type


def resolve(state: RunState, name: str) -> str | None:
    """The model a name of a spec stands for in this session: a model id, a slot, or an older name of a slot."""
    return roster_of(state).resolve(name)


def slots_of(state: RunState, model: str) -> Sequence[str]:
    """The slots a model fills in this session."""
    return roster_of(state).slots.get(model, ())


def removed_now(state: RunState, node: str) -> dict[str, str]:
    """By model, why it may not be asked now though the session's facts would allow it: ``policy:NAME`` or ``off``."""
    roster = roster_of(state)
    verdicts = roster.verdicts(node)
    removed: dict[str, str] = {}
    for name, record in state.records.items():
        if not (verdicts.timed or record.exceeded or record.opened) or name not in roster.models:
            continue
        if verdicts.timed and len(record.latencies) >= MEASURED and _may_have_price(verdicts, name):
            policy = violated(verdicts.policies, roster.models[name], roster.slots.get(name, ()), record)
            if policy is not None:
                removed[name] = OF_POLICY + policy
                continue
        if (record.exceeded or record.opened) and name not in verdicts.lost and is_off(record):
            removed[name] = "off"
    return removed


def _may_have_price(verdicts: Verdicts, name: str) -> bool:
    """Policies are looked at after price and bound."""
    lost = verdicts.lost.get(name)
    return lost is None or lost.startswith(OF_POLICY)


def _lost(
    m: Moment, question: Question, verdicts: Verdicts, near: Mapping[str, int], visited: Mapping[str, str]
) -> Mapping[str, str]:
    """By model, the first reason that stands against it: the session's facts, policies, health, what was tried."""
    records = m.state.records
    lost = {**verdicts.lost, **removed_now(m.state, question.node)} if records else dict(verdicts.lost)
    if near and _requires_another_vendor(m.state, question):
        for name in near:
            lost.setdefault(name, "vendor")
    for name, code in visited.items():
        lost.setdefault(name, code)
    for name, record in records.items():
        if record.opened and is_behind(record, m.now):
            lost.setdefault(name, "breaker")
    return lost


def _out(lost: Mapping[str, str], visited: Mapping[str, str]) -> Mapping[str, str]:
    """Those that hold no place in the order. Who was only visited keeps its own, so that nobody else's changes."""
    if not visited:
        return lost
    return {name: code for name, code in lost.items() if visited.get(name) != code}


def _requires_another_vendor(state: RunState, question: Question) -> bool:
    return question.role is Role.CRITIC and state.settings.cross_vendor is CrossVendor.REQUIRE


def _violates(
    state: RunState, roster: Roster, verdicts: Verdicts
) -> tuple[Mapping[str, tuple[str, ...]], Iterable[str]]:
    """The SOFT and MONITOR policies each model violates, and who stands behind for a SOFT one."""
    if not verdicts.timed:
        return verdicts.violates, verdicts.behind
    violates, behind = dict(verdicts.violates), set(verdicts.behind)
    for name, record in state.records.items():
        if name not in roster.models or len(record.latencies) < MEASURED:
            continue
        broken, soft = violations(verdicts.policies, roster.models[name], roster.slots.get(name, ()), record)
        if broken:
            violates[name] = broken
        if soft:
            behind.add(name)
    return violates, behind


def is_excluded(m: Moment, question: Question, model: ModelInfo) -> bool:
    """Whether a model that was selected earlier may not be asked now: another session can know other facts of it."""
    state = m.state
    roster = roster_of(state)
    verdicts = roster.verdicts(question.node)
    if model.id in verdicts.lost:
        return True
    record = state.records.get(model.id)
    if record is not None:
        if is_off(record):
            return True
        if verdicts.timed and violated(verdicts.policies, model, roster.slots.get(model.id, ()), record) is not None:
            return True
    return _requires_another_vendor(state, question) and model.id in roster.distances(question.author)


def _cross_vendor(state: RunState, question: Question) -> CrossVendor:
    """An evaluator of another vendor is always preferred; the setting speaks of reviewers."""
    return state.settings.cross_vendor if question.role is Role.CRITIC else CrossVendor.PREFER


_Ranking = tuple[Sequence[str], str, Mapping[str, Ranked]]


def _ranked(m: Moment, row: Row, kind: TaskType | None, out: Mapping[str, str]) -> _Ranking:
    """The backend's order: of all, where it was named; else of the measured among the places they hold."""
    state = m.state
    if m.rank is None or state.backend_failed or kind is None:
        return row.models, "row", {}
    named = state.settings.backend_named
    places: Sequence[int]
    if named:
        places = [place for place, name in enumerate(row.models) if name not in out] if out else row.places
    else:
        measured = _measured(state, kind)
        if len(measured) < 2:
            return row.models, "row", {}
        places = [place for place, name in enumerate(row.models) if name in measured and name not in out]
    if len(places) < 2 and not (named and places):
        return row.models, "row", {}
    offers = row.offers
    offered = offers if places is row.places else [offers[place] for place in places]
    telemetry = _telemetry_of_all(state, kind, offered)
    ranked = {each.model: each for each in m.rank(offered, telemetry)}
    order = list(ranked)
    if len(places) < len(row.models):
        moved, order = order, list(row.models)
        for place, name in zip(places, moved, strict=True):
            order[place] = name
    return order, backend_name(state), ranked


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
def _code(reason: str) -> str | None:
    """A backend's reason, where it is a code: events hold no free text."""
    is_code = len(reason) <= _LONGEST_CODE and reason.isascii() and reason.replace("-", "_").isidentifier()
    return reason if is_code else None


def backend_name(state: RunState) -> str:
    """The name of the session's backend."""
    assert state.session is not None
    return next((plugin.name for plugin in state.session.plugins if plugin.kind == "backend"), "row")


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
