"""Calling what may never come back: in a thread that is left behind once its time is over."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, TypeVar, cast

_Made = TypeVar("_Made")


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


class _Watched(threading.local):
    """The thread that runs functions for the thread that asks; None: not begun, or left behind."""

    work: "SimpleQueue[Callable[[], None]] | None" = None


_WATCHED: Final = _Watched()


def run_in_thread(function: Callable[[], _Made], seconds: float) -> _Made:
    """What a function returns or raises, if it does so within so many seconds.

    The thread is kept for the next function; one that hangs is left behind, and a new one is begun.

    Raises:
        OutOfTimeError: the time is over.
        EscapedError: the function raised something that is no ``Exception``.
        Exception: what it raised.
    """
    result: list[Any] = []
    failure: list[BaseException] = []
    running = threading.Lock()
    running.acquire()

    def work() -> None:
        try:
            result.append(function())
        except BaseException as error:
            failure.append(error)
        finally:
            running.release()

    queue = _WATCHED.work
    if queue is None:
        queue = _WATCHED.work = SimpleQueue()
        threading.Thread(target=_serve, args=(queue,), daemon=True, name="orchestrate-plugin").start()
    queue.put(work)
    if not running.acquire(timeout=seconds):
        _WATCHED.work = None
        raise OutOfTimeError(f"it took longer than {seconds:g} s")
    if not failure:
        return cast(_Made, result[0])
    if isinstance(failure[0], Exception):
        raise failure[0]
    raise EscapedError.of(failure[0]) from failure[0]


def _serve(queue: "SimpleQueue[Callable[[], None]]") -> None:
    while True:
        queue.get()()
