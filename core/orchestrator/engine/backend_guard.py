"""The guard around a session's backend: copies in, one second, a permutation out."""

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final

from orchestrator.deadlines import OutOfTimeError, run_in_thread
from orchestrator.decide import BackendError, Rank
from orchestrator.events import PluginUsed
from orchestrator.models import BackendProblem
from orchestrator.plugins import plugin_status
from orchestrator.spi import Backend, ModelTelemetry, Ranked, RoutingCandidate

SECONDS: Final = 1.0
_MOST: Final = sys.float_info.max
_LEAST: Final = -_MOST

Runner = Callable[[Callable[[], Any], float], Any]
"""Runs a function and returns its result within so many seconds, else raises OutOfTimeError."""


def guard(backend: Backend, run: Runner) -> Rank:
    """A ranking that can only succeed or raise BackendError."""

    def rank(
        candidates: Sequence[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry], draw: float
    ) -> Sequence[Ranked]:
        offered, measured = tuple(candidates), dict(telemetry)
        try:
            ranking = run(lambda: tuple(backend.rank(offered, measured, draw)), SECONDS)
            sound = _is_permutation(ranking, offered)
        except OutOfTimeError as error:
            raise BackendError(BackendProblem.TIMEOUT, f"the backend took longer than {SECONDS:g} s") from error
        except Exception as error:
            raise BackendError(BackendProblem.RAISED, f"{type(error).__name__}: {error}") from error
        if not sound:
            raise BackendError(
                BackendProblem.NOT_A_PERMUTATION, "the backend did not return every candidate once, with a number"
            )
        return ranking  # type: ignore[no-any-return]

    return rank


def _is_permutation(ranking: tuple[Any, ...], candidates: Sequence[RoutingCandidate]) -> bool:
    left = {each.model for each in candidates}
    if len(ranking) != len(left):
        return False
    for each in ranking:
        if not isinstance(each, Ranked) or not isinstance(each.score, (int, float)) or each.model not in left:
            return False
        if not _LEAST <= each.score <= _MOST:  # nor is what is no number
            return False
        left.remove(each.model)
    return True


def runner_of(session: Iterable[PluginUsed]) -> Runner:
    """How the backend among a session's plugins is run: in a thread where its distribution is isolated, else here."""
    backend = next((plugin for plugin in session if plugin.kind == "backend"), None)
    return run_here if backend is not None and not plugin_status.is_isolated(backend.distribution) else run_in_thread


def run_here(function: Callable[[], Any], seconds: float) -> Any:
    """Run it here and now, unbounded: for the simulator."""
    return function()
