"""Show what each model cost on each day."""

from collections import Counter

import click

from orchestrator.cli.kit import home_option, json_option, money, notice, open_log, print_table, result_json
from orchestrator.money import Usd
from orchestrator.spi import hookimpl

orchestrator_interface = ">=1,<2"


@click.command()
@click.option("--since", default="", metavar="DATE", help="Leave earlier days out, such as 2026-11-01.")
@json_option
@home_option
def daily(since: str, as_json: bool) -> int:
    """Show what each model cost on each day (UTC), unreconciled amounts included."""
    rows = _costs(since)
    if as_json:
        found = [{"day": day, "model": model, "calls": calls, "usd": nano / 1e9} for day, model, calls, nano in rows]
        result_json(found)
    elif rows:
        shown = [(day, model, str(calls), money(Usd(nano))) for day, model, calls, nano in rows]
        print_table(("day", "model", "calls", "cost"), shown, right=("calls", "cost"))
    else:
        notice("no calls")
    return 0


def _costs(since: str) -> list[tuple[str, str, int, int]]:
    """Day, model, calls and nano-dollars, the dearest of each day first."""
    counts: Counter[tuple[str, str]] = Counter()
    nano: Counter[tuple[str, str]] = Counter()
    for call in open_log().view("calls"):
        day = call["started_at"][:10], call["model"]
        counts[day] += 1
        nano[day] += call["settled_nano"] + (call["held_nano"] or 0)
    days = [(*each, counts[each], nano[each]) for each in counts if each[0] >= since]
    return sorted(days, key=lambda row: (row[0], -row[3]))


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return daily
