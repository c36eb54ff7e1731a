"""``orchestrate costs``: shows what was spent; what it can be summed by is in ``spend_sums``."""

import csv
import io
from collections.abc import Iterable
from typing import Any, Final

import click

from orchestrator.cli.command_groups import ShowGroup
from orchestrator.cli.logs.damaged_runs import FAILED, Reader, trust_in
from orchestrator.cli.logs.opening_logs import open_log, open_log_if_any
from orchestrator.cli.logs.run_ids import RUN, latest
from orchestrator.cli.logs.spend_from_events import spent
from orchestrator.cli.options.shared_options import exact_option, existing_run, home, home_option, json_option
from orchestrator.cli.part_commands import PartCommand
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import clean, line, money, notice, result
from orchestrator.errors import LogError
from orchestrator.events import RunForked, RunStarted
from orchestrator.ledger.event_log import EventLog
from orchestrator.money import Usd
from orchestrator.past_runs.spend_sums import COLUMNS, Row, Sum, of_archived, spend_of, spend_of_all, sums_of
from orchestrator.settings import RunSettings

_RECONCILE: Final = (
    "List calls whose cost is unknown, enter what the vendor billed for one, or settle them from the vendor's bill."
)


class _Costs(ShowGroup):
    """Its help tells of all its commands."""

    own_options = ("--help", "-h")


@click.group(cls=_Costs, subcommand_metavar="[show] [RUN] [OPTIONS] | reconcile [RUN [CALL]] [OPTIONS]")
def costs() -> None:
    """Show what runs spent; reconcile calls whose cost is unknown."""


costs.add_command(PartCommand("reconcile", "reconcile_costs", _RECONCILE))


@costs.command()
@click.argument("run_id", metavar="[RUN]", required=False, type=RUN)
@click.option("--all", "everything", is_flag=True, help="Sum over all runs, without simulated ones.")
@click.option("--simulated", is_flag=True, help="With --all: sum over simulated runs instead.")
@click.option(
    "--by", type=click.Choice(list(COLUMNS)), default="model", show_default=True, help="What to sum the spend by."
)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with exact amounts.")
@json_option
@exact_option
@home_option
def show(run_id: str | None, everything: bool, simulated: bool, by: str, as_csv: bool, as_json: bool) -> int:
    """Show what a run (without RUN the last one), or all runs, spent, dearest first.

    "held" may still be billed: calls in flight, and calls whose cost is unknown (unreconciled).
    """
    if run_id is not None and everything:
        raise click.UsageError("name one RUN, or say --all")
    if simulated and not everything:
        raise click.UsageError("--simulated belongs to --all")
    if as_csv and as_json:
        raise click.UsageError("--csv and --json exclude each other")
    run_id = run_id or latest(everything)
    if run_id is not None:
        sums, pretended, mark = _of_run(open_log(run_id), run_id, by)
    else:
        sums, pretended, mark = _of_all(open_log_if_any(), simulated, by), simulated, ""
    if as_json:
        result_json([each.plain(by) for each in sums])
    elif as_csv:
        _print_csv([each.plain(by) for each in sums], by)
    elif not sums:
        notice(f"nothing was spent in {run_id or home()}")
    else:
        _print(sums, by, mark)
        if pretended:
            notice("simulated: nothing was paid")
    return FAILED if mark else 0


def _of_run(log: Reader, run: str, by: str) -> tuple[list[Sum], bool, str]:
    """The sums of a run, whether it is simulated, and the mark beside the total of a damaged one."""
    trust = trust_in(log, existing_run(log, run, or_archived=True))

    def read() -> tuple[list[Sum], bool]:
        archived = log.archived(run)
        if archived is not None:
            notice(f"{run} is archived: {line(log.bundle_of(run, archived))}")
            return sums_of(of_archived(run, archived, by), by, False), archived.simulated
        settings = _settings(log, run)
        try:
            rows: Iterable[Row] = list(spend_of(log, run, settings, by))
        except LogError:  # what is damaged may be another run
            rows = spent(log, run, settings, by)
        return sums_of(rows, by, False), settings.simulated

    sums, pretended = trust.read(read)
    return sums, pretended, trust.mark


def _settings(log: Reader, run: str) -> RunSettings:
    """The settings of a run, from its first event.

    Raises:
        LookupError: that is missing.
    """
    for record in log.read(run, types=(RunStarted, RunForked)):
        if record.stream == run and isinstance(record.event, RunStarted | RunForked):
            return record.event.settings
    raise LookupError(run)


def _of_all(log: EventLog | None, simulated: bool, by: str) -> list[Sum]:
    if log is None:
        return []
    began = {run: event.settings for run, event in log.beginnings().items()}
    wanted = {run: settings for run, settings in began.items() if settings.simulated == simulated}
    archived = {run: each for run, (_, each) in log.archived_runs().items()}
    others = sum(each.simulated != simulated for each in archived.values())
    _mention_others(len(began) - len(wanted) + others, simulated)
    rows = [row for run, each in archived.items() if each.simulated == simulated for row in of_archived(run, each, by)]
    return sums_of([*spend_of_all(log, wanted, by), *rows], by, True)


def _mention_others(count: int, simulated: bool) -> None:
    """Say how many runs are left out."""
    if count:
        kind, way = ("real", "") if simulated else ("simulated", "; see them with --simulated")
        notice(f"{count} {kind} run{'' if count == 1 else 's'} left out{way}")


def _print(sums: list[Sum], by: str, mark: str) -> None:
    total = Sum(f"total ({mark})" if mark else "total")
    for each in sums:
        total.add(each.calls, each.settled, each.held, each.unreconciled)
    rows = [_row(each, total.total) for each in [*sums, total]]
    heads = (by, "calls", "settled", "held", "total", "share")
    print_table(heads, rows, right=_RIGHT, spare=("settled", "held", "share", "calls"))


_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")
_RIGHT: Final = ("calls", "settled", "held", "total", "share")


def _row(each: Sum, total: Usd) -> tuple[str, ...]:
    share = f"{100 * each.total.nano / total.nano:.1f} %" if total else "–"
    amounts = (money(amount) for amount in (each.settled, each.held, each.total))
    return each.name, str(each.calls), *amounts, share


def unformulated(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula: a text that begins like one has an apostrophe in front."""
    return f"'{value}" if isinstance(value, str) and value.startswith(_FORMULA) else value


def _print_csv(rows: list[dict[str, Any]], by: str) -> None:
    text = io.StringIO()
    names = [by, "calls", "settled_usd", "held_usd", "unreconciled_usd", "total_usd"]
    writer = csv.DictWriter(text, names, lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: unformulated(value) for name, value in row.items()} for row in rows)
    result(clean(text.getvalue().rstrip("\n")), as_is=True)
