"""The calls of a log as a vendor's bill may tell of them."""

from collections.abc import Iterator
from datetime import UTC, datetime

from orchestrator.engine.bills import BilledCall
from orchestrator.errors import DamagedLogError, MissingError
from orchestrator.events import CallSucceeded, SessionOpened
from orchestrator.log import EventLog, Texts
from orchestrator.log.views import own
from orchestrator.models import ModelInfo
from orchestrator.money import Usd

_CALLS = f"""
{own("calls")}
SELECT c.run_id, e.version, c.model, e.at, c.settled_nano, c.unreconciled, c.simulated FROM (
    SELECT run_id, position, model, outcome, settled_nano,
        iif(outcome = 'in_flight', 0, held_nano) AS unreconciled,
        (SELECT json_extract(s.data, '$.settings.simulated') FROM events AS s
            WHERE s.stream = run_id AND s.type IN ('run.started', 'run.forked')) AS simulated
    FROM calls
) AS c JOIN events AS e ON e.position = c.position ORDER BY c.position
"""


def billed_calls(log: EventLog) -> list[BilledCall]:
    """Every call of every run that has ended, with the names its model may have on a bill."""
    names = {model.id: (model.id, model.sent_name) for model in _models(log)}
    requests = dict(_requests(log))
    return [
        BilledCall(
            run=str(run),
            version=int(version),
            models=names.get(model, (str(model),)),
            day=datetime.fromtimestamp(at / 1_000_000, UTC).date(),
            settled=Usd(settled),
            unreconciled=Usd(unreconciled or 0),
            request=requests.get((run, version)),
            simulated=bool(simulated),
        )
        for run, version, model, at, settled, unreconciled, simulated in log.query(_CALLS)
    ]


def model_names(log: EventLog) -> set[str]:
    """The names of every model that a session of the log could have called."""
    return {name for model in _models(log) for name in (model.id, model.sent_name)}


def _models(log: EventLog) -> Iterator[ModelInfo]:
    for run in log.streams():
        for record in log.read_own(run, types=[SessionOpened]):
            event = record.event
            if not isinstance(event, SessionOpened):
                raise MissingError("SessionOpened")
            yield from event.models


def _requests(log: EventLog) -> Iterator[tuple[tuple[str, int], str]]:
    """The vendor's ids of requests, by run and call, as far as their texts are there."""
    for run in log.streams():
        texts: Texts | None = None
        for record in log.read_own(run, types=[CallSucceeded]):
            event = record.event
            if isinstance(event, CallSucceeded) and event.request_id is not None:
                texts = texts or Texts(log, run, bytes, log.redactor)
                try:
                    yield (run, event.call), texts.get(event.request_id)
                except (KeyError, DamagedLogError):
                    continue
