"""Calling code of plugins, which may hang, raise or quit: in a thread that is left behind after its deadline."""

import asyncio
import threading
from collections.abc import Callable
from functools import partial
from queue import SimpleQueue
from typing import Any, Final, TypeVar, cast

from orchestrator.errors import ExhaustedError

_Made = TypeVar("_Made")


class LeftThread:
    """A thread that is left behind where it does not come to an end; the exit of the program does not wait for it.

    Args:
        work: what it does.
        name: what debuggers show.
    """

    def __init__(self, work: Callable[[], object], name: str = "orchestrate-plugin") -> None:
        self._thread = threading.Thread(target=work, daemon=True, name=name)

    def start(self) -> "LeftThread":
        """Begin.

        Raises:
            ExhaustedError: the machine gives the program no further thread.
        """
        try:
            self._thread.start()
        except RuntimeError as error:
            text = f"this process gets no further thread ({error}); end other programs, or raise the limit: ulimit -u"
            raise ExhaustedError(text) from error
        return self

    @property
    def is_alive(self) -> bool:
        """Whether it has begun and not ended."""
        return self._thread.is_alive()

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, at most that long; whether it has ended. Blocks."""
        self._thread.join(max(0.0, seconds))
        return not self._thread.is_alive()

    async def ended_within(self, seconds: float) -> bool:
        """Wait for its end, at most that long, and let the event loop go on; whether it has ended."""
        return await asyncio.to_thread(self.ends_within, seconds)


class OutOfTimeError(TimeoutError):
    """A call has not come back in time. Its thread goes on, and its result is ignored."""


class EscapedError(Exception):
    """A call raised what would end more than itself, such as SystemExit; the message says what."""

    @classmethod
    def of(cls, error: BaseException) -> "EscapedError":
        """What stands in the place of an error that must go no further."""
        if isinstance(error, SystemExit):
            return cls(f"it called sys.exit({error})")
        return cls(f"{type(error).__name__}: {error}")


def harmless(error: BaseException) -> Exception:
    """The error itself, or what stands in its place where it would end more than the call."""
    if isinstance(error, Exception) and not isinstance(error, StopIteration):  # which no future takes
        return error
    escaped = EscapedError.of(error)
    escaped.__cause__ = error
    return escaped


def outcome_of(function: Callable[[], _Made]) -> tuple[_Made | None, Exception | None]:
    """What a function returns, or what it raised."""
    try:
        return function(), None
    except BaseException as error:
        return None, harmless(error)


class _Watched(threading.local):
    """The thread that runs functions for the thread that asks; None: not begun, or left behind."""

    work: "SimpleQueue[Callable[[], None]] | None" = None


_WATCHED: Final = _Watched()


def run_in_thread(function: Callable[[], _Made], seconds: float) -> _Made:
    """What a function returns or raises, if it does so within so many seconds.

    The thread is kept for the next function; one that hangs is left behind, and a new one is begun.

    Raises:
        OutOfTimeError: the time is over.
        ExhaustedError: there is no thread for it.
        EscapedError: the function raised something that is no ``Exception``.
        Exception: what it raised.
    """
    ended: list[tuple[Any, Exception | None]] = []
    running = threading.Lock()
    running.acquire()

    def work() -> None:
        ended.append(outcome_of(function))
        running.release()

    queue = _WATCHED.work
    if queue is None:
        queue = _WATCHED.work = SimpleQueue()
        try:
            LeftThread(partial(_serve, queue)).start()
        except ExhaustedError:
            _WATCHED.work = None
            raise
    queue.put(work)
    if not running.acquire(timeout=seconds):
        _WATCHED.work = None
        raise OutOfTimeError(f"it took longer than {seconds:g} s")
    ((result, failure),) = ended
    if failure is not None:
        raise failure
    return cast(_Made, result)


def _serve(queue: "SimpleQueue[Callable[[], None]]") -> None:
    while True:
        queue.get()()
