"""``orchestrate costs reconcile``: what is unreconciled, and what it turned out to cost."""

import asyncio
import csv
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import click
from attrs import frozen

from orchestrator.cli.kit import (
    FILE,
    RUN,
    Amount,
    Reader,
    Trust,
    command,
    exact_option,
    existing_run,
    home,
    home_option,
    json_option,
    line,
    money,
    notice,
    open_log,
    open_log_if_any,
    print_table,
    read_event_id,
    result_json,
    trust_in,
)
from orchestrator.documents import read_text
from orchestrator.errors import SpecError, UsageError
from orchestrator.money import Usd
from orchestrator.reading import Select, event_name
from orchestrator.reading import events as e
from orchestrator_bills.billed_calls import archived_calls, billed_calls, model_names
from orchestrator_bills.vendor_bills import BillDifference, BillMapping, known_mappings, read_bill, read_mapping, reckon

_COLUMNS: Final = ("run", "call", "amount_usd")


def _cost(value: Any) -> Usd:
    amount = Usd.parse(value)
    if amount < Usd.ZERO:
        raise ValueError(f"an amount may not be negative: {value}")
    return amount


@frozen
class StartedCall:
    """A call of a run."""

    run: str
    position: int
    """Of its CallStarted."""
    version: int
    """Of the same: what the log calls ``call``."""
    call: str
    """TASK/ROLE/ITERATION/SAMPLE/ATTEMPT."""

    @property
    def event(self) -> str:
        """Its CallStarted, for people."""
        return event_name(self.position, self.version)


@frozen
class UnreconciledCall(StartedCall):
    """A call whose cost is not known."""

    model: str
    started: str
    unreconciled: Usd


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False, type=RUN)
@click.argument("call", metavar="[CALL]", required=False)
@click.option("--amount", type=Amount(or_nothing=True), help="What the vendor billed, in US dollars; 0 for nothing.")
@click.option(
    "--from",
    "source",
    type=FILE,
    metavar="FILE",
    help="A vendor's bill in CSV; or a CSV file with the columns run, call, amount_usd (a call is named as CALL is).",
)
@click.option("--vendor", metavar="NAME", help="Whose bill it is. [default: as its columns say]")
@click.option(
    "--mapping",
    type=FILE,
    metavar="FILE",
    help="The columns of the bill, in YAML: time, model, amount, currency, unit.",
)
@click.option("--dry-run", is_flag=True, help="Say what would be settled; write nothing.")
@json_option
@exact_option
@home_option
def reconcile(
    run_id: str | None,
    call: str | None,
    amount: Any,
    source: Path | None,
    vendor: str | None,
    mapping: Path | None,
    dry_run: bool,
    as_json: bool,
) -> int:
    """List calls whose cost is unknown, enter what the vendor billed for one, or settle them from the vendor's bill.

    CALL is the event that started it (275, its position in the log, or v24, its version in the run) or its name
    (TASK/ROLE/ITERATION/SAMPLE/ATTEMPT). The amount is exact; more than was held is recorded as an excess. A run must
    not be live: end it or wait for its end.

    A bill says what the calls of a day and model cost together: what those of known cost leave of it is divided among
    the others by what was held. Where that cannot be, the difference is listed, and nothing is settled.
    """
    if (call is None) != (amount is None):
        raise click.UsageError("CALL and --amount belong together: give both")
    if source is not None and (run_id is not None or amount is not None):
        raise click.UsageError("--from names runs and calls; give no RUN or CALL beside it")
    if (vendor is not None or mapping is not None) and source is None:
        raise click.UsageError("--vendor and --mapping belong to a bill: give --from")
    costs: Mapping[str, Mapping[int, Usd]]
    differences: Sequence[BillDifference] | None = None
    if source is not None and (vendor is not None or mapping is not None or not _names_calls(source)):
        costs, differences = _reckoned(source, vendor, mapping)
    elif source is not None:
        costs = _read(source)
    elif run_id is not None and call is not None:
        costs = {run_id: {_found(run_id, call).version: amount}}
    else:
        return _list(run_id, as_json)
    among = {(run, each.version): each for run in costs for each in _started(run)}
    found = {run: _reconcile(run, each, dry_run) for run, each in costs.items()}
    settled = [(among[run, event.call], event) for run, events in found.items() for event in events]
    if as_json:
        plain = [
            {
                "run": call.run,
                "position": call.position,
                "version": call.version,
                "call": call.call,
                "unreconciled_usd": str(each.unreconciled),
                "settled_usd": str(each.settled),
            }
            for call, each in settled
        ]
        of_bill = {"settled": plain, "differences": [_plain(each) for each in differences or ()]}
        result_json(plain if differences is None else of_bill)
        return 0
    for of, each in settled:
        excess = each.settled - each.unreconciled if each.settled > each.unreconciled else Usd.ZERO
        beyond = f", {money(excess)} more than was held" if excess else ""
        cost = f"{money(each.settled)} of {money(each.unreconciled)} unreconciled"
        notice(f"{line(of.run)}: call {of.event} cost {cost}{beyond}{', nothing is written' if dry_run else ''}")
    if differences is not None:
        _show_differences(differences, f"{len(settled)} calls {'would be ' if dry_run else ''}settled")
    return 0


