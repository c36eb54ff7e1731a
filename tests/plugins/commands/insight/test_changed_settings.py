"""Changed settings are told as a spec writes them."""

from attrs import evolve

from orchestrator.models import TaskType
from orchestrator.money import Usd
from orchestrator.policy import Policy, RateLimit
from orchestrator.settings import Approvals, Limits, RunSettings
from orchestrator_insight.changed_settings import settings_changed

PLAIN = RunSettings()
X = Policy("x", blocked_models=("north",), rate_limit=RateLimit(cost_usd_per_hour=Usd.parse("0.5")))


def _changes(**changed: object) -> list[str]:
    return list(settings_changed(PLAIN, evolve(PLAIN, **changed)))  # type: ignore[arg-type]


def test_a_policy_is_told_by_what_it_sets() -> None:
    """One that is new as a whole, and of one that stays only what it sets otherwise."""
    spelled = "{blocked_models: [north], rate_limit: {cost_usd_per_hour: 0.5}}"
    assert _changes(policies=(X,)) == [f"policies.x: none → {spelled}"]
    assert _changes(node_policies={"t": (X,)}) == [f"node_policies.t.x: none → {spelled}"]
    softer = evolve(X, enforcement_mode="soft", blocked_models=("north", "south"))
    assert list(settings_changed(evolve(PLAIN, policies=(X,)), evolve(PLAIN, policies=(softer,)))) == [
        "policies.x.blocked_models: north → north, south",
        "policies.x.enforcement_mode: none → soft",
    ]
    assert _changes(policies=(X, X)) == [f"policies: none → {', '.join([spelled.replace('{', '{name: x, ', 1)] * 2)}"]


def test_other_values_are_told_in_the_words_of_a_spec() -> None:
    """Truth in small letters, times in seconds, what is not set as none."""
    assert _changes(approve=Approvals(plan=True, spend=(Usd.parse(2),))) == [
        "approve.plan: false → true",
        "approve.spend: none → $2.00",
    ]
    assert _changes(time_limit=90_500_000, limits=Limits(call_timeout=3_000_000)) == [
        "time_limit: 5400 s → 90.5 s",
        "limits.call_timeout: none → 3 s",
    ]
    (routed,) = _changes(routing={**PLAIN.routing, TaskType.CODE_REVIEW: ("a", "b")})
    assert routed.endswith("→ a, b")
