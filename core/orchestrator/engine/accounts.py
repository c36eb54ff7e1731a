"""The accounts above a run: which bind it, their caps at its start, and the holds of runs whose process died."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from orchestrator import events as e
from orchestrator.engine.session import left_open
from orchestrator.errors import LogError, RunLockedError, UsageError
from orchestrator.ledger.accounts import PREFIX, SIMULATED, called, name_of, stream_of
from orchestrator.ledger.event_log import EventLog
from orchestrator.money import Usd
from orchestrator.state.fold import fold

ORG: Final = "org"
"""The account of the organisation: it binds every run of the data folder."""


class CapExceededError(UsageError, ValueError):
    """A run wants more than an account has left, or an account has used more than its new cap."""


def names_for(team: str | None, job_id: str | None) -> tuple[str, ...]:
    """The accounts that can bind a run of this team and job, outermost first."""
    return (ORG, *([f"team/{team}"] if team else []), *([f"job/{job_id}"] if job_id else []))


def existing(log: EventLog, names: Sequence[str], simulated: bool) -> tuple[str, ...]:
    """Those of the names that accounts have."""
    return tuple(name for name in names if log.last(stream_of(name, simulated)) is not None)


async def open_accounts(log: EventLog, caps: Mapping[str, Usd], at: int, simulated: bool) -> None:
    """Open the accounts that do not exist, and give the others these caps.

    Raises:
        CapExceededError: an account has settled and held more than its cap.
    """
    for name, cap in caps.items():
        if not existing(log, [name], simulated):
            with suppress(UsageError):  # another process was first; its cap may be another
                await log.open_account(name, cap, at=at, simulated=simulated)
        if log.account(name, simulated).cap != cap:
            try:
                await log.set_cap(name, cap, at=at, simulated=simulated)
            except UsageError as error:
                raise CapExceededError(str(error)) from None


def check_caps(log: EventLog, names: Sequence[str], simulated: bool, cap: Usd) -> None:
    """Make sure that a run may spend its whole cap as far as its accounts stand now; nothing is reserved.

    Raises:
        CapExceededError: an account has less left.
    """
    for name in names:
        free = log.account(name, simulated).free
        if free < cap:
            raise CapExceededError(
                f"the run's budget of {cap.shown} exceeds what the account {called(name, simulated)!r} has left "
                f"({free.shown}): "
                f"lower the budget, or: orchestrate budget raise {called(name, simulated)} USD"
            )


def caps_of(log: EventLog, names: Sequence[str], simulated: bool) -> dict[str, Usd]:
    """The caps of accounts as they stand."""
    return {name: log.account(name, simulated).cap for name in names}


def holding_runs(log: EventLog, stream: str | None = None) -> list[str]:
    """The runs with calls in flight in an account (its stream; None: in any), whether they are alive or not."""
    return sorted({hold.run for hold in log.holds(account=stream)})


async def end_dead_runs(log: EventLog, clock: Callable[[], int], stream: str | None = None) -> list[str]:
    """Append SessionLost for every run that has holds and no process, so that its holds are unreconciled.

    Returns:
        The runs that were ended. A run whose history is damaged stays as it is.
    """
    ended = []
    for run in holding_runs(log, stream):
        if log.locks.is_held(run):
            continue
        try:
            lock = log.locks.acquire(run)
        except RunLockedError:
            continue  # another process has just taken it, and ends the holds by that
        try:
            if await _end(log, run, clock):
                ended.append(run)
        except LogError:
            continue
        finally:
            lock.release()
    return ended


async def _end(log: EventLog, run: str, clock: Callable[[], int]) -> bool:
    log.check(run)
    state = fold((record.at, record.event) for record in log.read(run))
    if not state.is_open or state.session is None:
        return False
    lost = e.SessionLost(state.session.number, left_open(state))
    await log.append(run, state.version, max(clock(), state.at + 1), [lost])
    return True


def account_names(log: EventLog) -> list[tuple[str, bool]]:
    """Every account: its name, and whether it is one of simulated providers; real ones first."""
    return [name_of(stream) for prefix in (PREFIX, SIMULATED + PREFIX) for stream in log.streams(prefix)]
