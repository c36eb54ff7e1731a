"""Show what each model cost on each day."""

import click

from orchestrator.cli.kit import home_option, json_option, money, notice, open_log, print_table, result_json
from orchestrator.money import Usd
from orchestrator.spi import hookimpl

orchestrator_interface = ">=1,<2"

COSTS = """
SELECT substr(started_at, 1, 10), model, count(*), sum(settled_nano + held_nano) FROM calls
WHERE substr(started_at, 1, 10) >= ? GROUP BY 1, 2 ORDER BY 1, 4 DESC
"""


@click.command()
@click.option("--since", default="", metavar="DATE", help="Leave earlier days out, such as 2026-11-01.")
@json_option
@home_option
def daily(since: str, as_json: bool) -> int:
    """Show what each model cost on each day (UTC), unreconciled amounts included."""
    rows = open_log().query(COSTS, [since])
    if as_json:
        found = [{"day": day, "model": model, "calls": calls, "usd": nano / 1e9} for day, model, calls, nano in rows]
        result_json(found)
    elif rows:
        shown = [(day, model, str(calls), money(Usd(nano))) for day, model, calls, nano in rows]
        print_table(("day", "model", "calls", "cost"), shown, right=("calls", "cost"))
    else:
        notice("no calls")
    return 0


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return daily
