"""What the policies in force mean for a model: HARD removes it, SOFT costs it rank, MONITOR notes it."""

from collections.abc import Iterable
from typing import Final

from orchestrator.models import SLOT_ALIASES, ModelInfo
from orchestrator.money import Usd
from orchestrator.policy import EnforcementMode, Policy
from orchestrator.settings import RunSettings
from orchestrator.state.model_health import ModelRecord

MEASURED: Final = 10
"""From so many calls on a model is measured: its latency is judged, and the default backend ranks it."""


def binding(settings: RunSettings, node: str) -> tuple[Policy, ...]:
    """The policies that bind the calls of a node: the run's, then its own."""
    return (*settings.policies, *settings.node_policies.get(node, ()))


def violated(
    policies: Iterable[Policy], model: ModelInfo, slots: Iterable[str], record: ModelRecord | None
) -> str | None:
    """The name of the first HARD policy that removes the model, or None.

    ``slots`` are those the model fills in this session. Its latency is judged by the p95 measured in this run, from
    ten calls on.
    """
    broken = (policy for policy in policies if policy.enforcement_mode is EnforcementMode.HARD)
    return next((policy.name for policy in _broken(broken, model, slots, record)), None)


def violations(
    policies: Iterable[Policy], model: ModelInfo, slots: Iterable[str], record: ModelRecord | None
) -> tuple[tuple[str, ...], bool]:
    """The SOFT and MONITOR policies the model violates, each name once, and whether a SOFT one is among them."""
    mild = [policy for policy in policies if policy.enforcement_mode is not EnforcementMode.HARD]
    broken = list(_broken(mild, model, slots, record)) if mild else []
    soft = any(policy.enforcement_mode is EnforcementMode.SOFT for policy in broken)
    return tuple(dict.fromkeys(policy.name for policy in broken)), soft


def undeclared(policy: Policy, model: ModelInfo) -> tuple[str, ...]:
    """The facts of the model, by their keys in a spec, that the policy asks for and that are not declared."""
    asked = {
        "regions": policy.allowed_regions is not None and not model.regions,
        "trains_on_data": policy.allow_training_on_output is False and model.trains_on_data is None,
    }
    return tuple(name for name, unknown in asked.items() if unknown)


def caps_of(settings: RunSettings, node: str, *, is_task: bool) -> tuple[tuple[Policy, Usd], ...]:
    """The policies that cap the cost of a node, with their caps. Those of the run cap tasks, nothing else."""
    policies = binding(settings, node) if is_task else settings.node_policies.get(node, ())
    capped = ((policy, policy.max_cost_per_task_usd) for policy in policies)
    return tuple([(policy, cap) for policy, cap in capped if cap is not None])


def _broken(
    policies: Iterable[Policy], model: ModelInfo, slots: Iterable[str], record: ModelRecord | None
) -> Iterable[Policy]:
    names = {model.id, model.sent_name, *slots}
    companies = {name.lower() for name in (model.provider, model.provider_type, model.vendor) if name}
    for policy in policies:
        if (
            _outside(policy.allowed_providers, companies, lower=True)
            or _inside(policy.blocked_providers, companies, lower=True)
            or _outside(policy.allowed_models, names)
            or _inside(policy.blocked_models, names)
            or _outside_regions(policy.allowed_regions, model.regions)
            or (policy.allow_training_on_output is False and model.trains_on_data is not False)
            or _too_slow(policy.max_latency_ms, record)
        ):
            yield policy


def _plain(name: str, lower: bool) -> str:
    return name.lower() if lower else SLOT_ALIASES.get(name, name)


def _outside(allowed: tuple[str, ...] | None, names: set[str], lower: bool = False) -> bool:
    return allowed is not None and not any(_plain(name, lower) in names or name in names for name in allowed)


def _inside(blocked: tuple[str, ...] | None, names: set[str], lower: bool = False) -> bool:
    return blocked is not None and any(_plain(name, lower) in names or name in names for name in blocked)


def _outside_regions(allowed: tuple[str, ...] | None, regions: tuple[str, ...]) -> bool:
    if allowed is None:
        return False
    return not regions or not set(regions) <= set(allowed)


def _too_slow(limit: float | None, record: ModelRecord | None) -> bool:
    if limit is None or record is None or len(record.latencies) < MEASURED:
        return False
    p95 = record.p95_ms
    return p95 is not None and p95 > limit
