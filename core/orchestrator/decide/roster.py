"""What a session settles for routing once: the rows, which models may never be called, and which are near which.

A roster is built when a session's first question is asked, from the session and the run's settings alone, and looked up
by every later one through the memo of what drives ``decide``. It changes no answer: what can change within a session
(health, latency, money) is not in it.
"""

from collections.abc import Iterable, Mapping
from typing import Final, NamedTuple

from attrs import Factory, define, frozen

from orchestrator.decide.answer_lengths import usual_size
from orchestrator.decide.compliance import binding, violated, violations
from orchestrator.decide.nearness_to_author import distances
from orchestrator.errors import present
from orchestrator.events import ModelCandidate, RunStarted, SessionOpened
from orchestrator.models import SLOT_ALIASES, ModelInfo, RejectionReason, Role, TaskType
from orchestrator.money import Price, Usd
from orchestrator.policy import Policy
from orchestrator.settings import RunSettings
from orchestrator.spi import RoutingCandidate
from orchestrator.state.run import RunState

_KNOWN: Final = 64
"""For so many nodes with policies of their own the verdicts are remembered."""


class Rejection(NamedTuple):
    """Why a model is not selected."""

    reason: RejectionReason
    policy: str | None = None
    """With ``policy``: its name."""


@frozen
class Row:
    """The models in the order in which a type of task asks them, and what a backend is offered of each."""

    models: tuple[str, ...]
    offers: tuple[RoutingCandidate, ...]
    """At the price of nothing for a model without a price, which is never offered."""
    places: range


@frozen
class Verdicts:
    """What the facts of the session mean for its models under the policies that bind a node."""

    policies: tuple[Policy, ...]
    rejection: Mapping[str, Rejection]
    """By model, what removes it for the whole session."""
    violates: Mapping[str, tuple[str, ...]]
    """By model, the SOFT and MONITOR policies it violates, where it violates any."""
    behind: frozenset[str]
    """The models that violate a SOFT policy."""
    timed: bool
    """Whether a policy judges latency, so that the verdicts are not the whole truth."""


@define
class Roster:
    """The facts of one session under one run's settings."""

    session: SessionOpened
    start: RunStarted
    models: Mapping[str, ModelInfo]
    slots: Mapping[str, tuple[str, ...]]
    """By model, the slots it fills; a model that fills none is not in it."""
    noted: dict[TaskType | None, dict[str, ModelCandidate]] = Factory(dict)
    """By type of task and model, the value it was last recorded with."""
    _rows: dict[tuple[TaskType | None, tuple[str, ...]], Row] = Factory(dict)
    _verdicts: dict[str, Verdicts] = Factory(dict)
    _distances: dict[str, Mapping[str, int]] = Factory(dict)
    _judges: dict[tuple[str, frozenset[str]], tuple[ModelInfo, ...]] = Factory(dict)

    @property
    def settings(self) -> RunSettings:
        """The rules of the run."""
        return self.start.settings

    def resolve(self, name: str) -> str | None:
        """The model a name of a spec stands for: a model id, a slot, or an older name of a slot."""
        return name if name in self.models else self.session.slots.get(SLOT_ALIASES.get(name, name))

    def row(self, kind: TaskType | None, first: tuple[str, ...] = ()) -> Row:
        """The row of a type, then all others by price; with None those named ``first``, then all by price."""
        found = self._rows.get((kind, first))
        if found is None:
            found = self._rows[kind, first] = self._row(kind, first)
        return found

    def _row(self, kind: TaskType | None, first: tuple[str, ...]) -> Row:
        by_price = [model.id for model in sorted(self.models.values(), key=_blended)]
        row = [self.resolve(name) or "" for name in (first if kind is None else self.settings.routing.get(kind, ()))]
        order = tuple(dict.fromkeys((*(name for name in row if name in self.models), *by_price)))
        offers = tuple([_offer(self.models[name], place) for place, name in enumerate(order)])
        return Row(order, offers, range(len(order)))

    def verdicts(self, node: str) -> Verdicts:
        """What the policies of a node, and the facts, say of every model."""
        name = node if node in self.settings.node_policies else ""
        found = self._verdicts.get(name)
        if found is None:
            if len(self._verdicts) >= _KNOWN:
                self._verdicts.clear()
            found = self._verdicts[name] = self._judged(binding(self.settings, name))
        return found

    def _judged(self, policies: tuple[Policy, ...]) -> Verdicts:
        rejection: dict[str, Rejection] = {}
        violates: dict[str, tuple[str, ...]] = {}
        behind: set[str] = set()
        for name, model in self.models.items():
            slots = self.slots.get(name, ())
            removed = self._removed(policies, model, slots)
            if removed is not None:
                rejection[name] = removed
            mild, soft = violations(policies, model, slots, None)
            if mild:
                violates[name] = mild
            if soft:
                behind.add(name)
        timed = any(policy.max_latency_ms is not None for policy in policies)
        return Verdicts(policies, rejection, violates, frozenset(behind), timed)

    def _removed(self, policies: tuple[Policy, ...], model: ModelInfo, slots: Iterable[str]) -> Rejection | None:
        if model.price is None:
            return Rejection(RejectionReason.NO_PRICE)
        if model.output_bound(1) is None and not self.settings.allow_unbounded:
            return Rejection(RejectionReason.UNBOUNDED)
        policy = violated(policies, model, slots, None)
        return None if policy is None else Rejection(RejectionReason.POLICY, policy)

    def distances(self, author: str | None) -> Mapping[str, int]:
        """By model, how near it is to the author; see ``nearness_to_author``. Empty where there is no author."""
        if author is None or author not in self.models:
            return _NO_DISTANCES
        found = self._distances.get(author)
        if found is None:
            found = self._distances[author] = distances(self.models, self.models[author])
        return found

    def cheapest_judges(self, node: str, removed: frozenset[str]) -> tuple[ModelInfo, ...]:
        """The models that may score a node's output, without those that are never cheaper than another one.

        ``removed`` are those that may not be asked now, beside those that may not in the whole session.
        """
        key = (node if node in self.settings.node_policies else "", removed)
        found = self._judges.get(key)
        if found is None:
            if len(self._judges) >= _KNOWN:
                self._judges.clear()
            rejection = self.verdicts(node).rejection
            able = [model for name, model in self.models.items() if name not in rejection and name not in removed]
            found = self._judges[key] = _never_dearer(able, self.settings)
        return found


