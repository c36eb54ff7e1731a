"""What one round of deciding works with."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import Factory, define, frozen

from orchestrator.decide.roster import Memo, Roster
from orchestrator.models import BackendProblem
from orchestrator.settings import SECOND
from orchestrator.spi import ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.state.run import RunState

Rank = Callable[[Sequence[RoutingCandidate], Mapping[str, ModelTelemetry], float], Sequence[Ranked]]
"""The guard around the session's backend; its last argument is the draw. Raises BackendError when the backend fails."""


class BackendError(Exception):
    """The backend gave no usable ranking.

    Attributes:
        problem: how it failed.
    """

    def __init__(self, problem: BackendProblem, message: str) -> None:
        self.problem = problem
        super().__init__(message)


GRACE: Final = 30 * SECOND
"""What an effect that is at work when the time is up may still take, in microseconds."""


@frozen
class Wait:
    """Nothing to decide before an outcome arrives or the time comes (microseconds UTC; None: no time will help)."""

    until: int | None = None


@define
class RoutingContext:
    """The state, the time, and what this round has found out so far."""

    state: RunState
    now: int
    rank: Rank | None
    """None where the session has no backend."""
    time_up: bool
    memo: Memo = Factory(Memo)
    wakes: list[int] = Factory(list)
    """Times at which something may become possible."""
    money_waits: bool = False
    """A call waits for the run's cap: no later call starts."""
    paced: set[tuple[str, str]] = Factory(set)
    """The windows of time that a call waits for: no later call that needs the same one starts."""

    @property
    def roster(self) -> Roster:
        """The facts of the session."""
        return self.memo.roster(self.state)

    def wake_at(self, time: int) -> None:
        """Note that there may be something to decide at a time."""
        self.wakes.append(time)
