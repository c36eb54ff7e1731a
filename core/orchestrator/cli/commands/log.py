"""``orchestrate log``: the events themselves."""

import shlex
import time
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.commands.log_size import gc, nothing_recorded, stats
from orchestrator.cli.logs.damaged_runs import Reader, trust_in, whole_run
from orchestrator.cli.logs.opening_logs import open_log, open_log_if_any
from orchestrator.cli.logs.run_ids import RUN
from orchestrator.cli.options.event_ids import EVENT, EVENT_HELP
from orchestrator.cli.options.shared_options import (
    always_json_option,
    exact_option,
    existing_run,
    home_option,
    json_option,
)
from orchestrator.cli.options.value_types import OUTPUT
from orchestrator.cli.part_commands import PartCommand
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.terminal_output import line, notice, result, timestamp
from orchestrator.cli.wording.event_lines import describe
from orchestrator.errors import LogError, NoTextError, UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.event_ids import EventId, event_name
from orchestrator.log.transaction import Recorded

_PAUSE: Final = 0.2
_MOST_NAMED: Final = 10
_LINES: Final = click.IntRange(0, 10**9)
_ARCHIVE: Final = "Move runs that have ended out of the log, each into a signed bundle in DIR."
_COPY: Final = "Copy a whole log to another store, prove that both are equal, and close the old one."
_IMPORT: Final = "Verify a bundle, and put its run into a database that replay, explain, report and audit read."
_RECOVER: Final = "Copy the intact part of a damaged run into a new file, and list what is missing."


@click.group(cls=CommandGroup)
@home_option
def log() -> None:
    """Read the event log, and keep it small."""


log.add_command(stats)
log.add_command(gc)
log.add_command(PartCommand("archive", "archive_runs", _ARCHIVE))
log.add_command(PartCommand("copy", "copy_log", _COPY))
log.add_command(PartCommand("import", "import_bundle", _IMPORT))
log.add_command(PartCommand("recover", "recover_run", _RECOVER))


@log.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option(
    "--call",
    type=EVENT,
    metavar="EVENT",
    help=f"Print one call instead: request, answer, tokens, cost. EVENT is one of its events: {EVENT_HELP}.",
)
@json_option
@exact_option
@home_option
def show(run_id: str, call: EventId | None, as_json: bool) -> int:
    """Print a run's events, one a line: position, version, time, type, fields."""
    store = open_log(run_id)
    if call is not None:
        return _show_call(store, existing_run(store, run_id), call, as_json=as_json)
    records, code = _of_run(store, existing_run(store, run_id, or_account=True, or_archived=True))
    _print(records, as_json, with_stream=False)
    return code


def _show_call(store: Reader, run: str, call: EventId, *, as_json: bool) -> int:
    """One call with its texts: exactly what was sent, and what came back."""
    from orchestrator.cli.logs.loaded_runs import texts_of
    from orchestrator.cli.wording.exchange_lines import lines_of, title_of
    from orchestrator.past_runs.exchanges import exchanges, with_texts

    trust = trust_in(store, run)
    records = trust.read(lambda: list(store.read(run)))
    record = next((each for each in records if call.is_of(each.position, each.version)), None)
    if record is None:
        last = event_name(records[-1].position, records[-1].version)
        raise UsageError(f"--call {call}: {run} has no such event; its last one is {last}")
    found = exchanges((record.version, record.event) for record in records)
    match = next((each for each in found if record.version in each.versions), None)
    if match is None:
        known = ", ".join(f"v{each.version}" for each in found[:_MOST_NAMED]) or "none"
        more = ", …" if len(found) > _MOST_NAMED else ""
        raise UsageError(f"--call {call}: that event of {run} is of no call; a call begins at {known}{more}")
    shown = with_texts(match, texts_of(store, run, trust).get)
    if as_json:
        result_json(shown.plain())
        return trust.code
    began = next(each for each in records if each.version == match.version)
    result(title_of(shown, event_name(began.position, began.version)))
    for text in lines_of(shown):
        result(text)
    return trust.code


def _of_run(store: Reader, run: str) -> tuple[Iterable[Recorded], int]:
    """The rows of a run, and the exit code; of a damaged one those that can be read, after a warning."""
    trust = trust_in(store, run)
    if not trust.damage:
        return store.read(run), 0  # one after the other
    trust.read(lambda: deque(store.read(run), maxlen=0))  # a damaged one may be larger than the memory
    return store.read(run), trust.code


