"""The vocabulary: task types, roles, phases, models, slots, and the tables the specification gives for them."""

import time
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import ClassVar, Final

from attrs import Factory, define, field, frozen

from orchestrator.money import Price, Usd


class TaskType(StrEnum):
    """The kinds of task a project is broken into."""

    CODE_GEN = "code_generation"
    CODE_REVIEW = "code_review"
    COMPLEX_REASONING = "complex_reasoning"
    CREATIVE_WRITING = "creative_writing"
    DATA_EXTRACTION = "data_extraction"
    SUMMARIZATION = "summarization"
    EVALUATION = "evaluation"


class Role(StrEnum):
    """What a call is for."""

    DECOMPOSER = "decomposer"
    GENERATOR = "generator"
    CRITIC = "critic"
    REVISER = "reviser"
    EVALUATOR = "evaluator"
    ENHANCER = "enhancer"
    ADVISOR = "advisor"


class Phase(StrEnum):
    """The parts into which a budget is softly divided."""

    DECOMPOSITION = "decomposition"
    GENERATION = "generation"
    CROSS_REVIEW = "cross_review"
    EVALUATION = "evaluation"
    RESERVE = "reserve"


class TaskStatus(StrEnum):
    """How a task stands. The last three are ends."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETED = "completed"
    DEGRADED = "degraded"
    FAILED = "failed"


class ProjectStatus(StrEnum):
    """How a run ended. SUCCESS and PARTIAL_SUCCESS are closed, the others can go on once the cause is removed."""

    SUCCESS = "SUCCESS"
    PARTIAL_SUCCESS = "PARTIAL_SUCCESS"
    BUDGET_EXHAUSTED = "BUDGET_EXHAUSTED"
    TIMEOUT = "TIMEOUT"
    SYSTEM_FAILURE = "SYSTEM_FAILURE"

    @property
    def is_closed(self) -> bool:
        """Nothing can reopen the run."""
        return self in (ProjectStatus.SUCCESS, ProjectStatus.PARTIAL_SUCCESS)


class Verdict(StrEnum):
    """What a validator found. SKIPPED passes the gate (its tool is absent); UNKNOWN does not (it could not run)."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    UNKNOWN = "unknown"


class RiskLevel(StrEnum):
    """How near a forecast comes to the budget: below 50 %, below 80 %, or beyond."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


class Finish(StrEnum):
    """Why a model stopped writing."""

    STOP = "stop"
    LENGTH = "length"
    OTHER = "other"


class Model(str):
    """The name of a model or of a slot; any string is one, the specification's are attributes."""

    __slots__ = ()

    GPT_4O: ClassVar["Model"]
    GPT_4O_MINI: ClassVar["Model"]
    GEMINI_PRO: ClassVar["Model"]
    GEMINI_FLASH: ClassVar["Model"]
    CLAUDE_OPUS: ClassVar["Model"]
    CLAUDE_SONNET: ClassVar["Model"]
    CLAUDE_HAIKU: ClassVar["Model"]
    DEEPSEEK_CHAT: ClassVar["Model"]
    DEEPSEEK_REASONER: ClassVar["Model"]
    KIMI_K2_5: ClassVar["Model"]
    MINIMAX_3: ClassVar["Model"]
    GLM_4: ClassVar["Model"]

    @property
    def value(self) -> str:
        """The name itself, as an enum member would give it."""
        return str(self)


_NAMED: Final = {
    "GPT_4O": "gpt-4o",
    "GPT_4O_MINI": "gpt-4o-mini",
    "GEMINI_PRO": "gemini-2.5-pro",
    "GEMINI_FLASH": "gemini-2.5-flash",
    "CLAUDE_OPUS": "claude-opus",
    "CLAUDE_SONNET": "claude-sonnet",
    "CLAUDE_HAIKU": "claude-haiku",
    "DEEPSEEK_CHAT": "deepseek-chat",
    "DEEPSEEK_REASONER": "deepseek-reasoner",
    "KIMI_K2_5": "moonshot-v1",
    "MINIMAX_3": "minimax-3",
    "GLM_4": "glm-4",
}
for _attribute, _name in _NAMED.items():
    setattr(Model, _attribute, Model(_name))

SLOTS: Final = tuple(_NAMED.values())
"""Every slot of the specification, in the order of its price table's vendors."""

SLOT_ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "claude-3-5-opus-20241022": "claude-opus",
        "claude-3-5-sonnet-20241022": "claude-sonnet",
        "claude-3-5-haiku-20241022": "claude-haiku",
        "moonshot-v1-8k": "moonshot-v1",
        "moonshot-v1-32k": "moonshot-v1",
        "moonshot-v1-128k": "moonshot-v1",
        "kimi-k2.5": "moonshot-v1",
    }
)
"""Dated or older names of the specification, and the slot each stands for."""

