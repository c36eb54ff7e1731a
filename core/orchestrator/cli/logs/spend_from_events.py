"""What a run spent, call by call out of its events: for logs over which SQL fails because some row is damaged."""

from collections.abc import Callable, Iterator
from typing import Final

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import PHASE_OF
from orchestrator.past_runs.spend_sums import Row, team_of
from orchestrator.settings import RunSettings

_NAMES: Final[dict[str, Callable[[e.CallStarted], str]]] = {
    "model": lambda call: call.model,
    "phase": lambda call: PHASE_OF[call.role].value,
    "task": lambda call: call.node,
    "provider": lambda call: call.provider,
    "lane": lambda call: call.lane.value,
}


def spent(log: EventLog, run: str, settings: RunSettings, by: str) -> Iterator[Row]:
    """A row for every call of a run's own: under its model, phase, task, provider or lane, the run or its team."""
    team = team_of(settings.accounts)
    started: dict[int, e.CallStarted] = {}
    ends: dict[int, tuple[int, int]] = {}
    for record in log.read(run):
        if record.stream != run:
            continue
        match record.event:
            case e.CallStarted() as call:
                started[record.version] = call
            case e.CallSucceeded() | e.CallFailed() as end:
                ends[end.call] = end.settled.nano, end.unreconciled.nano
            case e.SessionOpened(ended=lost) | e.SessionLost(ended=lost):
                ends.update({attempt.call: (0, attempt.amount.nano) for attempt in lost})
            case e.SpendReconciled(call=version, settled=settled):
                ends[version] = settled.nano, 0
    for version, call in started.items():
        settled_nano, unreconciled = ends.get(version, (0, 0))
        held = unreconciled if version in ends else call.hold.nano
        name = _NAMES[by](call) if by in _NAMES else run if by == "run" else team
        yield run, name, 1, settled_nano, held, unreconciled
