"""Why this model? Every choice of a run as its log has it: who was considered, what was known, what it cost.

The history is folded up to each choice, so that prices and measurements are those of that moment. Nothing here touches
a network, a clock or a provider.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Final

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.decide import BackendError, Rank, decide
from orchestrator.decide.outcome import output_of
from orchestrator.decide.routing import slots_of, telemetry_of
from orchestrator.errors import ErrorKind
from orchestrator.models import Role, TaskType
from orchestrator.money import Price, Usage, Usd
from orchestrator.policy import Policy
from orchestrator.replay import RankOf, UnavailableBackendError
from orchestrator.spi import ModelTelemetry
from orchestrator.state.calls import CallKey
from orchestrator.state.fold import evolve
from orchestrator.state.run import RunState

_ROW: Final = "row"
_POLICY: Final = "policy:"


@frozen
class Considered:
    """A model at the moment of a choice."""

    model: str
    vendor: str
    slots: tuple[str, ...]
    price: Price | None
    telemetry: ModelTelemetry
    """What was measured of it in the run, for the type of task."""
    score: float | None
    """The backend's; None where none ranked it."""
    lost: str | None
    """The code of what removed it; None for the model that was chosen."""
    reason: str = ""
    """What the backend says of it, such as ``dominated``; computed again where the very same backend is installed."""
    policy: Policy | None = None
    """The policy that removed it."""
    until: int | None = None
    """When its open breaker lets a probe through, in microseconds UTC."""
    trouble: tuple[str, ...] = ()
    """Why it is switched off: kinds of failure, or ``exceeded``."""


@define
class AttemptSeen:
    """One call of the chosen model, as far as it went."""

    version: int
    attempt: int
    max_tokens: int
    body_bytes: int
    hold: Usd
    end: str = "in flight"
    """``in flight``, ``settled``, ``released``, ``kept``."""
    cost: Usd = Usd.ZERO
    """Settled + kept."""
    usage: Usage | None = None
    error: ErrorKind | None = None
    latency: int | None = None
    """Microseconds."""


@define
class Choice:
    """A model was selected."""

    version: int
    at: int
    node: str
    role: Role
    turn: int
    sample: int
    type: TaskType | None
    selection: int
    reason: str
    model: str
    waiver: str | None
    author: str | None
    """The model whose work is reviewed, scored or revised; it bears on who comes first."""
    backend: e.PluginUsed | None
    """What ordered the candidates; None: the table's order and the price."""
    considered: tuple[Considered, ...]
    attempts: list[AttemptSeen] = Factory(list)


@frozen
class Refusal:
    """There was no money: for a call at all, or in an account at that moment."""

    version: int
    at: int
    node: str
    role: Role
    turn: int
    sample: int
    need: Usd
    free: Usd
    limit: str
    """``run``, or the account."""
    final: bool
    """Whether the call was given up."""


@frozen
class Fallen:
    """The backend failed; the table's order holds from here to the end of the session."""

    version: int
    at: int
    backend: str
    problem: str


Explained = Choice | Refusal | Fallen


def explain(history: Iterable[tuple[int, e.Event]], rank_of: RankOf | None = None) -> list[Explained]:
    """Every choice, refusal and failure of the backend in a run's history (pairs of at and event), in order.

    ``rank_of`` gives the backends whose reasons are computed again, as for ``replay.verify``.
    """
    reader = _Reader(rank_of)
    for at, event in history:
        reader.take(at, event)
    return reader.told


def about(told: Iterable[Explained], node: str | None) -> list[Explained]:
    """What concerns one task (``plan`` for the plan), or everything where it is None."""
    return [each for each in told if node is None or isinstance(each, Fallen) or each.node == node]


