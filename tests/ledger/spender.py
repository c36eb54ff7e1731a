"""Spends from the accounts ``org`` and ``team`` until nothing fits: ``spender.py FOLDER RUN OTHER``."""

import asyncio
import sys
import time
from pathlib import Path

from orchestrator.events import AccountRefused, CallStarted, CallSucceeded, Event, Reading
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import Finish, Role
from orchestrator.money import Usd


async def spend(folder: Path, run: str, other: str) -> None:
    """Calls with a hold of 10 that cost 3, several in flight, until one is refused with none in flight.

    Begins when the other run is there too, so that both spend.
    """
    log = EventLog.open(folder)
    handle = log.locks.acquire(run)
    while not log.locks.is_held(other) and log.last(other) is None:
        time.sleep(0.005)  # noqa: ASYNC251  # nothing else runs in this process yet
    version, in_flight = 0, list[int]()
    started = CallStarted(1, "t", Role.GENERATOR, 1, 1, 1, 1, "p", "m", 9, 9, Usd(10), 9)
    while True:
        done = await log.append(run, version, version + 1, [started], accounts=["org", "team"])
        version = done.version
        refused = isinstance(done.events[0], AccountRefused)
        if not refused:
            in_flight.append(version)
        if refused and not in_flight:
            break
        if refused or len(in_flight) > 3:
            ends: list[Event] = [
                CallSucceeded(call, "a", 1, Finish.STOP, Reading(), None, Usd(3), Usd(0), 9) for call in in_flight
            ]
            in_flight.clear()
            version = (await log.append(run, version, version + 1, ends)).version
    handle.release()
    log.close()


if __name__ == "__main__":
    asyncio.run(spend(Path(sys.argv[1]), sys.argv[2], sys.argv[3]))
