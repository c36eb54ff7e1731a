"""``orchestrate limits``: how often all runs together may ask a provider, and when the next call may start."""

import asyncio
import math
import time
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.logs.opening_logs import open_log
from orchestrator.cli.options.shared_options import command, has_log, home, home_option, json_option
from orchestrator.cli.options.shell_completion import PROVIDER
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import line, notice
from orchestrator.errors import UsageError
from orchestrator.ledger.accounts import SIMULATED
from orchestrator.plugins.store_of_folder import open_log as open_log_to_write

if TYPE_CHECKING:
    from orchestrator.ledger.shared_pace import PaceStanding
    from orchestrator.models import Allowances

_MOST: Final = click.IntRange(0, 1_000_000_000)
_BURST: Final = click.FloatRange(0, 86_400)
_HEADS: Final = ("provider", "account", "requests/min", "tokens/min", "burst", "next call")


@click.group(cls=CommandGroup)
@home_option
def limits() -> None:
    """Limit how often all runs together ask a provider; sim/... for simulated providers.

    Calls of runs whose spec says `limits: {shared: true}` take turns. A number that is not set is learned from the
    vendor's headers.
    """


@limits.command()
@json_option
@home_option
def show(as_json: bool) -> int:
    """Show what is set for each provider, what was learned of its accounts, and when the next call may start."""
    found = open_log().paces() if has_log() else []
    if as_json:
        result_json([_as_json(each) for each in found])
    elif not found:
        notice(f"no calls take turns in {home()}; set a limit with: {command('limits set PROVIDER --requests N')}")
    else:
        print_table(_HEADS, [_row(each) for each in found], right=_HEADS[2:], spare=("burst", "account"))
    return 0


@limits.command("set")
@click.argument("provider", metavar="PROVIDER", type=PROVIDER)
@click.option("--requests", type=_MOST, help="Requests in a minute; 0: as many as the vendor's headers say.")
@click.option("--tokens", type=_MOST, help="Tokens in a minute, read and written; 0: as the vendor's headers say.")
@click.option("--burst", type=_BURST, help="Seconds by which calls may come earlier than evenly spread. [default: 0]")
@json_option
@home_option
def set_(provider: str, requests: int | None, tokens: int | None, burst: float | None, as_json: bool) -> int:
    """Set how many requests and tokens a minute a provider allows each of its accounts."""
    from orchestrator.ledger.shared_pace import PaceStanding, per_minute
    from orchestrator.models import Allowances

    if (requests, tokens, burst) == (None, None, None):
        raise UsageError("nothing is to be set: give --requests, --tokens or --burst")
    if burst is not None and math.isnan(burst):
        raise UsageError("--burst: nan is no number of seconds")
    _check(provider)
    said = Allowances(*(None if most is None else per_minute(most) for most in (requests, tokens)))
    asyncio.run(_set(provider, said, None if burst is None else round(burst * 1_000_000)))
    nothing = PaceStanding(provider, None, None, 0, 0)  # 0 took away the last of its limits
    found = next((each for each in open_log().paces() if each.name == provider), nothing)
    if as_json:
        result_json(_as_json(found))
    else:
        notice(f"{line(provider)}: {_words(found)} a minute for each account")
    return 0


async def _set(provider: str, said: "Allowances", burst: int | None) -> None:
    log = open_log_to_write(home())
    try:
        await log.set_pace(provider, said, burst)
    finally:
        log.close()


def _check(provider: str) -> None:
    """Refuse what cannot be the name of a provider; say so where none of the name is installed.

    Raises:
        UsageError: it has no name, or more than one.
    """
    from orchestrator.cli.options.shell_completion import provider_names

    name = provider.removeprefix(SIMULATED)
    if not name.strip() or "/" in name or not name.isprintable():
        raise UsageError(f"{line(provider)!r} is no provider: write its name, with sim/ before it for simulated runs")
    if name not in provider_names():
        notice(f"no provider called {line(name)} is installed: the limit counts for runs whose spec names one so")


def _words(found: "PaceStanding") -> str:
    numbers = ((found.requests, "requests"), (found.tokens, "tokens"))
    return " and ".join(f"{'any number of' if most is None else _number(most)} {kind}" for most, kind in numbers)


def _number(most: float) -> str:
    return f"{most:,.0f}" if most == round(most) else f"{most:,.3g}"


def _row(each: "PaceStanding") -> tuple[str, ...]:
    numbers = ("–" if most is None else _number(most) for most in (each.requests, each.tokens))
    wait = (each.next - _now()) / 1_000_000
    burst = f"{each.burst / 1_000_000:g} s" if each.burst else "–"
    return each.provider, each.account or "–", *numbers, burst, f"in {wait:.1f} s" if wait > 0 else "now"


def _as_json(each: "PaceStanding") -> dict[str, Any]:
    return {
        "provider": each.provider,
        "account": each.account,
        "requests_per_minute": each.requests,
        "tokens_per_minute": each.tokens,
        "burst_seconds": each.burst / 1_000_000,
        "next_in_seconds": max(0.0, (each.next - _now()) / 1_000_000),
    }


def _now() -> int:
    return time.time_ns() // 1000
