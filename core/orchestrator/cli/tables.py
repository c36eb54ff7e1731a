"""Tables on stdout: drawn on a terminal, aligned columns elsewhere."""

from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import click

from orchestrator.cli.code_words import HALTED, SHORTFALLS
from orchestrator.cli.progress_wording import verification
from orchestrator.cli.stdout import stdout
from orchestrator.cli.terminal_output import line, money, result, seconds
from orchestrator.cli.text_fitting import (
    GAP,
    LEAST_TEXT,
    MOST_WORD,
    columns_of,
    cut,
    fitting,
    longest_word,
    padded,
    width_of,
    wrapped,
)
from orchestrator.errors import DamagedLogError
from orchestrator.models import TaskStatus
from orchestrator.state.run import RunState

STYLES: Final[Mapping[str, str]] = {
    "completed": "green",
    "SUCCESS": "bold green",
    "degraded": "yellow",
    "PARTIAL_SUCCESS": "bold yellow",
    "failed": "red",
    "BUDGET_EXHAUSTED": "bold red",
    "TIMEOUT": "bold red",
    "SYSTEM_FAILURE": "bold red",
    "running": "cyan",
    "interrupted": "yellow",
    "broken": "red",
    "conflict": "yellow",
    "blocked": "dim",
}
"""The colour of a status; the first word of a cell decides."""

_NONE: Final = "–"


TEXTS: Final = frozenset(
    {"title", "summary", "why", "reason", "problem", "probe", "requires", "status", "live", "where"}
)
"""Columns of texts: their cells may go on in a second line. Cells of all others are kept whole."""
TITLES: Final = frozenset({"title", "summary"})
"""Those of them that people and models write: a word of theirs that is too long is broken."""


def print_table(
    heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = (), spare: Sequence[str] = ()
) -> None:
    """Write a table; on a screen that is too narrow for it some columns, or each row as lines of name and value.

    Args:
        heads: the names of the columns; those in ``TEXTS`` are wrapped where they do not fit.
        rows: the cells.
        right: the columns aligned to the right.
        spare: the columns that a narrow screen does not show, the least important first.
    """
    cells = [[line(cell) for cell in row] for row in rows]
    screen = width_of(stdout())
    columns = [[head, *(row[at] for row in cells)] for at, head in enumerate(heads)]
    widths = {at: max(map(columns_of, column)) for at, column in enumerate(columns)}
    fit: dict[int, int] | None = widths
    if screen is not None:
        texts = {at: _least(head, columns[at]) for at, head in enumerate(heads) if head in TEXTS}
        order = [at for name in spare for at, head in enumerate(heads) if head == name]
        fit = fitting(widths, texts, order, screen)
    if fit is None:
        _print_records(heads, cells, screen or 0)
        return
    aligned = {at for at, head in enumerate(heads) if head in right}
    _print_row(heads, heads, fit, aligned, style="bold")
    for row in cells:
        _print_row(row, heads, fit, aligned)


def _least(head: str, column: Sequence[str]) -> int:
    """The width below which a column of texts is not made narrower."""
    longest = longest_word(column)
    return max(LEAST_TEXT, min(longest, MOST_WORD) if head in TITLES else longest)


def _print_row(
    row: Sequence[str], heads: Sequence[str], widths: Mapping[int, int], right: Collection[int], style: str = ""
) -> None:
    """Write a row: as many lines as its longest text takes."""
    pieces = {at: wrapped(row[at], width, "", is_title=heads[at] in TITLES) for at, width in widths.items()}
    for number in range(max(map(len, pieces.values()))):
        parts = []
        for at, width in widths.items():
            cell = pieces[at][number] if number < len(pieces[at]) else ""
            parts.append(
                painted(padded(cell, width, right=at in right), style or STYLES.get(row[at].partition(" ")[0], ""))
            )
        result("  ".join(parts).rstrip(), as_is=True)


def _print_records(heads: Sequence[str], rows: Sequence[Sequence[str]], screen: int) -> None:
    """Write each row as lines of name and value, with an empty line between two."""
    for number, row in enumerate(rows):
        if number:
            result("")
        _print_pairs([(head, cell) for head, cell in zip(heads, row, strict=True) if cell], screen)


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Write names and values, one pair a line."""
    _print_pairs([(name, line(value)) for name, value in facts], width_of(stdout()))


def _print_pairs(pairs: Sequence[tuple[str, str]], screen: int | None) -> None:
    width = max((len(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        free = None if screen is None else screen - width - GAP
        is_title = name in TITLES
        first, *more = [value] if free is None else wrapped(value, max(free, LEAST_TEXT), "", is_title=is_title)
        first = first if free is None else cut(first, free)
        result(f"{painted(name.ljust(width), 'dim')}  {_styled(first)}".rstrip(), as_is=True)
        for piece in more:
            result(f"{'':<{width}}  {piece}", as_is=True)


def painted(text: str, style: str) -> str:
    """The text in a style of words such as ``bold green``, where stdout is a terminal."""
    if not style or width_of(stdout()) is None:
        return text
    words = style.split()
    colour = next((word for word in words if word not in ("bold", "dim")), None)
    return click.style(text, fg=colour, bold="bold" in words, dim="dim" in words)


def _styled(value: str) -> str:
    """A value in the colour of its first word, where that is a status."""
    return painted(value, STYLES.get(value.partition(" ")[0], ""))


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
