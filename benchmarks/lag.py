"""How long runs hold up the event loop of the program that has them: what a neighbour on the loop waits too long."""

import asyncio
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from statistics import median
from typing import Any, Final

from benchmarks.measure import Row, child, milliseconds
from benchmarks.tasks import spec_of
from orchestrator import Workspace

_TICK: Final = 0.001
_IDLE: Final = 1.0
_RUNS, _TASKS = 10, 10
_START, _GOING = 0.020, 0.005
"""The lag in seconds that a start, and ten runs that go on, may cause at most."""


async def _lag(work: Callable[[], Awaitable[object]]) -> list[float]:
    """By how many seconds a neighbour that sleeps a millisecond again and again is late, sorted, while work is done."""
    late: list[float] = []

    async def neighbour() -> None:
        while True:
            began = time.perf_counter()
            await asyncio.sleep(_TICK)
            late.append(time.perf_counter() - began - _TICK)

    beside = asyncio.create_task(neighbour())
    await asyncio.sleep(0)
    try:
        await work()
        await asyncio.sleep(2 * _TICK)  # it hears of what held the loop up last
    finally:
        beside.cancel()
    return sorted(late)


async def _measured(home: Path) -> dict[str, list[float]]:
    """The lags of an idle loop, of the first and the second start, and of runs side by side from start to end."""
    spec = spec_of(home, _TASKS)
    found = {"idle": await _lag(lambda: asyncio.sleep(_IDLE))}

    async def first() -> None:
        async with Workspace.open(home / "first") as ws:
            await ws.start(spec)

    found["first"] = await _lag(first)
    async with Workspace.open(home / "data") as ws:

        async def played() -> None:
            await (await ws.start(spec)).result()

        async def side_by_side() -> None:
            await asyncio.gather(*(played() for _ in range(_RUNS)))

        found["second"] = await _lag(lambda: ws.start(spec))
        found["going"] = await _lag(side_by_side)
    return found


def main() -> None:
    """Measure in this process, and print the longest lag and the 99th of a hundred of each, in seconds, as JSON."""
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(_measured(Path(folder)))
    print(json.dumps({name: [late[-1], late[len(late) * 99 // 100]] for name, late in found.items()}))


def run(rounds: int) -> Iterator[Row]:
    """Compare the longest lag of a start, and of ten runs of ten tasks, with what it may be, beside an idle loop's."""
    found: list[dict[str, Any]] = [
        json.loads(child([sys.executable, "-m", __name__], Path(__file__).parents[1]).output) for _ in range(rounds)
    ]
    for what, name, most in (
        ("a start, the first of its process", "first", _START),
        ("a start", "second", _START),
        (f"{_RUNS} runs of {_TASKS} tasks side by side", "going", _GOING),
    ):
        longest = [each[name][0] for each in found]
        usual, idle = (median(each[key][place] for each in found) for key, place in ((name, 1), ("idle", 0)))
        note = f"99 of 100: {milliseconds(usual)}; longest of an idle loop {milliseconds(idle)}"
        spread = min(longest) / most, max(longest) / most
        ours = median(longest)
        yield Row(
            f"longest lag of the event loop by {what}, beside what it may be",
            milliseconds(ours),
            milliseconds(most),
            ours / most,
            spread,
            1,
            True,
            note,
        )


if __name__ == "__main__":
    main()