_NO_DISTANCES: Final[Mapping[str, int]] = {}
_FREE: Final = Price(Usd.ZERO, Usd.ZERO)


@define
class Memo:
    """What deciding has worked out before, for the driver of ``decide`` to keep: a roster, and what was said already.

    A fresh one never changes an answer; it only takes longer.
    """

    _roster: Roster | None = None

    def roster(self, state: RunState) -> Roster:
        """The roster of the session that is open, kept until a session or the settings are others."""
        kept = self._roster
        if kept is None or kept.session is not state.session or kept.start is not state.start:
            kept = self._roster = _roster(state)
        return kept


def _roster(state: RunState) -> Roster:
    session, start = state.session, state.start
    session = present(session, "session")
    start = present(start, "first event")
    slots: dict[str, tuple[str, ...]] = {}
    for slot, model in session.slots.items():
        slots[model] = (*slots.get(model, ()), slot)
    return Roster(session, start, dict(state.models), slots)


def _blended(model: ModelInfo) -> tuple[bool, int, str]:
    return (model.price is None, model.price.blended.nano if model.price else 0, model.id)


def _offer(model: ModelInfo, place: int) -> RoutingCandidate:
    return RoutingCandidate(model.id, model.provider, model.vendor, model.price or _FREE, place, model.tier)


def _never_dearer(models: Iterable[ModelInfo], settings: RunSettings) -> tuple[ModelInfo, ...]:
    """The models of which one is the cheapest to score an output, whatever its length.

    A bound grows with the input along a straight line; where two lines begin in the same order in which they rise, the
    lower one stays so. Prices with rates bend, and are all kept.
    """
    bent: list[ModelInfo] = []
    lines: list[tuple[int, int, int, ModelInfo]] = []
    for place, model in enumerate(models):
        price = present(model.price, "price of a model that judges")
        if price.rates:
            bent.append(model)
            continue
        least = usual_size(settings, model, Role.EVALUATOR, None)
        bound = model.output_bound(least)
        written = (least if bound is None else bound) * price.dearest_output
        lines.append((price.dearest_input, model.hidden_tokens * price.dearest_input + written, place, model))
    lines.sort(key=lambda line: line[:3])
    undominated: list[ModelInfo] = []
    lowest: int | None = None
    for _, begins, _, model in lines:
        if lowest is None or begins < lowest:
            undominated.append(model)
            lowest = begins
    return (*undominated, *bent)


def is_reviewing(role: Role) -> bool:
    """Whether the role judges what another model wrote."""
    return role is Role.CRITIC or role is Role.EVALUATOR
