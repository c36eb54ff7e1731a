"""The loop of one session.

A step appends what has arrived, decides until there is nothing to decide, and starts the effects of what it made
durable. The loop holds nothing that a decision depends on.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol, TypeGuard

from attrs import Factory, define, field

from orchestrator import events as e
from orchestrator.decide import BackendError, Memo, Rank, Wait, decide
from orchestrator.decide.approvals import declines
from orchestrator.engine.calls import cancelled, label_of
from orchestrator.engine.effects import Effects
from orchestrator.engine.ports import Ports
from orchestrator.errors import LogError
from orchestrator.ledger.mailbox_requests import CANCEL
from orchestrator.models import Lane
from orchestrator.state.fold import apply
from orchestrator.state.run import RunState

_TOLERATED: Final = 1_000_000
"""Microseconds that a run's last event may be ahead of the clock, as after several steps at once."""
_MOST_DECISIONS: Final = 100_000
_ROUNDS: Final = 5
"""Of the event loop, in which a call is begun, and answered by a vendor that does not have to be waited for."""

Observer = Callable[[int, int, e.Event], None]
"""Called with (version, at, event) after the commit, once per event."""


class CommittedEvents(Protocol):
    """What an append wrote."""

    @property
    def events(self) -> Sequence[e.Event]:
        """The events as written."""


class Log(Protocol):
    """The run's stream, as far as the loop needs it."""

    async def append(self, expected: int, at: int, events: Sequence[e.Event]) -> CommittedEvents:
        """Write events and staged texts in one transaction."""


