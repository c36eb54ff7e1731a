"""The fold: one event at a time becomes state. It knows no rule; see the package's docstring."""

import gc
from bisect import insort
from collections.abc import Callable, Iterable
from heapq import heapify, heappop, heappush
from typing import Any

from attrs import evolve as changed

from orchestrator import events as e
from orchestrator.models import PHASE_OF, Finish, Role, TaskStatus, TaskType
from orchestrator.money import Usd
from orchestrator.settings import SECOND
from orchestrator.state.calls import Answer, CallKey, Failure, LogicalCall, Refusal, Selection, Spend
from orchestrator.state.channels import Channel
from orchestrator.state.health import Measured, Start
from orchestrator.state.run import Excess, RunState
from orchestrator.state.tasks import Check, TaskState

_DAY = 86_400 * SECOND


def evolve(state: RunState, at: int, event: e.Event) -> RunState:
    """Fold one event into the state, in place, and return it.

    Raises:
        ValueError: the event does not belong into a run, or does not fit what stands before it.
    """
    handler = _HANDLERS.get(type(event))
    if handler is None:
        raise ValueError(f"{type(event).__name__} is not an event of a run")
    state.version += 1
    try:
        handler(state, at, event)
    except KeyError as error:
        raise ValueError(f"{type(event).__name__} at version {state.version} refers to nothing: {error}") from error
    state.at = at
    return state


def fold(history: Iterable[tuple[int, e.Event]], state: RunState | None = None) -> RunState:
    """Fold a history of (at, event) from the beginning, or on top of a state.

    The garbage collector rests meanwhile: a state only grows, and looking through it again and again costs a fifth.
    """
    state = RunState() if state is None else state
    collecting = gc.isenabled()
    gc.disable()
    try:
        for at, event in history:
            evolve(state, at, event)
    finally:
        if collecting:
            gc.enable()
    return state


# ── the run and its sessions ───────────────────────────────────────────────────────────────────────────────────


def _run_started(state: RunState, at: int, event: e.RunStarted) -> None:
    state.start = event
    state.started_at = at
    state.cap = event.settings.cap
    state.time_limit = event.settings.time_limit


def _session_opened(state: RunState, at: int, event: e.SessionOpened) -> None:
    _close_session(state, state.at)
    _end_lost(state, event.ended)
    state.session = event
    state.session_version = state.version
    state.session_at = at
    state.is_open = True
    if any(isinstance(opened, e.QuestionAsked) for opened in state.pending.values()):
        state.enhance.asked_at = at  # it is asked again
    state.models = {model.id: model for model in event.models}
    state.backend_failed = False
    state.finished = None
    for record in state.records.values():
        record.kinds.clear()
        record.probe = None
        if record.opened and record.until is None:
            record.opened = False
            record.failures = 0
    for prior in event.priors:
        record = state.record(prior.model)
        record.prior_p95_ms, record.prior_success_rate = prior.latency_p95_ms, prior.success_rate
        record.by_type[prior.type] = Measured(prior.calls, prior.quality, prior.cost, prior.latency_ms, prior.trust)
    _reopen(state, event.reopened)


def _session_ended(state: RunState, at: int, event: e.SessionFailed | e.RunInterrupted) -> None:
    _close_session(state, at)


def _session_lost(state: RunState, at: int, event: e.SessionLost) -> None:
    _close_session(state, state.at)
    _end_lost(state, event.ended)


def _close_session(state: RunState, until: int) -> None:
    if state.is_open:
        state.active_before = state.active(until)
        state.is_open = False
        state.enhance.asked_at = None


def _end_lost(state: RunState, ended: Iterable[e.EndedAttempt]) -> None:
    for attempt in ended:
        started = _started(state, attempt.call)
        _count(state, attempt.call, started, Usd.ZERO, attempt.amount)
        _end_probe(state, attempt.call, started, None)


def _budget_raised(state: RunState, at: int, event: e.BudgetRaised) -> None:
    state.cap = event.cap
    _raise(state, "budget", event.reopened)


def _time_raised(state: RunState, at: int, event: e.TimeRaised) -> None:
    state.time_limit = event.time_limit
    _raise(state, "time", event.reopened)


