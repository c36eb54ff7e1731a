"""The key ``limits`` of a spec: bounds on asking again and on answers."""

from typing import Final

from attrs import field, frozen

from orchestrator.models import Role, TaskType
from orchestrator.settings import SECOND, Limits
from orchestrator.spec.container_kinds import MapOf, Record, key
from orchestrator.spec.pace import PerProvider
from orchestrator.spec.value_kinds import TASK_TYPES, Flag, Real, Whole

_USUAL: Final = Limits()
_TYPES_AND_ROLES: Final[dict[str, TaskType | Role]] = {**TASK_TYPES, **{role.value: role for role in Role}}


@frozen(kw_only=True)
class BreakerSpec:
    """When a failing model is left alone."""

    failures: int = field(
        default=_USUAL.breaker_failures,
        metadata=key(Whole(1, 1000), "Consecutive failures that open the breaker."),
    )
    seconds: float = field(
        default=_USUAL.breaker_open / SECOND,
        metadata=key(Real(0, 86_400, above=True), "How long it stays open before a probe."),
    )


BREAKER: Final = Record(BreakerSpec)


@frozen(kw_only=True)
class LimitsSpec:
    """Bounds on asking again and on answers."""

    tries: int = field(default=_USUAL.tries, metadata=key(Whole(1, 100), "Attempts per model and logical call."))
    attempts: int = field(default=_USUAL.attempts, metadata=key(Whole(1, 1000), "Attempts per logical call."))
    breaker: BreakerSpec = field(default=BreakerSpec(), metadata=key(BREAKER, "When a failing model is left alone."))
    iterations: dict[TaskType, int] = field(
        factory=dict, metadata=key(MapOf(Whole(1, 100), TASK_TYPES), "Iterations a task of a type may take.")
    )
    max_tokens: dict[TaskType | Role, int] = field(
        factory=dict,
        metadata=key(
            MapOf(Whole(1, 10_000_000), _TYPES_AND_ROLES),
            "The output limit of a task type or a role, thinking aside; calls are made at exactly that.",
        ),
    )
    call_timeout: float | None = field(
        default=None,
        metadata=key(
            Real(0, 86_400, above=True),
            "Seconds one attempt may take; left out: as long as what is asked for takes at the model's pace.",
            blank=True,
        ),
    )
    batch_wait: float = field(
        default=_USUAL.batch_wait / SECOND,
        metadata=key(
            Real(0, 7 * 86_400, above=True), "Seconds a batch may take; then it is cancelled, and what it has counts."
        ),
    )
    outage: float = field(
        default=_USUAL.outage / SECOND,
        metadata=key(
            Real(0, 86_400, above=True),
            "Seconds a host that has answered in the session may be unreachable before it is given up.",
        ),
    )
    requests_per_minute: dict[str, int] = field(
        factory=dict,
        metadata=key(PerProvider(1_000_000), "Calls that may start in a minute: of every provider, or by provider."),
    )
    tokens_per_minute: dict[str, int] = field(
        factory=dict,
        metadata=key(
            PerProvider(1_000_000_000), "Tokens read and written in a minute: of every provider, or by provider."
        ),
    )
    shared: bool = field(
        default=_USUAL.shared,
        metadata=key(
            Flag(), "Whether calls take turns with those of all runs on the account, as `orchestrate limits` says."
        ),
    )
    max_tasks: int = field(
        default=_USUAL.max_tasks,
        metadata=key(Whole(1, 1000), "The most tasks of a plan that a model makes; the first ones count."),
    )
    single_task_fallback: bool = field(
        default=_USUAL.single_task_fallback,
        metadata=key(Flag(), "Whether the project becomes the only task where no answer is a plan; no success then."),
    )

    def settings(self) -> Limits:
        """The limits of a run."""
        return Limits(
            tries=self.tries,
            attempts=self.attempts,
            breaker_failures=self.breaker.failures,
            breaker_open=microseconds(self.breaker.seconds),
            outage=microseconds(self.outage),
            batch_wait=microseconds(self.batch_wait),
            call_timeout=None if self.call_timeout is None else microseconds(self.call_timeout),
            call_total=max(_USUAL.call_total, microseconds(self.call_timeout or 0)),
            requests_per_minute=dict(self.requests_per_minute),
            tokens_per_minute=dict(self.tokens_per_minute),
            shared=self.shared,
            max_tasks=self.max_tasks,
            single_task_fallback=self.single_task_fallback,
        )


LIMITS: Final = Record(LimitsSpec)


def microseconds(seconds: float) -> int:
    """A time of a spec as settings have it; at least 1."""
    return max(1, round(seconds * SECOND))
