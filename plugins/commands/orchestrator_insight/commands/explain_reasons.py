"""Why a model was chosen, removed, or ranked lower, in the words of ``orchestrate explain``."""

from collections.abc import Mapping
from typing import Final

from orchestrator.cli.kit import (
    REMOVED,
    SELECTED,
    UNMEASURED,
    forbidden,
    money,
    restricted,
    timestamp,
)
from orchestrator.models import RejectionReason, Role, SpendLimit, Waiver, is_comparison
from orchestrator.policy import EnforcementMode, Policy
from orchestrator_insight.explanation import (
    ConsideredModel,
    ModelChoice,
    SpendRefusal,
)

WAIVED: Final[Mapping[Waiver, str]] = {
    Waiver.SAME_VENDOR: "waived: it is of the author's vendor (another tier); no model of another vendor is left",
    Waiver.SAME_TIER: "waived: it is of the author's vendor and tier; none of another vendor or a higher tier is left",
    Waiver.SAME_MODEL: "waived: it is the author itself; no other model of its tier or above is left",
    Waiver.LOWER_TIER: "waived: it is of the author's vendor and a lower tier; no other model is left",
}
LIMITS: Final[Mapping[SpendLimit, str]] = {
    SpendLimit.RUN: "the run's ceiling",
    SpendLimit.ENHANCE: "the ceiling of suggestions",
    SpendLimit.ACCOUNT: "the account {name}",
    SpendLimit.POLICY: "the task's cap of policy {name!r}",
}
"""Which limit the hold did not fit, in words."""
_BACKEND: Final = {"dominated": "another model is better in quality, trust and cost at once"}
"""What a backend says of a candidate, in words."""


def refused(each: SpendRefusal) -> str:
    """Which limit had too little for a call, in words."""
    limit = LIMITS[each.limit].format(name=each.name)
    end = "refused" if each.final else "not now"
    return f"{end}: a call needs {money(each.need)} at worst, {limit} has {money(each.free)} free"


def sentence(choice: ModelChoice) -> str:
    """Why the model was chosen, and what ordered the candidates, in one sentence."""
    return f"{_reason(choice)}; {_ordered_by(choice)}{_preferred(choice)}"


def _reason(choice: ModelChoice) -> str:
    if choice.policy is not None:
        return f"the model before it did not fit the task's cap of policy {choice.policy!r}"
    return SELECTED[choice.reason]


def _ordered_by(choice: ModelChoice) -> str:
    backend = choice.backend
    if choice.chain:
        return f"ordered by the chain {' → '.join(choice.chain)}, then by price"
    if backend is None:
        return "ordered by price" if choice.type is None else "ordered by the routing table, then by price"
    given = ", ".join(f"{name}={value}" for name, value in backend.parameters.items())
    origin = ", an object passed from Python"
    if backend.distribution:
        origin = f" {backend.version} of {backend.distribution}"
    unmeasured = "" if any(each.telemetry.calls for each in choice.considered) else f"; {UNMEASURED}"
    return f"ordered by {backend.name}{origin}" + (f" with {given}" if given else "") + unmeasured


def _preferred(choice: ModelChoice) -> str:
    """What comes before that order, for those who work on what another model wrote."""
    if choice.author is None:
        return ""
    if choice.role is Role.REVISER:
        return f"; first the author ({choice.author})"
    last = "; those that wrote one of the two come last" if is_comparison(choice.sample) else ""
    return f"; first the models of other vendors than the author's ({choice.author}){last}"


def why(choice: ModelChoice, candidate: ConsideredModel) -> str:
    """What removed a candidate, or that it was chosen, in words; and the milder policies it violates."""
    if candidate.rejection is None:
        words = "chosen" if candidate.model == choice.model else ""
    elif candidate.rejection is RejectionReason.RANKED:
        words = REMOVED[candidate.rejection]
        if _is_of_author(choice, candidate):
            words += " (same vendor as the author)"
        said = _BACKEND.get(candidate.reason, candidate.reason)
        words += f": {said}" if said else ""
    else:
        words = removal(candidate)
    return "; ".join(each for each in (words, *(_violated(policy) for policy in candidate.violates)) if each)


def removal(candidate: ConsideredModel) -> str:
    """What removed a candidate, in words."""
    if candidate.policy_name is not None:
        return forbidden(candidate.policy_name, candidate.policy, candidate.undeclared)
    words = "" if candidate.rejection is None else REMOVED[candidate.rejection]
    if candidate.trouble:
        words += f" ({', '.join(candidate.trouble)})"
    return words if candidate.until is None else f"{words} until {timestamp(candidate.until)}"


def _violated(policy: Policy) -> str:
    means = "so it ranks last" if policy.enforcement_mode is EnforcementMode.SOFT else "recorded only"
    return f"violates policy {policy.name!r} ({restricted(policy)}), {means}"


def _is_of_author(choice: ModelChoice, candidate: ConsideredModel) -> bool:
    """Whether a reviewer ranks lower because it is of the author's vendor, and the chosen one is not."""
    if choice.role not in (Role.CRITIC, Role.EVALUATOR) or choice.waiver is not None:
        return False
    vendors = {each.model: each.vendor for each in choice.considered}
    return candidate.vendor == vendors.get(choice.author or "") != vendors[choice.model]
