"""Many runs against one vendor: with one pace for all none of them is refused, and none starves."""

import asyncio
from itertools import pairwise
from typing import Any, cast

import pytest
from attrs import define, evolve
from hypothesis import given
from hypothesis import settings as profile
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.errors import ErrorKind, ProviderError
from orchestrator.log import Select
from orchestrator.models import Allowance, Allowances, ProjectStatus
from orchestrator.replay import verify
from orchestrator.settings import SECOND
from orchestrator.spi import Body, CallContext, Reply, Request
from orchestrator.testing.simulation.simulator import (
    WHERE,
    CrashPoint,
    Scenario,
    SimulationReport,
    simulate,
    sound_rank,
)
from orchestrator_audit.laws.shared_pace import Reservations
from tests.simulation.plays import played, steady

MINUTE = 60 * SECOND


def crowd(runs: int, per_second: int, *, shared: bool = True, tasks: int = 1, **changes: Any) -> Scenario:
    """Runs of quick answers, each with ample money, against a vendor that lets them ask so often together."""
    base = steady(4, given=True, faulty=False)
    settings = evolve(base.settings, concurrency=8, limits=evolve(base.settings.limits, shared=shared))
    crowd = evolve(base, runs=runs, tasks=tasks, settings=settings, slowest=2.0, check_faults=0.0)
    pace = Allowances(requests=Allowance(60 * per_second, MINUTE))
    return evolve(crowd, calls_per_second=per_second, pace=pace, **changes)


def _refused(report: SimulationReport) -> float:
    """The share of requests that the vendor answered with 429."""
    return report.world.vendor.fired["too_often"] / len(report.world.vendor.bills)


def _span(report: SimulationReport) -> float:
    """Seconds from the first start of a call to the last."""
    times = [at for history in report.histories.values() for at, event in history if isinstance(event, e.CallStarted)]
    return (max(times) - min(times)) / SECOND


def _compared(runs: int, per_second: int) -> None:
    alone = simulate(crowd(runs, per_second, shared=False))
    assert _refused(alone) > 0.4
    alone.world.close()
    together = played(crowd(runs, per_second))
    assert _refused(together) == 0
    assert all(state.finished is not None for state in together.states.values())
    calls = len(together.world.vendor.bills)
    assert calls > 5 * runs
    assert _span(together) <= 1.2 * calls / per_second + 10  # as fast as the vendor allows, but for the end
    together.world.close()


def test_a_crowd_that_takes_turns_hears_no_refusal() -> None:
    """Six runs against three requests a second: each for itself mostly 429s, together none."""
    _compared(6, 3)


@pytest.mark.parametrize("where", WHERE)
def test_a_process_that_dies_as_it_has_to_wait_goes_on(where: str) -> None:
    """The time that was reserved may be lost, no money is, and nothing is sent too early."""
    report = played(crowd(3, 2, crashes=(CrashPoint(1, where, "pace.refused"),)))
    assert report.world.store.hits["pace.refused", where]
    assert _refused(report) == 0
    assert all(state.finished is not None for state in report.states.values())
    report.world.close()


@pytest.mark.heavy
def test_a_hundred_runs_against_a_hundred_requests_a_second() -> None:
    """The same at the size of a team."""
    together = played(crowd(100, 100, tasks=3))
    assert _refused(together) == 0
    assert _span(together) <= 1.2 * len(together.world.vendor.bills) / 100 + 10
    together.world.close()
    alone = simulate(crowd(100, 100, tasks=3, shared=False))
    assert _refused(alone) > 0.4
    alone.world.close()


