"""Tables on stdout: drawn on a terminal, aligned columns elsewhere."""

from collections.abc import Collection, Mapping, Sequence
from typing import Final

import click

from orchestrator.cli.terminal.stdout import stdout
from orchestrator.cli.terminal.terminal_output import line, result
from orchestrator.cli.terminal.text_fitting import (
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
