"""Settling unreconciled money: what calls of unknown cost have really cost."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from orchestrator import events as e
from orchestrator.engine.session import left_open
from orchestrator.engine.vendors.environment import called_by
from orchestrator.errors import LogError, UsageError
from orchestrator.ledger import stored_calls
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import append_head, read_heads
from orchestrator.money import Usd
from orchestrator.plugins.store_of_folder import open_log
from orchestrator.state.fold import apply, fold
from orchestrator.state.run import RunState


async def settle(folder: Path, run: str, costs: Mapping[int, Usd], *, dry_run: bool = False) -> list[e.SpendReconciled]:
    """Settle what is unreconciled for calls of a run, in one transaction with the accounts above it.

    A dead session is ended first, so that what it left in flight is unreconciled and can be settled, too.

    Args:
        folder: the data folder, whose log is opened for it.
        run: its id.
        costs: what each call has cost, by the version of its CallStarted.
        dry_run: only answer what would be settled; nothing is written.

    Raises:
        UsageError: there is no such run, or nothing is unreconciled for a call; nothing is written then.
        RunLockedError: the run is going on.
        DamagedLogError: its history is damaged.
        LogError: the log cannot be opened.
    """
    log = open_log(folder)
    try:
        return await _settle(log, folder, run, costs, dry_run)
    finally:
        log.close()


async def _settle(
    log: EventLog, folder: Path, run: str, costs: Mapping[int, Usd], dry_run: bool
) -> list[e.SpendReconciled]:
    if log.last(run) is None:
        raise UsageError(f"there is no run {run!r} in {folder}; see: orchestrate runs list")
    lock = log.locks.acquire(run)
    try:
        heads = [each.head for each in read_heads(folder) if each.run == run]
        log.check(run, heads[-1] if heads else None)
        state = fold((record.at, record.event) for record in log.read(run))
        expected, now = state.version, max(time.time_ns() // 1000, state.at + 1)
        ending: list[e.Event] = []
        if state.is_open and state.session is not None:
            ending.append(e.SessionLost(state.session.number, left_open(state)))
            apply(state, now, ending[0])
        found = [_reconciled(state, run, call, cost) for call, cost in costs.items()]
        if dry_run:
            return found
        written = await log.append(run, expected, now, [*ending, *found], simulated=state.settings.simulated)
        if state.finished is not None:
            with suppress(LogError):  # the money is settled all the same; the next head will do
                append_head(folder, run, written.hash, written.version)
        stored_calls.keep(log.store, run)
        return found
    finally:
        lock.release()


def _reconciled(state: RunState, run: str, call: int, cost: Usd) -> e.SpendReconciled:
    started = state.unreconciled.get(call)
    if started is None:
        parent = state.forked
        if parent is not None and call <= parent.version:
            raise UsageError(f"call {call} was made by {parent.parent}, of which {run} is a fork: reconcile it there")
        raise UsageError(f"nothing is unreconciled for call {call} of {run}; see: orchestrate costs reconcile {run}")
    return e.SpendReconciled(call, started.hold, cost, by=called_by(os.environ))
