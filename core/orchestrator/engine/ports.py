"""Everything of the machine that the engine uses, passed in: so that the simulator can pass something else."""

import asyncio
import os
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from attrs import frozen

T = TypeVar("T")


class Offload(Protocol):
    """Runs a blocking function off the event loop and gives back what it returns or raises."""

    async def __call__(self, function: Callable[[], T]) -> T:
        """Run it."""


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
    )


async def in_place(function: Callable[[], T]) -> T:
    """Run it here and now: what the simulator offloads to."""
    return function()


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Run it in a thread of its own that the exit does not wait for, should it hang."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def deliver(result: Any, error: BaseException | None) -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    def work() -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = function()
        except SystemExit as error:
            failure = RuntimeError(f"called sys.exit({error.code!r})")
        except BaseException as error:  # whatever it is belongs to the caller, not to this thread
            failure = error
        try:
            loop.call_soon_threadsafe(deliver, result, failure)
        except RuntimeError:
            return  # the loop has ended, and with it the caller

    threading.Thread(target=work, daemon=True, name="orchestrate-plugin").start()
    return await future  # type: ignore[no-any-return]
