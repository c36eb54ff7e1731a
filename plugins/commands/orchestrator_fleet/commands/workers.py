"""List the workers of a log."""

import click

from orchestrator.cli.kit import (
    CommandGroup,
    command,
    home_option,
    json_option,
    line,
    notice,
    open_log_if_any,
    print_table,
    result_json,
)
from orchestrator.spi import hookimpl


@click.group(cls=CommandGroup)
def workers() -> None:
    """List the processes that play submitted runs."""


@workers.command("list")
@click.option("--all", "everyone", is_flag=True, help="Those that ended, or were lost, too.")
@json_option
@home_option
def list_(everyone: bool, as_json: bool) -> int:
    """List workers, oldest first: where they are, and which runs they have."""
    from orchestrator_fleet.worker_registry import workers_of

    log = open_log_if_any()
    found = [] if log is None else [each for each in workers_of(log) if everyone or each.status in ("idle", "working")]
    if as_json:
        result_json([each.plain for each in found])
    elif not found:
        notice(f"no worker is at work; start one with: {command('worker')}")
    else:
        print_table(
            ("worker", "status", "host", "process", "runs", "jobs", "started"),
            [
                (
                    each.worker,
                    each.status,
                    line(each.host),
                    str(each.process),
                    str(len(each.runs)),
                    str(each.jobs),
                    each.started_at[:19].replace("T", " "),
                )
                for each in found
            ],
            right=("process", "runs", "jobs"),
            spare=("started",),
        )
    return 0


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the group of commands."""
    return workers
