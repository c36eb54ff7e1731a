"""Every attempt of a run on one axis of time: who waited, who answered, how it ended."""

from collections.abc import Iterable
from typing import Final

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.models import PHASE_OF, Phase, Role
from orchestrator.money import Usd

_GAP: Final = 0.02
"""The part of the axis that a pause between two sessions takes."""


@define
class Attempt:
    """One attempt of a logical call."""

    version: int
    node: str
    role: Role
    iteration: int
    sample: int
    model: str
    selected_at: int
    """When its model was selected, or its last attempt ended; microseconds UTC."""
    started_at: int
    ended_at: int | None = None
    end: str = "in flight"
    """``settled``, ``released``, ``unreconciled`` or ``in flight``."""
    error: str | None = None
    cost: Usd = Usd.ZERO
    """Settled + unreconciled."""


@define
class SessionSpan:
    """A time in which a process had the run."""

    number: int
    opened_at: int
    ended_at: int
    program: str
    end: str = "lost"
    """``finished``, ``interrupted``, ``failed``, ``lost``, or ``open``."""


@define
class Timeline:
    """The sessions of a run, and what was asked in them."""

    sessions: list[SessionSpan] = Factory(list)
    attempts: list[Attempt] = Factory(list)
    spend_by_model: dict[str, Usd] = Factory(dict)
    spend_by_phase: dict[Phase, Usd] = Factory(dict)

    def place(self, at: int) -> float:
        """Where a moment lies on the axis, from 0.0 to 1.0; the pauses between sessions are drawn short."""
        whole = sum(session.ended_at - session.opened_at for session in self.sessions) or 1
        space = 1.0 - _GAP * (len(self.sessions) - 1) if len(self.sessions) * _GAP < 0.5 else 1.0
        gap = _GAP if space < 1.0 else 0.0
        before = 0.0
        for session in self.sessions:
            length = (session.ended_at - session.opened_at) / whole * space
            if at <= session.ended_at or session is self.sessions[-1]:
                inside = min(max(at - session.opened_at, 0), session.ended_at - session.opened_at)
                return min(1.0, before + inside / whole * space)
            before += length + gap
        return 0.0


_ENDS: Final = {
    e.RunFinished: "finished",
    e.RunInterrupted: "interrupted",
    e.SessionFailed: "failed",
    e.SessionLost: "lost",
}


@define
class TimelineReader:
    """Reads the timeline out of a history, one event after the other. Of a fork it tells the fork's own part."""

    line: Timeline = Factory(Timeline)
    _version: int = 0
    _at: int = 0
    _selected: dict[int, int] = Factory(dict)
    """When a model was selected, or asked last, by the version of its ModelSelected."""
    _open: dict[int, Attempt] = Factory(dict)
    _ended: dict[int, Attempt] = Factory(dict)

    def take(self, at: int, event: e.Event) -> None:
        """Look at one event."""
        self._version += 1
        match event:
            case e.RunForked():
                self.line = Timeline()
                self._open.clear()
            case e.SessionOpened():
                self._lose(event.ended)
                self.line.sessions.append(SessionSpan(event.number, at, at, event.program, "open"))
            case e.SessionLost():
                self._lose(event.ended)
            case e.ModelSelected():
                self._selected[self._version] = at
            case e.CallStarted():
                self._start(at, event)
            case e.CallSucceeded():
                self._end(self._open.pop(event.call), at, event.settled, event.unreconciled, answered=True)
            case e.CallFailed():
                attempt = self._open.pop(event.call)
                attempt.error = event.kind.value
                self._end(attempt, at, event.settled, event.unreconciled, answered=False)
            case e.SpendReconciled():
                self._reconcile(event)
        self._follow_session(at, event)
        self._at = at

    def _start(self, at: int, event: e.CallStarted) -> None:
        key = (event.node, event.role, event.iteration, event.sample)
        attempt = Attempt(self._version, *key, event.model, self._selected[event.selected], at)
        self.line.attempts.append(attempt)
        self._open[self._version] = attempt
        self._selected[event.selected] = at

    def _end(self, attempt: Attempt, at: int, settled: Usd, unreconciled: Usd, *, answered: bool) -> None:
        attempt.ended_at = at
        attempt.end = "unreconciled" if unreconciled else "settled" if settled or answered else "released"
        self._ended[attempt.version] = attempt
        self._spend(attempt, settled + unreconciled)

    def _reconcile(self, event: e.SpendReconciled) -> None:
        """What a call has cost after all."""
        attempt = self._ended[event.call]
        attempt.end = "settled" if event.settled else "released"
        self._spend(attempt, event.settled - event.unreconciled)

    def _spend(self, attempt: Attempt, amount: Usd) -> None:
        attempt.cost += amount
        line, phase = self.line, PHASE_OF[attempt.role]
        line.spend_by_model[attempt.model] = line.spend_by_model.get(attempt.model, Usd.ZERO) + amount
        line.spend_by_phase[phase] = line.spend_by_phase.get(phase, Usd.ZERO) + amount

    def _lose(self, ended: Iterable[e.EndedAttempt]) -> None:
        """The attempts that a dead session left: known to be at work until its last event."""
        for lost in ended:
            attempt = self._open.pop(lost.call)
            attempt.error = "session lost"
            self._end(attempt, self._at, Usd.ZERO, lost.amount, answered=False)
        for session in self.line.sessions:
            if session.end == "open":
                session.end = "lost"

    def _follow_session(self, at: int, event: e.Event) -> None:
        latest = self.line.sessions[-1] if self.line.sessions else None
        if latest is not None and latest.end == "open":
            latest.ended_at = max(latest.ended_at, at)
            latest.end = _ENDS.get(type(event), "open")
