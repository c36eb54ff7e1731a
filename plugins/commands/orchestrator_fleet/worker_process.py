"""A worker: it takes runs that no process has, plays several at once, and gives back what it cannot end."""

import asyncio
import random
import shlex
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from attrs import Factory, define, evolve, field

from orchestrator import Workspace
from orchestrator.cli.kit import RunEnd, Watchers
from orchestrator.errors import (
    ConcurrencyError,
    DamagedLogError,
    LogError,
    NotAllowedError,
    OrchestrateError,
    RunLockedError,
    UnknownEventError,
)
from orchestrator.reading import events as e
from orchestrator_fleet.claimable_runs import AGAIN, RELEASED, OpenRuns
from orchestrator_fleet.worker_registry import Registration, live_workers

LOOK: Final = 0.25
"""Seconds between two looks for runs to take."""
MARGIN: Final = 2.0
"""Seconds of the stop grace that are kept for writing down what was interrupted."""

Report = Callable[[str, str, str], None]
"""Takes what happened (``claimed``, ``ended``, ``released``, ``left``, ``lost``), the run, and the words about it."""


@define
class Worker:
    """Plays runs of a workspace until it is told to stop.

    Attributes:
        workspace: an open one; its engine goes on with runs that others began.
        registration: under which name.
        jobs: runs at once; one that waits for a person counts as none.
        report: takes what happens.
        until_idle: whether it ends by itself once no run is left that it, or another worker, could go on with.
        grace: seconds within which it has to end once it is told to.
    """

    workspace: Workspace
    registration: Registration
    jobs: int
    report: Report
    until_idle: bool = False
    grace: float = 30.0
    cause: str = field(default="", init=False)
    """Why it stops; empty: it does not."""
    released: int = field(default=0, init=False)
    _runs: OpenRuns = field(factory=OpenRuns, init=False)
    _active: dict[str, asyncio.Task[None]] = field(default=Factory(dict), init=False)
    _left: dict[str, tuple[str, float]] = field(default=Factory(dict), init=False)
    """The runs it does not take: why, and when to look again."""
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _broken: LogError | None = field(default=None, init=False)

    async def run(self) -> None:
        """Take and play runs until there is an end to it.

        Raises:
            LogError: the log cannot be read or written any more; another process has to go on.
        """
        while not self.cause and self._broken is None:
            await self._look()
            if self.until_idle and await self._is_idle():
                self.cause = "idle"
                break
            await self._pause()
        await self._drain()
        if self._broken is not None:
            raise self._broken
        await self.registration.end(self.cause, self.released)

    def stop(self, cause: str) -> None:
        """Take no more runs; end or give back those that are played. A second time: at once, calls are cut."""
        patience = 0.0 if self.cause else max(0.0, self.grace - MARGIN)
        self.cause = cause
        for session in list(self.workspace.live.values()):
            if session.loop is not None:
                session.loop.interrupt(RELEASED, self.registration.name, patience)
        self._wake.set()

    async def _look(self) -> None:
        """Take as many free runs as there is room for."""
        log, now = self.workspace.engine.log, asyncio.get_running_loop().time()
        await asyncio.to_thread(self._runs.refresh, log)
        busy = self._busy()
        if busy >= self.jobs:
            return
        besides = {*self._active, *(run for run, (_, until) in self._left.items() if until > now)}
        for run in await asyncio.to_thread(lambda: list(self._runs.free(log, besides))):
            if busy >= self.jobs or self.cause:
                return
            busy += 1
            self._active[run] = asyncio.create_task(self._play(run), name=run)
        self._left = {run: why for run, why in self._left.items() if run in self._runs.runs}

    def _busy(self) -> int:
        """How many runs do something; one that waits for a person's answer does not."""
        return len(self._active) - sum(self._waits(run) for run in self._active)

    def _waits(self, run: str) -> bool:
        live = self.workspace.live.get(run)
        pending = [] if live is None or live.session is None else list(live.session.state.pending.values())
        return bool(pending) and all(isinstance(each, e.QuestionAsked) for each in pending)

    async def _is_idle(self) -> bool:
        """Whether nothing is left to do here, nor anything that another worker might leave behind."""
        if self._busy():
            return False
        log = self.workspace.engine.log
        if await asyncio.to_thread(lambda: any(map(log.asked, list(self._active)))):
            return False  # a person's answer is on its way
        known = {run: each for run, each in self._runs.runs.items() if run not in self._active}
        if any(run not in self._left and each.is_free and not log.locks.is_held(run) for run, each in known.items()):
            return False
        held = {each.by for run, each in known.items() if log.locks.is_held(run)}
        return not (held and held & await asyncio.to_thread(live_workers, log))

    async def _pause(self) -> None:
        """Wait until a run has ended, or for the next look; workers of one log do not look all at once."""
        self._wake.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._wake.wait(), LOOK * random.uniform(0.8, 1.2))

    async def _drain(self) -> None:
        """Wait for the sessions that are ending; what waits for a person is given back."""
        if not self._active:
            return
        if self.cause == "idle" or self._broken is not None:
            for session in list(self.workspace.live.values()):
                if session.loop is not None:
                    session.loop.interrupt(RELEASED, self.registration.name)
        await asyncio.wait(set(self._active.values()), timeout=self.grace)

    async def _play(self, run: str) -> None:
        """Take one run and play it; whatever goes wrong with it harms no other."""
        try:
            await self._taken(run)
        except RunLockedError:
            pass  # another worker was faster
        except ConcurrencyError:
            self.report("lost", run, "another process has gone on with it")
        except (DamagedLogError, UnknownEventError) as error:
            self._leave(run, str(error))
        except LogError as error:
            self._broken = error
        except NotAllowedError as error:
            flags = " ".join(f"--allow {shlex.quote(each)}" for each in error.missing)
            self._leave(run, f"it wants what the configuration here does not agree to; agree there, or with {flags}")
        except OrchestrateError as error:
            self._leave(run, str(error))
        except Exception as error:
            self._leave(run, f"it failed here: {type(error).__name__}: {error}")
        finally:
            del self._active[run]
            self._wake.set()

    async def _taken(self, run: str) -> None:
        engine = evolve(self.workspace.engine, is_worker=True)
        with TemporaryDirectory(prefix="orchestrate-work-") as folder:
            output = Path(folder) / "out" if await asyncio.to_thread(_needs_folder, engine, run) else None

            def begin(watchers: Watchers) -> Coroutine[Any, Any, RunEnd]:
                return engine.resume(run, output=output, watchers=watchers)

            handle = await self.workspace.begun(begin, watchers=Watchers(write=lambda text: None), run=run)
            self._began(run)
            end = await handle.ended()
        self._left.pop(run, None)
        if end.state.finished is not None:
            self.report("ended", run, end.state.finished.status.value)
        else:
            self._given_back(run)

    def _began(self, run: str) -> None:
        live = self.workspace.live.get(run)
        state = None if live is None or live.session is None else live.session.state
        number = 1 if state is None or state.session is None else state.session.number
        self.report("claimed", run, f"session {number}")
        if self.cause and live is not None and live.loop is not None:  # it began while this process was told to stop
            live.loop.interrupt(RELEASED, self.registration.name)

    def _given_back(self, run: str) -> None:
        """Say that a run was not ended; this worker leaves it to others for a while."""
        self.released += 1
        self._left[run] = ("", asyncio.get_running_loop().time() + AGAIN)
        self.report("released", run, "it can go on elsewhere")

    def _leave(self, run: str, why: str) -> None:
        """Leave a run to other workers, and say why, once."""
        known = self._left.get(run, ("", 0.0))[0]
        self._left[run] = (why, asyncio.get_running_loop().time() + AGAIN)
        if why != known:
            self.report("left", run, why)


def _needs_folder(engine: Any, run: str) -> bool:
    """Whether a run is judged as a folder: by a command of its user, or as an application."""
    spec = engine.recorded(run, engine.place(run))
    return spec.verify_cmd is not None or spec.app is not None
