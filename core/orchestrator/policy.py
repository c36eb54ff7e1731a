"""Policies: who may be asked, and what a job is. Plain values; ``decide`` applies them, ``policy_dsl`` reads files."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from enum import StrEnum

from attrs import Factory, evolve, field, frozen

from orchestrator.models import Budget, ModelProfile, TaskType
from orchestrator.money import Usd

__all__ = [
    "CapabilityRules",
    "EnforcementMode",
    "JobSpec",
    "ModelProfile",
    "Policy",
    "PolicyHierarchy",
    "PolicySet",
    "RateLimit",
]


class EnforcementMode(StrEnum):
    """What a violation means."""

    HARD = "hard"
    """The model is not asked."""
    SOFT = "soft"
    """It is recorded and costs rank."""
    MONITOR = "monitor"
    """It is recorded."""

    @property
    def strictness(self) -> int:
        """0 for the mildest."""
        return (EnforcementMode.MONITOR, EnforcementMode.SOFT, EnforcementMode.HARD).index(self)


def _policies(value: Iterable["Policy"]) -> "tuple[Policy, ...]":
    return tuple(value)


def _names(value: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


def _amount(value: str | float | Decimal | Usd | None) -> Usd | None:
    return None if value is None else Usd.parse(value)


def _mode(value: str) -> EnforcementMode:
    return EnforcementMode(value)


@frozen
class RateLimit:
    """How often and how much may be asked; None leaves a field unlimited."""

    calls_per_minute: int | None = None
    cost_usd_per_hour: Usd | None = field(default=None, converter=_amount)
    tokens_per_day: int | None = None


@frozen
class Policy:
    """One rule. None leaves a field unrestricted; an empty list of allowed names allows no model.

    Provider names match a model's plugin or its vendor; model names match a model id or a slot it fills. A fact
    that is not declared (a region, training on data) does not satisfy a restriction.
    """

    name: str
    """What it is called in reports."""
    allowed_providers: tuple[str, ...] | None = field(default=None, converter=_names)
    """Only these providers or vendors."""
    blocked_providers: tuple[str, ...] | None = field(default=None, converter=_names)
    """None of these."""
    allowed_models: tuple[str, ...] | None = field(default=None, converter=_names)
    """Only these models or slots."""
    blocked_models: tuple[str, ...] | None = field(default=None, converter=_names)
    """None of these."""
    allowed_regions: tuple[str, ...] | None = field(default=None, converter=_names)
    """Only models that run in one of these."""
    allow_training_on_output: bool | None = None
    """False: no model whose vendor trains on what it is sent."""
    max_cost_per_task_usd: Usd | None = field(default=None, converter=_amount)
    """What the calls of one task may cost together, at worst."""
    max_latency_ms: float | None = None
    """The p95 latency measured in the run, judged from ten calls on."""
    rate_limit: RateLimit | None = None
    """HARD: calls beyond it wait."""
    enforcement_mode: EnforcementMode = field(default=EnforcementMode.HARD, converter=_mode)
    """What a violation does."""


@frozen
class PolicySet:
    """The policies in force for one run, outermost level first; it can be iterated."""

    policies: tuple[Policy, ...] = field(default=(), converter=_policies)
    """In the order in which they are explained."""

    def __iter__(self) -> Iterator[Policy]:
        return iter(self.policies)

    def __len__(self) -> int:
        return len(self.policies)


def _levels(value: Mapping[str, Sequence[Policy]]) -> dict[str, tuple[Policy, ...]]:
    return {key: tuple(policies) for key, policies in value.items()}


@frozen
class CapabilityRules:
    """What specs may do beside calling models: patterns such as ``address=https://*.example.com``; deny wins."""

    allow: tuple[str, ...] = ()
    deny: tuple[str, ...] = ()

    def merged(self, other: "CapabilityRules") -> "CapabilityRules":
        """Both together."""
        return CapabilityRules((*self.allow, *other.allow), (*self.deny, *other.deny))


@frozen
class Retention:
    """How long the texts of runs are kept, and which runs are kept whatever their age; ``log gc`` deletes the others.

    Attributes:
        keep: microseconds from the last event of a run; None: for ever.
        hold: the ids of runs whose texts are not deleted.
    """

    keep: int | None = None
    hold: tuple[str, ...] = ()

    def merged(self, other: "Retention") -> "Retention":
        """Both together: the shorter time, and every run that one of them holds."""
        times = [each for each in (self.keep, other.keep) if each is not None]
        return Retention(min(times, default=None), tuple(dict.fromkeys((*self.hold, *other.hold))))


