"""Every attempt of a run on one axis of time: who waited, who answered, how it ended."""

from collections.abc import Iterable
from typing import Final

from attrs import Factory, define, frozen

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
    turn: int
    sample: int
    model: str
    selected_at: int
    """When its model was selected, or its last attempt ended; microseconds UTC."""
    started_at: int
    ended_at: int | None = None
    end: str = "in flight"
    """``settled``, ``released``, ``kept`` or ``in flight``."""
    error: str | None = None
    cost: Usd = Usd.ZERO
    """Settled + kept."""


@define
class Session:
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

    sessions: list[Session] = Factory(list)
    attempts: list[Attempt] = Factory(list)
    spend_by_model: dict[str, Usd] = Factory(dict)
    spend_by_phase: dict[Phase, Usd] = Factory(dict)

    def place(self, at: int) -> float:
        """Where a moment lies on the axis, from 0.0 to 1.0; the pauses between sessions are drawn short."""
        whole = sum(session.ended_at - session.opened_at for session in self.sessions) or 1
        room = 1.0 - _GAP * (len(self.sessions) - 1) if len(self.sessions) * _GAP < 0.5 else 1.0
        gap = _GAP if room < 1.0 else 0.0
        before = 0.0
        for session in self.sessions:
            length = (session.ended_at - session.opened_at) / whole * room
            if at <= session.ended_at or session is self.sessions[-1]:
                inside = min(max(at - session.opened_at, 0), session.ended_at - session.opened_at)
                return min(1.0, before + inside / whole * room)
            before += length + gap
        return 0.0


@frozen
class _Ready:
    at: int
    event: e.ModelSelected


_ENDS: Final = {
    e.RunFinished: "finished",
    e.RunInterrupted: "interrupted",
    e.SessionFailed: "failed",
    e.SessionLost: "lost",
}


def timeline_of(history: Iterable[tuple[int, e.Event]]) -> Timeline:
    """Read the timeline out of a history of (at, event)."""
    line = Timeline()
    selections: dict[int, _Ready] = {}
    open_attempts: dict[int, Attempt] = {}
    again: dict[int, int] = {}
    at = 0
    for version, (now, event) in enumerate(history, 1):
        match event:
            case e.SessionOpened():
                _end_lost(line, open_attempts, event.ended, at)
                line.sessions.append(Session(event.number, now, now, event.program, "open"))
            case e.ModelSelected():
                selections[version] = _Ready(now, event)
            case e.CallStarted():
                ready = again.get(event.selected, selections[event.selected].at)
                attempt = Attempt(version, event.node, event.role, event.turn, event.sample, event.model, ready, now)
                line.attempts.append(attempt)
                open_attempts[version] = attempt
                again[event.selected] = now
            case e.CallSucceeded():
                attempt = open_attempts.pop(event.call)
                _end(line, attempt, now, event.settled, event.kept, answered=True)
            case e.CallFailed():
                attempt = open_attempts.pop(event.call)
                attempt.error = event.kind.value
                _end(line, attempt, now, event.settled, event.kept, answered=False)
            case e.SessionLost():
                _end_lost(line, open_attempts, event.ended, at)
        if line.sessions and line.sessions[-1].end == "open":
            if not isinstance(event, e.SessionLost):
                line.sessions[-1].ended_at = max(line.sessions[-1].ended_at, now)
            line.sessions[-1].end = _ENDS.get(type(event), "open")
        at = now
    return line


def _end(line: Timeline, attempt: Attempt, at: int, settled: Usd, kept: Usd, *, answered: bool) -> None:
    attempt.ended_at = at
    attempt.cost = settled + kept
    attempt.end = "kept" if kept else "settled" if settled or answered else "released"
    line.spend_by_model[attempt.model] = line.spend_by_model.get(attempt.model, Usd.ZERO) + attempt.cost
    phase = PHASE_OF[attempt.role]
    line.spend_by_phase[phase] = line.spend_by_phase.get(phase, Usd.ZERO) + attempt.cost


def _end_lost(line: Timeline, attempts: dict[int, Attempt], ended: Iterable[e.EndedAttempt], at: int) -> None:
    """The attempts that a dead session left: known to be at work until its last event."""
    for lost in ended:
        attempt = attempts.pop(lost.call)
        attempt.error = "session lost"
        _end(line, attempt, at, Usd.ZERO, lost.amount, answered=False)
    for session in line.sessions:
        if session.end == "open":
            session.end = "lost"
