"""One reading of a history for all that the page shows of it; no event is kept."""

from collections.abc import Iterable
from typing import Any, Final

from orchestrator.log.transaction import Recorded
from orchestrator_insight.report.packing import Packed
from orchestrator_insight.run_history import RunHistory

_LONGEST_DATA: Final = 4_000
"""Characters of one event's fields in the table."""
_MANY: Final = 20_000
"""Events from which on the fields of each are cut shorter."""
_SHORT_DATA: Final = 300


def read_for_report(records: Iterable[Recorded]) -> tuple[RunHistory, Packed]:
    """What a run's events leave, and the rows of the table of events."""
    history, rows = RunHistory(), Packed()
    for record in records:
        history.take(record)
        rows.add(_event_row(record, history.first_at, _LONGEST_DATA if history.count <= _MANY else _SHORT_DATA))
    return history, rows


def _event_row(record: Recorded, first: int, longest: int) -> list[Any]:
    """(position, version, seconds since the first event, type, fields) of an event."""
    data = record.data if len(record.data) <= longest else f"{record.data[:longest]}…"
    seconds = round((record.at - first) / 1_000_000, 3)
    return [record.position, f"v{record.version}", seconds, record.type, data]
