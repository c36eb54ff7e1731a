"""``orchestrate budget``: the caps over many runs, and what is left of them."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.logs.opening_logs import open_log
from orchestrator.cli.options.shared_options import command, exact_option, has_log, home, home_option, json_option
from orchestrator.cli.options.shell_completion import ACCOUNT
from orchestrator.cli.options.value_types import AMOUNT, Amount, WithAmounts
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import line, money, notice
from orchestrator.errors import UsageError
from orchestrator.ledger.accounts import SIMULATED, called
from orchestrator.ledger.advances import PLENTY
from orchestrator.ledger.event_log import EventLog
from orchestrator.money import Usd
from orchestrator.plugins.store_of_folder import open_log as open_log_to_write
from orchestrator.plugins.store_of_folder import open_log_to_read

if TYPE_CHECKING:
    from orchestrator.events import Totals

_NAME: Final = click.argument("name", metavar="NAME", type=ACCOUNT)
_USD: Final = click.argument("amount", metavar="USD", type=AMOUNT)
_KINDS: Final = ("team", "job", "eval")


@click.group(cls=CommandGroup)
@home_option
def budget() -> None:
    """Cap what runs may spend together: org, team/NAME, job/NAME; sim/... for simulated providers.

    The account org binds every run of the data folder; team/NAME and job/NAME bind the runs whose spec says so.
    """


@budget.command()
@json_option
@exact_option
@home_option
def show(as_json: bool) -> int:
    """Show every account: cap, spent, in flight, unreconciled, left.

    Holds of dead runs become unreconciled first, because their cost is unknown.
    """
    from orchestrator.engine.accounts import account_names

    if not has_log():
        found = []
    else:
        _end_dead_runs()
        log = open_log()
        found = [(name, simulated, log.account(name, simulated)) for name, simulated in account_names(log)]
    if as_json:
        result_json([_as_json(name, simulated, totals) for name, simulated, totals in found])
    elif not found:
        notice(f"nothing caps the runs in {home()}; open an account with: {command('budget set org USD')}")
    else:
        heads = ["account", "cap", "spent", "in flight", "unreconciled", "left"]
        if any(totals.advance for _, _, totals in found):
            heads.append("advance")
        rows = [_row(*account)[: len(heads)] for account in found]
        print_table(heads, rows, right=heads[1:], spare=("in flight", "advance", "unreconciled", "spent"))
    return 0


def _row(name: str, simulated: bool, totals: "Totals") -> tuple[str, ...]:
    in_flight = totals.held - totals.unreconciled
    amounts = (totals.cap, totals.settled, in_flight, totals.unreconciled, totals.free, totals.advance)
    return called(name, simulated), *(money(amount) for amount in amounts)


def _as_json(name: str, simulated: bool, totals: "Totals") -> dict[str, Any]:
    return {
        "account": called(name, simulated),
        "cap_usd": str(totals.cap),
        "settled_usd": str(totals.settled),
        "in_flight_usd": str(totals.held - totals.unreconciled),
        "unreconciled_usd": str(totals.unreconciled),
        "excess_usd": str(totals.excess),
        "free_usd": str(totals.free),
        "advance_usd": str(totals.advance),
    }


def _end_dead_runs() -> None:
    """Keep what dead runs hold; only where there are any is the log opened for writing."""
    from orchestrator.engine.accounts import end_dead_runs, holding_runs

    reading = open_log_to_read(home(), EventLog)
    try:
        dead = [run for run in holding_runs(reading) if not reading.locks.is_held(run)]
    finally:
        reading.close()
    if dead:
        for run in _on_log(lambda log: end_dead_runs(log, _now)):
            notice(f"{run} died; what its calls in flight held is unreconciled: {command(f'resume {run}')}")


@budget.command("set", cls=WithAmounts)
@_NAME
@_USD
@click.option(
    "--advance",
    metavar="USD",
    type=Amount(or_nothing=True),
    help="How much a run takes of it at once for calls to come, so that not every call moves it; 0: nothing.",
)
@json_option
@exact_option
@home_option
def set_(name: str, amount: Any, advance: Any, as_json: bool) -> int:
    """Open an account with a cap, or change its cap."""
    account, simulated = _account(name)

    async def work(log: EventLog) -> "Totals":
        from orchestrator.engine.accounts import existing

        if existing(log, [account], simulated):
            return await log.set_cap(account, amount, at=_now(), simulated=simulated, advance=advance)
        return await log.open_account(account, amount, at=_now(), simulated=simulated, advance=advance)

    _say(name, _on_log(work), as_json)
    return 0


@budget.command("raise", cls=WithAmounts)
@_NAME
@_USD
@json_option
@exact_option
@home_option
def raise_(name: str, amount: Any, as_json: bool) -> int:
    """Raise the cap of an account by an amount."""
    account, simulated = _account(name)
    _say(name, _on_log(lambda log: log.raise_cap(account, amount, at=_now(), simulated=simulated)), as_json)
    return 0


def _say(name: str, totals: "Totals", as_json: bool) -> None:
    if as_json:
        account, simulated = _account(name)
        result_json(_as_json(account, simulated, totals))
        return
    at_once = f"; a run takes {money(totals.advance)} at once" if totals.advance else ""
    notice(f"{line(name)}: a cap of {money(totals.cap)}, {money(totals.free)} of it left{at_once}")
    least = totals.advance.nano * (1 + PLENTY)
    if totals.cap.nano <= least and totals.advance:
        notice(
            f"no run ever takes so much at once: {PLENTY} more advances must be left in the account; "
            f"give it a cap above {money(Usd(least))}, or a lower --advance"
        )


def _account(name: str) -> tuple[str, bool]:
    """An account's name without ``sim/``, and whether it had it.

    Raises:
        UsageError: it is neither the organisation's, nor a team's or a job's.
    """
    account = name.removeprefix(SIMULATED)
    level, slash, rest = account.partition("/")
    if account != "org" and not (level in _KINDS and slash and rest.isprintable() and rest.strip()):
        raise UsageError(
            f"{line(name)!r} is no account: write org, team/NAME, job/NAME or eval/NAME, with sim/ for simulated runs"
        )
    return account, account != name


def _on_log(work: "Callable[[EventLog], Awaitable[Any]]") -> Any:
    """Do something with the log of the data folder, open for writing."""

    async def done() -> Any:
        log = open_log_to_write(home())
        try:
            return await work(log)
        finally:
            log.close()

    return asyncio.run(done())


def _now() -> int:
    return time.time_ns() // 1000
