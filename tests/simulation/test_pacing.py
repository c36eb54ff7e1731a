"""Limits per minute, and what they are for: a run that does not live on refusals."""

from collections import Counter

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import ProjectStatus
from orchestrator.settings import SECOND, Limits
from orchestrator.testing.simulation.simulator import CrashPoint, Scenario, SimulationReport, ample, simulate
from tests.simulation.plays import judged, played, steady

PER_MINUTE = 60


def _crowd(tasks: int, limits: Limits) -> Scenario:
    """Many tasks, eight calls at once, quick answers."""
    base = steady(4, given=True, faulty=False)
    paced = evolve(base.settings.limits, requests_per_minute=limits.requests_per_minute)
    settings = evolve(base.settings, concurrency=8, limits=paced)
    return ample(evolve(base, tasks=tasks, settings=settings, slowest=2.0, check_faults=0.0))


def _refused(report: SimulationReport) -> int:
    """How often the vendor said 429."""
    failed = [event for _, event in report.histories["run-1"] if isinstance(event, e.CallFailed)]
    return sum(event.kind is ErrorKind.RATE_LIMIT for event in failed)


def _starts(report: SimulationReport) -> list[int]:
    return [at for at, event in report.histories["run-1"] if isinstance(event, e.CallStarted)]


def test_two_hundred_tasks_within_a_vendors_limit_hear_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    """A vendor that answers 429 above sixty requests a minute: with the limit set never, without it all the time."""
    monkeypatch.setattr(Scenario, "calls_per_minute", PER_MINUTE)
    plain = simulate(_crowd(40, Limits()))
    assert _refused(plain) > 40
    plain.world.close()

    paced = simulate(_crowd(200, Limits(requests_per_minute={"simulated": PER_MINUTE})))
    assert judged(paced) == []
    assert _refused(paced) == 0
    assert paced.states["run-1"].finished is not None
    assert paced.states["run-1"].finished.status in (ProjectStatus.SUCCESS, ProjectStatus.PARTIAL_SUCCESS)
    times = _starts(paced)
    assert len(times) >= 1000
    most = max(sum(at <= other < at + 60 * SECOND for other in times) for at in times[:: len(times) // 50])
    assert most == PER_MINUTE
    # nearly as fast as sixty a minute can be, and no slower
    assert times[-1] - times[0] <= (len(times) / PER_MINUTE + 1) * 60 * SECOND
    paced.world.close()


def test_a_run_killed_in_the_middle_of_a_minute_keeps_to_its_limit() -> None:
    """What the dead session started counts: the next one waits for it."""
    scenario = evolve(_crowd(8, Limits(requests_per_minute={"*": 5})), interrupt_after=(20.0, 20.0, 20.0))
    report = played(scenario)
    assert report.sessions >= 4
    assert report.world.vendor.fired["too_often"] == 0
    report.world.close()


def test_the_seeds_pace_cut_and_reuse() -> None:
    """Among the worlds of the fixed seeds are enough in which each of this matters."""
    seen: Counter[str] = Counter()
    for seed in range(300):
        scenario = Scenario.draw(seed)
        seen["long answers"] += scenario.cut_rate > 0
        seen["paced"] += bool(scenario.settings.limits.requests_per_minute)
        seen["cached"] += scenario.settings.cache
        policies = [*scenario.settings.policies, *sum(scenario.settings.node_policies.values(), ())]
        seen["rated"] += any(policy.rate_limit is not None for policy in policies)
    assert [name for name in ("long answers", "paced", "cached", "rated") if seen[name] < 8] == []


@pytest.mark.parametrize("killed_at", [None, 12, 30, 55])
def test_a_world_of_two_runs_alike_answers_the_second_from_the_first(killed_at: int | None) -> None:
    """The second run calls and measures no model, also where the first one was killed and its keys forgotten."""
    base = steady(4, given=False, faulty=False)
    scenario = evolve(
        base,
        runs=2,
        alike=True,
        one_by_one=True,
        check_faults=0.0,
        settings=evolve(base.settings, cache=True),
        crashes=() if killed_at is None else (CrashPoint(killed_at, "after"),),
    )
    report = played(scenario)
    assert report.crashes == (killed_at is not None)
    first, second = (
        [event for _, event in report.histories[run] if isinstance(event, e.CallStarted)] for run in ("run-1", "run-2")
    )
    assert len(first) > 10
    assert second == []
    assert report.outcome("run-2").tasks.keys() == report.outcome("run-1").tasks.keys()
    one, two = report.states["run-1"], report.states["run-2"]
    assert {name: task.finished and task.finished.score for name, task in one.tasks.items()} == {
        name: task.finished and task.finished.score for name, task in two.tasks.items()
    }
    assert all(record.calls == 0 and not record.by_type for record in two.records.values())
    assert two.spend.total.nano == 0
    world = report.world
    assert {row.run for row in world.log().store.cache_rows()} == {"run-1"}
    world.close()
