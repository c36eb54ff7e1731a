from pathlib import Path

import pytest
from attrs import evolve
from hypothesis import given

from orchestrator.decide.strategies import STRATEGIES
from orchestrator.models import (
    MAX_ITERATIONS,
    MAX_TOKENS,
    ROLE_MAX_TOKENS,
    ROUTING_TABLE,
    THRESHOLDS,
    JudgeMethod,
    Phase,
    Role,
    TaskType,
)
from orchestrator.money import Usd
from orchestrator.policy import Policy
from orchestrator.settings import (
    SECOND,
    CrossVendor,
    Evaluation,
    Limits,
    MissingTool,
    OnDisagree,
    RunSettings,
    SecondJudge,
)
from orchestrator.spec import Spec, read_spec, spec_from
from orchestrator.testing.specs import specs

FILES = Path(__file__).parent / "files"


def test_a_spec_without_rules_keeps_the_default_rules() -> None:
    """What is not set is as the settings have it; answers are reused between real runs, not between simulated ones."""
    assert spec_from("p", "c").settings(simulated=False) == RunSettings(cache=True)
    assert spec_from("p", "c").settings(simulated=True) == RunSettings(simulated=True)


def test_every_rule_reaches_the_settings() -> None:
    """Each key of a spec changes its setting, and what it leaves out keeps the default."""
    settings = read_spec(FILES / "everything.yaml").settings(simulated=True, policies=(Policy("first"),))
    assert settings.cap == Usd.parse("0.1")
    assert settings.time_limit == 90_500_000
    assert settings.concurrency == 2
    assert settings.thresholds == {**THRESHOLDS, TaskType.SUMMARIZATION: 0.5}
    assert settings.iterations == {**MAX_ITERATIONS, TaskType.CODE_GEN: 1}
    assert settings.max_tokens == {**MAX_TOKENS, TaskType.CODE_GEN: 4000}
    assert settings.role_max_tokens == {**ROLE_MAX_TOKENS, Role.EVALUATOR: 300}
    assert settings.routing == {**ROUTING_TABLE, TaskType.CODE_GEN: ("my-model", "gpt-4o")}
    assert settings.backend_named
    assert settings.evaluation == Evaluation(
        3,
        0.1,
        OnDisagree.MEAN,
        SecondJudge.OTHER_MODEL,
        tests_decide=False,
        judged_types=(TaskType.SUMMARIZATION,),
        judge=JudgeMethod.SCORES,
    )
    best_of = evolve(STRATEGIES["best_of"], samples=5, runs=0, temperature=0.5, method=JudgeMethod.SCORES)
    assert settings.loop == {**dict.fromkeys(TaskType, best_of), TaskType.SUMMARIZATION: STRATEGIES["plain"]}
    assert settings.plateau == 0.01
    assert settings.verify
    assert settings.cross_vendor is CrossVendor.OFF
    assert settings.missing_tool is MissingTool.FAIL
    assert settings.limits == Limits(
        tries=2,
        attempts=5,
        breaker_failures=4,
        breaker_open=SECOND // 2,
        requests_per_minute={"*": 60, "other": 500},
        tokens_per_minute={"*": 100_000},
    )
    assert settings.cache
    assert [policy.name for policy in settings.policies] == ["first", "walls"]
    assert settings.allow_unbounded
    assert settings.simulated


def test_phases_left_out_share_what_is_left() -> None:
    """They keep their proportions, so that the parts still make a whole."""
    shares = read_spec(FILES / "everything.yaml").settings(simulated=False).phase_shares
    assert shares[Phase.GENERATION] == 0.6
    assert shares[Phase.RESERVE] == 0
    assert shares[Phase.CROSS_REVIEW] == pytest.approx(0.4 * 25 / 45)
    assert shares[Phase.EVALUATION] == pytest.approx(0.4 * 15 / 45)


def test_the_shortest_time_is_a_microsecond() -> None:
    """A time that rounds to nothing still is a time."""
    assert spec_from("p", "c", time_seconds=1e-9).settings(simulated=False).time_limit == 1


@given(specs())
def test_settings_of_any_spec_are_within_reason(spec: Spec) -> None:
    """Every table is whole, and the shares of the phases never exceed the budget."""
    settings = spec.settings(simulated=False)
    assert set(settings.thresholds) == set(settings.routing) == set(settings.max_tokens) == set(TaskType)
    assert set(settings.phase_shares) == set(Phase)
    assert sum(settings.phase_shares.values()) <= 1 + 1e-6
    assert settings.time_limit >= 1
    assert settings.policies == spec.policies
