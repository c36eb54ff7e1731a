"""Awaiting a third-party coroutine: for so long, whatever it raises, and also where it will not be cancelled."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from orchestrator.deadlines import EscapedError

GRACE: Final = 5.0
"""Seconds a third-party coroutine may take to end once it is cancelled; then it is left behind."""


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
    if error is None:
        return result
    if isinstance(error, Exception):
        raise error
    raise EscapedError.of(error) from error


async def _run(call: Callable[[], Awaitable[Any]]) -> tuple[Any, BaseException | None]:
    """The result or what was raised: a task that raises SystemExit would take the event loop with it."""
    try:
        return await call(), None
    except (asyncio.CancelledError, GeneratorExit):
        raise
    except BaseException as error:
        return None, error


async def _end(task: "asyncio.Task[Any]", grace: float) -> None:
    task.cancel()
    await asyncio.wait({task}, timeout=grace)
