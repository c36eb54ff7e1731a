"""``orchestrate log``: the events themselves."""

import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.describing import describe
from orchestrator.cli.options import FILE, existing_run, home, home_option, json_option, open_log
from orchestrator.cli.output import line, moment, notice, result, result_json
from orchestrator.log import DATABASE, EventLog
from orchestrator.log.transaction import Recorded

_PAUSE: Final = 0.2


@click.group()
@home_option
def log() -> None:
    """Read the event log."""


@log.command()
@click.argument("run_id", metavar="RUN")
@json_option
@home_option
def show(run_id: str, as_json: bool) -> int:
    """Print a run's events, one a line: position, time, type, fields."""
    store = open_log()
    _print(store.read(existing_run(store, run_id)), as_json, with_stream=False)
    return 0


@log.command()
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--lines", "-n", type=click.IntRange(0), default=10, show_default=True, help="How many to begin with.")
@click.option("--follow", "-f", is_flag=True, help="Go on with what is appended, until interrupted.")
@json_option
@home_option
def tail(run_id: str | None, lines: int, follow: bool, as_json: bool) -> int:
    """Print the latest events, of one run or of all."""
    store = open_log()
    if run_id is not None:
        existing_run(store, run_id)
    position = _start(store, run_id, lines)
    while True:
        records = list(store.tail(position, run_id))
        _print(records, as_json, with_stream=run_id is None)
        if not follow:
            return 0
        if records:
            position = records[-1].position
        time.sleep(_PAUSE)


@log.command()
@click.argument("run_id", metavar="RUN")
@home_option
def export(run_id: str) -> int:
    """Print a run's events as stored, as JSON lines with their hashes."""
    store = open_log()
    for record in store.read(existing_run(store, run_id)):
        result(_json(record, stored=True))
    return 0


@log.command()
@click.argument("run_id", metavar="RUN")
@click.option("--into", type=FILE, required=True, metavar="FILE|DIR", help="A new database (*.db), or its folder.")
@json_option
@home_option
def recover(run_id: str, into: Path, as_json: bool) -> int:
    """Copy the good part of a damaged run into a new file, and say what is lost.

    The copy ends before the first event that was changed, is missing, cannot be read, or needs a text that is. The
    damaged log is only read.
    """
    from orchestrator.log.recover import recover as recovered

    found = recovered(home(), run_id, into)
    if as_json:
        result_json(
            {
                "run_id": found.run,
                "path": str(found.path),
                "events": found.events,
                "head": found.head,
                "texts": found.texts,
                "complete": found.is_complete,
                "lost_events": found.lost_events,
                "lost_positions": list(found.lost),
                "lost_types": dict(found.lost_types),
                "findings": [{"position": each.position, "message": each.message} for each in found.findings],
                "bad_texts": [
                    {"digest": bad.digest, "problem": bad.problem, "versions": list(bad.versions)}
                    for bad in found.bad_texts
                ],
                "accounts_not_copied": list(found.accounts),
            }
        )
        return 0
    for text in found.lines():
        result(line(text))
    if found.path.name == DATABASE:
        notice(f"go on with: orchestrate resume {line(run_id)} --home {shlex.quote(str(found.path.parent))}")
    return 0


def _start(store: EventLog, run: str | None, lines: int) -> int:
    """The position after which the last so many events begin."""
    where, values = ("", []) if run is None else ("WHERE stream = ?", [run])
    rows = store.query(f"SELECT position FROM events {where} ORDER BY position DESC LIMIT ?", [*values, lines + 1])
    return int(rows[lines][0]) if len(rows) > lines else 0


def _print(records: Iterable[Recorded], as_json: bool, *, with_stream: bool) -> None:
    for record in records:
        if as_json:
            result(_json(record, stored=False))
            continue
        stream = f"{line(record.stream)}  " if with_stream else ""
        what = f"{stream}{record.type:<16}  {describe(record.event)}".rstrip()
        result(f"{record.position:>6}  {moment(record.at)}  {what}")


def _json(record: Recorded, *, stored: bool) -> str:
    """A row as one JSON line; the data stands in it as it is stored."""
    import json

    fields = {
        "position": record.position,
        "stream": record.stream,
        "version": record.version,
        "type": record.type,
        "schema": record.schema,
        "at": record.at if stored else moment(record.at),
    }
    head = json.dumps(fields)[:-1]
    end = f', "hash": "{record.hash}"' if stored else ""
    return f'{head}, "data": {record.data}{end}}}'
