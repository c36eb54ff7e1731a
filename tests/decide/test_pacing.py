"""How often and how much a vendor may be asked."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.models import ProjectStatus
from orchestrator.money import Usage, Usd
from orchestrator.policy import EnforcementMode, Policy, RateLimit
from orchestrator.settings import SECOND, Limits, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task

MINUTE = 60 * SECOND


def stage(*models: Any, tasks: int = 6, concurrency: int = 6, **settings: Any) -> Stage:
    """Independent tasks, their drafts prepared."""
    made = Stage(
        RunSettings(routing={}, concurrency=concurrency, **settings),
        models or (model("a"),),
        [task(f"t{number}") for number in range(tasks)],
    )
    made.begin()
    made.prepare()
    return made


def started(made: Stage) -> list[tuple[int, str]]:
    """When a call of which model was started, in seconds after the first."""
    first = next(at for at, event in made.history if isinstance(event, e.CallStarted))
    return [((at - first) // SECOND, event.node) for at, event in made.history if isinstance(event, e.CallStarted)]


def test_a_provider_is_asked_so_often_in_a_minute_and_no_more() -> None:
    """What is over the limit waits until the oldest start is a minute old, in the order of the tasks."""
    made = stage(limits=Limits(requests_per_minute={"simulated": 2}))
    assert started(made) == [(0, "t0"), (0, "t1")]
    made.wait()
    made.wait()
    assert started(made)[2:] == [(60, "t2"), (60, "t3")]


@given(st.integers(1, 7), st.integers(1, 6))
def test_no_window_of_a_minute_has_more_starts_than_the_limit(limit: int, concurrency: int) -> None:
    """Wherever a minute begins, whatever the concurrency; and the run ends as without a limit."""
    made = stage(tasks=4, concurrency=concurrency, limits=Limits(requests_per_minute={"*": limit}))
    assert made.play().status is ProjectStatus.SUCCESS
    times = [at for at, event in made.history if isinstance(event, e.CallStarted)]
    assert all(sum(begin <= at < begin + MINUTE for at in times) <= limit for begin in times)
    assert made.state.active(made.now) >= (len(times) - 1) // limit * MINUTE


def test_a_provider_that_must_wait_blocks_no_other() -> None:
    """The reviewer of another provider starts while the next draft waits."""
    other = model("b", "south", provider="other")
    made = stage(model("a"), other, tasks=2, limits=Limits(requests_per_minute={"simulated": 1}))
    assert started(made) == [(0, "t0")]
    made.answer()
    made.prepare()
    assert [event.provider for event in made.all(e.CallStarted)] == ["simulated", "other"]
    assert made.last(e.CallStarted).node == "t0"


def test_a_number_for_all_counts_each_provider_by_itself() -> None:
    """A provider's own limit goes before the one for all."""
    models = (model("a"), model("b", "south", provider="other"))
    made = stage(*models, tasks=2, limits=Limits(requests_per_minute={"*": 1, "other": 9}))
    made.play()
    times = {name: [at for at, s in made.history if isinstance(s, e.CallStarted) and s.model == name] for name in "ab"}
    assert min(after - before for before, after in zip(times["a"], times["a"][1:], strict=False)) >= MINUTE
    assert min(after - before for before, after in zip(times["b"], times["b"][1:], strict=False)) < MINUTE


def test_tokens_count_at_their_bound_until_their_usage_is_known() -> None:
    """A body of 100 bytes, 512 hidden tokens and 512 of answer; once it has ended, what was really used."""
    made = stage(tasks=3, limits=Limits(tokens_per_minute={"*": 2500}))
    assert started(made) == [(0, "t0"), (0, "t1")]
    made.answer(usage=Usage(input=100, output=50))
    assert [node for _, node in started(made)] == ["t0", "t1", "t2"]


def test_a_call_larger_than_the_limit_goes_alone() -> None:
    """It waits for an empty minute, no other passes it, and it starts."""
    made = stage(tasks=3, concurrency=3, limits=Limits(tokens_per_minute={"*": 1}))
    assert started(made) == [(0, "t0")]
    made.wait()
    assert started(made) == [(0, "t0"), (60, "t1")]
    assert made.play().status is ProjectStatus.SUCCESS


def test_a_large_call_is_not_passed_by_small_ones_behind_it() -> None:
    """Those behind it that need the same minute wait, although they would fit."""
    plan = [task("t0"), task("big"), task("t2")]
    made = Stage(RunSettings(routing={}, limits=Limits(tokens_per_minute={"*": 4000})), (model("a"),), plan)
    made.begin()
    for size in (100, 2000, 100):
        version = made.open(e.ModelSelected)[0][0]
        made.step(e.CallPrepared(version, "0" * 64, size))
    assert [event.node for event in made.all(e.CallStarted)] == ["t0"]
    made.wait()
    assert [event.node for event in made.all(e.CallStarted)][:2] == ["t0", "big"]


def _policy(mode: EnforcementMode = EnforcementMode.HARD, **limit: Any) -> Policy:
    return Policy("pace", rate_limit=RateLimit(**limit), enforcement_mode=mode)


def test_a_hard_policy_makes_every_call_of_the_run_wait() -> None:
    """Its calls per minute are those of all providers together."""
    models = (model("a"), model("b", "south", provider="other"))
    made = stage(*models, tasks=2, policies=(_policy(calls_per_minute=3),))
    made.play()
    times = [at for at, event in made.history if isinstance(event, e.CallStarted)]
    assert {event.provider for event in made.all(e.CallStarted)} == {"simulated", "other"}
    assert all(sum(begin <= at < begin + MINUTE for at in times) <= 3 for begin in times)


@pytest.mark.parametrize("mode", [EnforcementMode.SOFT, EnforcementMode.MONITOR])
def test_a_milder_policy_makes_no_call_wait(mode: EnforcementMode) -> None:
    """Recording is somebody else's; no call is put off."""
    assert len(stage(policies=(_policy(mode, calls_per_minute=1),)).all(e.CallStarted)) == 6


def test_a_policy_of_a_node_binds_that_node_only() -> None:
    """The other tasks go on."""
    made = stage(tasks=2, node_policies={"t0": (_policy(calls_per_minute=1),)})
    while made.open(e.CallStarted):
        made.answer(score=0.95)
        made.prepare()
    assert sum(event.node == "t0" for event in made.all(e.CallStarted)) == 1
    assert made.state.tasks["t1"].finished is not None
    assert made.play().status is ProjectStatus.SUCCESS


def test_money_in_an_hour_counts_holds_and_then_what_was_paid() -> None:
    """A call waits while what started in the last hour and its own hold are over the limit."""
    hold = stage(tasks=1).last(e.CallStarted).hold
    made = stage(tasks=3, policies=(_policy(cost_usd_per_hour=Usd(2 * hold.nano)),))
    assert [node for _, node in started(made)] == ["t0", "t1"]
    made.answer()  # costs next to nothing, but not nothing
    assert [node for _, node in started(made)] == ["t0", "t1"]
    made.answer()
    made.prepare()
    assert len(started(made)) == 3


def test_tokens_in_a_day_bind_a_run_until_its_time_is_up() -> None:
    """Waiting counts as active time: a limit that nothing can meet any more ends the run."""
    made = stage(tasks=2, concurrency=1, policies=(_policy(tokens_per_day=1390),))
    assert made.play().status is ProjectStatus.TIMEOUT
    assert made.state.active(made.now) >= made.settings.time_limit
