"""The projection: every call, score and failed check of every run, folded into one record per model.

Its snapshot is a memo of the store: position, hash of the event there, and the figures. It is disposable: where it is
missing, damaged, of another program or of another log, the projection begins anew.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any, Final

import orjson
from attrs import Factory, define, field

from orchestrator import events as e
from orchestrator.errors import LogError, present
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.stored_rows import Select
from orchestrator.log.stream_names import is_evaluation
from orchestrator.log.transaction import Recorded
from orchestrator.models import Lane, Role, TaskType, Verdict
from orchestrator.models.offers import qualified
from orchestrator.state.model_health import Measured, ModelRecord, measured_as
from orchestrator.telemetry.grades import Grades, grades, learn

SNAPSHOT: Final = "telemetry.json"
"""The name of the store's memo: in a data folder the file of that name."""

_FORMAT: Final = 2
_WORTH_KEEPING: Final = 200
"""Events read since the snapshot after which a new one is written."""
_MOST_CALLS: Final = 20_000
_MOST_RUNS: Final = 200
"""Whose failed checks are known at once: as many as go on side by side."""
_TYPES: Final = ("call.started", "call.succeeded", "call.failed", "iteration.evaluated", "output.chosen")
Records = dict[str, ModelRecord]
"""By provider instance and model, see ``qualified``. Of a record averages, latencies and the latest calls count."""


@define
class Telemetry:
    """What was measured, of real models and of those that only pretend."""

    real: Records = Factory(dict)
    simulated: Records = Factory(dict)
    position: int = 0
    """Of the last event that is counted, in the whole log."""

    def of(self, simulated: bool) -> Mapping[str, ModelRecord]:
        """One of the two sets."""
        return self.simulated if simulated else self.real


def measured(
    log: EventLog, *, keep: bool = True, newest: int | None = None, graded: list[Grades] | None = None
) -> Telemetry:
    """What all runs of a data folder have measured until now, and the grades of evaluations that are to count.

    With ``keep`` the snapshot is brought up to date, as far as the folder can be written. With ``newest`` no more than
    so many events are read: where the snapshot is older or missing, only those of the latest events are measured.
    ``graded`` are these grades, where they have been read already.

    Raises:
        LogError: the log cannot be read.
    """
    telemetry = _read_snapshot(log)
    first = 0 if newest is None else log.high_water() - newest
    if telemetry.position < first:
        telemetry, keep = Telemetry(position=first), False
    reader = _Reader(log, telemetry)
    count = 0
    for record in reader.rows():
        with suppress(LogError):  # a newer program's event, or a damaged one: the others count all the same
            reader.take(record)
        telemetry.position = record.position
        count += 1
    if keep and count >= _WORTH_KEEPING:
        _write_snapshot(log, telemetry)
    learn({False: telemetry.real, True: telemetry.simulated}, grades(log) if graded is None else graded)
    return telemetry


@define
class _Run:
    """What a call's measurements depend on in its run."""

    simulated: bool
    types: Mapping[str, TaskType]
    evaluated: bool = False
    """Whether it is a cell of an evaluation: what is tried there does not change who is called elsewhere."""


