"""Functions that may hang, off the event loop: the threads that run them."""

import asyncio
import sys
import threading

import pytest

from orchestrator.deadlines import EscapedError
from orchestrator.deadlines.awaiting import in_daemon_thread

_CALLS = 60


def test_threads_that_came_back_run_the_next_functions() -> None:
    """Few threads serve many calls, one after the other; one that tried to end the program is kept as well."""

    async def calls() -> set[int]:
        return {await in_daemon_thread(threading.get_ident) for _ in range(_CALLS)}

    with pytest.raises(EscapedError):
        asyncio.run(in_daemon_thread(lambda: sys.exit(3)))
    assert len(asyncio.run(calls())) < _CALLS // 2


def test_a_thread_that_is_held_up_runs_nothing_else() -> None:
    """What comes after it is run by others, and does not wait."""

    async def scene() -> None:
        held, begun, loop = threading.Event(), asyncio.Event(), asyncio.get_running_loop()

        def hang() -> int:
            loop.call_soon_threadsafe(begun.set)
            held.wait()
            return threading.get_ident()

        hanging = asyncio.create_task(in_daemon_thread(hang))
        await begun.wait()
        others = {await in_daemon_thread(threading.get_ident) for _ in range(3)}
        held.set()
        assert await hanging not in others
        assert threading.get_ident() not in others

    asyncio.run(scene())
