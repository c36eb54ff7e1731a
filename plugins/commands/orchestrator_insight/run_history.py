"""What one reading of a run's events leaves for those who show it: decisions, calls, the timeline; no event is kept."""

import gc
from array import array
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import Factory, define

from orchestrator.log.event_ids import event_name
from orchestrator.log.transaction import Recorded
from orchestrator.past_runs.exchanges import ExchangeReader
from orchestrator.state.run import RunState
from orchestrator_insight.explaining_history import Explainer
from orchestrator_insight.timeline import Timeline, TimelineReader


def _none() -> "array[int]":
    return array("q")


@define
class RunHistory:
    """A run as far as it was read.

    Attributes:
        explainer: folds the events and collects what there is to explain.
        timeline_reader: reads sessions and attempts.
        exchanges: what was said in each call.
        count: how many events were read.
        first_at: when the first of them happened, in microseconds UTC.
        position: of the last one.
        head: the hash of the last one.
    """

    explainer: Explainer = Factory(Explainer)
    timeline_reader: TimelineReader = Factory(TimelineReader)
    exchanges: ExchangeReader = Factory(ExchangeReader)
    count: int = 0
    first_at: int = 0
    position: int = 0
    head: str = ""
    _positions: "array[int]" = Factory(_none)
    """By version, from 1; 0 where none was read."""

    @property
    def state(self) -> RunState:
        """What the events fold to."""
        return self.explainer.state

    @property
    def timeline(self) -> Timeline:
        """Sessions and attempts."""
        return self.timeline_reader.line

    def take(self, record: Recorded) -> None:
        """Read the next event."""
        event = record.event
        self.explainer.take(record.at, event)
        self.timeline_reader.take(record.at, event)
        self.exchanges.take(record.version, event)
        self._note(record)

    def _note(self, record: Recorded) -> None:
        if not self.count:
            self.first_at = record.at
        self._positions.extend([0] * (record.version - len(self._positions) - 1))
        self._positions.append(record.position)
        self.count += 1
        self.position, self.head = record.position, record.hash

    def position_of(self, version: int) -> int | None:
        """The position of an event; None where it was not read."""
        return (self._positions[version - 1] or None) if 0 < version <= len(self._positions) else None

    def event(self, version: int) -> str:
        """An event of the run, as people name it."""
        return event_name(self.position_of(version), version)


@contextmanager
def uncollected() -> Iterator[None]:
    """Read without looking for garbage: what a history leaves only grows, and looking through it costs a third."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()