@define
class Loop:
    """One session of one run.

    ``interrupt`` may be called from a signal handler; everything else happens in ``run``.
    """

    state: RunState
    log: Log
    effects: Effects
    ports: Ports
    rank: Rank | None = None
    observers: Sequence[Observer] = ()
    _memo: Memo = field(factory=Memo, init=False)
    _queue: "asyncio.Queue[e.Outcome]" = field(factory=asyncio.Queue, init=False)
    _performing: dict[int, "asyncio.Task[None]"] = field(default=Factory(dict), init=False)
    _stop: str | None = field(default=None, init=False)
    _stopped_by: str = field(default="", init=False)
    _patience: float = field(default=0.0, init=False)
    """Seconds that calls in flight may take to end once the session is to."""
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _broken: Exception | None = field(default=None, init=False)
    _ahead: int = field(default=0, init=False)
    """Microseconds by which the run's time is ahead of this machine's clock."""

    def interrupt(self, cause: str, by: str = "", patience: float = 0.0) -> None:
        """Ask the session to end; the calls in flight are ended, and the run can be resumed.

        Args:
            cause: as in ``RunInterrupted``.
            by: likewise.
            patience: seconds that calls in flight are given to end by themselves. Nothing new is begun meanwhile; a
                second interruption with less patience shortens the wait.
        """
        self._stop, self._stopped_by, self._patience = cause, by, patience
        self._wake.set()

    def bring(self, outcome: e.Outcome) -> None:
        """Bring in something from outside, such as a message; from the thread of the event loop.

        It may come too late to be recorded: an observer sees whether it was.
        """
        self._queue.put_nowait(outcome)
        self._wake.set()

    async def run(self, opening: Sequence[e.Outcome]) -> None:
        """Append the opening outcomes, and go on until the session is closed.

        Raises:
            LogError: an append was refused or failed; nothing more is appended.
            Exception: what ``decide`` raised, after SessionFailed.
        """
        arrived: Sequence[e.Outcome] = opening
        await self.ports.pace()
        try:
            while True:
                until = await self._step(arrived)
                if not self.state.is_open:
                    return
                self._start_effects()
                arrived = await self._next_outcomes(until)
                if self._broken is not None:
                    await self._step([*arrived, self._session_failed(self._broken)])
                    raise self._broken
                if self._stop is None and any(declines(self.state, outcome) for outcome in arrived):
                    self._stop = e.DECLINED
                if self._stop is not None:
                    await self._end_session(arrived)
                    return
        except asyncio.CancelledError:
            if self.state.is_open:  # the last step may have closed it
                with suppress(LogError):  # a log that cannot be written any more must not hide the cancellation
                    await self._end_session([])
            raise
        finally:
            await self._cancel_effects()

    def _now(self) -> int:
        """The time of a step. It never goes back; and it goes on at the clock's pace where another machine's was ahead.

        Without that, a wait of a second would last until this clock has caught up.
        """
        behind = self.state.at + 1 - (self.ports.clock() + self._ahead)
        if behind > _TOLERATED:
            self._ahead += behind
        return max(self.ports.clock() + self._ahead, self.state.at + 1)

    async def _step(self, arrived: Sequence[e.Outcome]) -> int | None:
        """One transaction: outcomes, then decisions until there is none. Returns when to look again."""
        state = self.state
        expected, now = state.version, self._now()
        events: list[e.Event] = []
        for outcome in arrived:
            if self._is_wanted(outcome):
                apply(state, now, outcome)
                events.append(outcome)
        held: e.CallStarted | None = None
        until: int | None = None
        failure: Exception | None = None
        while True:
            try:
                decision = decide(state, now, self.rank, self._memo)
                if len(events) > _MOST_DECISIONS:
                    raise RuntimeError("decide goes in circles")
            except BackendError as error:
                event: e.Event = self._backend_failed(error)
            except Exception as error:
                failure = error
                event = self._session_failed(error)
            else:
                if isinstance(decision, Wait):
                    until = decision.until
                    break
                if isinstance(decision, e.CallStarted) and state.settings.asks_store:
                    held = decision
                    break
                event = decision
            apply(state, now, event)
            events.append(event)
            if failure is not None:
                break
        if held is not None:
            until = now
        await self._append(expected, now, events, held)
        if failure is not None:
            raise failure
        return until

    async def _append(self, expected: int, now: int, events: list[e.Event], held: e.CallStarted | None) -> None:
        """Make the step durable. A call that accounts or the pace may refuse is folded as the log wrote it."""
        everything = events if held is None else [*events, held]
        if not everything:
            return
        committed = await self.log.append(expected, now, everything)
        if held is not None:
            apply(self.state, now, committed.events[-1])
        try:
            await self.ports.pace()  # steps that one commit made durable come back together
        finally:
            for version, event in enumerate(committed.events, expected + 1):
                for observer in self.observers:
                    with suppress(Exception):
                        observer(version, now, event)

    def _is_wanted(self, outcome: e.Outcome) -> bool:
        """Whether the effect an outcome ends is still open; an outcome of no effect always is wanted."""
        match outcome:
            case e.CallPrepared(selected=version):
                return version in self.state.pending
            case e.CallSucceeded(call=version) | e.CallFailed(call=version):
                return version in self.state.pending
            case e.BatchSubmitted(batch=version):
                return version in self.state.pending
            case e.QuestionAnswered(question=version):
                return version in self.state.pending
            case e.PlanEdited():
                return self.state.planned and not self.state.begun
            case e.Probed(probe=version) | e.Scored(scoring=version):
                return version in self.state.pending
            case e.Validated(check=version) | e.FileWritten(chosen=version) | e.ResultVerified(verification=version):
                return version in self.state.pending
            case _:
                return True

    def _session_failed(self, error: Exception) -> e.SessionFailed:
        return e.SessionFailed(self.effects.texts.put(f"{type(error).__name__}: {error}", shapes=True))

    def _backend_failed(self, error: BackendError) -> e.BackendFailed:
        name = next((p.name for p in self.state.opened.plugins if p.kind == "backend"), "backend")
        said = f"{label_of(self.state, 'backend', name)}: {error}"
        return e.BackendFailed(name, error.problem, self.effects.texts.put(said, shapes=True))

    def _start_effects(self) -> None:
        """Start every open effect that is not being performed, or performed with its outcome still in the queue."""
        for version in self._performing.keys() - self.state.pending.keys():
            del self._performing[version]
        for version, opened in self.state.pending.items():
            if isinstance(opened, e.ModelSelected):
                self._prepare(version, opened)
            elif version not in self._performing and not self.state.is_held_back(version):
                self._performing[version] = asyncio.create_task(self._perform(version, opened))

    def _prepare(self, version: int, selected: e.ModelSelected) -> None:
        """Prepare a call here and now: it waits for nothing, and the next step closes it, so that it needs no task."""
        try:
            self._queue.put_nowait(self.effects.calls.prepare(version, selected))
        except Exception as error:
            self._broken = error

    async def _perform(self, version: int, opened: e.Event) -> None:
        try:
            self._queue.put_nowait(await self.effects.perform(version, opened))
        except Exception as error:
            self._broken = error
        finally:
            self._wake.set()

    async def _next_outcomes(self, until: int | None) -> list[e.Outcome]:
        """Wait for outcomes, for the time to look again, or for an interruption; returns all that has arrived."""
        if self._queue.empty() and self._stop is None and self._broken is None:
            self._wake.clear()
            timer: asyncio.TimerHandle | None = None
            if until is not None:
                seconds = max(0.0, (until - self.ports.clock() - self._ahead) / 1_000_000)
                timer = asyncio.get_running_loop().call_later(seconds, self._wake.set)
            try:
                await self._wake.wait()
            finally:
                if timer is not None:
                    timer.cancel()
        await self._wait_for_readers()
        await self.ports.pace()
        return self._drain()

    async def _wait_for_readers(self) -> None:
        """Let effects that end at once bring their outcomes: an append with all of them costs what one of each does."""
        if not self.ports.patience or self._stop is not None:
            return
        for _ in range(_ROUNDS):
            if all(task.done() for task in self._performing.values()):
                return
            await asyncio.sleep(0)
        reading = [task for version, task in self._performing.items() if version in self.effects.calls.reading]
        if reading:
            await asyncio.wait(reading, timeout=self.ports.patience)

    def _drain(self) -> list[e.Outcome]:
        arrived = []
        while not self._queue.empty():
            arrived.append(self._queue.get_nowait())
        return arrived

    async def _end_session(self, arrived: Sequence[e.Outcome]) -> None:
        """Record what has arrived, end the calls in flight, and close the session.

        Calls in batches stay open: the vendor goes on with them, and a later session collects what it has done.
        """
        for outcome in arrived:  # a cancellation that ends the waiting comes back for them
            self._queue.put_nowait(outcome)
        await self._wait_for_calls()
        if self._stop == CANCEL:
            await self.effects.calls.batches.cancel()
        await self._cancel_effects()
        outcomes = [outcome for outcome in self._drain() if self._is_wanted(outcome)]
        ended = {outcome.call for outcome in outcomes if isinstance(outcome, (e.CallSucceeded, e.CallFailed))}
        outcomes.extend(
            cancelled(version, opened)
            for version, opened in self.state.pending.items()
            if _is_single_call(opened) and version not in ended
        )
        await self._step([*outcomes, e.RunInterrupted(self._stop or "cancelled", self._stopped_by)])

    async def _wait_for_calls(self) -> None:
        """Let calls in flight end by themselves, as long as the patience for it lasts."""
        clock = asyncio.get_running_loop().time
        began = clock()
        while (left := began + self._patience - clock()) > 0 and (calls := self._calls_in_flight()):
            self._wake.clear()
            waking = asyncio.create_task(self._wake.wait())
            await asyncio.wait({*calls, waking}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
            waking.cancel()

    def _calls_in_flight(self) -> "set[asyncio.Task[None]]":
        opened = self.state.pending
        return {
            task
            for version, task in self._performing.items()
            if _is_single_call(opened.get(version)) and not task.done()
        }

    async def _cancel_effects(self) -> None:
        tasks = list(self._performing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self.effects.calls.batches.close()


def _is_single_call(opened: e.Event | None) -> TypeGuard[e.CallStarted]:
    """Whether an open effect is a call that is sent alone, and so ends with the session at the latest."""
    return isinstance(opened, e.CallStarted) and opened.lane is Lane.INTERACTIVE
