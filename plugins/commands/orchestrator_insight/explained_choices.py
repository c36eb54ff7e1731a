"""What an explanation consists of: choices of models and what was asked then, refusals, fallbacks, scores."""

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import (
    BackendProblem,
    Lane,
    PlanRepair,
    RejectionReason,
    Role,
    SelectionReason,
    SpendLimit,
    TaskType,
    Waiver,
)
from orchestrator.money import Price, Usage, Usd
from orchestrator.policy import Policy
from orchestrator.spi import ModelTelemetry
from orchestrator.state.tasks import Scoring


@frozen
class ConsideredModel:
    """A model at the moment of a choice."""

    model: str
    vendor: str
    slots: tuple[str, ...]
    price: Price | None
    telemetry: ModelTelemetry
    """What was measured of it in the run, for the type of task."""
    score: float | None
    """The backend's; None where none ranked it."""
    rejection: RejectionReason | None
    """What removed it; None for the model that was chosen."""
    reason: str = ""
    """What the backend said of it, such as ``dominated``."""
    policy_name: str | None = None
    """The name of the policy that removed it."""
    policy: Policy | None = None
    """That policy, where it is known."""
    undeclared: tuple[str, ...] = ()
    """The facts that this policy asks for and that are not declared, by their keys in a spec."""
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
    """``in flight``, ``settled``, ``released``, ``unreconciled``."""
    cost: Usd = Usd.ZERO
    """Settled + unreconciled."""
    usage: Usage | None = None
    error: ErrorKind | None = None
    latency: int | None = None
    """Microseconds."""
    cut_off: bool = False
    """Whether the answer ended at its limit."""
    larger: bool = False
    """Whether it asks with more room, because an answer was cut off."""
    lane: Lane = Lane.INTERACTIVE
    """How it is sent."""
    batch: int | None = None
    """Version of the BatchStarted that it is in."""
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies whose cap on the task's cost, or whose rate, it went beyond."""


@define
class ModelChoice:
    """A model was selected."""

    version: int
    at: int
    node: str
    role: Role
    iteration: int
    sample: int
    type: TaskType | None
    selection: int
    reason: SelectionReason
    model: str
    waiver: Waiver | None
    author: str | None
    """The model whose work is reviewed, scored or revised; it bears on who comes first."""
    backend: e.PluginUsed | None
    """What ordered the candidates; None: the table's order and the price."""
    considered: tuple[ConsideredModel, ...]
    attempts: list[AttemptSeen] = Factory(list)
    reused: e.Reused | None = None
    too_long: tuple[int, int] | None = None
    """Where its prompt leaves no room for an answer: the prompt's tokens, by estimate, and the context window's."""
    """The answer of an earlier run that spared the call."""
    policy: str | None = None
    """With the reason ``policy``: the name of the policy."""
    chain: tuple[str, ...] = ()
    """Models and slots that come before all others in a fixed order, first to last: of the enhancer and the advisor."""


@frozen
class SpendRefusal:
    """There was no money: for a call at all, or in an account at that moment."""

    version: int
    at: int
    node: str
    role: Role
    iteration: int
    sample: int
    need: Usd
    free: Usd
    limit: SpendLimit
    name: str | None
    """Of the account, as ``orchestrate budget`` names it, or of the policy."""
    final: bool
    """Whether the call was given up."""


@frozen
class NoCandidateLeft:
    """No model was left."""

    version: int
    at: int
    node: str
    role: Role
    considered: tuple[ConsideredModel, ...]


@frozen
class BackendFallback:
    """The backend failed; the table's order holds from here to the end of the session."""

    version: int
    at: int
    backend: str
    problem: BackendProblem


@frozen
class VerifiedResult:
    """The result as a whole was verified."""

    version: int
    at: int
    event: e.ResultVerified
    node: str = e.VERIFY


@frozen
class PlanRemarks:
    """A model's plan was taken, and there is something to say of it."""

    version: int
    at: int
    remarks: tuple[str, ...]
    """A line each."""
    repairs: tuple[PlanRepair, ...]
    node: str = e.PLAN


@frozen
class ResultsCompared:
    """One of several results of a task was chosen."""

    version: int
    at: int
    event: e.Compared
    remarks: tuple[str, ...]
    """A line each: who won which pair, and what was chosen."""
    node: str


@frozen
class ScoreGiven:
    """A scorer gave an output a score, or none."""

    version: int
    at: int
    node: str
    scoring: Scoring

    @property
    def remarks(self) -> tuple[str, ...]:
        """One line: the score, or why there is none."""
        said = f"none ({self.scoring.problem})" if self.scoring.score is None else f"{self.scoring.score:.3f}"
        return (f"score by {self.scoring.scorer}: {said}",)


Explained = (
    ModelChoice
    | SpendRefusal
    | NoCandidateLeft
    | BackendFallback
    | VerifiedResult
    | PlanRemarks
    | ResultsCompared
    | ScoreGiven
)
