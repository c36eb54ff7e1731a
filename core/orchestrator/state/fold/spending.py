"""Folds what a run says about its money beyond single calls."""

from typing import Final

from orchestrator import events as e
from orchestrator.models import PHASE_OF
from orchestrator.state.calls import CallKey
from orchestrator.state.fold.open_effects import Handlers
from orchestrator.state.fold.settling_attempts import count_excess
from orchestrator.state.run import RunState


def _spend_reconciled(state: RunState, at: int, event: e.SpendReconciled) -> None:
    """The unreconciled money of a call is replaced by what it cost."""
    started = state.unreconciled.pop(event.call)
    for spend in (state.spend, state.node(started.node).spend, state.phases[PHASE_OF[started.role]]):
        spend.add(event.settled, -event.unreconciled)
    if event.call in state.starts:
        state.starts[event.call].cost = event.settled
    count_excess(state, event.call, started, event.settled)


def _spend_refused(state: RunState, at: int, event: e.SpendRefused) -> None:
    call = state.node(event.node).calls[CallKey(event.node, event.role, event.iteration, event.sample)]
    state.reservations.pop(call.key, None)
    call.refused, call.refused_by = True, event.limit


def _spend_exceeded(state: RunState, at: int, event: e.SpendExceeded) -> None:
    state.record(event.model).exceeded = True
    state.exceeded = [excess for excess in state.exceeded if excess.model != event.model]


def _budget_warned(state: RunState, at: int, event: e.BudgetWarned) -> None:
    state.warned.add((event.phase, event.percent))


HANDLERS: Final[Handlers] = {
    e.SpendRefused: _spend_refused,
    e.SpendExceeded: _spend_exceeded,
    e.SpendReconciled: _spend_reconciled,
    e.BudgetWarned: _budget_warned,
}
