"""Channels: messages that hooks and other parts of a program pass to each other during a run.

A message is in the log before ``put`` returns, and its taking before ``get`` does, so that channels survive a crash and
a replay shows them. They belong to one run: what was put into another one is not there.
"""

import asyncio
import json
import logging
import re
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any, Final, TypeVar

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.errors import ChannelClosedError, MissingError

if TYPE_CHECKING:
    from orchestrator.engine.loop import Loop
    from orchestrator.engine.session import Session
    from orchestrator.state.run import RunState

__all__ = ["ChannelClosedError", "ChannelHub", "TaskChannel"]

T = TypeVar("T")
Get = Callable[[str], str]
"""The text of a digest."""

LONGEST_MESSAGE: Final = 1_000_000
"""Characters of a message as JSON."""

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LOGGER: Final = logging.getLogger("orchestrator.channels")


class TaskChannel:
    """One named channel of the current run; see ``Orchestrator.get_channel``."""

    def __init__(self, name: str, hub: "ChannelHub") -> None:
        self.name = name
        self._hub = hub

    async def put(self, message: Mapping[str, Any]) -> None:
        """Put a message in, and return once it is in the log; before a run, it waits for the run to begin.

        Raises:
            ChannelClosedError: the run has ended.
            TypeError: it is no mapping, or holds what JSON does not know.
            ValueError: it is too long, or holds NaN or an infinity.
        """
        text = _encoded(message)
        await self._hub.elsewhere(lambda: self._hub.put(self.name, text))

    async def get(self) -> dict[str, Any]:
        """Take the oldest message out; wait until there is one.

        Raises:
            ChannelClosedError: the run has ended.
        """
        return _decoded(await self._hub.elsewhere(lambda: self._hub.get(self.name)))

    def peek_all(self) -> list[dict[str, Any]]:
        """The messages not taken yet, oldest first; they stay. After the run, those that were left."""
        return [_decoded(text) for text in self._hub.waiting(self.name)]

    def qsize(self) -> int:
        """How many messages are not taken yet."""
        return len(self._hub.waiting(self.name))

    def __repr__(self) -> str:
        return f"TaskChannel({self.name!r}, {self.qsize()} waiting)"


def _encoded(message: object) -> str:
    if not isinstance(message, Mapping):
        raise TypeError(f"a message is a mapping such as {{'type': 'schema'}}, not a {type(message).__name__}")
    text = json.dumps(dict(message), ensure_ascii=False, allow_nan=False)
    if len(text) > LONGEST_MESSAGE:
        raise ValueError(f"the message has {len(text):,} characters as JSON; {LONGEST_MESSAGE:,} are the most")
    text.encode()  # half of a surrogate pair is no text
    return text


def _decoded(text: str) -> dict[str, Any]:
    return json.loads(text)  # type: ignore[no-any-return]


@frozen(eq=False)
class _Put:
    """A message on its way into the log."""

    channel: str
    text: str
    done: "asyncio.Future[str] | None"
    """None for one that was put before the run."""


@define
class _Session:
    """The session of the run that goes on."""

    loop: "Loop"
    events: asyncio.AbstractEventLoop
    stage: Callable[[str], str]
    get: Get
    puts: deque[_Put] = Factory(deque)
    """Handed to the loop, oldest first; the log has them in this order."""
    takes: "dict[tuple[str, int], asyncio.Future[str]]" = Factory(dict)