def _run_forked(state: RunState, at: int, event: e.RunForked) -> None:
    """What was done stays; money, time and open calls were the parent's."""
    if state.start is None or state.version != event.version + 1:
        raise ValueError(f"RunForked at version {state.version} shares {event.version} versions")
    state.start = changed(state.start, settings=event.settings, spec=event.spec)
    state.forked = event
    state.started_at = at
    state.cap = event.settings.cap
    state.time_limit = event.settings.time_limit
    state.is_open, state.active_before, state.finished = False, 0, None
    for version, opened in list(state.pending.items()):
        if isinstance(opened, e.CallStarted):
            _call_of(state, _started(state, version)).in_flight = None
            _end_probe(state, version, opened, None)
    state.in_flight, state.in_flight_held = 0, Usd.ZERO
    state.starts.clear()
    state.spend, state.excess = Spend(), Usd.ZERO
    state.kept.clear()
    state.phases.clear()
    state.warned.clear()
    state.exceeded.clear()
    for node in (*state.before_tasks.values(), *state.tasks.values()):
        node.spend = Spend()
    state.raised = {"budget": state.version, "time": state.version}
    state.verification = state.verified = None  # its result is another
    _reopen(state, event.reopened)


def _content_deleted(state: RunState, at: int, event: e.ContentDeleted) -> None:
    state.content_deleted = True


def _raise(state: RunState, what: str, reopened: Iterable[str]) -> None:
    state.finished = None
    state.raised[what] = state.version
    _reopen(state, reopened)


def _reopen(state: RunState, names: Iterable[str]) -> None:
    tasks = []
    for name in names:
        if name == e.PLAN:
            state.plan.reopen()
            continue
        task = state.tasks[name]
        task.reopen()
        task.finished = None
        state.unfinished += 1
        tasks.append(task)
    for task in tasks:
        dependencies = [state.tasks[name] for name in task.planned.dependencies]
        task.waiting = sum(dependency.finished is None for dependency in dependencies)
        task.failed_dependencies = [d.name for d in dependencies if _failed(d)]
        task.started = None
        if task.waiting == 0:
            heappush(state.blocked if task.failed_dependencies else state.ready, task.order)


def _failed(task: TaskState) -> bool:
    return task.finished is not None and task.finished.status is TaskStatus.FAILED


# ── before the plan ────────────────────────────────────────────────────────────────────────────────────────────


def _question_asked(state: RunState, at: int, event: e.QuestionAsked) -> None:
    state.pending[state.version] = event
    state.enhance.asked_at = at


def _question_answered(state: RunState, at: int, event: e.QuestionAnswered) -> None:
    opened = state.pending.pop(event.question)
    assert isinstance(opened, e.QuestionAsked)
    node = state.enhance
    node.answers[opened.number] = event
    node.project = event.project or node.project
    node.criteria = event.criteria or node.criteria
    node.words = node.words if event.words is None else event.words
    if node.asked_at is not None:
        state.active_before -= at - node.asked_at
        node.asked_at = None


def _spec_enhanced(state: RunState, at: int, event: e.SpecEnhanced) -> None:
    state.enhance.ended = event


def _architecture_decided(state: RunState, at: int, event: e.ArchitectureDecided) -> None:
    state.advise.decided = event


# ── planning ───────────────────────────────────────────────────────────────────────────────────────────────────


def _plan_made(state: RunState, at: int, event: e.PlanMade) -> None:
    state.planned = True
    state.execution_order = event.execution_order
    place = {name: order for order, name in enumerate(event.execution_order)}
    for number, planned in enumerate(event.tasks, 1):
        state.tasks[planned.id] = TaskState(
            planned.id, planned=planned, number=number, order=place[planned.id], waiting=len(planned.dependencies)
        )
        state.dependants.setdefault(planned.id, [])
        for dependency in planned.dependencies:
            state.dependants.setdefault(dependency, []).append(planned.id)
        if not planned.dependencies:
            heappush(state.ready, place[planned.id])
    state.unfinished = len(event.tasks)


def _plan_refused(state: RunState, at: int, event: e.PlanRefused) -> None:
    state.plan.refused.append(event)


def _forecast_made(state: RunState, at: int, event: e.ForecastMade) -> None:
    state.forecast = event


