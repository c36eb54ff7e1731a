"""The contract of executors."""

import contextlib
import os
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar, Final
from unittest import SkipTest

from attrs import evolve

from orchestrator.spi import Executor, Fleet
from orchestrator.testing.contracts.base import PluginContract

WORKER: Final = """
import os, pathlib, signal, sys, time
me = pathlib.Path(sys.argv[1]) / str(os.getpid())
def end(number, frame):
    me.rename(me.with_suffix(".ended"))
    os._exit(0)
signal.signal(signal.SIGTERM, end)
me.touch()
while True:
    time.sleep(60)
"""
"""What stands for a worker: it notes that it runs, and that it ended in order."""

PATIENCE: Final = 60.0


class ExecutorContract(PluginContract):
    """As many workers run as are wanted; one that dies comes back; those that are too many are ended in order.

    Name the module in ``plugin``; the machine itself has to run what stands for workers.
    """

    kind = "executor"
    address: ClassVar[str | None] = None
    """Where it starts workers."""
    missing: ClassVar[str] = ""
    """Why it cannot be tried here; empty: it can."""
    lose_node: ClassVar[Callable[[Fleet], None] | None] = None
    """Takes a node away with a worker on it, at once, and leaves or brings another; None: it knows no nodes."""

    def make(self) -> Executor:
        """The executor."""
        executor: Executor = self.build()
        return executor

    def test_as_many_run_as_are_wanted(self) -> None:
        """Two are wanted: two run, and the status names both."""
        with self._fleet(2) as (executor, fleet, folder):
            _until(lambda: len(_alive(folder)) == 2, "two workers were wanted, and {} run", folder)
            found = executor.status(fleet)
            names = [each.name for each in found]
            assert len(set(names)) == 2, f"two workers run, and its status has {names}"
            assert names == sorted(names), "its status is not in the order of names"

    def test_a_worker_that_dies_is_started_again(self) -> None:
        """Kill -9 of one: soon there are two again, and the other is the same."""
        with self._fleet(2) as (_, _, folder):
            _until(lambda: len(_alive(folder)) == 2, "two workers were wanted, and {} run", folder)
            dead, other = sorted(_alive(folder))
            os.kill(dead, signal.SIGKILL)
            _until(lambda: len(_alive(folder) - {dead}) == 2, "one of two workers died, and {} run", folder)
            assert other in _alive(folder), "one worker died, and the other was ended, too"

    def test_the_same_again_changes_nothing(self) -> None:
        """What is wanted already runs: the same processes go on."""
        with self._fleet(1) as (executor, fleet, folder):
            _until(lambda: len(_alive(folder)) == 1, "one worker was wanted, and {} run", folder)
            before = _alive(folder)
            executor.scale(fleet)
            time.sleep(0.3)
            assert _alive(folder) == before, "the same number was wanted again, and other workers run"

    def test_scaling_leaves_those_that_stay(self) -> None:
        """One, then two, then one: the first goes on."""
        with self._fleet(1) as (executor, fleet, folder):
            _until(lambda: len(_alive(folder)) == 1, "one worker was wanted, and {} run", folder)
            (first,) = _alive(folder)
            executor.scale(evolve(fleet, workers=2))
            _until(lambda: len(_alive(folder)) == 2, "two workers were wanted, and {} run", folder)
            executor.scale(evolve(fleet, workers=1))
            _until(lambda: _alive(folder) == {first}, "only the first worker was to stay, and {} run", folder)

    def test_zero_ends_all_in_order(self) -> None:
        """None is wanted: each got its SIGTERM, none comes back, and the status is empty."""
        with self._fleet(2) as (executor, fleet, folder):
            _until(lambda: len(_alive(folder)) == 2, "two workers were wanted, and {} run", folder)
            executor.scale(evolve(fleet, workers=0))
            _until(lambda: not _alive(folder), "none was wanted, and {} run", folder)
            assert len(list(folder.glob("*.ended"))) == 2, "workers were ended without SIGTERM"
            assert list(executor.status(fleet)) == [], "none is wanted, and its status has some"

    def test_a_lost_node_costs_no_worker(self) -> None:
        """A node is gone, and what kept its workers: once the same is wanted again, as many run as before."""
        lose_node = type(self).__dict__.get("lose_node") or type(self).lose_node
        if lose_node is None:
            raise SkipTest("no way to lose a node was given in `lose_node`")
        with self._fleet(2) as (executor, fleet, folder):
            _until(lambda: len(_alive(folder)) == 2, "two workers were wanted, and {} run", folder)
            before = _alive(folder)
            lose_node(fleet)
            _until(lambda: not before <= _alive(folder), "a node was lost, and {} run, the same ones", folder)
            executor.scale(fleet)
            _until(lambda: len(_alive(folder)) == 2, "a node was lost, two are wanted, and {} run", folder)

    @contextlib.contextmanager
    def _fleet(self, workers: int) -> Iterator[tuple[Executor, Fleet, Path]]:
        """A fleet of processes that note in a folder that they run; none is left at the end."""
        if self.missing:
            raise SkipTest(self.missing)
        executor = self.make()
        with tempfile.TemporaryDirectory(prefix="contract-") as name:
            folder = Path(name) / "seen"
            folder.mkdir()
            command = (sys.executable, "-S", "-c", WORKER, str(folder))
            fleet = Fleet(command, workers, Path(name) / "fleet", f"contract-{os.getpid()}", self.address, grace=30.0)
            try:
                executor.scale(fleet)
                yield executor, fleet, folder
            finally:
                executor.scale(evolve(fleet, workers=0))
                for process in _alive(folder):
                    os.kill(process, signal.SIGKILL)


def _alive(folder: Path) -> set[int]:
    """The workers that run."""
    return {int(each.name) for each in folder.iterdir() if each.suffix == "" and _runs(int(each.name))}


def _runs(process: int) -> bool:
    """Whether a process runs: one that has ended, and was not waited for yet, does not."""
    try:
        os.kill(process, 0)
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except ProcessLookupError:
        return False
    except OSError:
        return not Path("/proc/self").exists()
    return state != "Z"


def _until(holds: Callable[[], bool], said: str, folder: Path) -> None:
    until = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < until, said.format(len(_alive(folder)))
        time.sleep(0.02)
