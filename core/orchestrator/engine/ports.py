"""Everything of the machine that the engine uses, passed in: so that the simulator can pass something else."""

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable
from queue import SimpleQueue
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
    return Ports(
        clock=lambda: (began + time.monotonic_ns()) // 1000,
        monotonic=time.monotonic,
        sleep=asyncio.sleep,
        random_bytes=os.urandom,
        offload=OneThread(),
        offload_foreign=in_daemon_thread,
    )


class OneThread:
    """A thread for short work, which it does in its order: the way there and back costs less than with an executor.

    It ends with whoever holds it, or with the program, after the work it was given.
    """

    def __init__(self) -> None:
        self._queue: SimpleQueue[Callable[[], None] | None] = SimpleQueue()
        self._starting = threading.Lock()
        self._started = False

    async def __call__(self, function: Callable[[], T]) -> T:
        """Run it there; it is not begun for somebody who has been cancelled."""
        with self._starting:
            if not self._started:
                thread = threading.Thread(target=_serve, args=(self._queue,), daemon=True, name="orchestrate")
                thread.start()
                weakref.finalize(self, _end, self._queue, thread)
                self._started = True
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def work() -> None:
            if future.cancelled():
                return
            result: Any = None
            failure: BaseException | None = None
            try:
                result = function()
            except BaseException as error:  # whatever it is belongs to the caller, not to this thread
                failure = error
            _deliver_from_thread(loop, future, result, failure)

        self._queue.put(work)
        return await future


def _serve(queue: "SimpleQueue[Callable[[], None] | None]") -> None:
    while (work := queue.get()) is not None:
        work()
        del work  # holds nothing while it waits


def _end(queue: "SimpleQueue[Callable[[], None] | None]", thread: threading.Thread) -> None:
    queue.put(None)
    if thread is not threading.current_thread():
        thread.join()


def _deliver_from_thread(
    loop: asyncio.AbstractEventLoop, future: "asyncio.Future[Any]", result: Any, error: BaseException | None
) -> None:
    """Give a future its end, from another thread than that of its loop."""

    def deliver() -> None:
        if future.done():
            return
        if error is None:
            future.set_result(result)
        else:
            future.set_exception(error)

    try:
        loop.call_soon_threadsafe(deliver)
    except RuntimeError:
        return  # the loop is gone; nobody waits for the answer any more


async def in_place(function: Callable[[], T]) -> T:
    """Run it here and now: what the simulator offloads to."""
    return function()


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Run it in a thread of its own that nobody waits for at exit, should it hang."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def work() -> None:
        result: Any = None
        failure: BaseException | None = None
        try:
            result = function()
        except SystemExit as error:
            failure = RuntimeError(f"called sys.exit({error.code!r})")
        except BaseException as error:  # whatever it is belongs to the caller, not to this thread
            failure = error
        _deliver_from_thread(loop, future, result, failure)

    threading.Thread(target=work, daemon=True, name="orchestrate-plugin").start()
    return await future  # type: ignore[no-any-return]
