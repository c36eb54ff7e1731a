"""Which runs are open, and which of them a worker may take: a fold of the few events that say so."""

from collections.abc import Iterable, Iterator
from typing import Final

from attrs import Factory, define

from orchestrator.reading import EventLog
from orchestrator.reading import events as e

AGAIN: Final = 60.0
"""Seconds after which a process tries a run again that it could not play."""
RELEASED: Final = "released"
"""Why a session was ended that a worker gave back; such a run is free for others."""

_ASKED: Final = "release"
"""The same, because another process asked for it."""

_WANTED: Final = (
    e.RunStarted,
    e.RunForked,
    e.SessionOpened,
    e.SessionLost,
    e.SessionFailed,
    e.RunInterrupted,
    e.RunFinished,
    e.BudgetRaised,
    e.TimeRaised,
    e.ContentDeleted,
    e.CallSucceeded,
)
_MOST_IN_A_ROW: Final = 20
"""Sessions in a row in which no call succeeded, after which a run is left alone: it may be what ends its processes."""


@define
class OpenRun:
    """A run that has not ended."""

    by: str = ""
    """The application that has, or had, its latest session: the name of a worker, or a word such as ``view``."""
    is_stopped: bool = False
    """Whether it was stopped on purpose, or has a defect: a person goes on with it, and no worker."""
    sessions: int = 0
    in_a_row: int = 0
    """Sessions since the last call that succeeded."""

    @property
    def is_free(self) -> bool:
        """Whether a worker may take it, where no process has it."""
        return not self.is_stopped and self.in_a_row < _MOST_IN_A_ROW


@define
class OpenRuns:
    """The open runs of a log, oldest first; ``refresh`` reads on where the last look ended."""

    runs: dict[str, OpenRun] = Factory(dict)
    position: int = 0

    def refresh(self, log: EventLog) -> None:
        """Read what was appended since.

        Raises:
            LogError: the log cannot be read.
        """
        for record in log.tail(self.position, types=_WANTED):
            self.take(record.stream, record.event)
            self.position = record.position

    def take(self, run: str, event: e.Event) -> None:
        """Fold one event."""
        match event:
            case e.RunFinished() | e.ContentDeleted():
                self.runs.pop(run, None)
                return
            case e.RunForked():  # its maker goes on with it
                self.runs[run] = OpenRun(is_stopped=True)
                return
        known = self.runs.setdefault(run, OpenRun())
        match event:
            case e.SessionOpened():
                known.by, known.is_stopped = event.by, False
                known.sessions += 1
                known.in_a_row += 1
            case e.RunInterrupted():
                known.is_stopped = event.cause not in (RELEASED, _ASKED)
                known.in_a_row = 0
            case e.SessionFailed():
                known.is_stopped = True
            case e.CallSucceeded():
                known.in_a_row = 0

    def free(self, log: EventLog, besides: Iterable[str] = ()) -> Iterator[str]:
        """The runs that can be taken, oldest first."""
        others = set(besides)
        for run, known in list(self.runs.items()):
            if known.is_free and run not in others and not log.locks.is_held(run):
                yield run