_LAST: Final = ("minimax-3", "glm-4")

ROUTING_TABLE: Final[Mapping[TaskType, tuple[str, ...]]] = MappingProxyType(
    {
        TaskType.CODE_GEN: ("deepseek-chat", "moonshot-v1", "claude-sonnet", "gpt-4o", *_LAST),
        TaskType.CODE_REVIEW: ("deepseek-chat", "moonshot-v1", "gpt-4o", "claude-opus", *_LAST),
        TaskType.COMPLEX_REASONING: ("deepseek-reasoner", "moonshot-v1", "claude-opus", "gpt-4o", *_LAST),
        TaskType.CREATIVE_WRITING: ("claude-opus", "gpt-4o", "deepseek-chat", "gemini-2.5-pro", *_LAST),
        TaskType.DATA_EXTRACTION: ("gemini-2.5-flash", "gpt-4o-mini", "deepseek-chat", "claude-haiku", *_LAST),
        TaskType.SUMMARIZATION: ("gemini-2.5-flash", "deepseek-chat", "claude-haiku", "gpt-4o-mini", *_LAST),
        TaskType.EVALUATION: ("deepseek-chat", "moonshot-v1", "claude-opus", "gpt-4o", *_LAST),
    }
)
"""Which slots are asked for which type of task, in order (the specification's table "Model Routing")."""

COST_TABLE: Final[Mapping[Model, Mapping[str, float]]] = MappingProxyType(
    {
        Model(slot): MappingProxyType({"input": read, "output": written})
        for slot, read, written in (
            ("deepseek-chat", 0.27, 1.10),
            ("moonshot-v1", 0.14, 0.56),
            ("gemini-2.5-flash", 0.15, 0.60),
            ("gpt-4o-mini", 0.15, 0.60),
            ("claude-haiku", 0.80, 4.00),
            ("deepseek-reasoner", 0.55, 2.19),
            ("gemini-2.5-pro", 1.25, 10.00),
            ("gpt-4o", 2.50, 10.00),
            ("claude-sonnet", 3.00, 15.00),
            ("claude-opus", 15.00, 75.00),
            ("minimax-3", 0.50, 1.50),
            ("glm-4", 1.00, 3.50),
        )
    }
)
"""US dollars per million tokens by slot, as the specification lists them: for forecasts. Runs use real prices."""

_SLOT_VENDORS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "deepseek": "deepseek",
        "moonshot": "kimi",
        "gemini": "google",
        "gpt": "openai",
        "claude": "anthropic",
        "minimax": "minimax",
        "glm": "zhipu",
    }
)


INPUT_ROW: Final = ("moonshot-v1", "claude-opus", "gpt-4o")
"""Whom the enhancer and the advisor ask after the first, who is chosen by the length of the description."""

INPUT_FIRST: Final = ("deepseek-chat", "deepseek-reasoner")
"""The first of the enhancer and the advisor: for a short description, and for one of more than ``SHORT_WORDS``."""

SHORT_WORDS: Final = 50


@define
class ModelProfile:
    """What a forecast assumes of a model: prices per million tokens, and telemetry that begins with priors."""

    model: Model
    provider: str
    cost_per_1m_input: float
    """US dollars per million tokens read."""
    cost_per_1m_output: float
    """US dollars per million tokens written."""
    quality_score: float = 0.8
    trust_factor: float = 1.0
    latency_avg_ms: float = 2000.0
    latency_p95_ms: float = 5000.0
    success_rate: float = 1.0
    cost_avg_usd: float = 0.0
    """0.0 where nothing was measured."""
    calls_total: int = 0
    validator_failures_total: int = 0


def build_default_profiles() -> dict[Model, ModelProfile]:
    """A profile for every slot of the specification, at its prices; nothing is loaded and nothing was measured."""
    return {
        model: ModelProfile(
            model=model,
            provider=_SLOT_VENDORS[model.partition("-")[0]],
            cost_per_1m_input=prices["input"],
            cost_per_1m_output=prices["output"],
        )
        for model, prices in COST_TABLE.items()
    }


MAX_TOKENS: Final[Mapping[TaskType, int]] = MappingProxyType(
    {
        TaskType.CODE_GEN: 8192,
        TaskType.CODE_REVIEW: 4096,
        TaskType.COMPLEX_REASONING: 4096,
        TaskType.CREATIVE_WRITING: 4096,
        TaskType.DATA_EXTRACTION: 2048,
        TaskType.SUMMARIZATION: 1024,
        TaskType.EVALUATION: 2048,
    }
)
"""The output limit, in tokens, of a draft or revision of each type."""

