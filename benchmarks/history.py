"""The history that the log benchmarks write and read: that of a real run of many tasks."""

from pathlib import Path
from typing import Final

from benchmarks.tasks import play, spec_of
from orchestrator.events import Event
from orchestrator.ledger.event_log import EventLog

_EVENTS_PER_TASK: Final = 24


def make_run(home: Path, events: int) -> str:
    """Play a run of at least so many events on a data folder; returns its id."""
    home.mkdir(parents=True, exist_ok=True)
    return play(home, spec_of(home, -(-events // _EVENTS_PER_TASK))).run


def calls_of(home: Path, run: str, count: int) -> list[Event]:
    """So many events of a run's calls, as they come: selected, prepared, started, answered, evaluated, finished."""
    log = EventLog.open_to_read(home)
    try:
        return [record.event for record in log.read(run, after=3, upto=3 + count)]
    finally:
        log.close()
