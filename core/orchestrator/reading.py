"""What a run amounts to, for commands that read logs: events, their fold, decisions, texts and heads.

``open_log`` of ``orchestrator.cli.kit`` gives the log. Folding its events gives the state of the run at any of them::

    state = fold((each.at, each.event) for each in log.read(run))

Names are loaded on first use.
"""

from typing import TYPE_CHECKING, Final

from orchestrator import events
from orchestrator.lazy_names import lazy_names

if TYPE_CHECKING:
    from orchestrator.decide import Memo, Rank, Wait, decide
    from orchestrator.decide.outcome import output_of
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.log import Head, Recorded, Select, Texts, encode, read_heads, unreadable_lines
    from orchestrator.log.event_ids import event_name
    from orchestrator.replay import UnavailableBackendError, verify
    from orchestrator.state.calls import CallKey
    from orchestrator.state.equal_answers import checks_of
    from orchestrator.state.fold import apply, fold
    from orchestrator.state.run import RunState
    from orchestrator.state.tasks import TaskState

_HOMES: Final = {
    "Memo": "orchestrator.decide",
    "Rank": "orchestrator.decide",
    "Wait": "orchestrator.decide",
    "decide": "orchestrator.decide",
    "EventLog": "orchestrator.ledger.event_log",
    "Head": "orchestrator.log",
    "Recorded": "orchestrator.log",
    "Select": "orchestrator.log",
    "Texts": "orchestrator.log",
    "encode": "orchestrator.log",
    "read_heads": "orchestrator.log",
    "unreadable_lines": "orchestrator.log",
    "event_name": "orchestrator.log.event_ids",
    "UnavailableBackendError": "orchestrator.replay",
    "verify": "orchestrator.replay",
    "CallKey": "orchestrator.state.calls",
    "apply": "orchestrator.state.fold",
    "fold": "orchestrator.state.fold",
    "output_of": "orchestrator.decide.outcome",
    "checks_of": "orchestrator.state.equal_answers",
    "RunState": "orchestrator.state.run",
    "TaskState": "orchestrator.state.tasks",
}

__all__ = [
    "CallKey",
    "EventLog",
    "Head",
    "Memo",
    "Rank",
    "Recorded",
    "RunState",
    "Select",
    "TaskState",
    "Texts",
    "UnavailableBackendError",
    "Wait",
    "apply",
    "checks_of",
    "decide",
    "encode",
    "event_name",
    "events",
    "fold",
    "output_of",
    "read_heads",
    "unreadable_lines",
    "verify",
]


__getattr__ = lazy_names(__name__, _HOMES)
