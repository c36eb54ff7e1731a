"""What a circuit that opens or closes means for a run, in one line that says where and what to do."""

from collections.abc import Mapping
from typing import Final

from orchestrator import events as e
from orchestrator.cli.terminal.terminal_output import line, seconds
from orchestrator.cli.wording.progress_wording import Note, Tone
from orchestrator.decide.unreachable_hosts import given_up_at
from orchestrator.errors import ErrorKind
from orchestrator.models import BreakerReason
from orchestrator.state.run import RunState

_WIDTH: Final = 300
_ACCOUNT_REFUSED: Final[Mapping[BreakerReason, tuple[str, str]]] = {
    BreakerReason.QUOTA: ("no money or quota is left", "add credit or raise the limit there, or use another key"),
    BreakerReason.AUTHENTICATION: ("the key is refused", "correct it; orchestrate doctor shows the variable it is in"),
}
"""Why all models of a vendor account are off, and what to do."""


def opened_note(state: RunState, event: e.BreakerOpened, cause: str) -> Note:
    """The circuit of a host, of a vendor account, or of a model. ``cause`` is what the latest failure said."""
    said = line(cause, _WIDTH)
    if event.host is not None:
        text = _unreachable(state, event.host, event.until, said)
    elif event.account is not None:
        text = _account(state, event, said)
    else:
        text = f"{event.model}: {_why_open(state, event)}"
    return Note(text, Tone.WARNING)


def closed_note(event: e.BreakerClosed) -> Note:
    """It is called again."""
    if event.host is not None:
        return Note(f"{event.host} can be reached again")
    return Note(f"{event.model}: circuit closed; it is called again")


def is_of_account(state: RunState, call: e.CallStarted, event: e.CallFailed) -> bool:
    """Whether a failure switches all models of a vendor account off now, so that the circuit's line says it all."""
    model, record = state.models.get(call.model), state.records.get(call.model)
    is_off = record is not None and record.opened and record.until is None
    return event.kind is ErrorKind.QUOTA and model is not None and model.account is not None and not is_off


def _account(state: RunState, event: e.BreakerOpened, said: str) -> str:
    model = state.models[event.model]
    where = model.provider if model.host is None else f"{model.provider} at {model.host}"
    what, cure = _ACCOUNT_REFUSED[event.reason]
    count = sum(each.account == event.account for each in state.models.values())
    return f"{where}: {what} ({said}); {_off(count)}; {cure}"


def _unreachable(state: RunState, host: str, until: int | None, said: str) -> str:
    said = said if host in said else f"{host}: {said or 'no connection'}"
    if until is None:
        return f"{said}; {_off(sum(each.host == host for each in state.models.values()))}"
    left = max(0, given_up_at(state, state.hosts[host]) - state.at)
    return f"{said}; tried again in {seconds(until - state.at)}, given up in {seconds(left)}"


def _why_open(state: RunState, event: e.BreakerOpened) -> str:
    """How long a model's circuit is open, and why."""
    limits = state.settings.limits
    if event.until is None:
        return f"circuit open for this session ({event.reason})"
    failed = f"{limits.breaker_failures} failures"
    why = "a failed probe" if event.reason is BreakerReason.PROBE else failed
    return f"circuit open for {seconds(limits.breaker_open)} after {why}"


def _off(count: int) -> str:
    return "its model is off for this session" if count == 1 else f"its {count} models are off for this session"
