"""Policies: who may be asked, and what a job is. Plain values; ``decide`` applies them, ``policy_dsl`` reads files."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from attrs import Factory, field, frozen

from orchestrator.models import Budget, ModelProfile, TaskType

__all__ = ["EnforcementMode", "JobSpec", "ModelProfile", "Policy", "PolicyHierarchy", "PolicySet"]


class EnforcementMode(StrEnum):
    """What a violation means."""

    HARD = "hard"
    """The model is not asked."""
    SOFT = "soft"
    """It is recorded and costs rank."""
    MONITOR = "monitor"
    """It is recorded."""


def _policies(value: Iterable["Policy"]) -> "tuple[Policy, ...]":
    return tuple(value)


def _names(value: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if value is None else tuple(value)


@frozen
class Policy:
    """One rule. None leaves a field unrestricted; an empty list of allowed names allows nobody.

    Provider names match a model's plugin or its vendor; model names match a model id or a slot it fills. A fact
    nobody declared (a region, training on data) does not satisfy a restriction.
    """

    name: str
    allowed_providers: tuple[str, ...] | None = field(default=None, converter=_names)
    blocked_providers: tuple[str, ...] | None = field(default=None, converter=_names)
    allowed_models: tuple[str, ...] | None = field(default=None, converter=_names)
    blocked_models: tuple[str, ...] | None = field(default=None, converter=_names)
    allowed_regions: tuple[str, ...] | None = field(default=None, converter=_names)
    allow_training_on_output: bool | None = None
    max_latency_ms: float | None = None
    """The p95 latency measured in the run, judged from ten calls on."""
    enforcement_mode: EnforcementMode = EnforcementMode.HARD


@frozen
class PolicySet:
    """The policies in force for one run, outermost level first."""

    policies: tuple[Policy, ...] = field(default=(), converter=_policies)


def _levels(value: Mapping[str, Sequence[Policy]]) -> dict[str, tuple[Policy, ...]]:
    return {key: tuple(policies) for key, policies in value.items()}


@frozen
class PolicyHierarchy:
    """Policies of the organisation, of teams, of jobs and of nodes; they add up."""

    org: tuple[Policy, ...] = field(default=(), converter=_policies)
    team: dict[str, tuple[Policy, ...]] = field(default=Factory(dict), converter=_levels)
    job: dict[str, tuple[Policy, ...]] = field(default=Factory(dict), converter=_levels)
    node: dict[str, tuple[Policy, ...]] = field(default=Factory(dict), converter=_levels)

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
        )


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