def _task_started(state: RunState, at: int, event: e.TaskStarted) -> None:
    task = state.tasks[event.task]
    task.started = state.version
    _take(state.ready, task.order)
    insort(state.running, task.order)


def _task_finished(state: RunState, at: int, event: e.TaskFinished) -> None:
    task = state.tasks[event.task]
    task.finished = event
    task.finished_version = state.version
    state.unfinished -= 1
    if task.started is not None:
        state.running.remove(task.order)
    else:
        _take(state.ready, task.order)
        _take(state.blocked, task.order)
    for name in state.dependants[event.task]:
        dependant = state.tasks[name]
        dependant.waiting -= 1
        if event.status is TaskStatus.FAILED:
            dependant.failed_dependencies.append(event.task)
        if dependant.waiting == 0 and dependant.finished is None:
            heappush(state.blocked if dependant.failed_dependencies else state.ready, dependant.order)


def _take(heap: list[int], order: int) -> None:
    """Take a place out of a heap; at its head, where it nearly always is, at the cost of a pop."""
    if heap and heap[0] == order:
        heappop(heap)
    elif order in heap:
        heap.remove(order)
        heapify(heap)


# ── calls ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _model_selected(state: RunState, at: int, event: e.ModelSelected) -> None:
    node = state.node(event.node)
    key = CallKey(event.node, event.role, event.turn, event.sample)
    call = node.calls.get(key)
    if call is None:
        call = node.calls[key] = LogicalCall(key)
    call.selections.append(
        Selection(state.version, event.model, event.max_tokens, event.reason, event.waiver, event.most_tokens)
    )
    call.candidates.update((candidate.model, candidate) for candidate in event.candidates)
    call.prepared = None
    call.failure = None
    call.smallest = None
    call.cut.clear()
    call.refusals.clear()
    if isinstance(node, TaskState):
        node.turn = max(node.turn, event.turn)
        if event.role is Role.GENERATOR and len(call.selections) > 1:
            node.fallbacks += 1
    state.pending[state.version] = event


def _call_prepared(state: RunState, at: int, event: e.CallPrepared) -> None:
    opened = state.pending.pop(event.selected)
    assert isinstance(opened, e.ModelSelected)
    call = _call_of(state, opened)
    if call.selections[-1].version == event.selected:
        call.prepared = event
    found = event.reused
    if found is not None:
        call.candidates.clear()
        call.answers.append(
            Answer(event.selected, opened.model, found.answer, found.answer_bytes, found.finish, found.reading, True)
        )


def _call_started(state: RunState, at: int, event: e.CallStarted) -> None:
    call = _call_of(state, event)
    call.in_flight = state.version
    call.attempts += 1
    call.smallest = event.max_tokens if call.smallest is None else min(call.smallest, event.max_tokens)
    if event.probe:
        record = state.record(event.model)
        record.probe = state.version
        record.probe_ended = None
    state.in_flight += 1
    state.in_flight_held += event.hold
    state.pending[state.version] = event
    _remember_start(state, at, event)


def _remember_start(state: RunState, at: int, event: e.CallStarted) -> None:
    """Keep an attempt for a day. What it reads and writes is bounded by its bytes and its limit."""
    starts, model = state.starts, state.models.get(event.model)
    while starts and starts[oldest := next(iter(starts))].at <= at - _DAY:
        del starts[oldest]
    hidden = 0 if model is None else model.hidden_tokens
    tokens = event.body_bytes + hidden + event.max_tokens
    starts[state.version] = Start(at, event.node, event.provider, tokens, event.hold)


def _account_refused(state: RunState, at: int, event: e.AccountRefused) -> None:
    call = _call_of(state, event.call)
    call.smallest = event.call.max_tokens if call.smallest is None else min(call.smallest, event.call.max_tokens)
    call.refusals.append(Refusal(at, event))