class _Reader:
    def __init__(self, rank_of: RankOf | None) -> None:
        self.state = RunState()
        self.told: list[Explained] = []
        self._rank_of = rank_of
        self._rank: Rank | None = None
        self._choices: dict[int, Choice] = {}
        self._attempts: dict[int, AttemptSeen] = {}

    def take(self, at: int, event: e.Event) -> None:
        """Look at one event before it is folded, and fold it."""
        choice = self._choice(at, event) if isinstance(event, e.ModelSelected) else None
        evolve(self.state, at, event)
        version = self.state.version
        match event:
            case e.ModelSelected() if choice is not None:
                self._choices[version] = choice
                self.told.append(choice)
            case e.SessionOpened(ended=ended) | e.SessionLost(ended=ended):
                for lost in ended:
                    self._end(lost.call, Usd.ZERO, lost.amount)
                if isinstance(event, e.SessionOpened) and self._rank_of is not None:
                    self._rank = self._rank_of(event)
            case e.CallStarted():
                seen = AttemptSeen(version, event.attempt, event.max_tokens, event.body_bytes, event.hold)
                self._attempts[version] = seen
                self._choices[event.selected].attempts.append(seen)
            case e.CallSucceeded() | e.CallFailed():
                self._ended(event)
            case e.SpendRefused():
                key = (event.node, event.role, event.turn, event.sample)
                self.told.append(Refusal(version, at, *key, event.need, event.free, event.limit, final=True))
            case e.AccountRefused(call=call):
                key = (call.node, call.role, call.turn, call.sample)
                self.told.append(Refusal(version, at, *key, event.need, event.free, event.account, final=False))
            case e.BackendFailed():
                self.told.append(Fallen(version, at, event.backend, event.problem))

    def _ended(self, event: e.CallSucceeded | e.CallFailed) -> None:
        self._end(event.call, event.settled, event.kept)
        seen = self._attempts[event.call]
        seen.latency = event.latency
        if isinstance(event, e.CallSucceeded):
            seen.usage = event.usage
            seen.end = "kept" if event.kept else "settled"  # a free call that answered is settled at nothing
        else:
            seen.error = event.kind

    def _end(self, version: int, settled: Usd, kept: Usd) -> None:
        seen = self._attempts[version]
        seen.cost = settled + kept
        seen.end = "kept" if kept else "settled" if settled else "released"

    def _choice(self, at: int, event: e.ModelSelected) -> Choice:
        """A choice with what stood before it."""
        state = self.state
        assert state.session is not None
        kind = state.type_of(event.node)
        measured = TaskType.EVALUATION if kind is not None and event.role is Role.EVALUATOR else kind
        call = state.call(CallKey(event.node, event.role, event.turn, event.sample))
        listed = {candidate.model: candidate for candidate in event.candidates}
        known = call.candidates.values() if call is not None else ()
        rest = (candidate for candidate in known if candidate.model not in listed)
        reasons = self._reasons(at) if event.backend != _ROW else {}
        backend = next((used for used in state.session.plugins if used.kind == "backend"), None)
        return Choice(
            version=state.version + 1,
            at=at,
            node=event.node,
            role=event.role,
            turn=event.turn,
            sample=event.sample,
            type=kind,
            selection=event.selection,
            reason=event.reason,
            model=event.model,
            waiver=event.waiver,
            author=self._author(event),
            backend=backend if event.backend != _ROW else None,
            considered=tuple(
                self._considered(candidate, measured, reasons.get(candidate.model, ""))
                for candidate in chain(listed.values(), rest)
            ),
        )

    def _author(self, event: e.ModelSelected) -> str | None:
        if event.node == e.PLAN or event.role is Role.GENERATOR:
            return None
        task = self.state.tasks[event.node]
        if event.role is Role.EVALUATOR:
            output = output_of(task, event.turn)
            return None if output is None else output.model
        draft = task.call(Role.GENERATOR, event.turn)
        return None if draft is None or not draft.answers else draft.answers[-1].model

    def _reasons(self, at: int) -> dict[str, str]:
        """What the session's backend says of each candidate it ranks now; nothing where it is not here."""
        rank, reasons = self._rank, dict[str, str]()
        if rank is None:
            return reasons

        def listening(*shown: object) -> object:
            ranking = rank(*shown)  # type: ignore[arg-type]
            reasons.clear()  # the last ranking before the decision is the choice's
            reasons.update((ranked.model, ranked.reason) for ranked in ranking)
            return ranking

        try:
            decide(self.state, at, listening)  # type: ignore[arg-type]
        except (UnavailableBackendError, BackendError):
            return {}
        return reasons

    def _considered(self, candidate: e.Candidate, kind: TaskType | None, reason: str) -> Considered:
        state = self.state
        model, record = state.models.get(candidate.model), state.records.get(candidate.model)
        lost = candidate.lost
        name = lost.removeprefix(_POLICY) if lost is not None and lost.startswith(_POLICY) else None
        trouble: tuple[str, ...] = ()
        if record is not None and lost == "off":
            trouble = (*sorted(kind.value for kind in record.kinds), *(["exceeded"] if record.exceeded else []))
        return Considered(
            model=candidate.model,
            vendor="" if model is None else model.vendor,
            slots=() if model is None else tuple(slots_of(state, candidate.model)),
            price=None if model is None else model.price,
            telemetry=ModelTelemetry() if kind is None else telemetry_of(record, kind),
            score=candidate.score,
            lost=lost,
            reason=reason,
            policy=next((policy for policy in state.settings.policies if policy.name == name), None),
            until=record.until if record is not None and lost == "breaker" else None,
            trouble=trouble,
        )
