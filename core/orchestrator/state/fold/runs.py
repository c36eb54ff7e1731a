"""Folds what happens to a run as a whole, and its sessions."""

from collections.abc import Iterable
from typing import Final

from attrs import evolve as changed

from orchestrator import events as e
from orchestrator.models import ApprovalPoint
from orchestrator.money import Usd
from orchestrator.state.calls import Spend
from orchestrator.state.fold.batches import leave_batches
from orchestrator.state.fold.open_effects import Handlers
from orchestrator.state.fold.settling_attempts import call_of, count, end_probe, started_of
from orchestrator.state.fold.tasks import reopen
from orchestrator.state.inputs import ApprovalRecord, Consent
from orchestrator.state.model_health import Measured
from orchestrator.state.run import RunState


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
    _take_up_question(state, at)
    state.models = {model.id: model for model in event.models}
    state.backend_failed = False
    state.finished = None
    state.hosts.clear()
    state.reservations.clear()
    for record in state.records.values():
        record.kinds.clear()
        record.probe = None
        if record.opened and record.until is None:
            record.opened = False
            record.failures = 0
    for prior in event.priors:
        record = state.record(prior.model)
        record.prior_p95_ms, record.prior_success_rate = prior.latency_p95_ms, prior.success_rate
        record.by_type[prior.type] = Measured(
            prior.calls,
            prior.quality,
            prior.cost,
            prior.latency_ms,
            prior.trust,
            prior_lengths={each.role: each for each in prior.lengths},
        )
    reopen(state, event.reopened)


_ASKED_ANEW: Final = (ApprovalPoint.SPEND, ApprovalPoint.CEILING, ApprovalPoint.FORECAST)
"""Whether these are still to be answered is decided anew: there may be more money."""


def _take_up_question(state: RunState, at: int) -> None:
    """An open question is asked again; one about money has ended: whether to ask it is decided anew."""
    for version, opened in list(state.pending.items()):
        if not isinstance(opened, e.QuestionAsked):
            continue
        if opened.node == e.FORECAST or opened.node in _ASKED_ANEW:
            del state.pending[version]
            state.approvals.open = None
        else:
            state.enhance.asked_at = at


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
        state.waits_since = None


def _end_lost(state: RunState, ended: Iterable[e.EndedAttempt]) -> None:
    for attempt in ended:
        started = started_of(state, attempt.call)
        count(state, attempt.call, started, Usd.ZERO, attempt.amount)
        end_probe(state, attempt.call, started, None)


def _budget_raised(state: RunState, at: int, event: e.BudgetRaised) -> None:
    state.cap = event.cap
    state.approvals.at_ceiling = False
    _raise(state, "budget", event.reopened)


def _time_raised(state: RunState, at: int, event: e.TimeRaised) -> None:
    state.time_limit = event.time_limit
    _raise(state, "time", event.reopened)


def _run_forked(state: RunState, at: int, event: e.RunForked) -> None:
    """What was done stays; money, time and open calls were the parent's."""
    if state.start is None or state.version != event.version + 1:
        raise ValueError(f"RunForked at version {state.version} shares {event.version} versions")
    state.start = changed(state.start, settings=event.settings, spec=event.spec, place=event.place)
    state.forked = event
    state.started_at = at
    state.cap = event.settings.cap
    state.time_limit = event.settings.time_limit
    state.is_open, state.active_before, state.finished = False, 0, None
    for version, opened in list(state.pending.items()):
        if isinstance(opened, e.CallStarted):
            call_of(state, started_of(state, version)).in_flight = None
            end_probe(state, version, opened, None)
    leave_batches(state)
    state.in_flight, state.in_flight_held = 0, Usd.ZERO
    state.starts.clear()
    state.spend, state.excess = Spend(), Usd.ZERO
    state.unreconciled.clear()
    state.phases.clear()
    state.warned.clear()
    state.exceeded.clear()
    for node in (*state.before_tasks.values(), *state.tasks.values()):
        node.spend = Spend()
    state.raised = {"budget": state.version, "time": state.version}
    state.verification = state.verified = None  # its result is another
    state.consent = Consent()  # it was to another ceiling
    if state.approvals.open is not None:
        del state.pending[state.approvals.open]
    state.approvals = ApprovalRecord()
    state.enhance.asked_at = None
    reopen(state, event.reopened)


def _content_deleted(state: RunState, at: int, event: e.ContentDeleted) -> None:
    state.content_deleted = True


def _raise(state: RunState, what: str, reopened: Iterable[str]) -> None:
    state.finished = None
    state.raised[what] = state.version
    reopen(state, reopened)


def _run_finished(state: RunState, at: int, event: e.RunFinished) -> None:
    state.finished = event
    _close_session(state, at)


HANDLERS: Final[Handlers] = {
    e.RunStarted: _run_started,
    e.SessionOpened: _session_opened,
    e.SessionFailed: _session_ended,
    e.SessionLost: _session_lost,
    e.RunInterrupted: _session_ended,
    e.BudgetRaised: _budget_raised,
    e.TimeRaised: _time_raised,
    e.RunForked: _run_forked,
    e.ContentDeleted: _content_deleted,
    e.RunFinished: _run_finished,
}
