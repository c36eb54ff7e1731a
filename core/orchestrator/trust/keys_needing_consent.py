"""The keys of a spec in two columns, as data: what a spec may do alone, and what its user has to agree to.

A path such as ``providers.*.base_url`` is a key below any name, ``tasks.*.prompt`` one of every item of a list. Every
key of the spec file and every option of the built-in plugins is in one of the columns: a test fails where a new one is
not. An option of another plugin that is in neither needs agreement wherever it could name something; see
``wanted_capabilities``.
"""

from collections.abc import Mapping
from typing import Final

from orchestrator.models import CapabilityKind

AGREED: Final[Mapping[str, CapabilityKind]] = {
    "budget_usd": CapabilityKind.BUDGET,
    "output_dir": CapabilityKind.OUTPUT,
    "policy_files.*": CapabilityKind.READ,
    "prompts": CapabilityKind.READ,
    "context.*": CapabilityKind.READ,
    "tasks.*.context.*": CapabilityKind.READ,
    "plugins.*": CapabilityKind.PLUGIN,
    "validators.sandbox": CapabilityKind.SANDBOX,
    "verify_cmd": CapabilityKind.COMMAND,
    "validators.commands.*.run": CapabilityKind.COMMAND,
    "providers.*.answers": CapabilityKind.READ,
    "providers.*.base_url": CapabilityKind.ADDRESS,
    "providers.*.api_key_env": CapabilityKind.KEY,
    "providers.*.headers": CapabilityKind.KEY,
    "exporters.*.endpoint": CapabilityKind.ADDRESS,
    "exporters.*.url": CapabilityKind.ADDRESS,
    "exporters.*.secret_env": CapabilityKind.KEY,
    "exporters.*.addresses_env": CapabilityKind.KEY,
    "exporters.*.host": CapabilityKind.LISTEN,
    "exporters.*.path": CapabilityKind.WRITE,
}
"""Keys that open, send, listen, execute or spend, with the capability that some of their values need."""

_POLICY: Final = (
    "name allowed_providers.* blocked_providers.* allowed_models.* blocked_models.* allowed_regions.* "
    "allow_training_on_output max_cost_per_task_usd max_latency_ms enforcement_mode "
    "rate_limit.calls_per_minute rate_limit.cost_usd_per_hour rate_limit.tokens_per_day"
)
_PRICE: Final = "input output cached_input cache_write reasoning"

_GROUPS: Final[Mapping[str, str]] = {
    "": "project criteria time_seconds concurrency verbose project_id team job_id quality_targets.* task_paths.* loop "
    "plateau phase_budgets.* allow_unbounded cache encrypt enhance advise app approve replan lane",
    "policies.*": _POLICY,
    "node_policies.*.*": _POLICY,
    "tasks.*": "id type prompt title dependencies.* hard_validators.* schema tests lane",
    "routing": "backend parameters table.*.*",
    "models.*": "id provider context max_input max_output price_date effort thinking_tokens.* hidden_tokens "
    "thinking_in_limit tier slots.* trains_on_data regions.* abilities.* vendor wire_name",
    "models.*.price": _PRICE,
    "models.*.price.rates.*": f"{_PRICE} over since hours days",
    "models.*.batch_price": _PRICE,
    "models.*.batch_price.rates.*": f"{_PRICE} over since hours days",
    "retention": "keep hold.*",
    "review": "cross_vendor",
    "evaluate": "runs max_delta on_disagree second tests_decide judge scorer parameters with_judge",
    "validators": "missing_tool settings.*.longest settings.*.shortest commands.*.pass commands.*.timeout",
    "limits": "tries attempts outage batch_wait breaker.failures breaker.seconds iterations.* max_tokens.* "
    "call_timeout requests_per_minute tokens_per_minute shared max_tasks single_task_fallback",
    "providers.*": "api batches effort idle_seconds region script stream type",
    "exporters.*": "attributes events every_seconds on port project service_name",
}

FREE: Final = frozenset(f"{group}.{name}".lstrip(".") for group, names in _GROUPS.items() for name in names.split())
"""Keys that a spec may set as it likes. A port is opened on this machine's own address unless ``host`` is set."""


def is_known(path: str) -> bool:
    """Whether a key is in one of the columns."""
    return path in AGREED or path in FREE
