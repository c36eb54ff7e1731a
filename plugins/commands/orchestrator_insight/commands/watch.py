"""Follow a run of this or another process."""

import os
import sys
import time
from collections.abc import Callable
from typing import Final

import click

from orchestrator.cli.kit import (
    EXIT_CODES,
    INTERRUPTED,
    RUN,
    Display,
    Lines,
    Pace,
    Progress,
    advice_for,
    exact_option,
    existing_run,
    home_option,
    live_view,
    money,
    notice,
    open_log,
    print_run,
    trust_in,
)
from orchestrator.errors import DamagedLogError
from orchestrator.reading import EventLog, Texts
from orchestrator.spi import hookimpl

_PAUSE: Final = 0.25
"""Seconds between two looks at the log."""


@click.command()
@click.argument("run_id", metavar="RUN", type=RUN)
@click.option("--verbose", "-v", is_flag=True, help="Print every event.")
@exact_option
@home_option
def watch(run_id: str, verbose: bool) -> int:
    """Follow a run of this or another process. Nothing is changed.

    It ends with the run and with its exit code; 130 where no process works on the run and it can be resumed.
    """
    log = open_log(run_id)
    existing_run(log, run_id)
    held = log.locks.is_held(run_id)
    trust = trust_in(log, *(() if held else (run_id,)))  # a run that goes on was verified when it was taken

    def read() -> tuple[Progress, Pace, int, str]:
        progress, pace, position, head = Progress(_reader(log, run_id), run=run_id, verbose=verbose), Pace(), 0, ""
        for record in log.read(run_id):
            progress.recall([(record.at, record.event)])
            pace.take(record.version, record.at, record.event)
            position, head = record.position, record.hash
        if progress.state.start is None:
            raise LookupError(run_id)
        return progress, pace, position, head

    progress, pace, position, head = trust.read(read)
    if progress.state.is_open and held:
        _follow(log, run_id, progress, pace, position)
    state, text_of = progress.state, progress.text_of
    status = None if state.finished is None else state.finished.status
    last = log.last(run_id)
    if last is not None and not trust.damage:
        head = last.hash
    print_run(state, run_id, head, "interrupted" if status is None else status.value, text_of=text_of, mark=trust.mark)
    if trust.damage:
        return trust.code
    advice = advice_for(run_id, state)
    if advice:
        notice(advice)
    return INTERRUPTED if status is None else EXIT_CODES[status]


def _reader(log: EventLog, run: str) -> Callable[[str], str]:
    texts = Texts(log, run, os.urandom, log.redactor)

    def text_of(digest: str) -> str:
        try:
            return texts.get(digest)
        except (KeyError, DamagedLogError):
            return ""  # deleted, or damaged: watching goes on without it

    return text_of


def _follow(log: EventLog, run: str, progress: Progress, pace: "Pace", position: int) -> None:
    """Show events as they are committed, until the session is over or its process is gone."""
    display = _display(pace)
    if isinstance(display, Lines):
        spent, cap = money(progress.state.spend.total), money(progress.state.cap)
        notice(f"watching {run}: {_tasks(progress)}, {spent} of {cap}; {pace.shown(progress.state.in_flight)}")
    display.begin(progress)
    try:
        while progress.state.is_open:
            held = log.locks.is_held(run)  # asked first: what it wrote before it went is read below
            for record in log.tail(position, run):
                position = record.position
                display.observe(record.version, record.at, record.event)
            if not held:
                return
            time.sleep(_PAUSE)
    finally:
        display.end()


def _display(pace: Pace) -> Display:
    """What fits stderr."""
    on_terminal = sys.stderr is not None and sys.stderr.isatty()
    return (live_view(pace) if on_terminal else None) or Lines(quiet=False)


def _tasks(progress: Progress) -> str:
    ended = sum(task.finished is not None for task in progress.state.tasks.values())
    return f"{ended} of {len(progress.state.tasks)} tasks" if progress.state.planned else "planning"


@hookimpl
def orchestrator_command() -> click.Command:
    """Return the command."""
    return watch
