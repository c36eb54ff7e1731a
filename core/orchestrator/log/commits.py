"""One writer per process: what is asked while a transaction runs is written together by the next."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress
from functools import partial
from typing import Any, Generic, TypeVar

from attrs import define

from orchestrator.deadlines.awaiting import Offload
from orchestrator.errors import LogError, OrchestrateError
from orchestrator.log.chain import Queryable
from orchestrator.log.transaction import explained

T = TypeVar("T")


TransactionLockFactory = Callable[[], AbstractContextManager[None]]
"""Makes the context in which write transactions of all processes exclude each other."""


@define(eq=False)
class _Member(Generic[T]):
    work: Callable[[], T]
    future: "asyncio.Future[T]"
    result: T | None = None
    error: OrchestrateError | None = None


class GroupCommit:
    """Commits pieces of work in batches, each in a savepoint of its own.

    A piece that raises an ``OrchestrateError`` fails alone. Any other error fails the batch, and every later piece:
    after an I/O error it is unknown what is on disk. The coroutine that writes lives only while there is work.

    Args:
        connection: in autocommit mode.
        guard: held while the connection is used.
        transaction_lock: makes the lock that excludes other processes.
        offload: where the blocking part runs.
    """

    def __init__(
        self,
        connection: Queryable,
        guard: AbstractContextManager[Any],
        transaction_lock: TransactionLockFactory,
        offload: Offload,
    ) -> None:
        self._connection = connection
        self._guard = guard
        self._transaction_lock = transaction_lock
        self._offload = offload
        self._queue: list[_Member[Any]] = []
        self._task: asyncio.Task[None] | None = None
        self._failure: str | None = None

    async def submit(self, work: Callable[[], T]) -> T:
        """Run ``work`` in a transaction and return what it returns once that is durable.

        Cancelled before its transaction begins, the work is not done; later, it is done all the same.

        Raises:
            OrchestrateError: raised by ``work``, which then has written nothing.
            LogError: the log cannot be written, now or since an earlier failure.
        """
        self._refuse_after_failure()
        loop = asyncio.get_running_loop()
        member: _Member[T] = _Member(work, loop.create_future())
        self._queue.append(member)
        if self._task is None:
            self._task = loop.create_task(self._write())
        return await member.future

    async def flush(self) -> None:
        """Wait until nothing is being written."""
        while self._task is not None:
            await asyncio.wait([self._task])

    def _refuse_after_failure(self) -> None:
        if self._failure is not None:
            raise LogError(f"nothing more is written since the event log failed: {self._failure}")

    async def _write(self) -> None:
        batch: list[_Member[Any]] = []
        try:
            while self._queue:
                batch = [member for member in self._queue if not member.future.done()]
                self._queue.clear()
                if batch:
                    await self._offload(partial(self._commit, batch))
                    _acknowledge(batch)
        except BaseException as error:
            self._fail([*batch, *self._queue], error)
            if isinstance(error, asyncio.CancelledError | KeyboardInterrupt | SystemExit):
                raise
        finally:
            self._queue.clear()
            self._task = None

    def _fail(self, members: list[_Member[Any]], error: BaseException) -> None:
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

    def _commit(self, batch: list[_Member[Any]]) -> None:
        with self._transaction_lock(), self._guard:
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                for member in batch:
                    self._attempt(member)
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(Exception):
                    self._connection.execute("ROLLBACK")
                raise

    def _attempt(self, member: _Member[Any]) -> None:
        self._connection.execute("SAVEPOINT member")
        try:
            member.result = member.work()
        except OrchestrateError as error:
            member.error = error
            self._connection.execute("ROLLBACK TO member")
        self._connection.execute("RELEASE member")


def _acknowledge(batch: list[_Member[Any]]) -> None:
    for member in batch:
        if member.future.done():
            continue
        if member.error is not None:
            member.future.set_exception(member.error)
        else:
            member.future.set_result(member.result)
