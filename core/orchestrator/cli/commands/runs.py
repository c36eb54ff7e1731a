"""``orchestrate runs``: list, show and export runs."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from orchestrator.cli.command_groups import CommandGroup
from orchestrator.cli.exit_codes import SYSTEM, USAGE
from orchestrator.cli.logs.archived_runs import archived_run
from orchestrator.cli.logs.archived_runs import show as show_archived
from orchestrator.cli.logs.damaged_runs import is_readable
from orchestrator.cli.logs.loaded_runs import Loaded, load
from orchestrator.cli.logs.opening_logs import open_log, open_log_if_any
from orchestrator.cli.logs.run_ids import RUN
from orchestrator.cli.options.shared_options import (
    command,
    exact_option,
    existing_run,
    force_option,
    home,
    home_option,
    json_option,
)
from orchestrator.cli.options.shell_completion import STATUS
from orchestrator.cli.options.value_types import OUTPUT, SECONDS, SINCE
from orchestrator.cli.part_commands import PartCommand
from orchestrator.cli.progress.run_table import print_run
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import line, money, notice, result
from orchestrator.errors import UsageError
from orchestrator.ledger.event_log import EventLog
from orchestrator.log.text_encryption import FOLDER as KEYS
from orchestrator.log.texts import WITHOUT_KEY
from orchestrator.money import Usd
from orchestrator.past_runs.run_list import RunFilter, RunSummary, known_status, summaries
from orchestrator.plugins.store_of_folder import open_log as open_log_to_write

if TYPE_CHECKING:
    from orchestrator.engine.outputs.folder_writing import OutputFolder

_PATIENCE: Final = 15.0
"""Seconds for which a run that is to stop is waited for."""
_PAUSE: Final = 0.1
_TITLE_WIDTH = 60
_MOST_NAMED: Final = 10
"""Files in one line."""
_DIFF: Final = "Show what differs between two runs: spec, settings, decisions, results, spend."


@click.group(cls=CommandGroup)
@home_option
def runs() -> None:
    """List, show, compare and export runs; delete the content of one."""


runs.add_command(PartCommand("diff", "compare_runs", _DIFF))


@runs.command("list")
@click.option(
    "--status",
    metavar="STATUS",
    type=STATUS,
    help="Only runs with this status, such as SUCCESS, running or interrupted.",
)
@click.option(
    "--since", type=SINCE, help="Only runs that began since then: 2026-11-29, 2026-11-29T18:00, 90m, 12h, 7d."
)
@click.option("--limit", "-n", type=click.IntRange(1), help="At most so many.")
@click.option("--project", metavar="TEXT", help="Only runs whose title has this text.")
@json_option
@exact_option
@home_option
def list_(status: str | None, since: str | None, limit: int | None, project: str | None, as_json: bool) -> int:
    """List runs, newest first."""
    return print_runs(as_json=as_json, wanted=RunFilter(status and known_status(status), since, limit, project))


_EVERY: Final = RunFilter()


def print_runs(*, as_json: bool, wanted: RunFilter = _EVERY) -> int:
    """Write the list of runs, newest first."""
    log = open_log_if_any()
    found = [] if log is None else wanted.among(summaries(log))
    if as_json:
        result_json([_plain(run) for run in found])
    elif not found and wanted != _EVERY:
        notice(f"no run in {home()} is like that; see: {command('runs list')}")
    elif not found:
        notice(f"there are no runs in {home()}; begin with: {command('demo')}, or {command('run SPEC')}")
    else:
        print_table(
            ("run", "status", "spend", "tasks", "started", "title"),
            [
                (
                    run.run_id,
                    run.status,
                    money(Usd.parse(run.settled_usd) + Usd.parse(run.held_usd)),
                    str(run.tasks),
                    run.started_at[:19].replace("T", " "),
                    _title(run),
                )
                for run in found
            ],
            right=("spend", "tasks"),
            spare=("tasks", "started"),
        )
    if not as_json and any(run.title == WITHOUT_KEY for run in found):
        notice(f"the keys of encrypted runs are looked for in {home() / KEYS}")
    return 0


def _plain(run: RunSummary) -> dict[str, Any]:
    return {**run.to_dict(), "title": _title(run)}


def _title(run: RunSummary) -> str:
    return line(run.title, _TITLE_WIDTH)


@runs.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@json_option
@exact_option
@home_option
def show(run_id: str, as_json: bool) -> int:
    """Show a run: tasks, status, spend and head."""
    log = open_log(run_id)
    archived = archived_run(log, existing_run(log, run_id, or_archived=True))
    if archived is not None:
        return show_archived(archived, as_json=as_json)
    run = load(log, run_id)
    if as_json:
        from orchestrator.engine.outputs.run_results import summary

        found = {**summary(run.state, run_id, run.head, run.get), "status": run.status}
        result_json(found | run.trust.plain())
    else:
        print_run(run.state, run_id, run.head, run.status, text_of=run.get, mark=run.trust.mark)
    return run.trust.code


@runs.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--output-dir", "-o", type=OUTPUT, required=True, help="The folder to write into.")
@force_option
@home_option
def export(run_id: str, output_dir: Path, force: bool) -> int:
    """Write a run's results into a folder.

    Outputs that are there with another content are named and left, and the exit code is 2; with --force they are
    written again. Files that are not the run's stay as they are.
    """
    from orchestrator.engine.delivering import application_of, spec_of
    from orchestrator.engine.delivering import export as write
    from orchestrator.engine.outputs.folder_writing import OutputFolder
    from orchestrator.plugins import Catalogue

    log = open_log(run_id)
    run = load(log, run_id)
    if run.state.content_deleted:
        raise UsageError(f"the content of {run_id} was deleted: there is nothing to write")
    folder = OutputFolder(output_dir, run_id, force)
    lost = _without_lost_outputs(run)
    application = None
    if not run.trust.damage:
        application = application_of(spec_of(log, run_id, run.texts), Catalogue.discover())
    written = write(run.state, run_id, run.head, run.texts, folder, application, replace=force)
    warnings = [*lost, *written.warnings]
    if run.trust.damage:
        _mark_as_damaged(folder, run, run_id)
    for warning in warnings:
        notice(f"! {warning}")
    notice(f"{run_id}: {_said(written.left, output_dir, is_whole=not warnings)}")
    return run.trust.code or (SYSTEM if warnings else USAGE if written.left else 0)


def _said(left: Sequence[str], folder: Path, *, is_whole: bool) -> str:
    """What was written, and which outputs were left because they differ."""
    what = f"written to {folder}" if is_whole else f"not everything is written to {folder}"
    if not left:
        return what
    more = f" and {len(left) - _MOST_NAMED} more" if len(left) > _MOST_NAMED else ""
    named = line(", ".join(left[:_MOST_NAMED]))
    return f"{what}, without what differs there: {named}{more}; overwrite with --force"


def _without_lost_outputs(run: Loaded) -> list[str]:
    """Take outputs whose text is damaged or gone out of a damaged run; a line for each."""
    lost = []
    for name in run.state.execution_order if run.trust.damage else ():
        task = run.state.tasks[name]
        needed = [task.output.answer if task.output else None, task.planned.path]
        if any(digest and not is_readable(run.texts, digest) for digest in needed):
            task.output = None
            lost.append(f"the output of {name} is damaged or missing, and is not written")
    return lost


def _mark_as_damaged(folder: "OutputFolder", run: Loaded, run_id: str) -> None:
    """Let what stands beside the files of a damaged run say so."""
    from orchestrator.engine.outputs.folder_readme import tables
    from orchestrator.engine.outputs.run_results import summary

    found = summary(run.state, run_id, run.head, run.get) | run.trust.plain()
    remark = f"**The log of this run is damaged: {run.trust.mark}.**\n\n"
    for name, text in tables(found, is_app=run.state.settings.app is not None, remark=remark).items():
        folder.write(name, text)


@runs.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--yes", is_flag=True, help="Ask no question.")
@json_option
@home_option
def delete(run_id: str, yes: bool, as_json: bool) -> int:
    """Delete the content of a run for good: prompts, answers, spec and all other texts.

    Events, money and decisions stay, and audit verify still checks them. Output files are not touched.
    """
    import asyncio
    import sys

    from orchestrator.engine.content_retention import Deleted, delete_content
    from orchestrator.engine.runs import Engine

    existing_run(open_log(run_id), run_id)
    if not yes:
        if not sys.stdin.isatty():
            raise UsageError(f"deleting the content of {run_id} cannot be undone: say --yes")
        click.confirm(f"Delete every text of {line(run_id)}, for good?", abort=True, err=True)
    workspace = Engine.open(home())

    async def deleted() -> Deleted:
        return await delete_content(workspace, run_id)

    try:
        found = asyncio.run(deleted())
    finally:
        workspace.close()
    if as_json:
        result_json(
            {
                "run_id": found.run,
                "texts": found.texts,
                "bytes": found.size,
                "overwritten": found.overwritten,
                "forks": list(found.forks),
            }
        )
        return 0
    result(line(f"{found.run}: {found.texts} texts deleted ({found.size:,} bytes)"))
    if found.forks:
        notice(f"its forks keep the texts they share: {line(', '.join(found.forks))}")
    if not found.overwritten:
        notice(line(found.remains))
    return 0


@runs.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@json_option
@home_option
def cancel(run_id: str, as_json: bool) -> int:
    """Ask the process of a live run to stop. The run can be resumed."""
    from orchestrator.ledger.mailbox_requests import CANCEL

    existing_run(open_log(run_id), run_id)
    log = open_log_to_write(home())
    try:
        if not log.locks.is_held(run_id):
            raise UsageError(f"no process has run {run_id}: there is nothing to stop; see: {command('runs list')}")
        live = _asked_until(lambda: log.locks.is_held(run_id), log, run_id, CANCEL, _PATIENCE)
    finally:
        log.close()
    if as_json:
        result_json({"run_id": run_id, "stopped": not live})
    else:
        how = "will stop as soon as it can" if live else "has stopped"
        result(f"{run_id} {how}; resume with: {command(f'resume {run_id}')}")
    return 0


@runs.command("take-over")
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--patience", type=SECONDS, default=5.0, show_default=True, help="Seconds to ask for it before.")
@json_option
@home_option
def take_over(run_id: str, patience: float, as_json: bool) -> int:
    """Free a run from its process, so that another can go on with it; workers do at once.

    The process is asked to give it back. One that does not, because it is stopped, hangs or is cut off, is ended: it
    loses the other runs that it has, too, and nothing that is in the log.
    """
    from orchestrator.ledger.mailbox_requests import RELEASE

    existing_run(open_log(run_id), run_id)
    log = open_log_to_write(home())
    try:
        if not log.locks.is_held(run_id):
            raise UsageError(f"no process has run {run_id}; go on with it: {command(f'resume {run_id}')}, or a worker")
        is_asked = _asked_until(lambda: _is_asked(log, run_id, RELEASE), log, run_id, RELEASE, patience)
        freed = not is_asked or log.locks.evict(run_id)
    finally:
        log.close()
    if not freed:
        raise UsageError(f"{run_id} is held by a process of another machine that does not answer; end it there")
    if as_json:
        result_json({"run_id": run_id, "ended_process": is_asked})
    else:
        how = "its process was ended" if is_asked else "its process gave it back"
        result(f"{run_id} is free: {how}; workers go on with it, or: {command(f'resume {run_id}')}")
    return 0


def _asked_until(is_so: Callable[[], bool], log: EventLog, run: str, kind: str, patience: float) -> bool:
    """Ask the process of a run for something, and wait for some seconds while it is so; whether it still is."""
    import asyncio
    import time

    from orchestrator.engine.vendors.environment import called_by

    asyncio.run(log.ask(run, kind, at=time.time_ns() // 1000, text=called_by(os.environ)))
    until = time.monotonic() + patience
    while (still := is_so()) and time.monotonic() < until:
        time.sleep(_PAUSE)
    return still


def _is_asked(log: EventLog, run: str, kind: str) -> bool:
    """Whether a request still lies in the mailbox: the end of the session takes it out."""
    return any(each.kind == kind for each in log.asked(run))
