"""An isolation thread: it has its own event loop, so that a third-party provider's calls delay only each other."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from orchestrator.deadlines import EscapedError, harmless
from orchestrator.deadlines.threads import LeftThread
from orchestrator.errors import ExhaustedError

if TYPE_CHECKING:
    import httpx

END_SECONDS: Final = 3.0
"""How long a cancelled call, and a thread at the end of a session, may take to end."""

_LOGGER: Final = logging.getLogger("orchestrator.plugins")

_Work = Callable[["httpx.AsyncClient | None"], Awaitable[Any]]


class IsolationThread:
    """One thread, its event loop, and the HTTP client of that loop.

    Args:
        label: the provider, for messages.
        client: makes the HTTP client, when the first call comes; None where calls have none.
    """

    def __init__(self, label: str, client: "Callable[[], httpx.AsyncClient] | None") -> None:
        self._label = label
        self._make_client = client
        self._client: httpx.AsyncClient | None = None
        self._calls_inside: set[IsolatedCall] = set()
        self._is_closed = False
        self._loop = asyncio.new_event_loop()
        self._loop.set_exception_handler(self._note)
        self._leaving = asyncio.Event()
        try:
            self._thread = LeftThread(self._live, "orchestrate-provider").start()
        except ExhaustedError:
            self._loop.close()
            raise

    @property
    def is_open(self) -> bool:
        """Whether calls may still come in."""
        return not self._is_closed and self._thread.is_alive

    def enter(self, work: _Work) -> "IsolatedCall":
        """Send a call over; it begins when the loop there comes to it."""
        asking = asyncio.get_running_loop()
        isolated_call = IsolatedCall(
            self, work, asking, asking.create_future(), asking.create_future(), asking.create_future()
        )
        self.tell(self._begin, isolated_call)
        return isolated_call

    def tell(self, function: Callable[..., object], *arguments: object) -> None:
        """Have something done over there."""
        with suppress(RuntimeError):  # the loop is closed
            self._loop.call_soon_threadsafe(function, *arguments)

    def ping(self, heard: "asyncio.Future[None]") -> None:
        """Have a future of the running loop done once the loop over there comes to it."""
        asking = asyncio.get_running_loop()

        def hear() -> None:
            if not heard.done():
                heard.set_result(None)

        def answer() -> None:
            with suppress(RuntimeError):  # the run has ended
                asking.call_soon_threadsafe(hear)

        self.tell(answer)

    def close(self) -> None:
        """Let no more calls in; those inside may go on to their end."""
        self._is_closed = True
        self.tell(self._leave_when_empty)

    async def end(self) -> bool:
        """Cancel whatever is left inside, and wait for the thread; whether it has ended in time."""
        self._is_closed = True
        self.tell(self._leaving.set)
        return await self._thread.ended_within(END_SECONDS)

    def _live(self) -> None:
        why = "its thread has ended"
        try:
            with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
                runner.run(self._until_left())
        except BaseException as error:  # something it left behind has called sys.exit
            why = f"its thread was ended by {type(error).__name__}"
            _LOGGER.warning("%s has ended its own thread: %s", self._label, type(error).__name__)
        for isolated_call in tuple(self._calls_inside):
            isolated_call.deliver(isolated_call.answer, EscapedError(why))

    async def _until_left(self) -> None:
        await self._leaving.wait()
        if self._client is not None:
            await self._client.aclose()

    def _leave_when_empty(self) -> None:
        if self._is_closed and not self._calls_inside:
            self._leaving.set()

    def _begin(self, isolated_call: "IsolatedCall") -> None:
        self._calls_inside.add(isolated_call)
        isolated_call.task = self._loop.create_task(self._perform(isolated_call))
        isolated_call.task.add_done_callback(lambda task: self._over(isolated_call))

    async def _perform(self, isolated_call: "IsolatedCall") -> None:
        if not isolated_call.take():
            return
        isolated_call.deliver(isolated_call.begun, None)
        result: object = None
        try:
            if self._client is None and self._make_client is not None:
                self._client = self._make_client()
            result = await isolated_call.work(self._client)
        except asyncio.CancelledError:
            result = EscapedError("CancelledError: it cancelled itself")  # else the caller would wait for ever
        except BaseException as error:
            result = harmless(error)
        isolated_call.deliver(isolated_call.answer, result)

    def _over(self, isolated_call: "IsolatedCall") -> None:
        self._calls_inside.discard(isolated_call)
        isolated_call.deliver(isolated_call.over, None)
        self._leave_when_empty()

    def _note(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Something that the provider left in the loop has failed."""
        error = context.get("exception")
        what = context.get("message", "") if error is None else type(error).__name__
        _LOGGER.warning("%s has left something behind that failed: %s", self._label, what)


@define(eq=False)
class IsolatedCall:
    """One call in an isolation thread. Its futures belong to the caller's loop."""

    isolation: IsolationThread
    work: _Work
    asking: asyncio.AbstractEventLoop
    begun: "asyncio.Future[None]"
    answer: "asyncio.Future[Any]"
    over: "asyncio.Future[None]"
    """Nothing of it runs any more."""
    task: "asyncio.Task[None] | None" = None
    _is_taken: bool = False
    _lock: threading.Lock = field(factory=threading.Lock)

    def take(self) -> bool:
        """Whether this is the first to take the call: the thread to begin it, or the caller to withdraw it."""
        with self._lock:
            first, self._is_taken = not self._is_taken, True
        return first

    async def cancelled(self) -> bool:
        """Cancel the call; whether its thread took it in in time. A call that will not end stays where it is."""
        heard: asyncio.Future[None] = self.asking.create_future()
        self.isolation.tell(self._cancel, heard)
        await asyncio.wait({self.over}, timeout=END_SECONDS)
        return heard.done()

    def _cancel(self, heard: "asyncio.Future[None]") -> None:
        if self.task is not None:
            self.task.cancel()
        self.deliver(heard, None)

    def deliver(self, future: "asyncio.Future[Any]", result: object) -> None:
        """Bring a result, or an exception, to the caller."""

        def set_it() -> None:
            if future.done():
                return
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

        with suppress(RuntimeError):  # the run has ended
            self.asking.call_soon_threadsafe(set_it)
