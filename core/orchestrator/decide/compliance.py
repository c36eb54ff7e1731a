"""Whether the policies in force allow a model."""

from collections.abc import Iterable

from orchestrator.models import SLOT_ALIASES, ModelInfo
from orchestrator.policy import Policy
from orchestrator.state.health import ModelRecord

_MEASURED = 10


def violated(
    policies: Iterable[Policy], model: ModelInfo, slots: Iterable[str], record: ModelRecord | None
) -> str | None:
    """The name of the first policy that removes the model, or None.

    ``slots`` are those the model fills in this session. Its latency is judged by the p95 measured in this run, from
    ten calls on.
    """
    names = {model.id, model.sent_name, *slots}
    companies = {model.provider.lower(), model.vendor.lower()}
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
            return policy.name
    return None


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
    if limit is None or record is None or len(record.latencies) < _MEASURED:
        return False
    p95 = record.p95_ms
    return p95 is not None and p95 > limit
