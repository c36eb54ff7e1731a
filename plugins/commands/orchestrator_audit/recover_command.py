"""The command ``log recover``."""

import shlex
from contextlib import suppress
from pathlib import Path

import click

from orchestrator.cli.kit import (
    OUTPUT,
    RUN,
    existing_run,
    home,
    home_option,
    json_option,
    line,
    notice,
    open_log,
    result,
    result_json,
)
from orchestrator.errors import LogError, OutputError, UsageError


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--into", type=OUTPUT, required=True, metavar="FILE|DIR", help="A new database (*.db), or its folder.")
@json_option
@home_option
def recover(run_id: str, into: Path, as_json: bool) -> int:
    """Copy the intact part of a damaged run into a new file, and list what is missing.

    The copy ends before the first event that was changed, is missing, is unreadable, or refers to a missing text. The
    damaged log is only read.
    """
    from orchestrator_audit.recovering import recover_run

    with suppress(LogError):  # the log may be too damaged to be opened
        existing_run(open_log(run_id), run_id)
    try:
        if into.exists() and not into.is_dir() and into.suffix != ".db":
            raise UsageError(f"{into} exists, and is no folder; name a new file ending in .db, or a folder")
        found = recover_run(home(), run_id, into)
    except OSError as error:
        raise OutputError(f"{into}: {error.strerror}; name another place") from error
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
                "findings": [
                    {"position": each.position, "version": each.version, "message": each.message}
                    for each in found.findings
                ],
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
    if found.home is not None:
        notice(f"resume with: orchestrate resume {line(run_id)} --home {shlex.quote(str(found.home))}")
    return 0
