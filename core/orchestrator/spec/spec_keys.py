"""The spec file as classes: what each key is, its range and its default. Reader and JSON Schema are made from them."""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve as changed
from attrs import field, frozen

from orchestrator.events import Grant
from orchestrator.models import (
    MAX_ITERATIONS,
    MAX_TOKENS,
    PHASE_SHARES,
    ROLE_MAX_TOKENS,
    ROUTING_TABLE,
    THRESHOLDS,
    Lane,
    ModelInfo,
    Phase,
    Role,
    Strategy,
    TaskType,
)
from orchestrator.money import Usd
from orchestrator.policy import CapabilityRules, Policy, Retention, with_strictest_modes
from orchestrator.settings import (
    MOST_REPLANS,
    SECOND,
    Approvals,
    CrossVendor,
    Evaluation,
    MissingTool,
    Replanning,
    RunSettings,
    SandboxChoice,
)
from orchestrator.spec.approvals import APPROVE
from orchestrator.spec.canonical import canonical_json
from orchestrator.spec.command_validators import COMMANDS, CommandSpec
from orchestrator.spec.container_kinds import FreeMapping, ListOf, MapOf, Record, key
from orchestrator.spec.evaluation_keys import EVALUATION
from orchestrator.spec.limits import LIMITS, LimitsSpec, microseconds
from orchestrator.spec.loop import LOOP, under
from orchestrator.spec.model_keys import MODELS
from orchestrator.spec.plan import CONTEXT, IDENTIFIER, PLAN, TASK_PATHS, TaskSpec
from orchestrator.spec.plugin_options import PROVIDER, ExporterOptions, ProviderOptions
from orchestrator.spec.policy_keys import NODE_POLICIES, POLICIES, RETENTION
from orchestrator.spec.value_kinds import (
    NAME,
    PATH,
    TASK_TYPES,
    Choice,
    FileUse,
    Flag,
    GivenFile,
    Money,
    NameOf,
    NameUse,
    Place,
    Real,
    Reference,
    Text,
    Whole,
)

_USUAL: Final = RunSettings()
"""The rules of a run where a spec says nothing: each default stands once, in the settings."""

_PHASES: Final = {phase.value: phase for phase in Phase}


def _check_shares(shares: dict[Any, float], at: Place) -> None:
    if sum(shares.values()) > 1 + 1e-9:
        at.report(f"the shares add up to {sum(shares.values()):g}, more than 1")


@frozen(kw_only=True)
class RoutingSpec:
    """Who is asked, in which order."""

    backend: str | None = field(
        default=None, metadata=key(Reference(NameOf.BACKEND), "The backend that ranks all candidates.")
    )
    parameters: Mapping[str, Any] = field(
        factory=dict, metadata=key(FreeMapping(), "What the backend is built with; it knows what they mean.")
    )
    table: dict[TaskType, tuple[str, ...]] = field(
        factory=dict,
        metadata=key(
            MapOf(ListOf(Reference(NameOf.MODEL), least=1, unique=True, most=200), TASK_TYPES),
            "Models or slots by task type, first to last.",
        ),
    )


@frozen(kw_only=True)
class ReviewSpec:
    """Who criticises."""

    cross_vendor: CrossVendor = field(
        default=_USUAL.cross_vendor,
        metadata=key(Choice(CrossVendor), "How much the critic must be of another vendor than the author."),
    )


@frozen(kw_only=True)
class ValidatorsSpec:
    """How outputs are checked."""

    missing_tool: MissingTool = field(
        default=_USUAL.missing_tool,
        metadata=key(Choice(MissingTool), "What a check means whose tool is not installed."),
    )
    sandbox: SandboxChoice = field(
        default=SandboxChoice.AUTO,
        metadata=key(Choice(SandboxChoice), "How checks that run code are contained; none only by this word."),
    )
    settings: dict[str, dict[str, Any]] = field(
        factory=dict,
        metadata=key(
            MapOf(FreeMapping(), least=1, name=Reference(NameOf.VALIDATOR)),
            "Settings by validator; each knows what its own mean.",
        ),
    )
    commands: dict[str, CommandSpec] = field(
        factory=dict, metadata=key(COMMANDS, "Validators that are commands, by name; they run in the sandbox only.")
    )


