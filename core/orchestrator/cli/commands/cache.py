"""``orchestrate cache``: the answers that later runs may reuse."""

import asyncio
from typing import TYPE_CHECKING, Any

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.logs.opening_logs import open_log_if_any
from orchestrator.cli.options.shared_options import exact_option, has_log, home, home_option, json_option
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import money, notice, timestamp
from orchestrator.money import Usd
from orchestrator.plugins.store_of_folder import open_log

if TYPE_CHECKING:
    from orchestrator.ledger.cache import CacheStats


@click.group(cls=CommandGroup)
@home_option
def cache() -> None:
    """Show and empty the response cache of the data folder.

    An answer is reused for an equal request to the same model: no call is made, nothing is paid. Runs of simulated
    providers have a set of their own, and use it only where their spec says cache: true.
    """


@cache.command()
@json_option
@exact_option
@home_option
def stats(as_json: bool) -> int:
    """Show how many answers can be reused, and what reuse has saved."""
    log = open_log_if_any()
    found = [] if log is None else log.cache_stats()
    if as_json:
        result_json([_as_json(each) for each in found])
    elif not any(each.answers or each.hits for each in found):
        notice(f"the response cache of {home()} is empty")
    else:
        heads = ("set", "answers", "of runs", "bytes", "oldest", "newest", "hits", "saved")
        print_table(heads, [_row(each) for each in found if each.answers or each.hits], right=heads[1:])
    return 0


def _row(each: "CacheStats") -> tuple[str, ...]:
    numbers = (each.answers, each.runs, each.size)
    times = ("–" if at is None else timestamp(at) for at in (each.oldest, each.newest))
    return _name(each), *map(str, numbers), *times, str(each.hits), money(Usd(each.saved_nano))


def _as_json(each: "CacheStats") -> dict[str, Any]:
    return {
        "set": _name(each),
        "answers": each.answers,
        "runs": each.runs,
        "bytes": each.size,
        "oldest": None if each.oldest is None else timestamp(each.oldest),
        "newest": None if each.newest is None else timestamp(each.newest),
        "hits": each.hits,
        "saved_usd": str(Usd(each.saved_nano)),
    }


def _name(each: "CacheStats") -> str:
    return "simulated" if each.simulated else "real"


@cache.command()
@json_option
@home_option
def clear(as_json: bool) -> int:
    """Delete every answer, so that no call is reused. The logs of runs keep theirs."""

    async def cleared() -> int:
        log = open_log(home())
        try:
            return await log.clear_cache()
        finally:
            log.close()

    count = asyncio.run(cleared()) if has_log() else 0
    if as_json:
        result_json({"forgotten": count})
    else:
        notice(f"{count} answer{'' if count == 1 else 's'} deleted in {home()}")
    return 0
