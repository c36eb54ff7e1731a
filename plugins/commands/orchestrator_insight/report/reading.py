"""One reading of a history for all that the page shows of it; no event is kept."""

from collections.abc import Iterable
from typing import Any, Final

from attrs import Factory, define

from orchestrator.exchanges import ExchangeReader
from orchestrator.log.transaction import Recorded
from orchestrator_insight.explanation import Explainer
from orchestrator_insight.report.calls import TimelineReader
from orchestrator_insight.report.packing import Packed

_LONGEST_DATA: Final = 4_000
"""Characters of one event's fields in the table."""
_MANY: Final = 20_000
"""Events from which on the fields of each are cut shorter."""
_SHORT_DATA: Final = 300


@define
class ReportData:
    """What one reading of a history leaves: no event of it."""

    explainer: Explainer = Factory(Explainer)
    chronicler: TimelineReader = Factory(TimelineReader)
    events: Packed = Factory(Packed)
    """The rows of the table."""
    positions: dict[int, int] = Factory(dict)
    """The position of each event by its version."""
    count: int = 0
    head: str = ""
    calls: ExchangeReader = Factory(ExchangeReader)

    def all(self, records: Iterable[Recorded]) -> None:
        """Read it, from its first event on."""
        first = None
        for record in records:
            first = record.at if first is None else first
            self.head = record.hash
            self.explainer.take(record.at, record.event)
            self.chronicler.take(record.at, record.event)
            self.calls.take(record.version, record.event)
            self.events.add(_event_row(record, first, _LONGEST_DATA if self.count < _MANY else _SHORT_DATA))
            self.positions[record.version] = record.position
            self.count += 1


def _event_row(record: Recorded, first: int, longest: int) -> list[Any]:
    """(position, version, seconds since the first event, type, fields) of an event."""
    data = record.data if len(record.data) <= longest else f"{record.data[:longest]}…"
    seconds = round((record.at - first) / 1_000_000, 3)
    return [record.position, f"v{record.version}", seconds, record.type, data]