ROUTING: Final = Record(RoutingSpec)
REVIEW: Final = Record(ReviewSpec)
VALIDATORS: Final = Record(ValidatorsSpec)


@frozen(kw_only=True)
class Spec:
    """What a user wants of one run: the content of a spec file."""

    project: str = field(metadata=key(Text(), "What to build."))
    criteria: str = field(metadata=key(Text(), "When it is good."))
    budget_usd: Usd = field(default=_USUAL.cap, metadata=key(Money(), "The most the run may spend, in US dollars."))
    time_seconds: float = field(
        default=_USUAL.time_limit / SECOND,
        metadata=key(Real(0, 1e8, above=True), "The most active time the run may take."),
    )
    concurrency: int = field(
        default=_USUAL.concurrency, metadata=key(Whole(1, 1000), "Calls in flight at once, at most.")
    )
    verbose: bool = field(default=False, metadata=key(Flag(), "Whether to print debug lines."))
    project_id: str | None = field(
        default=None, metadata=key(IDENTIFIER, "The run's name; left out: a new one each time.", blank=True)
    )
    team: str | None = field(
        default=None, metadata=key(NAME, "The team that pays; its budget and its policies bind the run.", blank=True)
    )
    job_id: str | None = field(
        default=None, metadata=key(NAME, "The job it belongs to; its budget and its policies bind the run.", blank=True)
    )
    output_dir: str | None = field(
        default=None, metadata=key(PATH, "Where the results are written, from the working folder.", blank=True)
    )
    quality_targets: dict[TaskType, float] = field(
        factory=dict, metadata=key(MapOf(Real(0, 1), TASK_TYPES), "The score at which a task of a type is good enough.")
    )
    policies: tuple[Policy, ...] = field(default=(), metadata=key(POLICIES, "Rules about who may be asked."))
    node_policies: dict[str, tuple[Policy, ...]] = field(
        factory=dict, metadata=key(NODE_POLICIES, "Rules that bind one task only, by its id; plan binds the planning.")
    )
    policy_files: tuple[str, ...] = field(
        default=(),
        metadata=key(ListOf(GivenFile(), unique=True, most=100), "Files with more policies, from the spec's folder."),
    )
    tasks: tuple[TaskSpec, ...] = field(
        default=(), metadata=key(PLAN, "A given plan; left out: the project is broken into tasks.")
    )
    context: tuple[str, ...] = field(
        default=(),
        metadata=key(
            CONTEXT,
            "Files of yours that the run works with: files, folders (less what .gitignore excludes), patterns, - for "
            "stdin; from the spec's folder.",
        ),
    )
    approve: Approvals = field(
        default=_USUAL.approve,
        metadata=key(
            APPROVE,
            "What the run stops at until a person has agreed: plan, tasks, ceiling, {spend: AMOUNT}.",
        ),
    )
    replan: Replanning = field(
        default=Replanning.OFF,
        metadata=key(
            Choice(Replanning), "Whether a planner is asked for other tasks where a task failed that others wait for."
        ),
    )
    task_paths: dict[str, str] = field(
        factory=dict,
        metadata=key(TASK_PATHS, "Where a task's output goes in the output folder, by its number from 1 or its id."),
    )
    plugins: tuple[str, ...] = field(
        default=(),
        metadata=key(
            ListOf(GivenFile(), unique=True, most=100),
            "Files of plugins, from the spec's folder; its user has to agree to each.",
        ),
    )
    verify_cmd: str | None = field(
        default=None,
        metadata=key(
            Text(longest=10_000),
            "A shell command that judges the whole result, in a sandbox on a copy of the output folder; it must end "
            "with status 0.",
            blank=True,
        ),
    )
    prompts: str | None = field(
        default=None,
        metadata=key(
            GivenFile(),
            "A folder with templates that replace those of the prompts, from the spec's folder.",
            blank=True,
        ),
    )
    routing: RoutingSpec = field(default=RoutingSpec(), metadata=key(ROUTING, "Who is asked first."))
    providers: dict[str, dict[str, Any]] = field(
        factory=dict,
        metadata=key(
            MapOf(ProviderOptions(empty=True), least=1, name=PROVIDER),
            "Providers and their options; type names the plugin of one with another name. Left out: all with a key.",
        ),
    )
    exporters: dict[str, dict[str, Any]] = field(
        factory=dict,
        metadata=key(
            MapOf(ExporterOptions(empty=True), name=Reference(NameOf.EXPORTER)),
            "Metrics exporters and their options; every_seconds: how often, 0 only at the end, left out: as tasks end.",
        ),
    )
    models: tuple[ModelInfo, ...] = field(default=(), metadata=key(MODELS, "Models to add, or facts to override."))
    review: ReviewSpec = field(default=ReviewSpec(), metadata=key(REVIEW, "Who criticises."))
    evaluate: Evaluation = field(default=_USUAL.evaluation, metadata=key(EVALUATION, "How an output is scored."))
    loop: dict[TaskType, Strategy] = field(
        factory=dict, metadata=key(LOOP, "The strategy of the review loop, for all tasks or by type.")
    )
    plateau: float = field(
        default=_USUAL.plateau, metadata=key(Real(0, 1), "Two consecutive scores nearer than this end the iteration.")
    )
    validators: ValidatorsSpec = field(
        default=ValidatorsSpec(),
        metadata=key(VALIDATORS, "How outputs are checked."),
    )
    phase_budgets: dict[Phase, float] = field(
        factory=dict,
        metadata=key(
            MapOf(Real(0, 1), _PHASES, check=_check_shares), "The part of the budget a phase uses before a warning."
        ),
    )
    limits: LimitsSpec = field(default=LimitsSpec(), metadata=key(LIMITS, "Bounds on asking again."))
    allow_unbounded: bool = field(
        default=_USUAL.allow_unbounded,
        metadata=key(Flag(), "Whether a model may be asked whose output nothing bounds."),
    )
    cache: bool | None = field(
        default=None,
        metadata=key(
            Flag(),
            "Whether answers of earlier runs are reused; left out: with real providers, not with simulated ones.",
        ),
    )
    retention: Retention = field(
        default=Retention(), metadata=key(RETENTION, "How long the run's texts are kept; log gc deletes them then.")
    )
    encrypt: bool = field(
        default=_USUAL.encrypt,
        metadata=key(
            Flag(),
            "Whether the run's texts are encrypted at rest, with a key of its own in the data folder; needs the extra "
            "sign.",
        ),
    )
    enhance: bool | None = field(
        default=None,
        metadata=key(
            Flag(),
            "Whether a model suggests improvements of the description; it suggests none where no person can be asked.",
        ),
    )
    advise: bool | None = field(
        default=None, metadata=key(Flag(), "Whether a model advises on the architecture before the plan is made.")
    )
    lane: Lane = field(
        default=_USUAL.lane,
        metadata=key(
            Choice(Lane),
            "How models are called. batch: in batches, which take up to a day and cost about half, where the vendor "
            "sells them.",
        ),
    )
    app: str | None = field(
        default=None,
        metadata=key(
            Text(longest=100),
            "The type of application to build, such as fastapi, or auto: it gets a scaffold, and is put together, "
            "tested and started at the end.",
        ),
    )
    folder: str = field(default=".", eq=False)
    """The folder the file was read from, against which paths in it are resolved; no key of the file."""
    hints: tuple[str, ...] = field(default=(), eq=False)
    """What may be meant otherwise in the file, a line each; no key of the file."""
    source: str | None = field(default=None, eq=False)
    """The file it was read from, or what stands for it; None: its keys are arguments in Python. No key of the file."""
    as_read: "Spec | None" = field(default=None, eq=False, repr=False)
    """The spec before flags changed it, where they did; what they add is the user's own word. No key of the file."""
    stdin: str | None = field(default=None, eq=False, repr=False)
    """The text that ``-`` in a context stands for; no key of the file."""
    rules: CapabilityRules = field(default=CapabilityRules(), eq=False)
    """What the policy files that bind it say of capabilities; no key of the file."""
    grants: tuple[Grant, ...] | None = field(default=None, eq=False)
    """What its user has agreed to; None: it was not weighed yet. No key of the file."""
    uses: tuple[NameUse, ...] = field(default=(), eq=False, repr=False)
    """The names of models, providers and other things outside the file; no key of the file."""
    files: tuple[FileUse, ...] = field(default=(), eq=False, repr=False)
    """The files and folders that it names to be read; no key of the file."""

    def settings(self, simulated: bool, policies: tuple[Policy, ...] = ()) -> RunSettings:
        """The run's rules. ``policies`` are those of policy files and flags; the spec's own follow them."""
        limits, tokens = self.limits, self.limits.max_tokens
        bound, node_policies = with_strictest_modes((*policies, *self.policies), self.node_policies)
        return RunSettings(
            cap=self.budget_usd,
            time_limit=microseconds(self.time_seconds),
            concurrency=self.concurrency,
            thresholds={**THRESHOLDS, **self.quality_targets},
            iterations={**MAX_ITERATIONS, **limits.iterations},
            max_tokens={**MAX_TOKENS, **{kind: n for kind, n in tokens.items() if isinstance(kind, TaskType)}},
            role_max_tokens={**ROLE_MAX_TOKENS, **{role: n for role, n in tokens.items() if isinstance(role, Role)}},
            fixed_types=tuple(kind for kind in tokens if isinstance(kind, TaskType)),
            fixed_roles=tuple(role for role in tokens if isinstance(role, Role)),
            routing={**ROUTING_TABLE, **self.routing.table},
            backend_named=self.routing.backend is not None,
            phase_shares=_shares(self.phase_budgets),
            evaluation=changed(
                self.evaluate,
                judged_types=tuple(kind for kind in TaskType if kind in self.quality_targets),
                parameters={},
            ),
            loop={kind: under(self.loop.get(kind, Strategy()), self.evaluate.judge) for kind in TaskType},
            plateau=self.plateau,
            cross_vendor=self.review.cross_vendor,
            missing_tool=self.validators.missing_tool,
            limits=limits.settings(),
            policies=bound,
            node_policies=node_policies,
            allow_unbounded=self.allow_unbounded,
            encrypt=self.encrypt,
            simulated=simulated,
            cache=not simulated if self.cache is None else self.cache,
            verify=self.verify_cmd is not None or self.app is not None,
            advise=self.advise is True,
            app=self.app,
            lane=self.lane,
            approve=self.approve,
            replans=MOST_REPLANS if self.replan is Replanning.ON_FAILURE else 0,
        )

    @property
    def named_files(self) -> tuple[str, ...]:
        """All entries of its contexts: its own, then its tasks'."""
        return tuple(dict.fromkeys((*self.context, *(each for task in self.tasks for each in task.context or ()))))

    def canonical(self) -> str:
        """The spec as canonical JSON: equal text means the same spec. What equals its default is left out."""
        return canonical_json(SPEC.dump(self))


def _shares(given: Mapping[Phase, float]) -> dict[Phase, float]:
    """All phases' shares: those given, and what they leave, divided among the others as the defaults are."""
    others = sum(share for phase, share in PHASE_SHARES.items() if phase not in given)
    rest = max(0.0, 1 - sum(given.values())) if given else others
    return {
        phase: given[phase] if phase in given else (share * rest / others if given else share)
        for phase, share in PHASE_SHARES.items()
    }


SPEC: Final = Record(Spec)


@frozen
class ModelsFile:
    """The content of a ``--models`` file."""

    models: tuple[ModelInfo, ...] = field(metadata=key(MODELS, "Models to add, or facts to override."))
    uses: tuple[NameUse, ...] = field(default=(), eq=False, repr=False)
    """As of ``Spec``."""


MODELS_FILE: Final = Record(ModelsFile)
