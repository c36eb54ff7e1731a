"""What a run has seen of each model: health for the breaker, measurements for the backends."""

from collections import deque
from collections.abc import Collection
from typing import Any

from attrs import Factory, define, field

from orchestrator.errors import ErrorKind
from orchestrator.events import Length
from orchestrator.models import Role, TaskType
from orchestrator.money import Usd

ALPHA = 0.1
_WINDOW = 50
_RECENT = 10
_FEW_TOKENS = 64


def measured_as(role: Role, kind: TaskType | None) -> TaskType | None:
    """The type that a call is measured under: scores of all types together, the rest under the task's own."""
    return TaskType.EVALUATION if role is Role.EVALUATOR else kind


@define
class Measured:
    """Exponential averages for one type of task."""

    calls: int = 0
    quality: float | None = None
    cost: float | None = None
    """US dollars per call."""
    latency_ms: float | None = None
    trust: float = 1.0
    validator_failures: int = 0
    """Counted over all runs only: no decision depends on it."""
    lengths: dict[Role, deque[int]] = Factory(dict)
    """Tokens of the last 50 answers of each role, thinking aside."""
    prior_lengths: dict[Role, Length] = Factory(dict)
    """Of earlier runs."""

    def observe_quality(self, score: float) -> None:
        """Fold in a score from 0 to 1."""
        self.quality = _ema(self.quality, score)

    def observe_answer(self, cost: float, latency_ms: float) -> None:
        """Fold in an answered call."""
        self.calls += 1
        self.trust = min(1.0, self.trust * 1.001)
        self.latency_ms = _ema(self.latency_ms, latency_ms)
        if cost > 0:
            self.cost = _ema(self.cost, cost)

    def observe_outage(self) -> None:
        """Fold in a failure of the model."""
        self.calls += 1
        self.trust *= 0.95

    def observe_length(self, role: Role, tokens: int) -> None:
        """Fold in how long an answer is."""
        self.lengths.setdefault(role, deque(maxlen=_WINDOW)).append(tokens)

    def length(self, role: Role) -> Length | None:
        """How long answers of a role are, from ten of this run on; before, as earlier runs measured it, or None."""
        seen = self.lengths.get(role, ())
        if len(seen) < _RECENT:
            return self.prior_lengths.get(role)
        return Length(role, len(seen), round(sum(seen) / len(seen)), _p95(seen))


@define
class Start:
    """An attempt, as far as it counts for how often and how much a vendor may be asked."""

    at: int
    node: str
    provider: str
    tokens: int
    """Input and output: the most there could be, and what there was once that is known."""
    cost: Usd
    """Its hold, and what it cost once that is known; unreconciled money included."""


@define
class HostRecord:
    """Whether a host can be reached, as far as this session has seen."""

    answered: bool = False
    """Whether an answer of any kind has come from it."""
    model: str = ""
    """The model whose call has failed to reach it last."""
    since: int | None = None
    """When the first of the attempts began that have failed to reach it in a row; microseconds UTC."""
    began: int = 0
    """When the latest of them did."""
    failures: int = 0
    """How many there are; those that began before the circuit opened count once."""
    failed: bool = False
    """Whether the latest attempt has not reached it, and nothing has been decided since."""
    lasting: bool = False
    """Whether trying again cannot change that, as far as the latest attempt says."""
    opened: bool = False
    until: int | None = None
    """When the open circuit lets a probe through; None: not in this session."""
    probe: int | None = None
    """Version of the CallStarted that probes."""
    reached: bool = False
    """Whether the latest probe has reached it."""


@define
class ModelRecord:
    """Everything seen of one model in this run."""

    failures: int = 0
    """Outages in a row since the breaker last moved."""
    opened: bool = False
    until: int | None = None
    """When the open breaker lets a probe through; None: not in this session."""
    probe: int | None = None
    """Version of the CallStarted that probes."""
    probe_ended: bool | None = None
    """How the latest probe ended: True for an answer of any kind, False for an outage."""
    kinds: set[ErrorKind] = Factory(set)
    """The kinds of failure seen in this session."""
    exceeded: bool = False
    calls: int = 0
    latencies: deque[int] = Factory(lambda: deque(maxlen=_WINDOW))
    """Milliseconds of the last 50 answers, in arrival order."""
    recent: deque[bool] = Factory(lambda: deque(maxlen=_RECENT))
    """Whether the last ten calls were answered."""
    by_type: dict[TaskType | None, Measured] = Factory(dict)
    """None stands for planning."""
    shown: dict[TaskType | None, Any] = field(factory=dict, eq=False, repr=False)
    """What ``decide`` derived from it, until it changes; no part of the state."""

    def measured(self, kind: TaskType | None) -> Measured:
        """The averages for a type, begun if need be."""
        found = self.by_type.get(kind)
        if found is None:
            found = self.by_type[kind] = Measured()
        return found

    def length(self, role: Role, kind: TaskType | None) -> Length | None:
        """How long its answers are in a role for a type of task; None where too few were measured."""
        seen = self.by_type.get(measured_as(role, kind))
        return None if seen is None else seen.length(role)

    pace: float | None = None
    """Microseconds per token of its answers, an exponential average; waiting and reading are in it."""
    prior_p95_ms: float | None = None
    """Of earlier runs."""
    prior_success_rate: float | None = None

    def observe_pace(self, tokens: int, latency: int) -> None:
        """Fold in how long an answer took, in microseconds, by its tokens; a short one says little of the pace."""
        self.pace = _ema(self.pace, latency / max(tokens, _FEW_TOKENS))

    @property
    def shown_p95_ms(self) -> float | None:
        """The p95 of this run from ten answers on; before, that of earlier runs where there is one."""
        few = len(self.latencies) < _RECENT
        return self.prior_p95_ms if few and self.prior_p95_ms is not None else self.p95_ms

    @property
    def shown_success_rate(self) -> float | None:
        """The success rate of this run from ten calls on; before, that of earlier runs where there is one."""
        few = len(self.recent) < _RECENT
        return self.prior_success_rate if few and self.prior_success_rate is not None else self.success_rate

    @property
    def p95_ms(self) -> float | None:
        """Nearest rank over the last 50 latencies, on a sorted copy."""
        return float(_p95(self.latencies)) if self.latencies else None

    @property
    def success_rate(self) -> float | None:
        """Over the last ten calls."""
        return sum(self.recent) / len(self.recent) if self.recent else None


def _p95(samples: Collection[int]) -> int:
    """Nearest rank; there is at least one."""
    return sorted(samples)[-(-95 * len(samples) // 100) - 1]


def _ema(average: float | None, sample: float) -> float:
    return sample if average is None else average + ALPHA * (sample - average)