def _plain(each: BillDifference) -> dict[str, object]:
    return {
        "day": each.day.isoformat(),
        "model": each.model,
        "billed_usd": str(each.billed),
        "settled_usd": str(each.settled),
        "unreconciled_usd": str(each.unreconciled),
        "difference_usd": str(Usd(each.nano)),
        "why": each.why,
    }


def _show_differences(differences: Sequence[BillDifference], settled: str) -> None:
    if not differences:
        notice(f"{settled}; the bill and the log agree")
        return
    print_table(
        ("day", "model", "billed", "in the log", "unreconciled", "difference"),
        [
            (
                each.day.isoformat(),
                line(each.model),
                *map(money, (each.billed, each.settled, each.unreconciled)),
                each.why,
            )
            for each in differences
        ],
        right=("billed", "in the log", "unreconciled"),
    )


def _names_calls(path: Path) -> bool:
    """Whether a file names single calls of the log, in columns of our own."""
    header = next(csv.reader(io.StringIO(read_text(path), newline="")), [])
    return ("run" in header and "call" in header) or "amount_usd" in header


def _reckoned(
    path: Path, vendor: str | None, mapping: Path | None
) -> tuple[Mapping[str, Mapping[int, Usd]], Sequence[BillDifference]]:
    """What a bill says of the calls of all runs, and where it differs."""
    bill = read_bill(read_text(path), str(path), _mapping(vendor, mapping))
    log = open_log_if_any()
    if log is None:
        raise UsageError(f"there are no runs in {home()} that a bill could be of")
    found = Trust(log, ()).read(lambda: reckon(bill, billed_calls(log), model_names(log), archived_calls(log)))
    return found.costs, found.differences


def _mapping(vendor: str | None, path: Path | None) -> BillMapping | None:
    if path is not None:
        return read_mapping(path)
    known = known_mappings()
    if vendor is not None and vendor not in known:
        raise UsageError(
            f"there is no mapping for bills of {vendor!r}; known are {', '.join(known)}, or --mapping FILE"
        )
    return None if vendor is None else known[vendor]


def _unreconciled_calls(wanted: str | None) -> tuple[list[UnreconciledCall], Trust | None]:
    """The calls of one run, or of all, and whether the one can be trusted."""
    log = open_log(wanted) if wanted is not None else open_log_if_any()
    if log is None:
        return [], None
    trust = None if wanted is None else trust_in(log, existing_run(log, wanted))
    unreconciled = (trust or Trust(log, ())).read(lambda: _without_cost(log, wanted))
    return unreconciled, trust


def _without_cost(log: Reader, wanted: str | None) -> list[UnreconciledCall]:
    versions = _versions(log, wanted)
    return [
        UnreconciledCall(
            row["run_id"],
            row["position"],
            versions[row["position"]],
            row["call_id"],
            row["model"],
            row["started_at"],
            Usd(row["held_nano"]),
        )
        for row in log.view("calls", None if wanted is None else {"run_id": wanted})
        if (row["held_nano"] or 0) > 0 and row["outcome"] != "in_flight"
    ]


