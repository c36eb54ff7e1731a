"""What a run was asked to keep to: every number a decision depends on, frozen into the run's first event."""

from enum import StrEnum
from typing import Any, Final

from attrs import Factory, frozen

from orchestrator.errors import present
from orchestrator.models import (
    MAX_ITERATIONS,
    MAX_TOKENS,
    PHASE_SHARES,
    ROLE_MAX_TOKENS,
    ROUTING_TABLE,
    THRESHOLDS,
    JudgeMethod,
    Lane,
    Phase,
    Role,
    Strategy,
    TaskType,
)
from orchestrator.money import NANO, Usd
from orchestrator.policy import Policy

SECOND: Final = 1_000_000
"""Microseconds; all times and durations in events are whole microseconds."""

EVERY: Final = "*"
"""In limits by provider: every provider that is not named."""

PHASE_PERCENTS: Final = (80, 100, 200)
"""The parts of a phase's share, in percent, at which a warning is recorded."""


class CrossVendor(StrEnum):
    """How much a reviewer must be of another vendor than the author."""

    REQUIRE = "require"
    PREFER = "prefer"
    OFF = "off"


class OnDisagree(StrEnum):
    """Which score counts when evaluations differ by more than ``max_delta``."""

    MIN = "min"
    MEAN = "mean"
    MAX = "max"


class SecondJudge(StrEnum):
    """Which model gives the second evaluation of an output."""

    SAME_MODEL = "same_model"
    OTHER_MODEL = "other_model"


class MissingTool(StrEnum):
    """What a validator whose tool is absent means for the gate."""

    SKIP = "skip"
    FAIL = "fail"


class SandboxChoice(StrEnum):
    """How checks that run code are contained: the best way that holds on the machine, or one by name."""

    AUTO = "auto"
    BWRAP = "bwrap"
    LANDLOCK = "landlock"
    NONE = "none"


class Replanning(StrEnum):
    """When a planner is asked for other tasks."""

    OFF = "off"
    ON_FAILURE = "on_failure"


MOST_REPLANS: Final = 2
"""How often a planner may be asked for other tasks in a run that wants that."""


@frozen
class Evaluation:
    """How an output is scored."""

    runs: int = 2
    max_delta: float = 0.05
    on_disagree: OnDisagree = OnDisagree.MIN
    second: SecondJudge = SecondJudge.SAME_MODEL
    tests_decide: bool = True
    """Whether given tests that all pass are the score."""
    judged_types: tuple[TaskType, ...] = ()
    """The types whose score is a judge's all the same: those with a quality target of their own."""
    judge: JudgeMethod | None = None
    """How outputs are evaluated that no given tests decide; None: as the strategy has it, else by scores."""
    scorer: str | None = None
    """The scorer whose score counts where no given tests decide; None: that of a judge does."""
    parameters: dict[str, Any] = Factory(dict)
    """What the scorer is built with; not among the rules of a run, which has them with its plugins."""
    with_judge: bool = False
    """Whether a judge's score stands beside the scorer's, and counts where the scorer gives none."""


@frozen
class Limits:
    """Bounds on asking again."""

    tries: int = 3
    """Attempts a vendor ends, per model and logical call."""
    attempts: int = 12
    """Attempts a vendor ends, per logical call."""
    breaker_failures: int = 3
    """Consecutive failures that open a model's breaker."""
    breaker_open: int = 60 * SECOND
    """How long it stays open before one probe, in microseconds."""
    outage: int = 300 * SECOND
    """How long a host that has answered in the session may be unreachable, in microseconds; then it is given up."""
    call_timeout: int | None = None
    """The most one attempt may take, in microseconds; None: as long as what is asked for takes at the model's pace."""
    call_total: int = 3600 * SECOND
    """The most all attempts at one logical call may take together, pauses aside, in microseconds."""
    batch_wait: int = 26 * 3600 * SECOND
    """The most a batch is waited for, from the start of a call in it, in microseconds; then it is cancelled."""
    verify_timeout: int = 600 * SECOND
    """The most the verification of the result may take, in microseconds."""
    requests_per_minute: dict[str, int] = Factory(dict)
    """Calls that may start in any 60 s, by provider; under ``*`` for every provider that is not named."""
    tokens_per_minute: dict[str, int] = Factory(dict)
    """The same for tokens, input and output together."""
    max_tasks: int = 50
    """The most tasks of a model's plan."""
    shared: bool = False
    """Whether calls take their turns with those of all runs on the same account; the log keeps whose turn it is."""
    single_task_fallback: bool = True
    """Whether the project as it is becomes the only task where no answer is a plan; the run is no success then."""