@given(
    runs=st.integers(2, 6),
    per_second=st.integers(1, 20),
    tokens=st.none() | st.integers(100_000, 10_000_000),
    concurrency=st.integers(1, 4),
    crashes=st.lists(st.integers(5, 150), max_size=2),
    seed=st.integers(0, 20),
)
@profile(max_examples=6, deadline=None)
def test_no_run_starves(
    runs: int, per_second: int, tokens: int | None, concurrency: int, crashes: list[int], seed: int
) -> None:
    """Whatever the limits, and whoever dies: every run comes to its end, and no two calls have one time."""
    scenario = crowd(runs, per_second, crashes=tuple(CrashPoint(each, "after") for each in crashes))
    requests = Allowance(60 * per_second, MINUTE)
    pace = Allowances(requests, None if tokens is None else Allowance(tokens, MINUTE))
    settings = evolve(scenario.settings, concurrency=concurrency)
    report = played(evolve(scenario, pace=pace, settings=settings, seed=seed))
    ends = [state.finished.status for state in report.states.values() if state.finished is not None]
    assert len(ends) == runs
    assert {*ends} <= {ProjectStatus.SUCCESS, ProjectStatus.PARTIAL_SUCCESS}
    assert _refused(report) == 0
    times = Reservations()
    for record in report.world.log().select(Select(types=("pace.refused",))):
        times.take(record.stream, record)
    assert list(times.problems()) == []
    reservations = [
        event.until for h in report.histories.values() for _, event in h if isinstance(event, e.PaceRefused)
    ]
    assert len(reservations) == len({*reservations}), "two calls have one time"
    report.world.close()


@define
class _Speaking:
    """The simulated vendor, which says how often it may be asked: in a refusal of its first request, and in replies."""

    inner: Any
    vendor: list[float]
    """When requests have arrived, of all runs."""

    simulated = True

    def models(self) -> Any:
        return self.inner.models()

    def encode(self, request: Request) -> Body:
        return cast("Body", self.inner.encode(request))

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        self.vendor.append(asyncio.get_running_loop().time())
        if len(self.vendor) == 1:
            raise ProviderError("slow down", kind=ErrorKind.RATE_LIMIT, retryable=True, retry_after=30.0, status=429)
        reply = cast("Reply", await self.inner.call(body, ctx))
        return evolve(reply, allowances=Allowances(requests=Allowance(60, MINUTE)))


def test_what_a_vendor_says_to_one_run_holds_for_all() -> None:
    """After a Retry-After no run asks for so long; the headers of the first reply pace all from then on."""
    base, arrived = crowd(4, 100), list[float]()
    models = tuple(evolve(model, account="0" * 32) for model in base.models)
    scenario = evolve(base, pace=None, calls_per_second=None, models=models)
    report = simulate(scenario, make_provider=lambda vendor: _Speaking(vendor, arrived))
    events = [event for history in report.histories.values() for _, event in history]
    (failed,) = [event for event in events if isinstance(event, e.CallFailed)]
    assert failed.kind is ErrorKind.RATE_LIMIT
    first = sum(arrived[0] <= each < arrived[0] + 1 for each in arrived)
    assert first <= 4
    assert arrived[first] >= arrived[0] + 30
    said = [event.allowances for event in events if isinstance(event, e.CallSucceeded) and event.allowances]
    assert len(said) == 4  # of each run the first reply alone
    assert min(after - before for before, after in pairwise(arrived[-20:])) >= 0.999
    (learned,) = report.world.log().paces()
    assert (learned.account, learned.requests) == ("0" * 32, 60)
    for history in report.histories.values():
        assert verify(history, lambda session: sound_rank()).differences == ()
    report.world.close()


def test_a_refusal_counts_as_the_call_it_replaces_and_its_ticket_is_recomputed() -> None:
    """``replay --verify`` computes both again; a forged ticket, and a call without its refusal, are found."""
    report = played(crowd(3, 2))
    history = next(h for h in report.histories.values() if any(isinstance(event, e.PaceRefused) for _, event in h))
    found = verify(history, lambda session: sound_rank())
    assert found.decisions == sum(isinstance(event, e.Decision | e.PaceRefused) for _, event in history)
    index = next(n for n, (_, event) in enumerate(history) if isinstance(event, e.CallStarted) and event.ticket)
    at, started = history[index]
    assert isinstance(started, e.CallStarted)
    forged = [*history[:index], (at, evolve(started, ticket=None)), *history[index + 1 :]]
    assert [each.fields for each in verify(forged, lambda session: sound_rank()).differences][:1] == [("ticket",)]
    report.world.close()
