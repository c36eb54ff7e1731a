"""Executors with one bug each, around the built-in one, which is sound."""

import os
import signal
from collections.abc import Callable, Sequence
from typing import Any, Final

from attrs import evolve

from orchestrator.spi import Executor, Fleet, FleetWorker
from orchestrator.testing import ExecutorContract
from orchestrator_executors.local import LocalExecutor, _keeper


def lose_keeper(fleet: Fleet) -> None:
    """The process that keeps the first worker is killed."""
    os.kill(_keeper(min(fleet.folder.glob("*.lock"))) or 0, signal.SIGKILL)


class SoundExecutor(ExecutorContract):
    """The suite of the sound executor."""

    lose_node = staticmethod(lose_keeper)  # type: ignore[assignment]

    def make(self) -> Executor:
        """Build it."""
        return LocalExecutor()


class _OneName(LocalExecutor):
    def status(self, fleet: Fleet) -> Sequence[FleetWorker]:
        return [FleetWorker("worker", True) for _ in super().status(fleet)]


class _Anew(LocalExecutor):
    def scale(self, fleet: Fleet) -> None:
        super().scale(evolve(fleet, workers=0))
        super().scale(fleet)


class _Once(LocalExecutor):
    """Starts each worker once: the keeper is killed together with it."""

    def scale(self, fleet: Fleet) -> None:
        loop = "import os, signal, sys; os.kill(os.getppid(), signal.SIGSTOP); os.execvp(sys.argv[1], sys.argv[1:])"
        stopped = (fleet.command[0], "-S", "-c", loop, *fleet.command)
        if not fleet.workers:
            for lock in fleet.folder.glob("*.lock"):
                os.kill(_keeper(lock) or 0, signal.SIGCONT)
        super().scale(evolve(fleet, command=stopped))


class _Brutal(LocalExecutor):
    def scale(self, fleet: Fleet) -> None:
        super().scale(evolve(fleet, grace=0.0))


class _Forgetful(LocalExecutor):
    """Takes what it has started before for what runs."""

    def __init__(self) -> None:
        self._started = -1

    def scale(self, fleet: Fleet) -> None:
        if fleet.workers != self._started:
            super().scale(fleet)
        self._started = fleet.workers


EXECUTORS: Final[dict[str, tuple[Callable[[], Any], str]]] = {
    "calls all by one name": (_OneName, "test_as_many_run_as_are_wanted"),
    "starts each once": (_Once, "test_a_worker_that_dies_is_started_again"),
    "starts all anew": (_Anew, "test_the_same_again_changes_nothing"),
    "starts all anew to scale": (_Anew, "test_scaling_leaves_those_that_stay"),
    "kills at once": (_Brutal, "test_zero_ends_all_in_order"),
    "trusts its memory": (_Forgetful, "test_a_lost_node_costs_no_worker"),
}
"""An executor, and the test that must notice."""
