"""One seed played and judged: every law, every bill, every decision computed again."""

from attrs import evolve

from orchestrator.replay import verify
from orchestrator.settings import Limits, RunSettings
from orchestrator.testing.bills_and_accounts import broken_accounts, broken_bills
from orchestrator.testing.laws import broken_laws
from orchestrator.testing.simulation.scenario import draw_models
from orchestrator.testing.simulation.simulator import Observer, Scenario, SimulationReport, ample, simulate, sound_rank

STEADY_FAULTS = ("rate_limit", "overloaded", "server", "gateway", "cut", "content_filter", "empty", "unreadable")
"""Faults that depend on (logical call, try) only, and leave nothing behind in a session."""


def judged(report: SimulationReport) -> list[str]:
    """Everything wrong with what became of a world, one line each."""
    problems = []
    for run, history in report.histories.items():
        problems += [f"{run}: {problem}" for problem in broken_laws(history)]
        found = verify(history, lambda session: sound_rank())
        problems += [f"{run}: {difference}" for difference in (*found.differences, *found.foreign)]
    problems += broken_accounts(report.accounts, report.histories)
    problems += broken_bills(report.world.vendor.bills, report.histories)
    problems += [f"the log: {finding.message}" for finding in report.world.log().verify()]
    holds = report.world.log().holds()
    return [*problems, *(f"a hold is left open: {hold}" for hold in holds)]


def played(scenario: Scenario, observer: Observer | None = None) -> SimulationReport:
    """The world at its end, once nothing is wrong with it."""
    report = simulate(scenario, observer)
    problems = judged(report)
    assert not problems, f"seed {scenario.seed}: {len(problems)} problems, first: {problems[:5]}"
    return report


def steady(seed: int, *, given: bool, faulty: bool) -> Scenario:
    """Five tasks whose outcome depends on (logical call, try) only: ample money, no policy, no telemetry in rank."""
    drawn = draw_models(Scenario.draw(seed).draw_of("steady"))
    priced = [model for model in drawn if model.price is not None]
    models = tuple(evolve(model, slots=(), context=None, thinking_in_limit=True) for model in priced)
    plain = Scenario(
        seed=seed,
        runs=1,
        settings=RunSettings(
            concurrency=1 if faulty else 3,
            simulated=True,
            limits=Limits(breaker_failures=1_000_000),
            verify=True,
        ),
        models=models,
        tasks=5,
        given=given,
        check_faults=0.1,
        faults=STEADY_FAULTS if faulty else (),
        fault_rate=0.3 if faulty else 0.0,
    )
    return ample(plain)
