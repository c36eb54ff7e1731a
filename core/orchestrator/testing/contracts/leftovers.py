"""How a plugin behaves among others: what it leaves running, open or changed, what it prints, whether it blocks."""

import asyncio
import contextlib
import gc
import io
import itertools
import os
import signal
import stat
import sys
import tempfile
import threading
import time
import warnings
from collections.abc import Coroutine, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from orchestrator.testing.contracts.side_effects import shared_state_kept

GRACE: Final = 3.0
"""Seconds in which what was asked to end may end."""

LONGEST_PAUSE: Final = 1.0
"""Seconds for which all others may be blocked; nothing good takes as long, and a busy machine is tried again."""

_BEAT: Final = 0.01
_TRIES: Final = 3
_OF_THE_HOUSE: Final = ("contract", "orchestrate-plugin")
"""Names of the threads in which suites and runs call plugins."""


@contextlib.contextmanager
def nothing_left(who: str = "it") -> Iterator[None]:
    """Fail where something is left running, open, printed or changed that is not the plugin's to leave.

    That is a thread, a socket, what was printed, the handler of a signal, and what the whole process shares; the last
    two are put back.
    """
    threads, sockets, handlers = set(threading.enumerate()), _sockets(), _handlers()
    with warnings.catch_warnings(record=True) as warned, shared_state_kept(), _printed_below() as printed:
        warnings.simplefilter("ignore")
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()  # what others forgot is not the plugin's
        warned.clear()
        yield
        gc.collect()
        forgotten = [str(each.message) for each in warned if issubclass(each.category, ResourceWarning)]
    other = _put_back(handlers)
    assert not other, f"{who} changed what happens at {', '.join(other)}; signals belong to the program"
    assert not printed[0], f"{who} printed {printed[0][:80]!r}"
    left = _left(threads)
    assert not left, f"{who} leaves {len(left)} thread(s) behind: {', '.join(dict.fromkeys(left))}"
    open_ = _sockets() - sockets
    assert not open_, f"{who} leaves {len(open_)} connection(s) open"
    assert not forgotten, f"{who} forgets to close something: {forgotten[0]}"[:300]


async def no_task_left(work: Coroutine[Any, Any, Any], who: str = "a call") -> Any:
    """What ``work`` returns or raises; fails where tasks that it began go on."""
    before = asyncio.all_tasks()
    try:
        return await work
    finally:
        late = time.monotonic() + GRACE
        while (left := _tasks(before)) and time.monotonic() < late:  # noqa: ASYNC110
            await asyncio.sleep(_BEAT)
        names = ", ".join(sorted(str(getattr(task.get_coro(), "__qualname__", task.get_name())) for task in left))
        for task in left:
            task.cancel()
        assert not left, f"{who} leaves a task behind: {names}"


async def longest_pause(work: Coroutine[Any, Any, Any]) -> float:
    """How long, in seconds, everything else on the event loop stands still at most while ``work`` is awaited."""
    beats = [time.monotonic()]

    async def beat() -> None:
        while True:
            await asyncio.sleep(_BEAT)
            beats.append(time.monotonic())

    heart = asyncio.ensure_future(beat())
    await asyncio.sleep(0)
    try:
        with contextlib.suppress(Exception):
            await work
    finally:
        heart.cancel()
        beats.append(time.monotonic())
    return max(after - before for before, after in itertools.pairwise(beats))


def blocks(pauses: Iterator[float]) -> float:
    """The shortest of some pauses, asked for until one is short: a busy machine blocks not every time."""
    shortest = float("inf")
    for _ in range(_TRIES):
        shortest = min(shortest, next(pauses))
        if shortest <= LONGEST_PAUSE:
            break
    return shortest


def _tasks(before: set["asyncio.Task[Any]"]) -> list["asyncio.Task[Any]"]:
    here = asyncio.current_task()
    return [task for task in asyncio.all_tasks() - before if task is not here and not task.done()]


def _left(before: set[threading.Thread]) -> list[str]:
    late = time.monotonic() + GRACE
    while True:
        new = [each for each in threading.enumerate() if each not in before and each.is_alive()]
        names = sorted(each.name for each in new if each.name not in _OF_THE_HOUSE)
        if not names or time.monotonic() >= late:
            return names
        time.sleep(_BEAT)


def _sockets() -> set[str]:
    """The sockets that the process has open, where the system says so."""
    found = set()
    with contextlib.suppress(OSError):
        for each in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                if stat.S_ISSOCK(each.stat().st_mode):
                    found.add(str(each.readlink()))
    return found


def _handlers() -> dict[signal.Signals, Any]:
    handlers = {}
    for number in signal.Signals:
        with contextlib.suppress(OSError, ValueError):
            handlers[number] = signal.getsignal(number)
    return handlers


def _put_back(before: Mapping[signal.Signals, Any]) -> list[str]:
    other = [number for number, handler in before.items() if signal.getsignal(number) != handler]
    for number in other:
        with contextlib.suppress(OSError, ValueError, TypeError):
            signal.signal(number, before[number])
    return [number.name for number in other]


@contextlib.contextmanager
def _printed_below() -> Iterator[list[str]]:
    """What is written to ``sys.stdout`` and ``sys.stderr``, or past them to the descriptors 1 and 2."""
    printed = [""]
    with contextlib.ExitStack() as stack:
        _flush()
        seen = stack.enter_context(tempfile.TemporaryFile())
        for number in (1, 2):
            with contextlib.suppress(OSError):
                saved = os.dup(number)
                os.dup2(seen.fileno(), number)
                stack.callback(os.close, saved)
                stack.callback(os.dup2, saved, number)
        above = io.StringIO()
        try:
            with contextlib.redirect_stdout(above), contextlib.redirect_stderr(above):
                yield printed
        finally:
            _flush()
            seen.seek(0)
            printed[0] = above.getvalue() + seen.read().decode(errors="replace")


def _flush() -> None:
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        if stream is not None:
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
