"""The keys of policies, as specs and policy files have them."""

from typing import Final

from orchestrator.policy import EnforcementMode, Policy, RateLimit, Retention
from orchestrator.spec.container_kinds import Key, ListOf, MapOf, Record
from orchestrator.spec.times import Age
from orchestrator.spec.value_kinds import NAME, Choice, Flag, Money, NameOf, Real, Reference, Whole

PARTIES: Final = ListOf(Reference(NameOf.PARTY))
MODEL_NAMES: Final = ListOf(Reference(NameOf.MODEL))

RATE_LIMIT: Final = Record(
    RateLimit,
    {
        "calls_per_minute": Key(Whole(1, 1_000_000), "Calls that may start within a minute."),
        "cost_usd_per_hour": Key(Money(), "US dollars that calls starting within an hour may cost, at worst."),
        "tokens_per_day": Key(Whole(1, 10**12), "Tokens that calls starting within a day may read and write."),
    },
)
"""How often and how much may be asked under a policy."""

POLICY: Final = Record(
    Policy,
    {
        "name": Key(NAME, "What the policy is called in reports."),
        "allowed_providers": Key(PARTIES, "Only these providers (instances or types) or vendors may be asked."),
        "blocked_providers": Key(PARTIES, "These providers (instances or types) or vendors are not asked."),
        "allowed_models": Key(MODEL_NAMES, "Only these models or slots may be asked."),
        "blocked_models": Key(MODEL_NAMES, "These models or slots are not asked."),
        "allowed_regions": Key(
            ListOf(Reference(NameOf.REGION)), "Only models declared for one of these regions may be asked."
        ),
        "allow_training_on_output": Key(Flag(), "false: only models declared not to train on data may be asked."),
        "max_cost_per_task_usd": Key(Money(), "The most the calls of one task may cost together, in US dollars."),
        "max_latency_ms": Key(Real(0, 1e9, above=True), "The most the p95 latency measured in the run may be."),
        "rate_limit": Key(RATE_LIMIT, "How often and how much may be asked; what is beyond it waits."),
        "enforcement_mode": Key(
            Choice(EnforcementMode),
            "What a violation means. hard: not asked; soft: asked after all others; monitor: written down.",
        ),
    },
    later=frozenset({"pii_allowed"}),
)
"""One policy. A field that nothing enforces yet is refused by name."""

POLICIES: Final = ListOf(POLICY, most=1000)

RETENTION: Final = Record(
    Retention,
    {
        "keep": Key(Age(), "How long texts are kept after a run's last event, such as 180d; left out: for ever."),
        "hold": Key(ListOf(NAME, most=10_000), "Runs whose texts are kept whatever their age."),
    },
)
"""How long the texts of runs are kept."""

NODE_POLICIES: Final[MapOf[str, tuple[Policy, ...]]] = MapOf(POLICIES)
"""Policies by the node they bind."""