def _call_succeeded(state: RunState, at: int, event: e.CallSucceeded) -> None:
    started = _started(state, event.call)
    call = _count(state, event.call, started, event.settled, event.kept)
    call.ended += 1
    call.took += event.latency
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
    record.latencies.append(event.latency // 1000)
    record.measured(_type_of_call(state, started)).observe_answer(float(event.settled), event.latency / 1000)
    _end_probe(state, event.call, started, True)


def _call_failed(state: RunState, at: int, event: e.CallFailed) -> None:
    started = _started(state, event.call)
    call = _count(state, event.call, started, event.settled, event.kept)
    record = state.record(started.model)
    if event.by_vendor:
        call.ended += 1
        call.took += event.latency
        call.tries[started.model] = call.tries.get(started.model, 0) + 1
        call.failure = Failure(at, event.kind, event.retryable, event.retry_after)
        record.kinds.add(event.kind)
        record.calls += 1
        record.recent.append(False)
        if event.outage:
            record.failures += 1
            record.measured(_type_of_call(state, started)).observe_outage()
    _end_probe(state, event.call, started, None if not event.by_vendor else not event.outage)


def _end_probe(state: RunState, version: int, started: e.CallStarted, answered: bool | None) -> None:
    record = state.record(started.model)
    if started.probe and record.probe == version:
        record.probe = None
        record.probe_ended = answered


def _type_of_call(state: RunState, started: e.CallStarted) -> TaskType | None:
    return TaskType.EVALUATION if started.role is Role.EVALUATOR else state.type_of(started.node)


def _call_of(state: RunState, event: e.ModelSelected | e.CallStarted) -> LogicalCall:
    return state.node(event.node).calls[CallKey(event.node, event.role, event.turn, event.sample)]


def _started(state: RunState, version: int) -> e.CallStarted:
    started = state.pending.pop(version)
    assert isinstance(started, e.CallStarted)
    return started


def _count(state: RunState, version: int, started: e.CallStarted, settled: Usd, kept: Usd) -> LogicalCall:
    """Close an attempt: its hold is replaced by what it cost."""
    call = _call_of(state, started)
    call.in_flight = None
    if version in state.starts:
        state.starts[version].cost = settled + kept
    state.in_flight -= 1
    state.in_flight_held -= started.hold
    state.spend.add(settled, kept)
    state.node(started.node).spend.add(settled, kept)
    state.phases.setdefault(PHASE_OF[started.role], Spend()).add(settled, kept)
    if kept:
        state.kept[version] = started
    _count_excess(state, version, started, settled)
    return call


def _count_excess(state: RunState, version: int, started: e.CallStarted, settled: Usd) -> None:
    if settled > started.hold:
        state.excess += settled - started.hold
        if not state.record(started.model).exceeded:
            state.exceeded.append(Excess(version, started.model, started.hold, settled))


def _spend_reconciled(state: RunState, at: int, event: e.SpendReconciled) -> None:
    """What was kept for a call is replaced by what it cost."""
    started = state.kept.pop(event.call)
    for spend in (state.spend, state.node(started.node).spend, state.phases[PHASE_OF[started.role]]):
        spend.add(event.settled, -event.kept)
    if event.call in state.starts:
        state.starts[event.call].cost = event.settled
    _count_excess(state, event.call, started, event.settled)


def _spend_refused(state: RunState, at: int, event: e.SpendRefused) -> None:
    call = state.node(event.node).calls[CallKey(event.node, event.role, event.turn, event.sample)]
    call.refused, call.refused_by = True, event.limit


def _spend_exceeded(state: RunState, at: int, event: e.SpendExceeded) -> None:
    state.record(event.model).exceeded = True
    state.exceeded = [excess for excess in state.exceeded if excess.model != event.model]


def _breaker_opened(state: RunState, at: int, event: e.BreakerOpened) -> None:
    record = state.record(event.model)
    record.opened = True
    record.until = event.until
    record.failures = 0
    record.probe_ended = None


def _breaker_closed(state: RunState, at: int, event: e.BreakerClosed) -> None:
    record = state.record(event.model)
    record.opened = False
    record.until = None
    record.failures = 0
    record.probe_ended = None


def _backend_failed(state: RunState, at: int, event: e.BackendFailed) -> None:
    state.backend_failed = True


def _budget_warned(state: RunState, at: int, event: e.BudgetWarned) -> None:
    state.warned.add((event.phase, event.percent))


# ── review ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _step_skipped(state: RunState, at: int, event: e.StepSkipped) -> None:
    state.tasks[event.task].skipped[event.role, event.turn] = event.reason


def _check_started(state: RunState, at: int, event: e.CheckStarted) -> None:
    checks = state.tasks[event.task].checks.setdefault(event.turn, {})
    checks[event.validator] = Check(state.version, event.call)
    state.pending[state.version] = event


def _validated(state: RunState, at: int, event: e.Validated) -> None:
    opened = state.pending.pop(event.check)
    assert isinstance(opened, e.CheckStarted)
    checks = state.tasks[opened.task].checks[opened.turn]
    checks[opened.validator] = Check(event.check, opened.call, event.verdict, event.details)


def _evaluated(state: RunState, at: int, event: e.Evaluated) -> None:
    task = state.tasks[event.task]
    task.evaluated[event.turn] = event
    if event.score is None:
        return
    author = next(
        (a.model for call in task.calls.values() for a in call.answers if a.version == event.call and not a.reused),
        None,
    )
    if author is not None:
        state.record(author).measured(task.planned.type).observe_quality(event.score)


def _output_chosen(state: RunState, at: int, event: e.OutputChosen) -> None:
    task = state.tasks[event.task]
    task.output = event
    task.written = None
    if event.file:
        state.pending[state.version] = event


def _file_written(state: RunState, at: int, event: e.FileWritten) -> None:
    opened = state.pending.pop(event.chosen)
    assert isinstance(opened, e.OutputChosen)
    state.tasks[opened.task].written = event


def _verification_started(state: RunState, at: int, event: e.VerificationStarted) -> None:
    state.verification = state.version
    state.verified = None
    state.pending[state.version] = event


def _result_verified(state: RunState, at: int, event: e.ResultVerified) -> None:
    opened = state.pending.pop(event.verification)
    assert isinstance(opened, e.VerificationStarted)
    state.verified = event


# ── channels ───────────────────────────────────────────────────────────────────────────────────────────────────


def _channel_put(state: RunState, at: int, event: e.ChannelPut) -> None:
    channel = state.channels.get(event.channel)
    if channel is None:
        channel = state.channels[event.channel] = Channel()
    channel.messages.append(event.message)
    channel.waiting[len(channel.messages)] = event.message


def _channel_taken(state: RunState, at: int, event: e.ChannelTaken) -> None:
    del state.channels[event.channel].waiting[event.number]


def _run_finished(state: RunState, at: int, event: e.RunFinished) -> None:
    state.finished = event
    _close_session(state, at)


_HANDLERS: dict[type[e.Event], Callable[[RunState, int, Any], None]] = {
    e.RunStarted: _run_started,
    e.SessionOpened: _session_opened,
    e.SessionFailed: _session_ended,
    e.SessionLost: _session_lost,
    e.RunInterrupted: _session_ended,
    e.BudgetRaised: _budget_raised,
    e.TimeRaised: _time_raised,
    e.RunForked: _run_forked,
    e.ContentDeleted: _content_deleted,
    e.QuestionAsked: _question_asked,
    e.QuestionAnswered: _question_answered,
    e.SpecEnhanced: _spec_enhanced,
    e.ArchitectureDecided: _architecture_decided,
    e.PlanMade: _plan_made,
    e.PlanRefused: _plan_refused,
    e.ForecastMade: _forecast_made,
    e.TaskStarted: _task_started,
    e.ModelSelected: _model_selected,
    e.CallPrepared: _call_prepared,
    e.CallStarted: _call_started,
    e.AccountRefused: _account_refused,
    e.CallSucceeded: _call_succeeded,
    e.CallFailed: _call_failed,
    e.SpendRefused: _spend_refused,
    e.SpendExceeded: _spend_exceeded,
    e.SpendReconciled: _spend_reconciled,
    e.BreakerOpened: _breaker_opened,
    e.BreakerClosed: _breaker_closed,
    e.BackendFailed: _backend_failed,
    e.BudgetWarned: _budget_warned,
    e.StepSkipped: _step_skipped,
    e.CheckStarted: _check_started,
    e.Validated: _validated,
    e.Evaluated: _evaluated,
    e.OutputChosen: _output_chosen,
    e.FileWritten: _file_written,
    e.TaskFinished: _task_finished,
    e.VerificationStarted: _verification_started,
    e.ResultVerified: _result_verified,
    e.ChannelPut: _channel_put,
    e.ChannelTaken: _channel_taken,
    e.RunFinished: _run_finished,
}
