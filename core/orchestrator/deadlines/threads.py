"""The threads of plugins and of users' functions: nothing waits for one longer than its deadline."""

import asyncio
import threading
from collections.abc import Callable

from orchestrator.errors import ExhaustedError


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
