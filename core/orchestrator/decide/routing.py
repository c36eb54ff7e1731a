"""Which model to call: the row of the task's type, then all others, less those that may not be called."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, NamedTuple

from attrs import define, frozen

from orchestrator.decide.compliance import MEASURED, violated, violations
from orchestrator.decide.nearness_to_author import LOWER_TIER
from orchestrator.decide.ranking import code_of, ranked
from orchestrator.decide.retries_and_circuits import is_model_behind, is_off
from orchestrator.decide.roster import Rejection, Roster, Verdicts, is_reviewing
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.unreachable_hosts import host_of, is_host_behind
from orchestrator.events import ModelCandidate
from orchestrator.models import DraftMode, ModelInfo, ModelOrder, RejectionReason, Role, TaskType, Waiver
from orchestrator.settings import CrossVendor
from orchestrator.spi import Ranked
from orchestrator.state.run import RunState

_WAIVERS: Final = (None, Waiver.SAME_VENDOR, Waiver.SAME_TIER, Waiver.SAME_MODEL, Waiver.LOWER_TIER)
_OFF: Final = Rejection(RejectionReason.OFF)
_VENDOR: Final = Rejection(RejectionReason.VENDOR)
_BREAKER: Final = Rejection(RejectionReason.BREAKER)
_RANKED: Final = Rejection(RejectionReason.RANKED)
_DEAREST: Final = 1 << 62
_NO_DISTANCES: Final[Mapping[str, int]] = {}


class Asked(NamedTuple):
    """What a selection records of a draft; nothing of another call."""

    mode: DraftMode | None = None
    base: int | None = None
    temperature: float | None = None


@frozen
class DraftQuery:
    """How a draft is asked for."""

    mode: DraftMode
    temperature: float
    base: int | None = None
    """Version of the call whose answer is built on."""
    author: str | None = None
    """The model that wrote that answer, where it makes a difference."""
    own: float | None = None
    """The temperature at which the author repairs its own answer."""
    anew: float | None = None
    """The temperature at which the author writes anew, where it is not to repair its own answer."""
    last: tuple[str, ...] = ()
    """The models that come last: those named most often behind all others."""
    order: ModelOrder = ModelOrder.ROUTED

    def of(self, model: str) -> Asked:
        """What this model is asked for."""
        if model == self.author and self.anew is not None:
            return Asked(DraftMode.FRESH, None, self.anew)
        warm = self.own if model == self.author and self.own is not None else self.temperature
        return Asked(self.mode, self.base, warm)


@frozen
class Query:
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
    avoid: tuple[str, ...] = ()
    """Models that come last."""
    draft: DraftQuery | None = None
    """How a draft is asked for."""
    compares: tuple[int, int] | None = None
    """Of a comparison: the versions of the calls whose answers are shown as A and B."""


@define
class Listing:
    """The candidates for a question, best first, and what ordered them."""

    order: Sequence[str]
    """The models."""
    rejection: Mapping[str, Rejection]
    """By model, why those that are out are; one behind an open breaker has ``breaker``."""
    violates: Mapping[str, tuple[str, ...]]
    """By model, the SOFT and MONITOR policies it violates."""
    backend: str
    ranked: Mapping[str, Ranked]
    """What the backend said of those it ranked, by model."""
    near: Mapping[str, int]
    """By model, how near a reviewer is to the author."""
    noted: dict[str, ModelCandidate]
    """The latest values recorded, which are used again."""
    draw: float | None = None
    """What the backend drew with; None where none ranked."""

    @property
    def chosen(self) -> str | None:
        """The first that may be asked."""
        rejection = self.rejection
        return next((name for name in self.order if name not in rejection), None)

    @property
    def open_circuits(self) -> list[str]:
        """Those that nothing but an open breaker keeps out."""
        return [name for name in self.order if self.rejection.get(name) == _BREAKER]

    @property
    def candidates(self) -> tuple[ModelCandidate, ...]:
        """All of them as they are recorded, the code of those that are out with them."""
        return tuple(self._noted(None, None))

    @property
    def waivers(self) -> Mapping[str, Waiver]:
        """By model: what using it as a reviewer waives."""
        return {name: waiver for name in self.near if (waiver := self.waiver(name))}

    def waiver(self, name: str) -> Waiver | None:
        """What using a model as a reviewer waives, or None."""
        return _WAIVERS[self.near.get(name, 0)]

    def shown(self, chosen: str, known: Mapping[str, ModelCandidate]) -> tuple[ModelCandidate, ...]:
        """Those of which something is not as it is known; who is merely not chosen is ``ranked``."""
        noted = self._noted(chosen, _RANKED)
        return tuple([each for each in noted if known.get(each.model) != each] if known else noted)

    def _noted(self, chosen: str | None, otherwise: Rejection | None) -> list[ModelCandidate]:
        """Each model as it is recorded, with ``otherwise`` for who is neither out nor chosen.

        The value it was last noted with is used again, where nothing is different: a choice may be among thousands.
        """
        rejection, ranked, violates, noted = self.rejection, self.ranked, self.violates, self.noted
        found = []
        for name in self.order:
            out = rejection.get(name) or (None if name == chosen else otherwise)
            code, policy = (None, None) if out is None else out
            broken = violates.get(name, ()) if violates else ()
            score = reason = None
            said, last = ranked.get(name), noted.get(name)
            if said is not None:
                score, reason = said.score + 0.0, said.reason or None
                if reason is not None and (last is None or last.reason != reason):  # one that was noted is a code
                    reason = code_of(reason)
            if (
                last is None
                or last.score != score
                or last.rejection != code
                or last.policy != policy
                or last.reason != reason
                or last.violates != broken
            ):
                last = noted[name] = ModelCandidate(name, score, code, broken, reason, policy)
            found.append(last)
        return found


def list_candidates(
    m: RoutingContext, query: Query, visited: Mapping[str, Rejection], identity: tuple[object, ...]
) -> Listing:
    """Every model of the session, in the order in which it would be called.

    ``visited`` maps models to reasons. ``identity`` is what the backend's draw depends on beside the run's seed: the
    logical call and the number of the selection, or what else the list is for.
    """
    state = m.state
    roster = m.roster
    verdicts = roster.verdicts(query.node)
    kind = _kind(query)
    row = roster.row(kind, query.first)
    near = roster.distances(query.author)
    rejection = _rejection(m, query, verdicts, near, visited)
    violates, behind = _violates(state, roster, verdicts)
    ranking = ranked(m, row, kind, _out(rejection, visited), identity)
    order = ranking.order
    if is_reviewing(query.role) and near and _cross_vendor(state, query) is not CrossVendor.OFF:
        order = sorted(order, key=lambda name: near.get(name, 0))
    if query.role is Role.REVISER:
        order = sorted(order, key=lambda name: name != query.author)
    if query.draft is not None:
        order = _for_draft(state, order, query.draft)
    if query.avoid:
        order = sorted(order, key=lambda name: name in query.avoid)
    if query.avoid and is_reviewing(query.role) and near:
        order = sorted(order, key=lambda name: near.get(name) == LOWER_TIER)
    if behind:
        order = sorted(order, key=lambda name: name in behind)
    near = near if is_reviewing(query.role) else _NO_DISTANCES
    noted = roster.noted.setdefault(kind, {})
    return Listing(order, rejection, violates, ranking.backend, ranking.ranked, near, noted, ranking.draw)


def _for_draft(state: RunState, order: Sequence[str], draft: DraftQuery) -> Sequence[str]:
    """The models that have written least first; in a cascade the cheapest, then dearer ones of other tiers."""
    if draft.order is ModelOrder.CHEAPEST:
        return _by_price(state, order, draft.last)
    if not draft.last:
        return order
    return sorted(order, key=draft.last.count)


def _by_price(state: RunState, order: Sequence[str], authors: Sequence[str]) -> Sequence[str]:
    """Those that are dearer than all authors and of none of their tiers first, the cheapest of them before all."""
    known = [state.models[name] for name in authors if name in state.models]
    most = max((_blended(model) for model in known), default=None)
    tiers = {model.tier for model in known if model.tier is not None}

    def place(name: str) -> tuple[bool, bool, int]:
        model = state.models[name]
        return most is not None and _blended(model) <= most, model.tier in tiers, _blended(model)

    return sorted(order, key=place)


def _blended(model: ModelInfo) -> int:
    return _DEAREST if model.price is None else model.price.blended.nano


def _kind(query: Query) -> TaskType | None:
    if query.type is None:
        return None
    return TaskType.EVALUATION if query.role is Role.EVALUATOR else query.type


def slots_of(state: RunState, model: str) -> Sequence[str]:
    """The slots a model fills in this session."""
    session = state.session
    return () if session is None else [slot for slot, filler in session.slots.items() if filler == model]


def removed_now(m: RoutingContext, node: str) -> dict[str, Rejection]:
    """By model, why it may not be asked now though the session's facts would allow it: ``policy`` or ``off``."""
    state, roster = m.state, m.roster
    verdicts = roster.verdicts(node)
    removed: dict[str, Rejection] = {}
    for name, record in state.records.items():
        if not (verdicts.timed or record.exceeded or record.opened) or name not in roster.models:
            continue
        if verdicts.timed and len(record.latencies) >= MEASURED and _may_have_price(verdicts, name):
            policy = violated(verdicts.policies, roster.models[name], roster.slots.get(name, ()), record)
            if policy is not None:
                removed[name] = Rejection(RejectionReason.POLICY, policy)
                continue
        if (record.exceeded or record.opened) and name not in verdicts.rejection and is_off(record):
            removed[name] = _OFF
    return removed


