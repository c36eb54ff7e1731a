"""Following runs: their events after each commit, and the live text of those that go on."""

import asyncio
from collections.abc import AsyncIterator, Callable
from itertools import islice
from pathlib import Path
from typing import Final, TypeVar

from attrs import Factory, define, frozen

from orchestrator import events as e
from orchestrator.engine.live_text import CallText, LiveTextFile, read_calls
from orchestrator.engine.loop import Loop
from orchestrator.engine.session import Session
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.errors import MissingError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Recorded
from orchestrator.models import Role

T = TypeVar("T")

PAUSE: Final = 0.1
"""Seconds between two looks at a run of another process."""
_PAGE: Final = 200
"""Events that are read and decoded at once, in a thread."""


@frozen
class TextPiece:
    """A piece of what a model is writing: shown, never recorded."""

    task: str
    """The task, or ``plan``, ``enhance``, ``advise``, ``verify``."""
    role: Role
    model: str
    call: str
    """Whose answer it belongs to: iteration, sample and attempt, such as ``1/1/1``."""
    text: str


@define(eq=False)
class LiveSession:
    """A session that goes on in this process, for those who follow it."""

    run: str = ""
    session: Session | None = None
    """None until it has been prepared."""
    loop: Loop | None = None
    task: "asyncio.Task[RunEnd] | None" = None
    began: asyncio.Event = Factory(asyncio.Event)
    """Set once the session's first step is durable."""
    changed: asyncio.Event = Factory(asyncio.Event)
    """Set at the next commit; then another one is in its place."""
    file: LiveTextFile | None = None
    """What other processes see of its live text."""
    _listeners: "list[asyncio.Queue[TextPiece | None]]" = Factory(list)

    def watchers(self, given: Watchers, join: "Callable[[LiveSession], None]", file: LiveTextFile) -> Watchers:
        """Watchers that wake followers and fill the file of live text, besides what the given ones do."""

        def begin(session: Session, loop: Loop) -> None:
            self.run, self.session, self.loop = session.stream.run, session, loop
            self.file = file
            file.begin(self.run, session.state)
            join(self)
            given.on_session(session, loop)

        def on_text(call: e.CallStarted, text: str) -> None:
            given.on_text(call, text)
            self._text(call, text)
            file.take(call, text)

        observers = [*given.observers, file.observe, lambda version, at, event: self.committed()]
        return Watchers(observers, begin, on_text, given.asker, given.write)

    def committed(self) -> None:
        """Note that the session has begun, and wake those who follow."""
        self.began.set()
        self.wake()

    def wake(self) -> None:
        """Wake those who follow."""
        changed, self.changed = self.changed, asyncio.Event()
        changed.set()

    def end(self) -> None:
        """Say that nothing more will come."""
        if self.file is not None:
            self.file.end()
        self.wake()
        for queue in self._listeners:
            queue.put_nowait(None)

    def _text(self, call: e.CallStarted, text: str) -> None:
        piece = _piece(CallText.of(call), text)
        for queue in self._listeners:
            queue.put_nowait(piece)

    async def text(self) -> AsyncIterator[TextPiece]:
        """The text from now on, until the session ends."""
        if self.task is None or self.task.done():
            return
        queue: asyncio.Queue[TextPiece | None] = asyncio.Queue()
        self._listeners.append(queue)
        try:
            while (piece := await queue.get()) is not None:
                yield piece
        finally:
            self._listeners.remove(queue)


def _piece(call: CallText, text: str) -> TextPiece:
    return TextPiece(call.task, call.role, call.model, call.call, text)


async def text_elsewhere(log: EventLog, folder: Path, run: str) -> AsyncIterator[TextPiece]:
    """What models write in a run of another process, which is looked at again and again, until none has the run.

    Args:
        log: says whether a process has the run.
        folder: the data folder.
        run: its id.
    """
    seen: dict[tuple[str, Role, str], int] = {}
    while log.locks.is_held(run):
        calls = await asyncio.to_thread(read_calls, folder, run)
        for call in calls:
            if text := call.after(seen.get(call.key, 0)):
                yield _piece(call, text)
        seen = {call.key: call.length for call in calls}
        await asyncio.sleep(PAUSE)


async def committed(log: EventLog, run: str, after: int, live: LiveSession | None = None) -> AsyncIterator[Recorded]:
    """The events of a run after a version, each once it is durable, until no process has the run any more.

    Args:
        log: where they are.
        run: its id.
        after: the version after which to begin.
        live: wakes at each commit; None: the run may be another process's, and is looked at again and again.
    """
    while True:
        changed = None if live is None else live.changed
        held = log.locks.is_held(run)  # asked first: what was written before the lock was given back is read below
        page = await asyncio.to_thread(_page, log, run, after)
        for record in page:
            after = record.version
            yield record
        if page:
            continue
        if not held:
            return
        await _next(changed)


def _page(log: EventLog, run: str, after: int) -> list[Recorded]:
    page = list(islice(log.read(run, after), _PAGE))
    for record in page:
        if record.event is None:
            raise MissingError("event")
    return page


async def _next(changed: asyncio.Event | None) -> None:
    """Wait for the next commit, or for the time to look again."""
    if changed is None:
        await asyncio.sleep(PAUSE)
        return
    try:
        await asyncio.wait_for(changed.wait(), 5 * PAUSE)
    except TimeoutError:
        return


async def settled(future: "asyncio.Future[T]") -> T:
    """What a future gives, waited for to its end even where this is cancelled; then that is raised."""
    cancelled: asyncio.CancelledError | None = None
    while not future.done():
        try:
            await asyncio.wait({future})
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        raise cancelled
    return future.result()
