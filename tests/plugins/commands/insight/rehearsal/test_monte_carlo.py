"""A plan played many times: by the rules of a run, on outcomes drawn from what was measured."""

from typing import Any

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.decide import RULES
from orchestrator.decide.strategies import STRATEGIES
from orchestrator.models import JudgeMethod, ProjectStatus, TaskType
from orchestrator.money import Usd
from orchestrator.settings import SECOND, RunSettings
from orchestrator.testing.decide_by_hand import model, task
from orchestrator.testing.simulation.simulator import sound_rank
from orchestrator_insight.rehearsal.monte_carlo import Simulated, simulate

KIND = TaskType.SUMMARIZATION
MODELS = (model("north-1", "north"), model("south-1", "south"))


def _opening(settings: RunSettings, *priors: e.Prior, tasks: int = 3) -> tuple[e.RunStarted, e.SessionOpened]:
    plan = tuple(task(f"t{number}", KIND) for number in range(tasks))
    opened = e.SessionOpened(1, RULES, "test", (), MODELS, {}, False, {}, priors=priors)
    return e.RunStarted(1, settings, "", "", "", plan), opened


def _prior(name: str, kind: TaskType, **figures: float) -> e.Prior:
    usual: dict[str, Any] = {"quality": 0.95, "cost": 0.001, "latency_ms": 1000.0, "trust": 1.0}
    return e.Prior(name, kind, 100, **{**usual, **figures})


def _reported(**figures: float) -> list[e.Prior]:
    return [_prior(each.id, kind, **figures) for each in MODELS for kind in (KIND, TaskType.EVALUATION)]


def _played(settings: RunSettings, *priors: e.Prior, plays: int = 30, seed: int = 1) -> Simulated:
    return simulate(*_opening(settings, *priors), sound_rank(), plays, seed)


def test_equal_seeds_give_equal_plays_and_others_do_not() -> None:
    """The distribution is a function of the plan, what was measured, and the seed."""
    settings = RunSettings()
    assert _played(settings) == _played(settings)
    assert _played(settings).costs != _played(settings, seed=2).costs


def test_samples_that_are_compared_cost_more_than_the_first_good_one() -> None:
    """Three drafts, four to six comparisons and the score of one, by the rules of a run."""
    loop = dict.fromkeys(TaskType, STRATEGIES["best_of"])
    scored = RunSettings(loop={kind: evolve(each, method=JudgeMethod.SCORES) for kind, each in loop.items()})
    pairs, scores = _played(RunSettings(loop=loop), *_reported()), _played(scored, *_reported())
    assert pairs.statuses[ProjectStatus.SUCCESS] > 20
    assert pairs.cost(50) > scores.cost(50)


def test_costs_times_and_ends_are_those_of_runs() -> None:
    """Sorted, as many as plays, never beyond the cap; percentiles are by nearest rank."""
    cap = Usd.parse("0.01")
    found = _played(RunSettings(cap=cap), plays=40)
    assert list(found.costs) == sorted(found.costs)
    assert list(found.times) == sorted(found.times)
    assert len(found.costs) == len(found.times) == sum(found.statuses.values()) == 40
    assert found.costs[-1] <= cap
    assert (found.cost(5), found.cost(50), found.cost(95)) == (found.costs[1], found.costs[19], found.costs[37])
    assert (found.cost(100), found.time(0)) == (found.costs[-1], found.times[0])
    assert not found.measured


@pytest.mark.parametrize(
    ("figures", "cap", "time", "end"),
    [
        ({"quality": 0.99}, "8", 5400, ProjectStatus.SUCCESS),
        ({"quality": 0.1}, "8", 5400, ProjectStatus.PARTIAL_SUCCESS),
        ({"quality": 0.1}, "0.002", 5400, ProjectStatus.BUDGET_EXHAUSTED),
        ({"quality": 0.1, "latency_ms": 60_000.0}, "8", 30, ProjectStatus.TIMEOUT),
        ({"quality": 0.99, "success_rate": 0.0}, "8", 5400, ProjectStatus.SYSTEM_FAILURE),
    ],
)
def test_what_was_measured_decides_how_plays_end(
    figures: dict[str, float], cap: str, time: int, end: ProjectStatus
) -> None:
    """Good models succeed, poor ones do not, dear ones run out of money, slow ones out of time, dead ones fail."""
    found = _played(RunSettings(cap=Usd.parse(cap), time_limit=time * SECOND), *_reported(**figures), plays=20)
    assert found.statuses[end] >= 15, found.statuses
    assert found.measured


def test_a_measured_cost_is_what_calls_cost() -> None:
    """Three tasks, one turn of five calls each, at half a tenth of a cent: around 7.5 tenths."""
    found = _played(RunSettings(), *_reported(quality=0.99, cost=0.0005), plays=60)
    assert Usd.parse("0.005") < found.cost(50) < Usd.parse("0.010")
    dearer = _played(RunSettings(), *_reported(quality=0.99, cost=0.001), plays=60)
    assert dearer.cost(50) > found.cost(50)


def test_accounts_bind_no_play() -> None:
    """What other runs hold is not foreseen: the plan is played as if it were alone."""
    started, opened = _opening(RunSettings(accounts=("org",)))
    found = simulate(started, opened, sound_rank(), 3, 1)
    alone = simulate(evolve(started, settings=RunSettings()), opened, sound_rank(), 3, 1)
    assert found == alone