ROLE_MAX_TOKENS: Final[Mapping[Role, int]] = MappingProxyType(
    {Role.DECOMPOSER: 8192, Role.CRITIC: 2048, Role.EVALUATOR: 1024, Role.ENHANCER: 4096, Role.ADVISOR: 4096}
)
"""The output limit, in tokens, of the roles whose answer does not depend on the task's type."""

THRESHOLDS: Final[Mapping[TaskType, float]] = MappingProxyType(
    {
        TaskType.CODE_GEN: 0.85,
        TaskType.CODE_REVIEW: 0.75,
        TaskType.COMPLEX_REASONING: 0.90,
        TaskType.CREATIVE_WRITING: 0.80,
        TaskType.DATA_EXTRACTION: 0.90,
        TaskType.SUMMARIZATION: 0.80,
        TaskType.EVALUATION: 0.80,
    }
)
"""The score, from 0 to 1, at which a task of each type is good enough."""

MAX_ITERATIONS: Final[Mapping[TaskType, int]] = MappingProxyType(
    {
        kind: 3 if kind in (TaskType.CODE_GEN, TaskType.CODE_REVIEW, TaskType.COMPLEX_REASONING) else 2
        for kind in TaskType
    }
)
"""How many turns a task of each type may take."""

PHASE_SHARES: Final[Mapping[Phase, float]] = MappingProxyType(
    {
        Phase.DECOMPOSITION: 0.05,
        Phase.GENERATION: 0.45,
        Phase.CROSS_REVIEW: 0.25,
        Phase.EVALUATION: 0.15,
        Phase.RESERVE: 0.10,
    }
)
"""The part of the budget each phase may use before a warning; they sum to 1."""

PHASE_OF: Final[Mapping[Role, Phase]] = MappingProxyType(
    {
        Role.DECOMPOSER: Phase.DECOMPOSITION,
        Role.GENERATOR: Phase.GENERATION,
        Role.REVISER: Phase.GENERATION,
        Role.CRITIC: Phase.CROSS_REVIEW,
        Role.EVALUATOR: Phase.EVALUATION,
        Role.ENHANCER: Phase.DECOMPOSITION,
        Role.ADVISOR: Phase.DECOMPOSITION,
    }
)
"""The phase a role's spend counts in."""


@frozen
class ModelInfo:
    """What is known of one model a provider sells. A fact nobody declared is None and satisfies no restriction."""

    id: str
    """The name a run, a policy and the log use; unique within a run."""
    provider: str
    """The entry-point name of the plugin that speaks to it."""
    vendor: str
    """The company; a reviewer is of another one than the author."""
    price: Price | None = None
    """Per million tokens; a model without a price is refused."""
    context: int | None = None
    """The context window in tokens."""
    max_output: int | None = None
    """The most tokens one answer can have."""
    hidden_tokens: int = 512
    """Tokens the vendor may add to the input: templates, schemas, thinking prompts."""
    thinking_in_limit: bool = True
    """Whether thinking counts inside the ``max_tokens`` that is sent."""
    tier: str | None = None
    """The vendor's size class, such as ``premium``; a reviewer of the same vendor is of another tier if possible."""
    regions: tuple[str, ...] = ()
    trains_on_data: bool | None = None
    abilities: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    """The specification's names this model fills today."""
    wire_name: str | None = None
    """The name sent to the vendor, where it differs from ``id``."""
    source: str = ""
    """Where the facts and the price come from, such as ``spec`` or a catalogue's name and date."""

    @property
    def sent_name(self) -> str:
        """The name the vendor knows."""
        return self.wire_name or self.id

    def output_bound(self, max_tokens: int) -> int | None:
        """The most output tokens a call with this limit can be billed for, or None where nothing bounds it."""
        return max_tokens if self.thinking_in_limit else self.max_output


@frozen
class PlannedTask:
    """One task of a plan. Its texts are blobs: here stand their digests and sizes."""

    id: str
    type: TaskType
    prompt: str
    """Digest of the prompt."""
    prompt_bytes: int
    title: str | None = None
    """Digest of the title."""
    dependencies: tuple[str, ...] = ()
    validators: tuple[str, ...] = ()
    schema: str | None = None
    """Digest of a JSON Schema for the ``json_schema`` validator."""
    tests: str | None = None
    """Digest of the tests that the ``pytest`` validator runs against the output."""
    path: str | None = None
    """Digest of the file's name that the user wants; a folder's where it ends in ``/``."""


class SuggestionKind(StrEnum):
    """What a suggestion of the enhancer is about."""

    COMPLETENESS = "completeness"
    CRITERIA = "criteria"
    RISK = "risk"


@frozen
class Suggestion:
    """One improvement of the project's description or criteria. Its texts are blobs: here stand their digests."""

    kind: SuggestionKind
    title: str
    """Digest of the title, eight words at most."""
    description: str | None = None
    """Digest of the sentence to add to the description."""
    criteria: str | None = None
    """Digest of the condition to add to the criteria."""


