"""Folds the way of a call, from its body to its answer."""

from typing import Final

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import Finish, Lane
from orchestrator.settings import SECOND
from orchestrator.state.batches import BatchedCall
from orchestrator.state.calls import Answer, Failure, Refusal, Reservation
from orchestrator.state.fold.hosts import forget_probe, host_of, note_reached, note_unreachable
from orchestrator.state.fold.open_effects import Handlers, closed
from orchestrator.state.fold.settling_attempts import call_of, count, end_probe, started_of
from orchestrator.state.model_health import Start, measured_as
from orchestrator.state.run import RunState

_DAY = 86_400 * SECOND
_SAYS_NOTHING: Final = (ErrorKind.UNREACHABLE, ErrorKind.UNSENT, ErrorKind.PLUGIN)
"""How an attempt can fail without a word on whether its host can be reached."""


def _call_prepared(state: RunState, at: int, event: e.CallPrepared) -> None:
    opened = closed(state, event.selected, e.ModelSelected)
    call = call_of(state, opened)
    if call.selections[-1].version == event.selected:
        call.prepared = event
    found = event.reused
    if found is not None:
        call.candidates.clear()
        call.answers.append(
            Answer(event.selected, opened.model, found.answer, found.answer_bytes, found.finish, found.reading, True)
        )


def _call_started(state: RunState, at: int, event: e.CallStarted) -> None:
    call = call_of(state, event)
    state.reservations.pop(call.key, None)
    call.in_flight = state.version
    call.attempts += 1
    call.smallest = event.max_tokens if call.smallest is None else min(call.smallest, event.max_tokens)
    if event.probe:
        _begin_probe(state, event.model)
    state.in_flight += 1
    state.in_flight_held += event.hold
    state.pending[state.version] = event
    if event.lane is Lane.BATCH:
        state.batched[state.version] = BatchedCall(at, state.models[event.model])
    _remember_start(state, at, event)


def _begin_probe(state: RunState, model: str) -> None:
    """An attempt tests the open circuits of its model and of the host."""
    record, host = state.record(model), host_of(state, model)
    if record.opened:
        record.probe = state.version
        record.probe_ended = None
    if host is not None and host.opened:
        host.probe = state.version


def _remember_start(state: RunState, at: int, event: e.CallStarted) -> None:
    """Keep an attempt for a day. What it reads and writes is bounded by its bytes and its limit."""
    starts, model = state.starts, state.models.get(event.model)
    while starts and starts[oldest := next(iter(starts))].at <= at - _DAY:
        del starts[oldest]
    hidden = 0 if model is None else model.hidden_tokens
    tokens = event.body_bytes + hidden + event.max_tokens
    paced = event.provider if event.lane is Lane.INTERACTIVE else ""  # a vendor's limits for single calls are others
    starts[state.version] = Start(at, event.node, paced, tokens, event.hold)


def _account_refused(state: RunState, at: int, event: e.AccountRefused) -> None:
    call = call_of(state, event.call)
    call.smallest = event.call.max_tokens if call.smallest is None else min(call.smallest, event.call.max_tokens)
    call.refusals.append(Refusal(at, event))


def _pace_refused(state: RunState, at: int, event: e.PaceRefused) -> None:
    key = call_of(state, event.call).key
    before = state.reservations.get(key)
    state.reservations[key] = Reservation(state.version, event.until, 1 if before is None else before.refusals + 1)


def _call_succeeded(state: RunState, at: int, event: e.CallSucceeded) -> None:
    started = started_of(state, event.call)
    call = count(state, event.call, started, event.settled, event.unreconciled)
    is_batched = started.lane is Lane.BATCH  # how long it took says nothing of the model
    call.ended += 1
    call.took += 0 if is_batched else event.latency
    call.tries[started.model] = call.tries.get(started.model, 0) + 1
    call.failure = None
    call.candidates.clear()
    call.answers.append(
        Answer(event.call, started.model, event.answer, event.answer_bytes, event.finish, event.reading)
    )
    if event.finish is Finish.LENGTH:
        call.cut.append(started.max_tokens)
        call.smallest = None
        call.refusals.clear()
    start = state.starts.get(event.call)
    if start is not None and event.usage is not None:
        start.tokens = event.usage.input_tokens + event.usage.output_tokens
    record = state.record(started.model)
    record.failures = 0
    record.calls += 1
    record.recent.append(True)
    measured = record.measured(measured_as(started.role, state.type_of(started.node)))
    if not is_batched:
        record.latencies.append(event.latency // 1000)
        measured.observe_answer(float(event.settled), event.latency / 1000)
    if event.usage is not None:
        measured.observe_length(started.role, event.usage.output)
        if not is_batched:
            record.observe_pace(event.usage.output_tokens, event.latency)
    end_probe(state, event.call, started, True)
    note_reached(state, event.call, started, answered=True)


def _call_failed(state: RunState, at: int, event: e.CallFailed) -> None:
    started = started_of(state, event.call)
    call = count(state, event.call, started, event.settled, event.unreconciled)
    record = state.record(started.model)
    if event.by_vendor:
        call.ended += 1
        call.took += 0 if started.lane is Lane.BATCH else event.latency
        call.tries[started.model] = call.tries.get(started.model, 0) + 1
        call.failure = Failure(at, event.kind, event.retryable, event.retry_after)
        record.kinds.add(event.kind)
        record.calls += 1
        record.recent.append(False)
        if event.outage:
            record.failures += 1
            record.measured(measured_as(started.role, state.type_of(started.node))).observe_outage()
    end_probe(state, event.call, started, None if not event.by_vendor else not event.outage)
    if event.by_vendor and event.kind not in _SAYS_NOTHING:
        note_reached(state, event.call, started, answered=event.status is not None)
    elif event.kind is ErrorKind.UNREACHABLE and not (event.by_vendor and event.retryable):
        note_unreachable(state, at, event, started)
    else:
        forget_probe(state, event.call, started)


HANDLERS: Final[Handlers] = {
    e.CallPrepared: _call_prepared,
    e.CallStarted: _call_started,
    e.AccountRefused: _account_refused,
    e.PaceRefused: _pace_refused,
    e.CallSucceeded: _call_succeeded,
    e.CallFailed: _call_failed,
}
