"""Many open runs at once, played by workers in virtual time: ``python -m benchmarks.fleet [RUNS [WORKERS]]``.

The real engine, decide, log and SQL, a pretended vendor, and one clock that jumps, so that no time is spent waiting.
All runs are open at once, on one account and in one pace. Prints what became of them, and what a run costs
the machine; ``docs/scale.md`` works with these numbers.
"""

import asyncio
import resource
import sys
import time
from collections import Counter
from collections.abc import Iterator
from statistics import median

from attrs import evolve, frozen

from orchestrator import events as e
from orchestrator.log import Select
from orchestrator.models import Allowance, Allowances
from orchestrator.money import Usd
from orchestrator.settings import SECOND, Evaluation, Limits, RunSettings
from orchestrator.testing.simulation.scenario import Scenario, ample, draw_models
from orchestrator.testing.simulation.simulator import Player, World
from orchestrator.testing.simulation.virtual_time import VirtualLoop

_MINUTE = 60 * SECOND
_CAP = Usd.parse(1_000_000)


@frozen
class FleetPlayed:
    """What became of a fleet's runs."""

    runs: int
    statuses: Counter[str]
    calls: int
    refused: int
    """How often the vendor answered 429."""
    events: int
    seconds: float
    """Virtual, from the first start of a call to the last end of a run."""
    ends: tuple[float, ...]
    """When each run ended, in virtual seconds, in order."""
    cpu: float
    """Seconds of one core."""
    settled: Usd
    """Of the organisation's account."""
    billed: Usd
    """What the vendor billed."""

    @property
    def calls_per_second(self) -> float:
        """Virtual."""
        return self.calls / self.seconds


def scenario_of(runs: int, per_second: int, *, tasks: int = 1, seed: int = 4) -> Scenario:
    """Runs with a plan of their own and ample money, against a vendor that lets them ask so often together."""
    drawn = draw_models(Scenario.draw(seed).draw_of("steady"))
    models = tuple(
        evolve(model, slots=(), context=None, thinking_in_limit=True) for model in drawn if model.price is not None
    )
    settings = RunSettings(
        concurrency=3,
        simulated=True,
        accounts=("org",),
        evaluation=Evaluation(runs=1),
        limits=Limits(breaker_failures=1_000_000, shared=True),
    )
    plain = ample(Scenario(seed=seed, runs=runs, settings=settings, models=models, tasks=tasks, given=True))
    pace = Allowances(requests=Allowance(60 * per_second, _MINUTE))
    return evolve(plain, account_caps={"org": _CAP}, calls_per_second=per_second, pace=pace, slowest=15.0)


def play(scenario: Scenario, workers: int) -> FleetPlayed:
    """Play all runs of a scenario at once, each by one of so many workers, to their ends."""
    began, world = time.process_time(), World(scenario)
    runs = [f"run-{number}" for number in range(1, scenario.runs + 1)]
    with asyncio.Runner(loop_factory=lambda: VirtualLoop(0.0)) as runner:
        runner.run(_all(world, runs, workers))
    log = world.log()
    starts = [record.at for record in log.select(Select(types=("call.started",)))]
    ends = list(log.select(Select(types=("run.finished",))))
    times = tuple(sorted((record.at - starts[0]) / SECOND for record in ends))
    found = FleetPlayed(
        runs=len(runs),
        statuses=Counter(str(record.event.status) for record in ends if isinstance(record.event, e.RunFinished)),
        calls=len(starts),
        refused=world.vendor.fired["too_often"],
        events=log.high_water(),
        seconds=times[-1],
        ends=times,
        cpu=time.process_time() - began,
        settled=log.account("org", simulated=True).settled,
        billed=Usd(sum(bill.billed.nano for bill in world.vendor.bills)),
    )
    world.close()
    return found


async def _all(world: World, runs: list[str], workers: int) -> None:
    players = [Player(world.process(), 1, None, []) for _ in range(workers)]
    await players[0].prepare()
    async with asyncio.TaskGroup() as group:
        for number, run in enumerate(runs):
            group.create_task(players[number % workers].play(run))


def lines(found: FleetPlayed) -> Iterator[str]:
    """What is printed."""
    yield f"{found.runs:,} runs: {', '.join(f'{count:,} {name}' for name, count in found.statuses.items())}"
    yield f"{found.calls:,} calls in {found.seconds:,.0f} virtual seconds: {found.calls_per_second:,.1f} a second"
    yield f"{found.refused:,} times 429; half of the runs had ended after {median(found.ends):,.0f} s"
    yield f"the account has settled ${found.settled}, the vendor has billed ${found.billed}"
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    yield f"{found.events:,} events; {1000 * found.cpu / found.runs:,.1f} ms of a core a run; {peak:,.0f} MB at most"


def main(runs: int = 10_000, workers: int = 40, per_second: int = 2_000) -> None:
    """Play a fleet and print what became of it."""
    for line in lines(play(scenario_of(runs, per_second), workers)):
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
