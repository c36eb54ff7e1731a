"""An event loop whose time is a number: a sleep costs nothing, and equal programs give equal traces."""

import asyncio
import selectors
from typing import Any, Final

_RESOLUTION: Final = 1e-6
"""Seconds; the program's own times are whole microseconds."""


class DeadlockError(RuntimeError):
    """Everything waits, and no timer will ever wake anybody."""


class _Jump(selectors.SelectSelector):
    """Never waits: moves the loop's time to the next timer instead."""

    loop: "VirtualLoop"

    def select(self, timeout: float | None = None) -> list[Any]:
        if timeout is None:
            raise DeadlockError("every task waits, and no timer is set")
        if timeout > 0:
            self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time. No threads and no sockets work under it.

    Args:
        now: seconds at which its time begins.
    """

    def __init__(self, now: float = 0.0) -> None:
        selector = _Jump()
        selector.loop = self
        self.now = now
        super().__init__(selector)
        # asyncio adds this to the time to find what is due; a nanosecond is lost beside a year of seconds
        self._clock_resolution = _RESOLUTION

    def time(self) -> float:
        """Virtual seconds."""
        return self.now