class StructuralPattern(StrEnum):
    """How the code of an application is divided."""

    LAYERED = "layered"
    HEXAGONAL = "hexagonal"
    CQRS = "CQRS"
    EVENT_DRIVEN = "event-driven"
    MVC = "MVC"
    SCRIPT = "script"


class Topology(StrEnum):
    """Into what an application is deployed."""

    MONOLITH = "monolith"
    MICROSERVICES = "microservices"
    SERVERLESS = "serverless"
    BFF = "BFF"
    LIBRARY = "library"


class ApiParadigm(StrEnum):
    """How others talk to an application."""

    REST = "REST"
    GRAPHQL = "GraphQL"
    GRPC = "gRPC"
    CLI = "CLI"
    NONE = "none"


class DataParadigm(StrEnum):
    """How an application keeps what it knows."""

    RELATIONAL = "relational"
    DOCUMENT = "document"
    TIME_SERIES = "time-series"
    KEY_VALUE = "key-value"
    NONE = "none"


APP_TYPES: Final = ("fastapi", "flask", "django", "cli", "library", "html", "react", "nextjs", "generic")
"""The kinds of application the advisor tells apart; the last is any other."""


@frozen
class ArchitectureProfile:
    """What an application is to be built like. The defaults stand where nobody could say."""

    app_type: str = "generic"
    """One of ``APP_TYPES``."""
    structural_pattern: StructuralPattern = StructuralPattern.LAYERED
    topology: Topology = Topology.MONOLITH
    api: ApiParadigm = ApiParadigm.NONE
    data: DataParadigm = DataParadigm.NONE
    storage: str = ""
    """What keeps the data, such as ``PostgreSQL``; empty: nothing. In events the digest, as in the next three."""
    caching: str = ""
    queuing: str = ""
    rationale: str = ""


@define
class Budget:
    """The ceiling of a run in dollars and in seconds of active time, and what is used of it.

    ``spent_usd`` is settled plus kept money. Elapsed time counts from construction until a run fills it in.
    """

    max_usd: float = 8.0
    max_time_seconds: float = 5400.0
    spent_usd: float = 0.0
    phase_spent: dict[str, float] = Factory(dict)
    _since: float = field(factory=time.monotonic, init=False, repr=False, eq=False)
    _elapsed: float | None = field(default=None, init=False, repr=False, eq=False)

    @property
    def remaining_usd(self) -> float:
        """``max_usd - spent_usd``."""
        return self.max_usd - self.spent_usd

    @property
    def elapsed_seconds(self) -> float:
        """The run's active time, or the wall time since construction where no run has used this budget."""
        return time.monotonic() - self._since if self._elapsed is None else self._elapsed

    def can_afford(self, cost: float) -> bool:
        """Whether ``cost`` dollars are left."""
        return self.remaining_usd >= cost

    def time_remaining(self) -> bool:
        """Whether any of the time is left."""
        return self.elapsed_seconds < self.max_time_seconds

    def record(self, spent: Usd, phases: Mapping[str, Usd], elapsed: float) -> None:
        """Fill in what a run used: dollars (settled and kept), dollars by phase, active seconds."""
        self.spent_usd = float(spent)
        self.phase_spent = {phase: float(amount) for phase, amount in phases.items()}
        self._elapsed = elapsed


@frozen
class Task:
    """A task of the plan with its texts, as the Python API shows it."""

    id: str
    type: TaskType
    prompt: str
    title: str = ""
    dependencies: tuple[str, ...] = ()
    hard_validators: tuple[str, ...] = ()


@frozen
class TaskResult:
    """What became of one task."""

    task_id: str
    output: str
    """The best output over all iterations; empty where there is none."""
    score: float
    """0.0 to 1.0; 0.0 where nothing was scored."""
    status: TaskStatus
    model_used: Model
    """The model that wrote the output; empty where none did."""
    reviewer_model: Model | None
    iterations: int
    cost_usd: float
    """All that was spent on this task, kept money included."""
    deterministic_check_passed: bool
    degraded_fallback_count: int
    """How often the author's model was replaced by another."""
    reason: str = ""
    """Why it is not completed, as a code such as ``budget`` or ``dependency``."""


@frozen
class ProjectState:
    """What a run amounts to, for readers in Python."""

    project_id: str
    status: ProjectStatus | None
    """None while the run is open."""
    results: dict[str, TaskResult]
    budget: Budget
    tasks: dict[str, Task]
    execution_order: list[str]
    api_health: dict[str, bool]
    """Per model: whether it could be called at the end."""
    head: str = ""
    """The hash of the run's last event."""
