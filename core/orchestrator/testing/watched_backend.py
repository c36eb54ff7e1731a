"""A backend under watch: a run goes on without a backend that fails, and would hide it."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any, Final

from orchestrator.deadlines import run_in_thread
from orchestrator.decide import Rank
from orchestrator.engine.backend_guard import guard
from orchestrator.money import Price, Usd
from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate

_PATIENCE: Final = 20.0
"""Seconds; nothing good takes as long on a slow machine."""
_SHOWN: Final = 400
_PRICE: Final = Price(Usd.parse("1"), Usd.parse("2"))
_PROBED: Final = tuple(
    RoutingCandidate(f"probe-{place}", "probe", f"vendor-{place}", _PRICE, place) for place in range(3)
)


class Judged:
    """The backend that ``make`` builds; the first thing it does that a backend must not do is in ``problem``.

    Every question is asked twice, of an object built anew, so that a backend that remembers or draws is noticed.
    """

    def __init__(self, make: Callable[[], Backend]) -> None:
        self._make = make
        self._backend = make()
        self.problem = ""
        self._seen = ""
        self._probe()

    def _probe(self) -> None:
        """Look at a few rankings before any run is played: what is wrong with all of them needs no long search.

        Raises:
            AssertionError: one is wrong.
        """
        measured = {each.model: ModelTelemetry() for each in _PROBED}
        for draw in (0.0, 0.5):
            with suppress(Exception, SystemExit):
                self.rank(_PROBED, measured, draw)
        assert not self.problem, self.problem

    def rank(
        self, candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        """What the backend says, looked at."""
        offered = tuple(candidates)
        ranking: Sequence[Any] = self._asked(self._backend, offered, telemetry, draw)
        strange = sorted({type(each).__name__ for each in ranking if not isinstance(each, Ranked)})
        self._seen = f"candidates {', '.join(each.model for each in offered)}, draw {draw:g}; ranking "
        if strange:
            self._note(f"it returned objects of {', '.join(strange)}, not of Ranked")
            return ranking
        self._seen += ", ".join(f"{each.model} {each.score}" for each in ranking) or "nothing"
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
        if backend is self._backend:
            self._seen = f"candidates {', '.join(each.model for each in offered)}, draw {draw:g}"
        try:
            return tuple(backend.rank(offered, dict(telemetry), draw))
        except BaseException as error:
            self._note(f"it raised {type(error).__name__}: {error}")
            raise

    def _note(self, problem: str) -> None:
        shown = f"{self._seen[:_SHOWN]}: " if self._seen else ""
        self.problem = self.problem or f"{shown}in a run {problem}"[: _SHOWN + 300]


def patient(backend: Backend) -> Rank:
    """The guard of a run, with more patience: on a slow machine nothing good is taken for something that hangs."""
    return guard(backend, lambda function, seconds: run_in_thread(function, _PATIENCE))
