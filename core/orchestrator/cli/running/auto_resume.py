"""Auto-resume: before a run begins, the person at the terminal is offered the runs that are like it."""

import time
from typing import TYPE_CHECKING

import click

from orchestrator.cli.terminal.terminal_output import line, notice, seconds

if TYPE_CHECKING:
    from orchestrator.engine.similar_runs import Similar
    from orchestrator.spec import Spec

_WIDTH = 60


def run_to_resume(spec: "Spec") -> str | None:
    """The run to go on with in the place of a new one; None to start anew.

    One of the same description, criteria and settings is gone on with at once, everything else is asked about.
    """
    from orchestrator.cli.options.shared_options import home
    from orchestrator.engine.similar_runs import similar_runs
    from orchestrator.ledger.event_log import EventLog
    from orchestrator.plugins.store_of_folder import has_store, open_log_to_read

    if not has_store(home()):
        return None
    log = open_log_to_read(home(), EventLog)
    try:
        found = similar_runs(log, spec, time.time_ns() // 1000)
    finally:
        log.close()
    if not found:
        return None
    if found[0].same and not found[0].changes:
        notice(f"Found the same project, {found[0].run}: resuming it (--new-project starts a new run)")
        return found[0].run
    return _asked_about(found[0]) if len(found) == 1 else _chosen(found)


def _asked_about(only: "Similar") -> str | None:
    notice(_shown(only))
    for change in only.changes:
        notice(f"  it keeps its own: {line(change)}")
    return only.run if click.confirm("Found similar project - Resume it?", default=True, err=True) else None


def _chosen(found: "list[Similar]") -> str | None:
    notice("Found similar projects:")
    for number, each in enumerate(found, 1):
        notice(f"  {number}  {_shown(each)}")
    while True:
        answer = str(click.prompt(f"Resume which one? [1–{len(found)} / n]", default="n", show_default=False, err=True))
        word = answer.strip().lower()
        if word in ("n", "no"):
            return None
        if word.isdecimal() and 1 <= int(word) <= len(found):
            return found[int(word) - 1].run


def _shown(each: "Similar") -> str:
    age = seconds(max(0, time.time_ns() // 1000 - each.at))
    status = "interrupted" if each.status is None else each.status.value
    return f"{each.run}: {line(each.project, _WIDTH)} ({status}, {age} ago, {each.score:.2f} alike)"