def _may_have_price(verdicts: Verdicts, name: str) -> bool:
    """Policies are looked at after price and bound."""
    rejection = verdicts.rejection.get(name)
    return rejection is None or rejection.reason is RejectionReason.POLICY


def _rejection(
    m: RoutingContext, query: Query, verdicts: Verdicts, near: Mapping[str, int], visited: Mapping[str, Rejection]
) -> Mapping[str, Rejection]:
    """By model, the first reason that stands against it: the session's facts, policies, health, what was tried."""
    records = m.state.records
    rejection = {**verdicts.rejection, **removed_now(m, query.node)} if records else dict(verdicts.rejection)
    if near and _requires_another_vendor(m.state, query):
        for name in near:
            rejection.setdefault(name, _VENDOR)
    for name, code in visited.items():
        rejection.setdefault(name, code)
    for name, record in records.items():
        if record.opened and is_model_behind(record, m.now):
            rejection.setdefault(name, _BREAKER)
    if any(is_host_behind(host, m.now) for host in m.state.hosts.values()):
        for name in m.state.models:
            if is_host_behind(host_of(m.state, name), m.now):
                rejection.setdefault(name, _BREAKER)
    return rejection


def _out(rejection: Mapping[str, Rejection], visited: Mapping[str, Rejection]) -> Mapping[str, Rejection]:
    """Those that hold no place in the order. One that was only visited keeps its own, so that no other's changes."""
    if not visited:
        return rejection
    return {name: code for name, code in rejection.items() if visited.get(name) != code}