@frozen
class Approvals:
    """What a person has to agree to before the run goes on."""

    plan: bool = False
    """The plan, and each new one, before a task starts."""
    tasks: bool = False
    """Every task before it starts."""
    spend: tuple[Usd, ...] = ()
    """Amounts, before settled and held money could go beyond each."""
    ceiling: bool = False
    """Whether to ask for more money before a call is refused any."""
    forecast_above: Usd | None = None
    """The most a run may be expected to cost without a question; the user's configuration has it."""


@frozen
class RunSettings:
    """The rules of one run."""

    cap: Usd = Usd(8 * NANO)
    time_limit: int = 5400 * SECOND
    """Active time, in microseconds."""
    concurrency: int = 3
    """Calls in flight, and tasks started and unfinished, at most."""
    thresholds: dict[TaskType, float] = Factory(lambda: dict(THRESHOLDS))
    iterations: dict[TaskType, int] = Factory(lambda: dict(MAX_ITERATIONS))
    max_tokens: dict[TaskType, int] = Factory(lambda: dict(MAX_TOKENS))
    role_max_tokens: dict[Role, int] = Factory(lambda: dict(ROLE_MAX_TOKENS))
    fixed_types: tuple[TaskType, ...] = ()
    """The types whose limit the user has set: answers are asked for at exactly that."""
    fixed_roles: tuple[Role, ...] = ()
    """The same for roles."""
    routing: dict[TaskType, tuple[str, ...]] = Factory(lambda: dict(ROUTING_TABLE))
    backend_named: bool = False
    """Whether a spec, flag or argument named the backend: then it ranks all candidates, measured or not."""
    phase_shares: dict[Phase, float] = Factory(lambda: dict(PHASE_SHARES))
    loop: dict[TaskType, Strategy] = Factory(lambda: dict.fromkeys(TaskType, Strategy()))
    """The strategy for each type."""
    evaluation: Evaluation = Evaluation()
    plateau: float = 0.02
    """Two consecutive gated scores nearer than this end the iterations; scores are compared to six decimal places."""
    cross_vendor: CrossVendor = CrossVendor.PREFER
    missing_tool: MissingTool = MissingTool.SKIP
    limits: Limits = Limits()
    policies: tuple[Policy, ...] = ()
    node_policies: dict[str, tuple[Policy, ...]] = Factory(dict)
    """Those that bind one node only, by its name."""
    accounts: tuple[str, ...] = ()
    """Names of the accounts above the run whose caps bind it too."""
    allow_unbounded: bool = False
    """Whether a model whose output nothing bounds may be called, held at its limit."""
    encrypt: bool = False
    """Whether the run's texts are encrypted at rest."""
    simulated: bool = False
    """Whether the providers, and so the spend, are simulated."""
    verify: bool = False
    """Whether a command of the user's verifies the result as a whole."""
    cache: bool = False
    """Whether answers of earlier runs of the data folder are reused."""
    enhance: bool = False
    """Whether a model suggests improvements of the description and the criteria, and a person takes or refuses them."""
    enhance_cap: Usd = Usd(NANO // 10)
    """The most that these suggestions may cost."""
    advise: bool = False
    """Whether a model advises on the architecture before the plan is made."""
    prompts: dict[str, str] = Factory(dict)
    """Digests of the user's templates of prompts, by name; the program's own serve where none is given."""
    approve: Approvals = Approvals()
    replans: int = 0
    """How often a planner is asked for other tasks, where a task failed that others wait for."""
    lane: Lane = Lane.INTERACTIVE
    """How calls are sent, where a task does not say otherwise."""
    app: str | None = None
    """The type of application that is built, or ``auto``; None: none is built."""

    @property
    def asks_store(self) -> bool:
        """Whether what other runs do can keep a call from starting, so that a step ends at its CallStarted."""
        return bool(self.accounts) or self.limits.shared

    def output_limit(self, role: Role, kind: TaskType | None) -> int:
        """The most tokens of a role's answer, thinking aside, for a task of this type where it matters."""
        fixed = self.role_max_tokens.get(role)
        if fixed is not None:
            return fixed
        kind = present(kind, "kind of task")
        return self.max_tokens[kind]

    def is_fixed(self, role: Role, kind: TaskType | None) -> bool:
        """Whether the user has set that limit."""
        return role in self.fixed_roles if role in self.role_max_tokens else kind in self.fixed_types
