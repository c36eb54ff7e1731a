"""What many runs at once have in common, and how much of it there is: ``python -m benchmarks.saturation``.

Appends, calls on one organisation's account (held and settled; without and with advances) and reservations of one
vendor account's pace, each a second, by so many runs that append at the same time in one process; in SQLite, and in
PostgreSQL where its address is in ``$ORCHESTRATE_TEST_POSTGRES``. ``docs/scale.md`` works with these numbers.
"""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.shared_pace import PaceChanges, PaceNeed, VendorAccount, per_minute
from orchestrator.models import Allowances, Finish, Role
from orchestrator.money import Usd

_SECONDS: Final = 2.0
_AT_ONCE: Final = (1, 20, 100)
_HOLD: Final = Usd(1000)
_CALLS_AT_ONCE: Final = 100
"""How many calls an advance is enough for."""
_CALL: Final = e.CallStarted(1, "task", Role.GENERATOR, 1, 1, 1, 1, "openai", "m", 9, 9, _HOLD, 9)
_PACED: Final = PaceChanges(need=PaceNeed(VendorAccount("openai", "0" * 32), 1))

One = Callable[[EventLog, str, int], Awaitable[int]]
"""Does one thing for a run at a version, and returns the run's next version."""


async def _append(log: EventLog, run: str, version: int) -> int:
    note = e.ChannelPut("notes", "0" * 64)
    return (await log.append(run, version, _now(), [note] * 3)).version


async def _call(account: str, log: EventLog, run: str, version: int) -> int:
    held = await log.append(run, version, _now(), [_CALL], accounts=[account])
    return (await log.append(run, held.version, _now(), [_end(held.version)])).version


async def _in_one_append(account: str, log: EventLog, run: str, version: int) -> int:
    """The end of a call and the start of the next one, in one append."""
    last = [_end(version)] if version else []
    return (await log.append(run, version, _now(), [*last, _CALL], accounts=[account])).version


def _end(call: int) -> e.CallSucceeded:
    return e.CallSucceeded(call, "0" * 64, 1, Finish.STOP, e.Reading(), None, Usd(500), Usd.ZERO, 9)


async def _reserve(log: EventLog, run: str, version: int) -> int:
    return (await log.append(run, version, _now(), [_CALL], pace=_PACED)).version


_THINGS: Final[dict[str, One]] = {
    "appends of 3 events": _append,
    "calls on one account": partial(_call, "org"),
    "calls on one account, with advances": partial(_call, "team/advancing"),
    "calls on one account, one append each": partial(_in_one_append, "org"),
    "calls on one account, one append each, with advances": partial(_in_one_append, "team/advancing"),
    "paced starts of calls": _reserve,
}


def _now() -> int:
    return time.time_ns() // 1000


async def rate(log: EventLog, one: One, at_once: int, name: str) -> float:
    """How often a second so many runs do it together."""
    ends, done = time.perf_counter() + _SECONDS, 0

    async def work(run: str) -> None:
        nonlocal done
        version = 0
        while time.perf_counter() < ends:
            version = await one(log, run, version)
            done += 1

    await asyncio.gather(*(work(f"{name}-{number}") for number in range(at_once)))
    return done / _SECONDS


async def _rates(log: EventLog) -> dict[str, list[float]]:
    await log.open_account("org", Usd.parse(1_000_000), at=_now())
    await log.open_account("team/advancing", Usd.parse(1_000_000), at=_now(), advance=Usd(_CALLS_AT_ONCE * _HOLD.nano))
    await log.set_pace("openai", Allowances(per_minute(6000)))
    return {
        name: [await rate(log, one, number, f"{name}-{number}") for number in _AT_ONCE] for name, one in _THINGS.items()
    }


def _logs(folder: Path) -> Iterator[tuple[str, EventLog]]:
    yield "SQLite", EventLog.open(folder)
    url = os.environ.get("ORCHESTRATE_TEST_POSTGRES")
    if url:
        from orchestrator_postgres.store import PostgresStore

        yield "PostgreSQL", EventLog(PostgresStore(url, write=True), offload=asyncio.to_thread)


def main() -> None:
    """Print a row for each store and thing: so many a second with 1, 20 and 100 runs at once."""
    with tempfile.TemporaryDirectory() as folder:
        for store, log in _logs(Path(folder)):
            for name, rates in asyncio.run(_rates(log)).items():
                sys.stdout.write(f"| {store} | {name} | {' | '.join(f'{each:,.0f}' for each in rates)} |\n")
            log.close()


if __name__ == "__main__":
    main()
