"""The calls of a log as a vendor's bill may tell of them."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

from orchestrator.errors import DamagedLogError, MissingError
from orchestrator.models import ModelInfo
from orchestrator.money import Usd
from orchestrator.reading import EventLog, Select, Texts
from orchestrator.reading import events as e
from orchestrator_bills.vendor_bills import ArchivedCalls, BilledCall


def billed_calls(log: EventLog) -> list[BilledCall]:
    """Every call of every run that has ended, with the names its model may have on a bill."""
    names = {model.id: (model.id, model.sent_name) for model in _models(log)}
    requests = dict(_requests(log))
    began = log.beginnings()
    starts = {record.position: record for record in log.select(Select(types=("call.started",)))}
    return [
        BilledCall(
            run=run,
            version=start.version,
            models=names.get(row["model"], (str(row["model"]),)),
            day=_day(start.at),
            settled=Usd(row["settled_nano"]),
            unreconciled=Usd(0 if row["outcome"] == "in_flight" else row["held_nano"] or 0),
            request=requests.get((run, start.version)),
            simulated=began[run].settings.simulated,
        )
        for row in log.view("calls")
        for run, start in [(str(row["run_id"]), starts[row["position"]])]
    ]


def archived_calls(log: EventLog) -> list[ArchivedCalls]:
    """What archived runs have called, with the days between which they did."""
    return [
        ArchivedCalls(run, each.model, _day(left.began), _day(left.ended), left.simulated)
        for run, (_, left) in log.archived_runs().items()
        for each in left.spend
    ]


def _day(at: int) -> date:
    return datetime.fromtimestamp(at / 1_000_000, UTC).date()


def model_names(log: EventLog) -> set[str]:
    """The names of every model that a session of the log could have called."""
    return {name for model in _models(log) for name in (model.id, model.sent_name)}


def _models(log: EventLog) -> Iterator[ModelInfo]:
    for run in log.streams():
        for record in log.read_own(run, types=[e.SessionOpened]):
            event = record.event
            if not isinstance(event, e.SessionOpened):
                raise MissingError("SessionOpened")
            yield from event.models


def _requests(log: EventLog) -> Iterator[tuple[tuple[str, int], str]]:
    """The vendor's ids of requests, by run and call, as far as their texts are there."""
    for run in log.streams():
        texts: Texts | None = None
        for record in log.read_own(run, types=[e.CallSucceeded]):
            event = record.event
            if isinstance(event, e.CallSucceeded) and event.request_id is not None:
                texts = texts or Texts(log, run, bytes, log.redactor)
                try:
                    yield (run, event.call), texts.get(event.request_id)
                except (KeyError, DamagedLogError):
                    continue