@log.command()
@click.argument("run_id", metavar="[RUN]", required=False, type=RUN)
@click.option("--lines", "-n", type=_LINES, default=10, show_default=True, help="How many events to show first.")
@click.option("--follow", "-f", is_flag=True, help="Keep showing new events until interrupted.")
@json_option
@exact_option
@home_option
def tail(run_id: str | None, lines: int, follow: bool, as_json: bool) -> int:
    """Print the latest events, of one run or of all."""
    store = open_log(run_id) if run_id is not None else open_log_if_any()
    if store is None:
        return nothing_recorded()
    trust = trust_in(
        store, *(() if run_id is None else (existing_run(store, run_id, or_account=True, or_archived=True),))
    )
    trust.warn()
    position = _start(store, run_id, lines)
    while True:
        records = list(store.tail(position, run_id))
        _print(records, as_json, with_stream=run_id is None)
        if not follow:
            return trust.code if position or records or not lines else nothing_recorded()
        if records:
            position = records[-1].position
        time.sleep(_PAUSE)


@log.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option(
    "--as-script", type=OUTPUT, metavar="FILE", help="Write an answers file and a spec that replay the run offline."
)
@always_json_option
@home_option
def export(run_id: str, as_script: Path | None) -> int:
    """Print a run's events as stored, as JSON lines with their hashes.

    With --as-script FILE (.json) the run becomes answers for the provider scripted, and a spec beside them
    (.spec.json) that plays it again: with no network, key or money, and no output folder.
    """
    store = open_log(run_id)
    if as_script is not None:
        return _script(store, whole_run(store, run_id), as_script)
    existing_run(store, run_id, or_account=True, or_archived=True)
    records, code = _of_run(store, run_id)
    for record in records:
        result(_json(record, stored=True), as_is=True)
    return code


def _script(store: Reader, run: str, path: Path) -> int:
    import json
    import os

    from orchestrator.engine.delivering import spec_of
    from orchestrator.engine.scripted_answers import reproduce
    from orchestrator.errors import OutputError
    from orchestrator.log import Texts

    if path.suffix != ".json":
        raise UsageError(f"{path} does not end in .json; choose another name")
    spec = path.with_name(f"{path.stem}.spec.json")
    texts = Texts(store, run, os.urandom, store.redactor)
    try:
        made = reproduce(store, run, spec_of(store, run, texts), texts, path.name)
    except NoTextError as error:
        raise UsageError(f"a text of {run} {error.why}; without it the run cannot be played again") from None
    for target, content in ((path, made.answers), (spec, made.spec)):
        try:
            with target.open("x", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False, indent=1)
        except FileExistsError:
            raise UsageError(f"{target} exists: choose a new file") from None
        except OSError as error:
            raise OutputError(f"{target}: {error.strerror}; choose another place") from error
    for each in made.lossy:
        notice(f"! {each}")
    result(line(f"{path}: {len(made.answers['answers'])} answers of {run}"))
    notice(f"play it with: orchestrate run {shlex.quote(str(spec))}")
    return 0


def _start(store: EventLog, run: str | None, lines: int) -> int:
    """The position after which the last so many events begin."""
    rows = store.newest(lines + 1, run)
    return rows[lines].position if len(rows) > lines else 0


def _print(records: Iterable[Recorded], as_json: bool, *, with_stream: bool) -> None:
    for record in records:
        if as_json:
            result(_json(record, stored=False), as_is=True)
            continue
        stream = f"{line(record.stream)}  " if with_stream else ""
        what = f"{stream}{record.type:<16}  {_described(record)}".rstrip()
        version = f"v{record.version}"
        result(f"{record.position:>6}  {version:>6}  {timestamp(record.at)}  {what}")


def _described(record: Recorded) -> str:
    try:
        return describe(record.event)
    except LogError as error:
        return line(f"(cannot be read: {error})")


def _json(record: Recorded, *, stored: bool) -> str:
    """A row as one JSON line; the data stands in it as it is stored."""
    import json

    fields = {
        "position": record.position,
        "stream": record.stream,
        "version": record.version,
        "type": record.type,
        "schema": record.schema,
        "at": record.at if stored else timestamp(record.at),
    }
    head = json.dumps(fields)[:-1]
    end = f', "hash": "{record.hash}"' if stored else ""
    return f'{head}, "data": {record.data}{end}}}'
