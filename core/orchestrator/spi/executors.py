"""Executors: what starts workers, on this machine or on others, and starts them again when they die."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from attrs import Factory, frozen


@frozen
class Fleet:
    """The workers that are wanted. A worker finds its runs by itself: nothing is handed to it but its command line."""

    command: tuple[str, ...]
    """The command line of one worker. It ends in order after SIGTERM."""
    workers: int
    """How many of them are to run; 0: none."""
    folder: Path
    """A folder of the fleet's own on this machine: what has to be remembered between two calls is kept there."""
    name: str = "orchestrate"
    """Tells it from other fleets at the same address: letters, digits and ``-``."""
    address: str | None = None
    """Where the executor starts workers, such as the address of a cluster; None: its usual place."""
    grace: float = 30.0
    """Seconds that a worker may take to end."""
    environment: Mapping[str, str] = Factory(dict)
    """Variables that a worker has besides those of the place where it runs; they may hold a password, and belong into
    no command line, file or message."""


@frozen
class FleetWorker:
    """A worker of a fleet, as its executor sees it."""

    name: str
    """Tells it from the other workers of its fleet."""
    is_alive: bool
    """Whether its process runs; else it is being started again."""
    place: str = ""
    """Where it runs, for people: a process, a node."""


class Executor(Protocol):
    """Starts, scales and restarts workers, and does nothing else: which runs they play is theirs.

    Both methods may be called from any process of the machine, and any number of times.
    """

    def scale(self, fleet: Fleet) -> None:
        """See to it that as many workers run as are wanted, from now on: one that dies is started again.

        Those that run go on. Those that are too many are ended in order, the latest first, within ``fleet.grace``.

        Raises:
            UsageError: it cannot be done here, such as without a package or at an address where nothing answers.
        """

    def status(self, fleet: Fleet) -> Sequence[FleetWorker]:
        """The workers of the fleet, in the order of their names; empty where there are none.

        Raises:
            UsageError: as for ``scale``.
        """
