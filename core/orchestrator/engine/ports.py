"""Everything of the machine that the engine uses, passed in: so that the simulator can pass something else."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TypeVar
from weakref import WeakKeyDictionary

from attrs import frozen

from orchestrator.deadlines.awaiting import Offload, in_daemon_thread

T = TypeVar("T")


async def at_once() -> None:
    """Wait for nothing."""


@frozen
class Ports:
    """Clock, sleep, randomness and threads."""

    clock: Callable[[], int]
    """Microseconds UTC."""
    monotonic: Callable[[], float]
    """Seconds; never jumps back."""
    sleep: Callable[[float], Awaitable[None]]
    random_bytes: Callable[[int], bytes]
    offload: Offload
    """For our own short work: commits, files."""
    offload_foreign: Offload
    """For work of plugins, which may never come back."""
    pace: Callable[[], Awaitable[None]] = at_once
    """Awaited before each step: several runs of one program take their steps one after the other."""
    patience: float = 0.0
    """Seconds that a step waits for answers that are being read, so that one append has them all."""


def real_ports() -> Ports:
    """The machine itself. The clock is read once; from there on only monotonic time moves it, so it cannot jump."""
    began = time.time_ns() - time.monotonic_ns()
    pool = ThreadPoolExecutor(1, thread_name_prefix="orchestrate")

    async def offload(function: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(pool, function)

    return Ports(
        clock=lambda: (began + time.monotonic_ns()) // 1000,
        monotonic=time.monotonic,
        sleep=asyncio.sleep,
        random_bytes=os.urandom,
        offload=offload,
        offload_foreign=in_daemon_thread,
        pace=one_step_a_round,
        patience=0.01,
    )


_TAILS: Final["WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Future[None]]"] = WeakKeyDictionary()


async def one_step_a_round() -> None:
    """Wait for the steps of other runs, so that each round of the event loop has one, and other tasks in between."""
    loop = asyncio.get_running_loop()
    before, mine = _TAILS.get(loop), loop.create_future()
    _TAILS[loop] = mine
    try:
        if before is not None and not before.done():
            await asyncio.wait({before})
    finally:
        loop.call_soon(mine.set_result, None)


async def in_place(function: Callable[[], T]) -> T:
    """Run it here and now: what the simulator offloads to."""
    return function()
