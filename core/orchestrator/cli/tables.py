"""Tables on stdout: drawn on a terminal, aligned columns elsewhere."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from orchestrator.cli.output import OutputClosedError, decimals, line, money, result, seconds
from orchestrator.cli.progress import HALTED, SHORTFALLS, verification
from orchestrator.cli.stdout import stdout
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


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, right: Sequence[str] = ()) -> None:
    """Write a table; the columns named in ``right`` are aligned to the right."""
    cells = [[line(cell) for cell in row] for row in rows]
    stream = stdout()
    if stream is not None and stream.isatty():
        _draw(heads, cells, right)
        return
    widths = [max(len(row[at]) for row in [heads, *cells]) for at in range(len(heads))]
    for row in [heads, *cells]:
        padded = (
            cell.rjust(width) if head in right else cell.ljust(width)
            for head, cell, width in zip(heads, row, widths, strict=True)
        )
        result("  ".join(padded).rstrip())


def _draw(heads: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    for head in heads:
        table.add_column(head, justify="right" if head in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(cell, style=STYLES.get(cell.partition(" ")[0], "")) for cell in row))
    try:
        Console(file=stdout(), highlight=False).print(table)
    except OSError as error:
        raise OutputClosedError(error) from error


def print_facts(facts: Sequence[tuple[str, str]]) -> None:
    """Write names and values, one pair a line."""
    width = max(len(name) for name, _ in facts)
    stream = stdout()
    if stream is not None and stream.isatty():
        import click

        for name, value in facts:
            result_line = click.style(f"{name:<{width}}", dim=True) + "  " + _styled(line(value))
            click.echo(result_line, file=stream)
        return
    for name, value in facts:
        result(f"{name:<{width}}  {line(value)}")


def _styled(value: str) -> str:
    import click

    style = STYLES.get(value.partition(" ")[0], "")
    colour = style.rpartition(" ")[2]
    return click.style(value, fg=colour, bold=style.startswith("bold ")) if colour else value


def print_run(state: RunState, run: str, head: str, status: str, files: Path | None = None, *, mark: str = "") -> None:
    """Write what a run amounts to: a row per task, then status, spend, time and head.

    ``mark`` stands beside status and spend where they cannot be trusted.
    """
    if state.tasks:
        places = max(decimals(task.spend.total) for task in state.tasks.values())
        print_table(
            ("task", "type", "model", "reviewer", "score", "iterations", "cost", "status"),
            [_row(state, name, places) for name in state.execution_order],
            right=("score", "iterations", "cost"),
        )
        result("")
    beside = f" ({mark})" if mark else ""
    marked = ("status", "spend", "planning", "input stage") if mark else ()
    print_facts([(name, value + beside * (name in marked)) for name, value in _facts(state, run, head, status, files)])


def _row(state: RunState, name: str, places: int) -> tuple[str, ...]:
    task = state.tasks[name]
    end, spent = task.finished, money(task.spend.total, places)
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
        ("head", head),
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
