"""One writer per process: what is asked while a transaction runs is written together by the next."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from attrs import define

from orchestrator.deadlines.awaiting import Offload
from orchestrator.errors import LogError
from orchestrator.log.protocol import Member, StoreError, Written


@define(eq=False)
class _Waiting:
    member: Member
    future: "asyncio.Future[Written]"


class GroupCommit:
    """Has members written in groups.

    A member whose ``make`` raises an ``OrchestrateError`` fails alone. Any other error fails the group, and every later
    member: after an I/O error it is unknown what is on disk. The coroutine that writes lives only while there is work.

    Args:
        write: writes a group, and blocks.
        offload: where that runs.
    """

    def __init__(self, write: Callable[[Sequence[Member]], Sequence[Written]], offload: Offload) -> None:
        self._store_write = write
        self._offload = offload
        self._queue: list[_Waiting] = []
        self._task: asyncio.Task[None] | None = None
        self._failure: str | None = None

    async def submit(self, member: Member) -> Written:
        """Write a member; returns what was written once that is durable.

        Cancelled before its transaction begins, nothing is written; later, it is written all the same.

        Raises:
            OrchestrateError: raised by its ``make``; nothing of it is written.
            LogError: the log cannot be written, now or since an earlier failure.
        """
        self._refuse_after_failure()
        loop = asyncio.get_running_loop()
        waiting = _Waiting(member, loop.create_future())
        self._queue.append(waiting)
        if self._task is None:
            self._task = loop.create_task(self._write())
        return await waiting.future

    async def flush(self) -> None:
        """Wait until nothing is being written."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise LogError(f"nothing more is written since the event log failed: {self._failure}")

    async def _write(self) -> None:
        batch: list[_Waiting] = []
        try:
            while self._queue:
                batch = [member for member in self._queue if not member.future.done()]
                self._queue.clear()
                if batch:
                    members = [waiting.member for waiting in batch]
                    _acknowledge(batch, await self._offload(partial(self._store_write, members)))
        except BaseException as error:
            self._fail([*batch, *self._queue], error)
            if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
                raise
        finally:
            self._queue.clear()
            self._task = None

    def _fail(self, members: list[_Waiting], error: BaseException) -> None:
        self._failure = explained(error)
        for member in members:
            if member.future.done():
                continue
            if isinstance(error, Exception | asyncio.CancelledError):
                failure = LogError(f"the event log cannot be written: {self._failure}")
                failure.__cause__ = error
                member.future.set_exception(failure)
            else:
                member.future.set_exception(error)


def _acknowledge(batch: Sequence[_Waiting], written: Sequence[Written]) -> None:
    for waiting, done in zip(batch, written, strict=True):
        if waiting.future.done():
            continue
        if done.error is not None:
            waiting.future.set_exception(done.error)
        else:
            waiting.future.set_result(done)


def explained(error: BaseException) -> str:
    """Why the log cannot be written, and what to do, on one line."""
    if isinstance(error, StoreError):
        return str(error)
    return f"{str(error) or type(error).__name__}: remove the cause, then resume"
