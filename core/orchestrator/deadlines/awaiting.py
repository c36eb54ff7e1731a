"""Awaiting code that may never come back: a function in a thread of its own, or a coroutine in a task of its own."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol, TypeVar

from orchestrator.deadlines import EscapedError, harmless, outcome_of
from orchestrator.deadlines.threads import LeftThread

T = TypeVar("T")

GRACE: Final = 5.0
"""Seconds a third-party coroutine may take to end once it is cancelled; then it is left behind."""


class Offload(Protocol):
    """Runs a blocking function off the event loop and gives back what it returns or raises."""

    async def __call__(self, function: Callable[[], T], /) -> T:
        """Run it."""


async def in_daemon_thread(function: Callable[[], T]) -> T:
    """Run it in a thread of its own that the exit does not wait for, should it hang.

    Raises:
        EscapedError: it raised what would end more than itself.
        Exception: what it raised.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Any] = loop.create_future()

    def work() -> None:
        result, error = outcome_of(function)
        try:
            loop.call_soon_threadsafe(_deliver, future, result, error)
        except RuntimeError:
            return  # the loop has ended, and with it the caller

    LeftThread(work).start()
    return await future  # type: ignore[no-any-return]


def _deliver(future: "asyncio.Future[Any]", result: Any, error: Exception | None) -> None:
    if future.done():
        return
    if error is None:
        future.set_result(result)
    else:
        future.set_exception(error)


async def contained(call: Callable[[], Awaitable[Any]], seconds: float, grace: float = GRACE) -> Any:
    """What a third-party call returns, or raises as an ``Exception``, within so many seconds.

    It runs in a task of its own, so that one that swallows its cancellation is left behind and delays nothing. What
    would block the event loop itself needs an isolation thread.

    Raises:
        TimeoutError: the time is over.
        CancelledError: the caller was cancelled.
        EscapedError: it raised something that is no ``Exception``, or a cancellation of its own making.
        Exception: what it raised.
    """
    task = asyncio.create_task(_run(call))
    try:
        done, _ = await asyncio.wait({task}, timeout=seconds)
    except asyncio.CancelledError:
        await _end(task, grace)
        raise
    if not done:
        await _end(task, grace)
        raise TimeoutError
    if task.cancelled():
        raise EscapedError("CancelledError: it cancelled itself")
    result, error = task.result()
    if error is not None:
        raise error
    return result


async def _run(call: Callable[[], Awaitable[Any]]) -> tuple[Any, Exception | None]:
    """The result or what was raised: a task that raises SystemExit would take the event loop with it."""
    try:
        return await call(), None
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        return None, harmless(error)


async def _end(task: "asyncio.Task[Any]", grace: float) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=grace)
