"""Why this model? Every choice of a run as its log has it: who was considered, what was known, what it cost.

The history is folded up to each choice, so that prices and measurements are those of that moment. Nothing here touches
a network, a clock or a provider.
"""

from collections.abc import Iterable
from itertools import chain
from typing import Final

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.decide.compliance import OF_POLICY, binding, undeclared
from orchestrator.decide.outcome import output_of
from orchestrator.decide.routing import slots_of, telemetry_of
from orchestrator.errors import ErrorKind
from orchestrator.log.accounts import called
from orchestrator.models import Finish, Role, TaskType
from orchestrator.money import Price, Usage, Usd
from orchestrator.policy import Policy
from orchestrator.spi import ModelTelemetry
from orchestrator.state.calls import CallKey
from orchestrator.state.fold import evolve
from orchestrator.state.run import RunState

_ROW: Final = "row"
_ORG: Final = "org"
_OF_ACCOUNTS: Final = ("team/", "job/")


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
    """What the backend said of it, such as ``dominated``."""
    policy: Policy | None = None
    """The policy that removed it."""
    undeclared: tuple[str, ...] = ()
    """The facts that this policy asks for and nobody has declared, by their keys in a spec."""
    violates: tuple[Policy, ...] = ()
    """The SOFT and MONITOR policies it violated."""
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
    cut_off: bool = False
    """Whether the answer ended at its limit."""
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies whose cap on the task's cost, or whose rate, it went beyond."""


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
    reused: e.Reused | None = None
    """The answer of an earlier run that spared the call."""


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
    """``run``, the account as ``orchestrate budget`` names it, or ``policy:NAME``, a cap on the task's cost."""
    final: bool
    """Whether the call was given up."""


@frozen
class Unasked:
    """Nobody was left to ask."""

    version: int
    at: int
    node: str
    role: Role
    considered: tuple[Considered, ...]


@frozen
class Fallen:
    """The backend failed; the table's order holds from here to the end of the session."""

    version: int
    at: int
    backend: str
    problem: str


@frozen
class Judged:
    """The result as a whole was verified."""

    version: int
    at: int
    event: e.ResultVerified
    node: str = e.VERIFY


Explained = Choice | Refusal | Unasked | Fallen | Judged


def explain(history: Iterable[tuple[int, e.Event]]) -> list[Explained]:
    """Every choice, refusal and failure of the backend in a run's history (pairs of at and event), in order."""
    explainer = Explainer()
    for at, event in history:
        explainer.take(at, event)
    return explainer.told


def about(told: Iterable[Explained], node: str | None) -> list[Explained]:
    """What concerns one task (``plan`` for the plan), or everything where it is None."""
    return [each for each in told if node is None or isinstance(each, Fallen) or each.node == node]


class Explainer:
    """Reads a history once: folds it, and tells what there is to explain.

    Attributes:
        state: what the events taken so far fold to.
        told: what they explain, in order.
    """

    def __init__(self) -> None:
        self.state = RunState()
        self.told: list[Explained] = []
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
            case e.CallPrepared(selected=selected, reused=reused) if reused is not None:
                self._choices[selected].reused = reused
            case e.CallStarted():
                sizes = (event.max_tokens, event.body_bytes, event.hold)
                seen = AttemptSeen(version, event.attempt, *sizes, violates=event.violates)
                self._attempts[version] = seen
                self._choices[event.selected].attempts.append(seen)
            case e.CallSucceeded() | e.CallFailed():
                self._ended(event)
            case e.SpendReconciled(call=call, settled=settled):
                seen = self._attempts[call]
                seen.cost, seen.end = settled, "settled" if settled else "released"
            case e.SpendRefused():
                key = (event.node, event.role, event.turn, event.sample)
                limit = self._limit(event.limit)
                self.told.append(Refusal(version, at, *key, event.need, event.free, limit, final=True))
            case e.AccountRefused(call=call):
                key = (call.node, call.role, call.turn, call.sample)
                limit = self._limit(event.account)
                self.told.append(Refusal(version, at, *key, event.need, event.free, limit, final=False))
            case e.TaskFinished(task=node, removed=removed) if removed:
                self.told.append(self._unasked(at, node, Role.GENERATOR, removed))
            case e.StepSkipped(task=node, role=role, removed=removed) if removed:
                self.told.append(self._unasked(at, node, role, removed))
            case e.RunFinished(removed=removed) if removed:
                self.told.append(self._unasked(at, e.PLAN, Role.DECOMPOSER, removed))
            case e.ResultVerified():
                self.told.append(Judged(version, at, event))
            case e.BackendFailed():
                self.told.append(Fallen(version, at, event.backend, event.problem))

    def _limit(self, recorded: str) -> str:
        """What was at its end; an account of simulated providers has another name outside the run."""
        is_account = recorded == _ORG or recorded.startswith(_OF_ACCOUNTS)
        return called(recorded, self.state.settings.simulated) if is_account else recorded

    def _ended(self, event: e.CallSucceeded | e.CallFailed) -> None:
        self._end(event.call, event.settled, event.kept)
        seen = self._attempts[event.call]
        seen.latency = event.latency
        if isinstance(event, e.CallSucceeded):
            seen.usage = event.usage
            seen.cut_off = event.finish is Finish.LENGTH
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
                self._considered(candidate, measured, event.node) for candidate in chain(listed.values(), rest)
            ),
        )

    def _unasked(self, at: int, node: str, role: Role, removed: Iterable[e.Candidate]) -> Unasked:
        kind = self.state.type_of(node)
        considered = tuple(self._considered(candidate, kind, node) for candidate in removed)
        return Unasked(self.state.version, at, node, role, considered)

    def _author(self, event: e.ModelSelected) -> str | None:
        if event.node not in self.state.tasks or event.role is Role.GENERATOR:
            return None
        task = self.state.tasks[event.node]
        if event.role is Role.EVALUATOR:
            output = output_of(task, event.turn)
            return None if output is None else output.model
        draft = task.call(Role.GENERATOR, event.turn)
        return None if draft is None or draft.answer is None else draft.answer.model

    def _considered(self, candidate: e.Candidate, kind: TaskType | None, node: str) -> Considered:
        state = self.state
        model, record = state.models.get(candidate.model), state.records.get(candidate.model)
        lost = candidate.lost
        name = lost.removeprefix(OF_POLICY) if lost is not None and lost.startswith(OF_POLICY) else None
        policies = {policy.name: policy for policy in reversed(binding(state.settings, node))}
        removing = policies.get(name) if name is not None else None
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
            reason=candidate.reason or "",
            policy=removing,
            undeclared=() if removing is None or model is None else undeclared(removing, model),
            violates=tuple([policies[each] for each in candidate.violates if each in policies]),
            until=record.until if record is not None and lost == "breaker" else None,
            trouble=trouble,
        )
