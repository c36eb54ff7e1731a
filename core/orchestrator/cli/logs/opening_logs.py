"""Opening the log that a command reads."""

from typing import TYPE_CHECKING

import click

from orchestrator.cli.options.shared_options import has_log, home
from orchestrator.cli.terminal.terminal_output import notice
from orchestrator.errors import MissingError

if TYPE_CHECKING:
    from orchestrator.cli.logs.damaged_runs import Reader


def open_log(run: str = "") -> "Reader":
    """The log of the data folder, for reading ``run``; closed with the command.

    Raises:
        UsageError: there is none.
        LogError: it cannot be read.
    """
    from orchestrator.cli.logs.damaged_runs import Reader
    from orchestrator.errors import UsageError

    if not has_log():
        what = f"run {run!r}" if run else "run"
        raise UsageError(f"there is no {what} in {home()}: run something first, or name its folder with --home")
    log = Reader.open_to_read(home())
    if not isinstance(log, Reader):
        raise MissingError("Reader")
    click.get_current_context().call_on_close(log.close)
    if log.store.closed:
        notice(f"! {log.store.closed}")
    return log


def open_log_if_any() -> "Reader | None":
    """The same for commands that list what there is; None where there is no log."""
    return open_log() if has_log() else None
