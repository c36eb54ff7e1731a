"""The workers of a log: each has a stream of its own, and a lock that ends with its process."""

import os
import socket
from collections.abc import Iterator
from typing import Any, Final, Self

from attrs import asdict, define, field, frozen

from orchestrator.cli.kit import Engine, timestamp
from orchestrator.reading import EventLog, Texts
from orchestrator.reading import events as e
from orchestrator_fleet.claimable_runs import OpenRuns

PREFIX: Final = "worker/"
"""What the names of the streams of workers begin with."""

_NAME_BYTES: Final = 4


@define
class Registration:
    """This process as a worker of a log."""

    name: str
    _texts: Texts = field(alias="texts")
    _engine: Engine = field(alias="engine")
    _lock: Any = field(alias="lock")
    _version: int = 0

    @classmethod
    async def of(cls, engine: Engine, jobs: int, program: str) -> Self:
        """Register this process under a name that is drawn.

        Raises:
            LogError: the log cannot be written.
        """
        name = f"worker-{engine.ports.random_bytes(_NAME_BYTES).hex()}"
        found = cls(name, engine.texts(PREFIX + name), engine, engine.log.locks.acquire(PREFIX + name))
        host = found._texts.put(socket.gethostname())
        await found._append(e.WorkerStarted(os.getpid(), host, jobs, program))
        return found

    async def end(self, cause: str, released: int) -> None:
        """Say that it ended in order."""
        await self._append(e.WorkerStopped(cause, released))
        self._lock.release()

    async def _append(self, event: e.WorkerEvent) -> None:
        log, texts = self._engine.log, self._texts
        salt = texts.salt if self._version == 0 else None
        stream, now = PREFIX + self.name, self._engine.ports.clock()
        await log.append(stream, self._version, now, [event], texts.take(), salt=salt)
        self._version += 1


@frozen
class WorkerState:
    """A worker as the log has it."""

    worker: str
    """Its name."""
    status: str
    """``working``, ``idle``, ``ended`` (in order) or ``lost``."""
    host: str
    process: int
    jobs: int
    runs: tuple[str, ...]
    """The runs that it has now."""
    started_at: str
    """ISO 8601 in UTC."""

    @property
    def plain(self) -> dict[str, Any]:
        """All of it for JSON."""
        return {**asdict(self), "runs": list(self.runs)}


def workers_of(log: EventLog) -> Iterator[WorkerState]:
    """Every worker that the log knows, oldest first."""
    runs = OpenRuns()
    runs.refresh(log)
    held = {run: known.by for run, known in runs.runs.items() if log.locks.is_held(run)}
    for stream in log.streams(PREFIX):
        name = stream.removeprefix(PREFIX)
        records = list(log.read_own(stream))
        first = records[0].event
        if isinstance(first, e.WorkerStarted):
            own = tuple(run for run, by in held.items() if by == name)
            is_ended = isinstance(records[-1].event, e.WorkerStopped)
            status = "ended" if is_ended else "lost" if not log.locks.is_held(stream) else "working" if own else "idle"
            host = Texts(log, stream, os.urandom, log.redactor).get(first.host)
            yield WorkerState(name, status, host, first.process, first.jobs, own, timestamp(records[0].at))


def live_workers(log: EventLog) -> set[str]:
    """The names of the workers whose process lives."""
    return {each.removeprefix(PREFIX) for each in log.streams(PREFIX) if log.locks.is_held(each)}
