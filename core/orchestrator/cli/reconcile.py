"""``orchestrate costs reconcile``: what is kept, and what it turned out to cost."""

import asyncio
import csv
import io
import time
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import frozen

from orchestrator.cli.damage import Trust, trust_in
from orchestrator.cli.logs import open_log, open_log_if_any
from orchestrator.cli.options import FILE, Amount, command, existing_run, home, home_option, json_option
from orchestrator.cli.output import line, money, notice, result_json
from orchestrator.cli.tables import print_table
from orchestrator.errors import SpecError, UsageError
from orchestrator.log import EventLog
from orchestrator.money import Usd

if TYPE_CHECKING:
    from collections.abc import Mapping

_KEPT: Final = """
SELECT c.run_id, e.version, c.call_id, c.model, c.started_at, c.held_nano
FROM calls AS c JOIN events AS e ON e.position = c.position
WHERE c.held_nano > 0 AND c.outcome != 'in_flight' {where} ORDER BY c.position
"""
_COLUMNS: Final = ("run", "call", "amount_usd")


def _cost(value: Any) -> Usd:
    amount = Usd.parse(value)
    if amount < Usd.ZERO:
        raise ValueError(f"an amount may not be negative: {value}")
    return amount


@frozen
class KeptCall:
    """A call of which nobody knows what it cost."""

    run: str
    version: int
    """Of its CallStarted: what the log calls ``call``."""
    call: str
    """TASK/ROLE/TURN/SAMPLE/ATTEMPT."""
    model: str
    started: str
    kept: Usd


@click.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.argument("call", metavar="[CALL]", required=False)
@click.option(
    "--amount", type=Amount(or_nothing=True), help="What the vendor billed for it, in US dollars; 0 for nothing."
)
@click.option("--from", "source", type=FILE, metavar="FILE", help="A CSV file with the columns run, call, amount_usd.")
@json_option
@home_option
def reconcile(run_id: str | None, call: str | None, amount: Any, source: Path | None, as_json: bool) -> int:
    """Show money that is kept because nobody knows what a call cost, or settle it.

    CALL is its number in the first column, or its name in the second. What is settled is exact: it may be more than was
    kept, and the excess is recorded. A run that has ended can be reconciled, one that is going on cannot.
    """
    if (call is None) != (amount is None):
        raise click.UsageError("CALL and --amount belong together: name what is known of which call")
    if source is not None and (run_id is not None or amount is not None):
        raise click.UsageError("--from brings runs and calls itself")
    costs: Mapping[str, Mapping[int, Usd]]
    if source is not None:
        costs = _read(source)
    elif run_id is not None and call is not None:
        costs = {run_id: {_version(run_id, call): amount}}
    else:
        return _list(run_id, as_json)
    settled = [(run, event) for run, each in costs.items() for event in _reconcile(run, each)]
    if as_json:
        result_json(
            [
                {"run": run, "call": each.call, "kept_usd": str(each.kept), "settled_usd": str(each.settled)}
                for run, each in settled
            ]
        )
        return 0
    for run, each in settled:
        beyond = f", {money(each.settled - each.kept)} more than was held" if each.settled > each.kept else ""
        notice(f"{line(run)}: call {each.call} cost {money(each.settled)} of {money(each.kept)} kept{beyond}")
    return 0


def _kept(wanted: str | None) -> tuple[list[KeptCall], Trust | None]:
    """The calls of one run, or of all, and whether the one can be trusted."""
    log = open_log(wanted) if wanted is not None else open_log_if_any()
    if log is None:
        return [], None
    trust = None if wanted is None else trust_in(log, existing_run(log, wanted))
    where, values = ("", []) if wanted is None else ("AND c.run_id = ?", [wanted])
    rows = (trust or Trust(log, ())).read(lambda: log.query(_KEPT.format(where=where), values))
    kept = [KeptCall(run, version, call, model, at, Usd(held)) for run, version, call, model, at, held in rows]
    return kept, trust


def _list(run: str | None, as_json: bool) -> int:
    """Show what is kept."""
    found, trust = _kept(run)
    if as_json:
        result_json(
            [
                {
                    "run": each.run,
                    "call": each.version,
                    "name": each.call,
                    "model": each.model,
                    "started_at": each.started,
                    "kept_usd": str(each.kept),
                }
                for each in found
            ]
        )
    elif not found:
        notice(f"nothing is kept in {run or home()}: of every call it is known what it cost")
    else:
        print_table(
            ("call", "name", "run", "model", "started", "kept"),
            [(str(k.version), k.call, k.run, k.model, k.started, money(k.kept)) for k in found],
            right=("call", "kept"),
        )
        notice(f"settle one with: {command('costs reconcile RUN CALL --amount USD')}")
    return 0 if trust is None else trust.code


def _version(run: str, call: str) -> int:
    """The number of a call, given as that or as its name."""
    if call.isdecimal():
        return int(call)
    for each in _kept(run)[0]:
        if each.call == call:
            return each.version
    raise UsageError(f"nothing is kept for a call {call!r} of {run}; see: {command(f'costs reconcile {run}')}")


def _read(path: Path) -> "Mapping[str, Mapping[int, Usd]]":
    """What a file says, by run and call.

    Raises:
        SpecError: it cannot be read, or names a call for which nothing is kept; every problem with its line.
    """
    from orchestrator.documents import read_text

    costs: dict[str, dict[int, Usd]] = defaultdict(dict)
    problems: list[str] = []
    kept = {(each.run, each.version) for each in _kept(None)[0]}
    try:
        rows = csv.DictReader(io.StringIO(read_text(path), newline=""))
        if missing := [name for name in _COLUMNS if name not in (rows.fieldnames or ())]:
            raise SpecError([f"{path}:1: the column {missing[0]} is missing; needed are {', '.join(_COLUMNS)}"])
        for row in rows:
            try:
                run, call = row["run"], _number(row["call"])
                if call in costs[run]:
                    raise ValueError(f"call {call} of {run} is there twice")
                if (run, call) not in kept:
                    raise ValueError(f"nothing is kept for call {call} of {run}; see: {command('costs reconcile')}")
                costs[run][call] = _cost(row["amount_usd"])
            except (ValueError, TypeError) as error:
                problems.append(f"{path}:{rows.line_num}: {error}")
    except csv.Error as error:
        raise SpecError([f"{path}: {error}"]) from error
    if problems:
        raise SpecError(problems)
    return costs


def _number(text: str | None) -> int:
    if text is None or not text.isdecimal():
        raise ValueError(f"call {text!r} is no number of a call")
    return int(text)


def _reconcile(run: str, costs: "Mapping[int, Usd]") -> list[Any]:
    from orchestrator.engine.reconciling import reconcile as settle

    async def work() -> list[Any]:
        log = EventLog.open(home())
        try:
            return list(await settle(log, home(), run, costs, lambda: time.time_ns() // 1000))
        finally:
            log.close()

    existing_run(open_log(run), run)
    return asyncio.run(work())
