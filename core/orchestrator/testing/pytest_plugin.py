"""The plugin for pytest: fixtures for whole runs, simulated vendors and logs. Loading it imports nothing else of ours.

It is found by its entry point; a fixture costs only who asks for it. ``-p no:orchestrator`` leaves it out.
"""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from orchestrator.ledger.event_log import EventLog
    from orchestrator.testing.played_run import Played
    from orchestrator.testing.simulation.simulated_vendor import SimulatedVendor


@pytest.fixture
def orchestrate_run(tmp_path: "Path") -> "Callable[..., Played]":
    """Play a spec to its end with scripted answers: ``orchestrate_run(tasks=[...], answers=[...])``.

    Every other keyword is a key of the spec. Plugins that are installed take part as in any run. No network is used.
    """
    from orchestrator.testing.played_run import play_spec

    count = iter(range(1_000_000))

    def play(**keys: Any) -> "Played":
        return play_spec(tmp_path / f"orchestrate-{next(count)}", **keys)

    return play


@pytest.fixture
def simulated_vendor() -> "Callable[..., SimulatedVendor]":
    """Make a vendor that pretends, bills and fails as wanted: ``simulated_vendor(faults=["server"], rate=1)``."""
    from orchestrator.testing.played_run import simulated

    return simulated


@pytest.fixture
def event_log() -> "Iterator[EventLog]":
    """An empty log in memory."""
    from orchestrator.testing.simulation.memory_log import memory_log

    log = memory_log()
    yield log
    log.close()
