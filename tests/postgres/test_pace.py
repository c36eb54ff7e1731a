"""One pace for all runs on PostgreSQL: several connections reserve, and no two calls have one time."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Any

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.shared_pace import PaceChanges, PaceNeed, VendorAccount, per_minute
from orchestrator.models import Allowances, Role
from orchestrator.money import Usd
from orchestrator_postgres.store import PostgresStore

CALL = e.CallStarted(1, "task", Role.GENERATOR, 1, 1, 1, 1, "openai", "m", 9, 9, Usd(5), 9)
NEED = PaceChanges(need=PaceNeed(VendorAccount("openai", "0" * 32), 1))


def test_processes_that_reserve_at_once_get_times_of_their_own(opened: Callable[..., PostgresStore]) -> None:
    """Three stores, twelve runs: one call starts, each other one waits a second longer than the one before."""
    logs = [EventLog(opened(), offload=asyncio.to_thread) for _ in range(3)]

    async def all_of_it() -> list[Any]:
        await logs[0].set_pace("openai", Allowances(per_minute(60)))
        appends = (logs[n % 3].append(f"run-{n}", 0, 1, [CALL], pace=NEED) for n in range(12))
        return [made.events[0] for made in await asyncio.gather(*appends)]

    made = asyncio.run(all_of_it())
    times = sorted(each.until for each in made if isinstance(each, e.PaceRefused))
    assert len(times) == 11
    assert {after - before for before, after in itertools.pairwise(times)} == {1_000_000}
    (given, own) = logs[1].paces()
    assert (given.requests, own.next) == (60, times[-1] + 1_000_000)
