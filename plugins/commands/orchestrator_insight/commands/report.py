"""Write a run as one HTML page."""

import os
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.kit import (
    OUTPUT_OR_STDOUT,
    RUN,
    STDOUT,
    existing_run,
    holds_other,
    home_option,
    notice,
    open_log,
    result,
)
from orchestrator.errors import OutputError
from orchestrator.reading import EventLog
from orchestrator.spi import hookimpl

_MARK: Final = b'content="multi-llm-orchestrator report"'
_MOST_TO_VERIFY: Final = 20_000
"""Events beyond which decisions are computed again only when asked."""


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option(
    "--output",
    "-o",
    type=OUTPUT_OR_STDOUT,
    default=Path("report.html"),
    show_default=True,
    metavar="FILE",
    help="Where to write it ('-': stdout).",
)
@click.option(
    "--verify/--no-verify",
    default=None,
    help="Recompute every decision and show the result. [default: up to 20,000 events]",
)
@click.option("--force", is_flag=True, help="Replace a file that is not a report.")
@home_option
def report(run_id: str, output: Path, verify: bool | None, force: bool) -> int:
    """Write a run as one HTML page: spend, graph, timeline, drafts, decisions, events. It needs no network."""
    from orchestrator.cli.kit import trust_in

    _check_target(output, force)
    log = open_log(run_id)
    trust = trust_in(log, existing_run(log, run_id))

    def write() -> None:
        damage = [f"event {each.event}: {each.message}" for one in trust.damage for each in one.findings]
        if trust.is_cut:
            damage.append(f"this page shows {trust.mark}")
        write_page(log, run_id, output, verify, damage)

    trust.read(write)
    if output != STDOUT:
        notice(f"{run_id}: written to {output}")
    return trust.code


def for_programs(log: EventLog, run: str, path: Path, force: bool) -> None:
    """Write the page of a run whose history is whole.

    Raises:
        OutputError: it cannot be written, or the file there is no report and ``force`` is not said.
    """
    path = path.absolute()  # "-" is a file here
    _check_target(path, force)
    write_page(log, run, path, None, ())


def write_page(log: EventLog, run: str, path: Path, verify: bool | None, damage: Sequence[str]) -> None:
    """Write the page; with ``verify`` None every decision is computed again where that takes seconds."""
    from orchestrator.cli.kit import Catalogue, rank_of, shown_status, whole_steps
    from orchestrator.reading import Texts
    from orchestrator.reading import verify as verify_history
    from orchestrator_insight.report import Facts, render
    from orchestrator_insight.run_history import uncollected

    with uncollected():
        last, verified = log.last(run), None
        if verify or (verify is None and last is not None and last.version <= _MOST_TO_VERIFY):
            records = list(log.read(run))
            history = ((each.at, each.event) for each in whole_steps(records, None))
            verified = verify_history(history, rank_of(Catalogue.discover()))
        texts = Texts(log, run, os.urandom, log.redactor)
        facts = Facts(run, shown_status(log, run, "open"), damage, verified, time.time_ns() // 1000)
        _write(path, render(log.read(run), texts.get, facts))


def _check_target(path: Path, force: bool) -> None:
    """Refuse to write over a file that is not a report."""
    if path == STDOUT:
        return
    try:
        if path.is_dir():
            raise OutputError(f"{path} is a folder; name a file: -o {path / 'report.html'}")
        if path.exists() and not path.is_file():
            raise OutputError(f"{path} is no file that can be replaced; name another -o")
        if not force and holds_other(path, lambda found: _MARK in found):
            raise OutputError(f"{path} exists and is not a report; write over it with --force, or name another -o")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; name another place with -o") from error


def _write(path: Path, page: Iterable[bytes]) -> None:
    """Write the page whole or not at all."""
    if path == STDOUT:
        result(b"".join(page).decode().rstrip("\n"), as_is=True)
        return
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        try:
            with temporary.open("wb") as file:
                file.writelines(page)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}; name another place with -o") from error


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return report