@define
class _Reader:
    log: EventLog
    telemetry: Telemetry
    _runs: dict[str, _Run] = field(factory=dict, init=False)
    _calls: dict[tuple[str, int], e.CallStarted] = field(factory=dict, init=False)
    _checks: "dict[str, _FailedChecks]" = field(factory=dict, init=False)

    def rows(self) -> Iterator[Recorded]:
        """The events that measure something, after the position reached."""
        return self.log.select(Select(types=_TYPES, after=self.telemetry.position))

    def take(self, record: Recorded) -> None:
        """Count one event."""
        event, run = record.event, record.stream
        if self._run(run).evaluated:
            return
        match event:
            case e.CallStarted():
                if len(self._calls) >= _MOST_CALLS:
                    self._calls.clear()
                self._calls[run, record.version] = event
            case e.CallSucceeded():
                self._succeeded(run, event)
            case e.CallFailed(by_vendor=True):
                self._failed(run, event)
            case e.Evaluated(score=score, call=call) if score is not None:
                author = self._started(run, call)
                if author is not None:  # an answer of the cache measures nothing
                    self._record(run, author).measured(self._type(run, event.task)).observe_quality(score)
            case e.OutputChosen(call=call):
                author = self._started(run, call)
                if author is not None:  # only what is delivered counts
                    failed = self._failed_of(run).of(record.version, author.node, call)
                    self._record(run, author).measured(self._type(run, author.node)).validator_failures += failed

    def _succeeded(self, run: str, event: e.CallSucceeded) -> None:
        started = self._started(run, event.call)
        if started is None:
            return
        record = self._record(run, started)
        record.calls += 1
        record.recent.append(True)
        measured = record.measured(self._type_of(run, started))
        if started.lane is Lane.INTERACTIVE:  # what a batch took and cost says nothing of single calls
            record.latencies.append(event.latency // 1000)
            measured.observe_answer(float(event.settled), event.latency / 1000)
        if event.usage is not None:
            measured.observe_length(started.role, event.usage.output)

    def _failed(self, run: str, event: e.CallFailed) -> None:
        started = self._started(run, event.call)
        if started is None:
            return
        record = self._record(run, started)
        record.calls += 1
        record.recent.append(False)
        if event.outage:
            record.measured(self._type_of(run, started)).observe_outage()

    def _failed_of(self, run: str) -> "_FailedChecks":
        found = self._checks.get(run)
        if found is None:
            if len(self._checks) >= _MOST_RUNS:
                self._checks.clear()
            found = self._checks[run] = _FailedChecks(self.log, run)
        return found

    def _type_of(self, run: str, started: e.CallStarted) -> TaskType | None:
        return measured_as(started.role, self._type(run, started.node))

    def _type(self, run: str, node: str) -> TaskType | None:
        return self._run(run).types.get(node)

    def _record(self, run: str, started: e.CallStarted) -> ModelRecord:
        model = qualified(started.provider, started.model)
        records = self.telemetry.simulated if self._run(run).simulated else self.telemetry.real
        found = records.get(model)
        if found is None:
            found = records[model] = ModelRecord()
        return found

    def _run(self, run: str) -> _Run:
        found = self._runs.get(run)
        if found is None or not found.types:
            simulated, types, evaluated = False, dict[str, TaskType](), False
            for record in self.log.read(
                run, types=[e.RunStarted, e.RunForked, e.PlanMade, e.PlanEdited, e.PlanPatched]
            ):
                event = record.event
                if isinstance(event, e.RunStarted | e.RunForked):
                    simulated = event.settings.simulated
                    evaluated = any(is_evaluation(name) for name in event.settings.accounts)
                elif isinstance(event, e.PlanMade | e.PlanEdited | e.PlanPatched):
                    types.update((task.id, task.type) for task in event.tasks)
            found = self._runs[run] = _Run(simulated, types, evaluated)
        return found

    def _started(self, run: str, version: int) -> e.CallStarted | None:
        """A call; one from before the snapshot is looked up."""
        found = self._calls.get((run, version)) or self._event(run, version)
        return found if isinstance(found, e.CallStarted) else None

    def _event(self, run: str, version: int) -> e.Event | None:
        return next((record.event for record in self.log.read(run, version - 1, version)), None)


@define
class _FailedChecks:
    """The failed checks of the answers of a run, each of its events read once; equal answers to a task share theirs."""

    log: EventLog
    run: str
    _upto: int = field(default=0, init=False)
    _begun: dict[int, tuple[str, int]] = field(factory=dict, init=False)
    """The task and the answer, by the version of the CheckStarted."""
    _forms: dict[int, str] = field(factory=dict, init=False)
    _failed: Counter[tuple[str, int | str]] = field(factory=Counter, init=False)

    def of(self, version: int, task: str, call: int) -> int:
        """Those of an answer to a task, as far as the run had come at a version."""
        if version > self._upto:
            self._read()
        return self._failed[task, self._forms.get(call, call)]

    def _read(self) -> None:
        kinds = [e.CallSucceeded, e.CheckStarted, e.Validated, e.OutputChosen]
        for record in self.log.read_own(self.run, self._upto, types=kinds):
            self._upto = record.version
            match record.event:
                case e.CallSucceeded(reading=reading) as answer:
                    if reading is not None and reading.equivalence is not None:
                        self._forms[answer.call] = reading.equivalence
                case e.CheckStarted(task=task, call=call):
                    self._begun[record.version] = task, call
                case e.Validated(verdict=Verdict.FAILED, check=check) if check in self._begun:
                    task, call = self._begun[check]
                    self._failed[task, self._forms.get(call, call)] += 1


def _read_snapshot(log: EventLog) -> Telemetry:
    """The snapshot, or an empty projection where it cannot be used."""
    try:
        stored = orjson.loads(log.store.memo(SNAPSHOT) or b"")
        position = stored["position"]
        there = log.at_position(position)
        if stored["format"] != _FORMAT or there is None or stored["hash"] != there.hash:
            return Telemetry()
        return Telemetry(_read_records(stored["real"]), _read_records(stored["simulated"]), position)
    except (ValueError, TypeError, KeyError, AttributeError):
        return Telemetry()


def _read_records(stored: Mapping[str, Any]) -> Records:
    records: Records = {}
    for model, fields in stored.items():
        record = records[model] = ModelRecord(calls=int(fields["calls"]))
        record.latencies.extend(int(each) for each in fields["latencies"])
        record.recent.extend(bool(each) for each in fields["recent"])
        for kind, seen in fields["types"].items():
            lengths = seen.pop("lengths")
            measured = record.by_type[TaskType(kind) if kind else None] = Measured(**seen)
            for role, tokens in lengths.items():
                for each in tokens:
                    measured.observe_length(Role(role), int(each))
    return records


def _write_snapshot(log: EventLog, telemetry: Telemetry) -> None:
    """Put the snapshot in the place of the old one, whole; what cannot be written is left for the next time."""
    there = present(log.at_position(telemetry.position), "the last event that is counted")
    data = orjson.dumps(
        {
            "format": _FORMAT,
            "position": telemetry.position,
            "hash": there.hash,
            "real": _plain_records(telemetry.real),
            "simulated": _plain_records(telemetry.simulated),
        }
    )
    log.store.keep_memo(SNAPSHOT, data)


def _plain_records(records: Records) -> dict[str, Any]:
    return {
        model: {
            "calls": record.calls,
            "latencies": list(record.latencies),
            "recent": list(record.recent),
            "types": {
                "" if kind is None else kind.value: {
                    "calls": seen.calls,
                    "quality": seen.quality,
                    "cost": seen.cost,
                    "latency_ms": seen.latency_ms,
                    "trust": seen.trust,
                    "validator_failures": seen.validator_failures,
                    "lengths": {role.value: list(tokens) for role, tokens in seen.lengths.items()},
                }
                for kind, seen in record.by_type.items()
            },
        }
        for model, record in records.items()
    }