class ChannelHub:
    """The channels of one orchestrator: of its current run, else of the one to come or of the last.

    Everything that changes a run happens on its event loop; what can be seen is behind a lock, for any thread.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._channels: dict[str, TaskChannel] = {}
        self._waiting: dict[str, dict[int, str]] = {}
        self._counts: dict[str, int] = {}
        self._early: deque[_Put] = deque()
        self._getters: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._session: _Session | None = None
        self._taken = False
        self._closed = ""
        self._run = ""

    def channel(self, name: str) -> TaskChannel:
        """The channel of a name; the same object every time.

        Raises:
            ValueError: it is not a name.
        """
        if not isinstance(name, str) or not _NAME.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of a channel: it is 1 to 64 letters, digits, '_', '.' or '-' and begins with a "
                "letter or digit"
            )
        return self._channels.setdefault(name, TaskChannel(name, self))

    def waiting(self, name: str) -> list[str]:
        """The messages that can be seen, as JSON, oldest first."""
        with self._lock:
            early = [put.text for put in self._early if put.channel == name]
            return [*self._waiting.get(name, {}).values(), *early]

    def expect(self) -> bool:
        """A run is about to begin: what is put now goes into it, as does what was put before the first one.

        False where another run goes on, to which the channels belong.
        """
        if self._taken:
            return False
        self._taken, self._closed, self._run = True, "", ""
        with self._lock:
            self._waiting.clear()
            self._counts.clear()
        return True

    def begin(self, session: "Session", loop: "Loop") -> None:
        """Take the session before its first step: what the log has waiting is there, what was put before goes in."""
        texts, self._run = session.stream.texts, session.stream.run
        self._restore(session.state, texts.get)
        self._session = _Session(loop, asyncio.get_running_loop(), texts.put, texts.get)
        for put in self._early:
            self._hand_over(self._session, put)
        self._notify()

    def observe(self, version: int, at: int, event: e.Event) -> None:
        """Take in a committed event."""
        session = self._session
        if session is None:
            return
        match event:
            case e.ChannelPut(channel=channel):
                self._was_put(session, channel, session.get(event.message))
            case e.ChannelTaken(channel=channel, number=number):
                self._was_taken(session, channel, number)
            case e.RunFinished():
                self._close(f"run {self._run} has finished; a channel takes messages until then")
            case e.RunInterrupted() | e.SessionFailed():
                self._close(f"the session of run {self._run} has ended; channels go on when the run does")

    def end(self, state: "RunState | None" = None, get: Get = str) -> None:
        """The run is over, or could not begin; with ``state``, what it left can be seen. A second time does nothing."""
        if not self._taken:
            return
        self._taken = False
        self._close("the run is over; a channel takes messages while it goes on")
        if state is None:
            return
        self._restore(state, get)
        if self._early:
            _LOGGER.warning("%d messages were put before a run that did not go on; they are lost", len(self._early))
            self._early.clear()

    def _restore(self, state: "RunState", get: Get) -> None:
        with self._lock:
            self._counts = {name: len(channel.messages) for name, channel in state.channels.items()}
            self._waiting = {
                name: {number: get(digest) for number, digest in channel.waiting.items()}
                for name, channel in state.channels.items()
            }

    def _close(self, why: str) -> None:
        """Refuse everything that has not reached the log."""
        session, self._session = self._session, None
        self._closed = self._closed or why
        if session is not None:
            lost = [put.done for put in session.puts if put.done is not None]
            for future in (*lost, *session.takes.values()):
                if not future.done():
                    future.set_exception(ChannelClosedError(self._closed))
        self._notify()

    async def elsewhere(self, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do it on the event loop of the run, wherever this is called."""
        session = self._session
        if session is None or session.events is asyncio.get_running_loop():
            return await work()
        return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work(), session.events))

    async def put(self, channel: str, text: str) -> None:
        """Bring a message in; on the run's event loop, or before there is one."""
        session = self._session
        if session is None:
            self._check_open()
            with self._lock:
                self._early.append(_Put(channel, text, None))
            return
        put = _Put(channel, text, session.events.create_future())
        self._hand_over(session, put)
        if put.done is None:
            raise MissingError("delivery")
        await put.done

    async def get(self, channel: str) -> str:
        """Take the oldest message that is not promised to another; wait for one."""
        while True:
            session = self._session
            if session is None:
                self._check_open()
            else:
                free = (n for n in self._waiting.get(channel, {}) if (channel, n) not in session.takes)
                number = next(free, None)
                if number is not None:
                    taken: asyncio.Future[str] = session.events.create_future()
                    session.takes[channel, number] = taken
                    session.loop.bring(e.ChannelTaken(channel, number))
                    return await taken
            events = asyncio.get_running_loop()
            arrived: asyncio.Future[None] = events.create_future()
            self._getters.append((events, arrived))
            await arrived

    def _check_open(self) -> None:
        if self._closed:
            raise ChannelClosedError(self._closed)

    def _hand_over(self, session: _Session, put: _Put) -> None:
        session.puts.append(put)
        session.loop.bring(e.ChannelPut(put.channel, session.stage(put.text)))

    def _was_put(self, session: _Session, channel: str, text: str) -> None:
        put = session.puts.popleft()
        with self._lock:
            number = self._counts[channel] = self._counts.get(channel, 0) + 1
            self._waiting.setdefault(channel, {})[number] = text
            if put.done is None:
                self._early.remove(put)
        if put.done is not None and not put.done.done():
            put.done.set_result(text)
        self._notify()

    def _was_taken(self, session: _Session, channel: str, number: int) -> None:
        with self._lock:
            text = self._waiting[channel].pop(number)
        future = session.takes.pop((channel, number))
        if not future.done():
            future.set_result(text)

    def _notify(self) -> None:
        """Wake every waiting take."""
        getters, self._getters = self._getters, []
        for events, arrived in getters:
            try:
                events.call_soon_threadsafe(_wake, arrived)
            except RuntimeError:
                continue  # that take was cancelled


def _wake(arrived: "asyncio.Future[None]") -> None:
    if not arrived.done():
        arrived.set_result(None)
