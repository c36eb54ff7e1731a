"""A backend under watch: a run goes on without a backend that fails, and would hide it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from orchestrator.deadlines import run_in_thread
from orchestrator.decide import Rank
from orchestrator.engine.rank import guard
from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate

_PATIENCE: Final = 20.0
"""Seconds; nothing good takes as long on a slow machine."""


class Judged:
    """The backend that ``make`` builds; the first thing it does that a backend must not do is in ``problem``.

    Every question is asked twice, of an object built anew, so that a backend that remembers or draws is noticed.
    """

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._make = make
        self._backend = make()
        self.problem = ""

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """What the backend says, looked at."""
        offered = tuple(candidates)
        ranking: Sequence[Any] = self._asked(self._backend, offered, telemetry, draw)
        strange = sorted({type(each).__name__ for each in ranking if not isinstance(each, Ranked)})
        if strange:
            self._note(f"it returned objects of {', '.join(strange)}, not of Ranked")
            return ranking
        named, known = sorted(each.model for each in ranking), sorted(each.model for each in offered)
        if named != known:
            self._note(f"it returned {named}, which are not the candidates {known} once each")
        elif self._asked(self._make(), offered, telemetry, draw) != ranking:
            self._note(
                "asked again of a new object, it ranks otherwise: it remembers, reads a clock or draws for itself"
            )
        return ranking

    def _asked(
        self,
        backend: Backend,
        offered: tuple[RoutingCandidate, ...],
        telemetry: Mapping[str, ModelTelemetry],
        draw: float,
    ) -> Sequence[Any]:
        try:
            return tuple(backend.rank(offered, dict(telemetry), draw))
        except BaseException as error:
            self._note(f"it raised {type(error).__name__}: {error}")
            raise

    def _note(self, problem: str) -> None:
        self.problem = self.problem or f"in a run {problem}"[:300]


def patient(backend: Backend) -> Rank:
    """The guard of a run, with more patience: on a slow machine nothing good is taken for something that hangs."""
    return guard(backend, lambda function, seconds: run_in_thread(function, _PATIENCE))
