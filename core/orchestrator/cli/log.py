"""``orchestrate log``: the events themselves."""

import shlex
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from orchestrator.cli.describing import describe
from orchestrator.cli.options import FILE, existing_run, home, home_option, json_option, open_log
from orchestrator.cli.output import line, moment, notice, result, result_json
from orchestrator.log import DATABASE, EventLog
from orchestrator.log.transaction import Recorded

if TYPE_CHECKING:
    from orchestrator.log.retention import Collected

_PAUSE: Final = 0.2


@click.group()
@home_option
def log() -> None:
    """Read the event log, and keep it small."""


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
@click.option(
    "--as-script", type=FILE, metavar="FILE", help="Write the run's answers and a spec that plays them again instead."
)
@home_option
def export(run_id: str, as_script: Path | None) -> int:
    """Print a run's events as stored, as JSON lines with their hashes.

    With --as-script FILE (.json) the run becomes answers for the provider scripted, and a spec beside them
    (.spec.json) that plays it again: with no network, key or money, and no output folder.
    """
    store = open_log()
    existing_run(store, run_id)
    if as_script is not None:
        return _script(store, run_id, as_script)
    for record in store.read(run_id):
        result(_json(record, stored=True))
    return 0


def _script(store: EventLog, run: str, path: Path) -> int:
    import json
    import os

    from orchestrator.engine.reproduction import reproduce
    from orchestrator.engine.runs import stored_of
    from orchestrator.errors import LogError, UsageError
    from orchestrator.log import Texts

    spec = path.with_name(f"{path.stem}.spec.json")
    texts = Texts(store, run, os.urandom, store.redactor)
    try:
        made = reproduce(store, run, stored_of(store, run, texts), texts, path.name)
    except KeyError:
        raise UsageError(f"a text of {run} is missing: without its content it cannot be played again") from None
    for target, content in ((path, made.answers), (spec, made.spec)):
        try:
            with target.open("x", encoding="utf-8") as file:
                json.dump(content, file, ensure_ascii=False, indent=1)
        except FileExistsError:
            raise UsageError(f"{target} exists: choose a new file") from None
        except OSError as error:
            raise LogError(f"{target}: {error.strerror}; choose another place") from error
    for each in made.lossy:
        notice(f"! {each}")
    result(line(f"{path}: {len(made.answers['answers'])} answers of {run}"))
    notice(f"play it with: orchestrate run {shlex.quote(str(spec))}")
    return 0


@log.command()
@json_option
@home_option
def stats(as_json: bool) -> int:
    """Show what the log takes: events, texts and bytes, by run."""
    from orchestrator.cli.tables import print_table

    found = open_log().stats(home() / DATABASE)
    if as_json:
        result_json(
            {
                "file_bytes": found.file,
                "wal_bytes": found.wal,
                "free_bytes": found.free,
                "runs": [
                    {
                        "run_id": each.run,
                        "events": each.events,
                        "event_bytes": each.event_bytes,
                        "texts": each.texts,
                        "text_bytes": each.text_bytes,
                        "cached_answers": each.cached,
                        "content_deleted": each.deleted,
                        "large": each.is_large,
                    }
                    for each in found.runs
                ],
            }
        )
        return 0
    heads = ("run", "events", "bytes", "texts", "text bytes", "cached", "")
    notes = [("large" if each.is_large else "") + ("content deleted" if each.deleted else "") for each in found.runs]
    print_table(
        heads,
        [
            (
                each.run,
                f"{each.events:,}",
                f"{each.event_bytes:,}",
                f"{each.texts:,}",
                f"{each.text_bytes:,}",
                f"{each.cached:,}",
                note,
            )
            for each, note in zip(found.runs, notes, strict=True)
        ],
        right=heads[1:6],
    )
    result("")
    result(f"database {found.file:,} bytes, {found.free:,} of them unused; WAL {found.wal:,} bytes")
    return 0


@log.command()
@json_option
@home_option
def gc(as_json: bool) -> int:
    """Delete texts that no event refers to, and give unused space back; live runs are left alone."""
    import asyncio

    open_log()  # there must be one
    store = EventLog.open(home())

    async def collected() -> "Collected":
        return await store.collect()

    try:
        found = asyncio.run(collected())
    finally:
        store.close()
    if as_json:
        result_json(
            {
                "texts": found.texts,
                "text_bytes": found.size,
                "cached_answers": found.cached,
                "live": list(found.skipped),
                "bytes_before": found.before,
                "bytes_after": found.after,
            }
        )
        return 0
    result(f"{found.texts} texts ({found.size:,} bytes) and {found.cached} cached answers deleted")
    result(f"database {found.before:,} → {found.after:,} bytes")
    if found.skipped:
        notice(f"left alone, being live: {line(', '.join(found.skipped))}; the file gets smaller when none is")
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
