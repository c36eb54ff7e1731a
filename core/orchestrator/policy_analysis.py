"""What contradicts itself in policies that bind together."""

from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Final

from attrs import frozen

from orchestrator.models import SLOT_ALIASES
from orchestrator.money import Usd
from orchestrator.policy import EnforcementMode, Policy, PolicySet, strictest_mode, with_strictest_modes


@frozen
class AnalysisReport:
    """What is wrong with a set of policies: lines for people, with ``FILE:LINE`` in front where it is known."""

    errors: tuple[str, ...] = ()
    """A policy contradicts itself: no model complies with it."""
    warnings: tuple[str, ...] = ()
    """No model complies with some of the policies together."""
    unrestricted: tuple[str, ...] = ()
    """What no policy restricts."""
    raised: tuple[str, ...] = ()
    """Policies that one of the same name makes stricter than they say."""

    @property
    def info(self) -> tuple[str, ...]:
        """What is worth knowing, and neither an error nor a warning."""
        return (*self.unrestricted, *self.raised)

    def is_clean(self) -> bool:
        """Whether there are neither errors nor warnings."""
        return not self.errors and not self.warnings


_LISTS: Final = ("allowed_providers", "allowed_models", "allowed_regions")
_PAIRS: Final = (("allowed_providers", "blocked_providers", "provider"), ("allowed_models", "blocked_models", "model"))
_WANTED: Final = (
    ("max_cost_per_task_usd", "no policy caps the cost of a task (max_cost_per_task_usd)"),
    ("max_latency_ms", "no policy bounds latency (max_latency_ms)"),
)


class PolicyAnalyzer:
    """Finds contradictions in policies before anything runs."""

    @staticmethod
    def analyze(policies: PolicySet | Iterable[Policy], places: Sequence[str] = ()) -> AnalysisReport:
        """What is wrong with policies that bind together.

        Args:
            policies: all that bind one run.
            places: where each of them stands, such as ``policies.yaml:4``, in the same order; may be left out.
        """
        found = policies.policies if isinstance(policies, PolicySet) else tuple(policies)
        starts = [f"{place}: " for place in places] if places else [""] * len(found)
        located = list(zip(starts, found, strict=True))
        return AnalysisReport(
            errors=tuple(start + text for start, policy in located for text in _contradictions(policy)),
            warnings=(
                *(
                    start + text
                    for (_, one), (start, other) in combinations(located, 2)
                    for text in _disjoint(one, other)
                ),
                *_shut_out(located),
            ),
            unrestricted=tuple(
                text for name, text in _WANTED if all(getattr(policy, name) is None for policy in found)
            ),
            raised=tuple(start + text for start, policy in located if (text := _raised(policy, found))),
        )


def _contradictions(policy: Policy) -> Iterable[str]:
    for name in _LISTS:
        if getattr(policy, name) == ():
            yield f"policy {policy.name!r}: {name} is empty: it allows no model; leave it out, or name some"
    if policy.max_cost_per_task_usd == Usd.ZERO:
        yield f"policy {policy.name!r}: max_cost_per_task_usd is 0: no model that costs anything fits; name an amount"
    if policy.rate_limit is not None and policy.rate_limit.cost_usd_per_hour == Usd.ZERO:
        yield f"policy {policy.name!r}: cost_usd_per_hour is 0: no model that costs anything fits; name an amount"
    for allowed, blocked, what in _PAIRS:
        both = sorted(_names(policy, allowed) & _names(policy, blocked))
        if both:
            yield f"policy {policy.name!r}: {what} {_listed(both)} is both allowed and blocked"


def _raised(policy: Policy, found: Sequence[Policy]) -> str:
    """That a policy of the same name makes it stricter than it says, or nothing."""
    mode = strictest_mode(each for each in found if each.name == policy.name)
    if mode is policy.enforcement_mode:
        return ""
    return f"policy {policy.name!r} is {policy.enforcement_mode} here, but {mode} where it stands again: {mode} holds"


def _disjoint(one: Policy, other: Policy) -> Iterable[str]:
    for name in _LISTS:
        ours, theirs = _names(one, name), _names(other, name)
        if ours and theirs and not ours & theirs:
            yield (
                f"policies {one.name!r} and {other.name!r}: their {name} have nothing in common: "
                f"{_listed(sorted(ours))} against {_listed(sorted(theirs))}"
            )


def _shut_out(located: Sequence[tuple[str, Policy]]) -> Iterable[str]:
    """That hard policies block everything that another hard one allows."""
    bound, _ = with_strictest_modes([policy for _, policy in located], {})
    hard = {place: policy for place, policy in enumerate(bound) if policy.enforcement_mode is EnforcementMode.HARD}
    for place, (allowed, blocked, what) in product(hard, _PAIRS):
        names = _names(hard[place], allowed)
        blocking = {at: _names(other, blocked) for at, other in hard.items() if at != place} if names else {}
        blocking = {at: theirs for at, theirs in blocking.items() if theirs & names}
        if names and names <= set().union(*blocking.values()):
            start, name = located[max(place, *blocking)][0], hard[place].name
            *others, last = (repr(each) for each in dict.fromkeys(hard[at].name for at in blocking))
            blockers = f"{', '.join(others)} and {last} together block" if others else f"{last} blocks"
            yield f"{start}policy {name!r}: {blockers} every {what} that it allows: {_listed(sorted(names))}"


def _names(policy: Policy, name: str) -> set[str]:
    """The names in a list, as they are compared: providers without case, models by their slot."""
    values = getattr(policy, name) or ()
    return {value.lower() if "providers" in name else SLOT_ALIASES.get(value, value) for value in values}


def _listed(names: Iterable[str]) -> str:
    return ", ".join(map(repr, names))