def _versions(log: Reader, run: str | None) -> dict[int, int]:
    """The version of every CallStarted, by its position."""
    streams = None if run is None else (run,)
    return {each.position: each.version for each in log.select(Select(streams, ("call.started",)))}


def _list(run: str | None, as_json: bool) -> int:
    """Show what is unreconciled."""
    found, trust = _unreconciled_calls(run)
    if as_json:
        result_json(
            [
                {
                    "run": each.run,
                    "position": each.position,
                    "version": each.version,
                    "call": each.call,
                    "model": each.model,
                    "started_at": each.started,
                    "unreconciled_usd": str(each.unreconciled),
                }
                for each in found
            ]
        )
    elif not found:
        notice(f"nothing is unreconciled in {run or home()}: the cost of every call is known")
    else:
        print_table(
            ("event", "call", "run", "model", "started", "unreconciled"),
            [
                (event_name(k.position, k.version), k.call, k.run, k.model, k.started, money(k.unreconciled))
                for k in found
            ],
            right=("event", "unreconciled"),
            spare=("started",),
        )
        notice(f"reconcile one with: {command('costs reconcile RUN CALL --amount USD')}")
    return 0 if trust is None else trust.code


def _found(run: str, call: str) -> StartedCall:
    """The call of a run that a text names: by the position or the version of its CallStarted, or by its own name."""
    existing_run(open_log(run), run)
    found = _named(call, _started(run))
    if found is None:
        raise UsageError(f"nothing is unreconciled for call {call} of {run}; see: {command(f'costs reconcile {run}')}")
    return found


def _started(run: str) -> list[StartedCall]:
    """Every call of a run, whatever became of it: one that a dead process left in flight can be settled, too."""
    log = open_log(run)
    versions = _versions(log, run)
    return [
        StartedCall(run, row["position"], versions[row["position"]], row["call_id"])
        for row in log.view("calls", {"run_id": run})
    ]


def _named(call: str, among: Iterable[StartedCall]) -> StartedCall | None:
    try:
        event = read_event_id(call)
    except ValueError:
        return next((each for each in among if each.call == call), None)
    return next((each for each in among if event.is_of(each.position, each.version)), None)


def _read(path: Path) -> Mapping[str, Mapping[int, Usd]]:
    """What a file says, by run and call.

    Raises:
        SpecError: it cannot be read, or names a call for which nothing is unreconciled; every problem with its line.
    """
    costs: dict[str, dict[int, Usd]] = defaultdict(dict)
    problems: list[str] = []
    unreconciled: dict[str, list[UnreconciledCall]] = defaultdict(list)
    for each in _unreconciled_calls(None)[0]:
        unreconciled[each.run].append(each)
    try:
        rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
            raise SpecError([f"{path}:1: the column {missing[0]} is missing; needed are {', '.join(_COLUMNS)}"])
        for row in rows:
            try:
                run, call = str(row["run"]), str(row["call"])
                found = _named(call, unreconciled[run])
                if found is None:
                    text = f"nothing is unreconciled for call {call} of {run}; see: {command('costs reconcile')}"
                    raise ValueError(text)
                if found.version in costs[run]:
                    raise ValueError(f"call {call} of {run} appears twice")
                costs[run][found.version] = _cost(row["amount_usd"])
            except (ValueError, TypeError) as error:
                problems.append(f"{path}:{rows.line_num}: {error}")
    except csv.Error as error:
        raise SpecError([f"{path}: {error}"]) from error
    if problems:
        raise SpecError(problems)
    return costs


def _reconcile(run: str, costs: Mapping[int, Usd], dry_run: bool) -> list[e.SpendReconciled]:
    from orchestrator.cli.kit import settle

    existing_run(open_log(run), run)
    return asyncio.run(settle(home(), run, costs, dry_run=dry_run))
