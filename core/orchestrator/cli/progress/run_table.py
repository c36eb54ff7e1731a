"""What a run amounts to: its tasks as a table, then its status, spend, time and head."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from orchestrator.cli.terminal.tables import print_facts, print_table
from orchestrator.cli.terminal.terminal_output import line, money, result, seconds
from orchestrator.cli.wording.code_words import HALTED, SHORTFALLS
from orchestrator.cli.wording.progress_wording import verification
from orchestrator.errors import DamagedLogError
from orchestrator.models import TaskStatus
from orchestrator.state.run import RunState

_NONE: Final = "–"


def print_run(
    state: RunState,
    run: str,
    head: str,
    status: str,
    files: Path | None = None,
    *,
    text_of: Callable[[str], str],
    mark: str = "",
) -> None:
    """Write what a run amounts to: a row per task, then status, spend, time and head.

    Args:
        state: the run's.
        run: its id.
        head: the hash of its last event.
        status: how it stands.
        files: the output folder, where it has one.
        text_of: the text of a digest, for the tasks' titles.
        mark: stands beside status and spend where they cannot be trusted.
    """
    if state.tasks:
        print_table(
            ("task", "type", "model", "reviewer", "score", "iterations", "cost", "status", "title"),
            [(*_row(state, name), title_of(state, name, text_of)) for name in state.execution_order],
            right=("score", "iterations", "cost"),
            spare=("iterations", "reviewer", "type", "score", "model"),
        )
        result("")
    beside = f" ({mark})" if mark else ""
    marked = ("status", "spend", "planning", "input stage") if mark else ()
    print_facts([(name, value + beside * (name in marked)) for name, value in _facts(state, run, head, status, files)])


def title_of(state: RunState, task: str, text_of: Callable[[str], str]) -> str:
    """A task's title on one line; empty where it has none, or where its text is gone."""
    digest = state.tasks[task].planned.title
    try:
        return line(text_of(digest)) if digest else ""
    except (KeyError, DamagedLogError):
        return ""


def _row(state: RunState, name: str) -> tuple[str, ...]:
    task = state.tasks[name]
    end, spent = task.finished, money(task.spend.total)
    if end is None:
        status = TaskStatus.RUNNING if task.started else TaskStatus.PENDING
        return name, task.planned.type.value, _NONE, _NONE, _NONE, str(task.iteration), spent, status.value
    why = f" ({SHORTFALLS[end.reason]})" if end.reason else ""
    return (
        name,
        task.planned.type.value,
        end.model or _NONE,
        end.reviewer or _NONE,
        _NONE if end.score is None else f"{end.score:.3f}",
        str(end.iterations),
        spent,
        end.status.value + why,
    )


def _facts(state: RunState, run: str, head: str, status: str, files: Path | None) -> list[tuple[str, str]]:
    simulated = ", simulated" if state.settings.simulated else ""
    reason = state.finished.reason if state.finished is not None else None
    why = f" ({HALTED[reason]})" if reason else ""
    unreconciled = f", {money(state.spend.unreconciled)} of it unreconciled" if state.spend.unreconciled else ""
    facts = [
        ("run", run),
        ("status", status + why),
        ("spend", f"{money(state.spend.total)} of at most {money(state.cap)}{unreconciled}{simulated}"),
        ("time", f"{seconds(state.active(state.at))} of at most {seconds(state.time_limit)}"),
        ("head", str(head)),  # a damaged log may hold anything there
    ]
    if state.plan.spend.total:
        facts.insert(3, ("planning", money(state.plan.spend.total)))
    before = state.enhance.spend.total + state.advise.spend.total
    if before:
        facts.insert(3, ("input stage", money(before)))
    if state.verified is not None:
        facts.insert(2, ("verification", verification(state.verified)))
    if state.forked is not None:
        spent = money(state.forked.inherited_settled + state.forked.inherited_unreconciled)
        facts.insert(1, ("fork of", f"{state.forked.parent}, from v{state.forked.version} on; {spent} spent there"))
    if files is not None:
        facts.append(("files", str(files)))
    return facts
