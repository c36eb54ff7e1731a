import asyncio
import json
from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import EnforcementMode, Policy, PolicySet
from orchestrator.errors import SpecError
from orchestrator.money import Usd
from orchestrator.policy import RateLimit
from orchestrator.policy_dsl import PolicyAnalyzer, with_policies
from orchestrator.spec import spec_from
from tests.scripted import fields, orchestrator, run

NAMES = st.sets(st.sampled_from(["openai", "google", "kimi"]), min_size=1).map(tuple)


@given(NAMES, NAMES)
def test_a_provider_both_allowed_and_blocked_is_an_error(allowed: tuple[str, ...], blocked: tuple[str, ...]) -> None:
    """Exactly the overlap is named, in whatever case it is written."""
    policy = Policy("p", allowed_providers=[name.upper() for name in allowed], blocked_providers=blocked)
    report = PolicyAnalyzer.analyze(PolicySet((policy,)))
    overlap = sorted(set(allowed) & set(blocked))
    assert report.is_clean() == (not overlap)
    assert all(repr(name) in report.errors[0] for name in overlap)
    assert report.warnings == ()


@given(NAMES, NAMES)
def test_two_policies_without_a_common_provider_are_a_warning(one: tuple[str, ...], other: tuple[str, ...]) -> None:
    """Each is sound alone; together they leave no model, and that is said once."""
    policies = PolicySet((Policy("a", allowed_providers=one), Policy("b", allowed_providers=other)))
    report = PolicyAnalyzer.analyze(policies)
    assert report.errors == ()
    assert len(report.warnings) == (not set(one) & set(other))
    assert report.is_clean() == bool(set(one) & set(other))


@given(NAMES, NAMES, NAMES)
def test_what_one_policy_allows_and_others_block_is_a_warning(
    allowed: tuple[str, ...], one: tuple[str, ...], other: tuple[str, ...]
) -> None:
    """Exactly where nothing is left of what is allowed, in whatever order they stand; soft ones block nothing."""
    policies = [Policy("b", blocked_providers=one), Policy("a", allowed_providers=allowed)]
    third = Policy("c", blocked_providers=[name.upper() for name in other])
    report = PolicyAnalyzer.analyze([*policies, third], ["f:1", "f:2", "f:3"])
    assert len(report.warnings) == (not set(allowed) - set(one) - set(other))
    assert report.errors == ()
    soft = evolve(third, enforcement_mode=EnforcementMode.SOFT)
    assert len(PolicyAnalyzer.analyze([*policies, soft]).warnings) == (not set(allowed) - set(one))


def test_the_later_of_policies_that_exclude_each_other_is_the_place() -> None:
    """Models are compared by slot; a namesake that is hard makes a soft policy hard."""
    blocking = Policy("b", blocked_models=["claude-3-5-opus-20241022"], enforcement_mode=EnforcementMode.SOFT)
    policies = [Policy("a", allowed_models=["claude-opus"]), blocking]
    assert PolicyAnalyzer.analyze(policies).is_clean()
    assert PolicyAnalyzer.analyze([*policies, Policy("b")], ["f:1", "f:2", "f:3"]).warnings == (
        "f:2: policy 'a': 'b' blocks every model that it allows: 'claude-opus'",
    )


def test_an_empty_list_of_regions_is_an_error_and_models_are_compared_by_slot() -> None:
    """No model is allowed by an empty list; a dated id and its slot are one model."""
    nowhere = Policy("nowhere", allowed_regions=[])
    both = Policy("both", allowed_models=["claude-3-5-opus-20241022"], blocked_models=["claude-opus"])
    report = PolicyAnalyzer.analyze([nowhere, both], places=["f.yaml:1", "f.yaml:2"])
    assert [line.partition(" ")[0] for line in report.errors] == ["f.yaml:1:", "f.yaml:2:"]
    assert "allowed_regions is empty" in report.errors[0]
    assert "'claude-opus' is both allowed and blocked" in report.errors[1]


def test_what_no_policy_restricts_is_information_and_does_not_count() -> None:
    """A set without a cost cap or a latency bound is clean, and says so."""
    report = PolicyAnalyzer.analyze(PolicySet((Policy("a"),)))
    assert report.is_clean()
    assert len(report.info) == 2
    assert len(PolicyAnalyzer.analyze([Policy("a"), Policy("b", max_latency_ms=1.0)]).info) == 1


def test_a_cap_of_nothing_is_an_error_and_a_stricter_namesake_is_told() -> None:
    """No model that costs anything fits into nothing; where one name has two modes, the milder place is named."""
    nothing = Policy("free", max_cost_per_task_usd=0, rate_limit=RateLimit(cost_usd_per_hour=Usd.ZERO))
    assert [line.split(":")[0] for line in PolicyAnalyzer.analyze([nothing], ["f:1"]).errors] == ["f", "f"]
    mild = Policy("p", enforcement_mode=EnforcementMode.SOFT)
    report = PolicyAnalyzer.analyze([mild, Policy("p"), Policy("q")], ["f:1", "f:2", "f:3"])
    assert report.raised == ("f:1: policy 'p' is soft here, but hard where it stands again: hard holds",)
    assert report.is_clean()


def test_the_levels_of_a_file_bind_a_spec_that_names_them(tmp_path: Path) -> None:
    """The organisation's, the team's, the job's, then the spec's own; another team's do not."""
    (tmp_path / "rules.json").write_text(
        json.dumps(
            {
                "job": {"nightly": [{"name": "job"}]},
                "team": {"eng": [{"name": "team"}], "ops": [{"name": "other"}]},
                "global": [{"name": "org"}],
            }
        )
    )
    rules = tmp_path / "rules.json"
    own = [Policy("own")]
    bound = with_policies(spec_from("p", "c", team="eng", job_id="nightly", policies=own), [rules])
    assert [policy.name for policy in bound.policies] == ["org", "team", "job", "own"]
    for given_keys, wanted in (({}, "team: NAME and job_id: NAME"), ({"team": "eng"}, "job_id: NAME")):
        with pytest.raises(SpecError, match=f"give it {wanted}"):
            with_policies(spec_from("p", "c", **given_keys), [rules])


def test_policies_of_files_and_of_jobs_bind_runs_begun_in_python(tmp_path: Path) -> None:
    """A file named to the orchestrator and a policy of the job remove one model each; with both none is left."""
    rules = tmp_path / "rules.json"
    rules.write_text(json.dumps({"team": {"eng": [{"name": "not_north", "blocked_models": ["north"]}]}}))
    orch = orchestrator(tmp_path, **fields(tmp_path, policy_files=[str(rules)]))
    state = run(orch, team="eng")
    assert {result.model_used for result in state.results.values()} == {"south"}
    strict = run(orch, team="eng", policies=[Policy("not_south", blocked_models=["south"])])
    assert strict.results["only"].reason == "no_model"
    with pytest.raises(SpecError, match="team: NAME"):
        asyncio.run(orch.run_project("Write x.", "x is there"))