@frozen
class PolicyHierarchy:
    """Policies of the organisation, of teams, of jobs and of nodes; they add up."""

    org: tuple[Policy, ...] = field(default=(), converter=_policies)
    """Those that bind every run."""
    team: dict[str, tuple[Policy, ...]] = field(default=Factory(dict), converter=_levels)
    """By team."""
    job: dict[str, tuple[Policy, ...]] = field(default=Factory(dict), converter=_levels)
    """By job id."""
    node: dict[str, tuple[Policy, ...]] = field(default=Factory(dict), converter=_levels)
    """By task id."""
    capabilities: CapabilityRules = CapabilityRules()
    """What the file agrees to and denies of what specs want."""
    retention: Retention = Retention()
    """How long texts of runs are kept."""

    def policies_for(self, team: str = "", job_id: str = "", node: str = "") -> PolicySet:
        """The policies that bind a node of a job of a team; a level left out adds nothing."""
        return PolicySet((*self.org, *self.team.get(team, ()), *self.job.get(job_id, ()), *self.node.get(node, ())))

    def merged(self, other: "PolicyHierarchy") -> "PolicyHierarchy":
        """Both hierarchies together."""

        def joined(
            mine: Mapping[str, tuple[Policy, ...]], others: Mapping[str, tuple[Policy, ...]]
        ) -> dict[str, tuple[Policy, ...]]:
            return {key: mine.get(key, ()) + others.get(key, ()) for key in {**mine, **others}}

        return PolicyHierarchy(
            org=self.org + other.org,
            team=joined(self.team, other.team),
            job=joined(self.job, other.job),
            node=joined(self.node, other.node),
            capabilities=self.capabilities.merged(other.capabilities),
            retention=self.retention.merged(other.retention),
        )


def with_strictest_modes(
    policies: Sequence[Policy], node_policies: Mapping[str, Sequence[Policy]]
) -> tuple[tuple[Policy, ...], dict[str, tuple[Policy, ...]]]:
    """The policies of a run and of its nodes, each in the strictest mode in which one of its name is in force.

    A policy of a node that is stricter than the run's of the same name brings the run's along, for that node.
    """
    modes = _strictest(policies)
    nodes: dict[str, tuple[Policy, ...]] = {}
    for node, own in node_policies.items():
        here = _strictest((*policies, *own))
        raised = [policy for policy in policies if here[policy.name] is not modes[policy.name]]
        nodes[node] = tuple([_in_mode(policy, here) for policy in (*raised, *own)])
    return tuple([_in_mode(policy, modes) for policy in policies]), nodes


def strictest_mode(policies: Iterable[Policy]) -> EnforcementMode:
    """The strictest of their modes."""
    return max((policy.enforcement_mode for policy in policies), key=lambda mode: mode.strictness)


def _strictest(policies: Iterable[Policy]) -> dict[str, EnforcementMode]:
    named: dict[str, list[Policy]] = {}
    for policy in policies:
        named.setdefault(policy.name, []).append(policy)
    return {name: strictest_mode(found) for name, found in named.items()}


def _in_mode(policy: Policy, modes: Mapping[str, EnforcementMode]) -> Policy:
    mode = modes[policy.name]
    return policy if policy.enforcement_mode is mode else evolve(policy, enforcement_mode=mode)


def _set(value: "PolicySet | Iterable[Policy]") -> PolicySet:
    return value if isinstance(value, PolicySet) else PolicySet(tuple(value))


@frozen(kw_only=True)
class JobSpec:
    """One job for ``Orchestrator.run_job``: a project, its budget, and who pays for it."""

    project_description: str
    success_criteria: str
    budget: Budget | None = None
    """None: that of the orchestrator."""
    team: str = ""
    """Whose budget and policies bind the job."""
    job_id: str = ""
    """Its name in budgets and policies; several runs may belong to one job."""
    project_id: str = ""
    """The run's id; empty: a new one each time."""
    policies: PolicySet = field(default=PolicySet(), converter=_set)
    quality_targets: Mapping[TaskType, float] = Factory(dict)
    """The score at which a task of a type is good enough."""