def _requires_another_vendor(state: RunState, query: Query) -> bool:
    return query.role is Role.CRITIC and state.settings.cross_vendor is CrossVendor.REQUIRE


def _violates(
    state: RunState, roster: Roster, verdicts: Verdicts
) -> tuple[Mapping[str, tuple[str, ...]], Iterable[str]]:
    """The SOFT and MONITOR policies each model violates, and which rank last for a SOFT one."""
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


def is_excluded(m: RoutingContext, query: Query, model: ModelInfo) -> bool:
    """Whether a model that was selected earlier may not be asked now: another session can know other facts of it."""
    state = m.state
    roster = m.roster
    verdicts = roster.verdicts(query.node)
    if model.id in verdicts.rejection:
        return True
    record = state.records.get(model.id)
    if record is not None:
        if is_off(record):
            return True
        if verdicts.timed and violated(verdicts.policies, model, roster.slots.get(model.id, ()), record) is not None:
            return True
    return _requires_another_vendor(state, query) and model.id in roster.distances(query.author)


def _cross_vendor(state: RunState, query: Query) -> CrossVendor:
    """An evaluator of another vendor is always preferred; the setting speaks of reviewers."""
    return state.settings.cross_vendor if query.role is Role.CRITIC else CrossVendor.PREFER
