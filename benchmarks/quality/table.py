"""The results of a round as a Markdown table."""

from collections.abc import Iterable, Sequence
from typing import Final

from attrs import frozen

from benchmarks.quality.cells import Cell
from orchestrator_eval.statistics import sign_test, wilson

CONTROL: Final = "plain"
"""The arm that the others are compared with."""

_HEAD: Final = """\
| arm | n | solved (Wilson 95 %) | gained, lost beside {control} (p) | calls | tokens in | tokens out | \
tokens per solved | × {control} | right drafts lost | unreadable judgements | iterations |
|---|---|---|---|---|---|---|---|---|---|---|---|
"""


@frozen
class Row:
    """The sums of one arm."""

    arm: str
    cells: Sequence[Cell]

    @property
    def solved(self) -> int:
        """Problems whose delivered file passes the hidden tests."""
        return sum(cell.solved for cell in self.cells)

    @property
    def tokens(self) -> int:
        """Tokens of all cells, read and generated."""
        return sum(cell.tokens_in + cell.tokens_out for cell in self.cells)

    @property
    def per_solved(self) -> float | None:
        """Tokens of all cells per solved one."""
        return self.tokens / self.solved if self.solved else None


def markdown(cells: Iterable[Cell], arms: Sequence[str]) -> str:
    """The table: one line for each arm that has a cell. An arm is compared on the problems that both arms have."""
    by_arm: dict[str, list[Cell]] = {arm: [] for arm in arms}
    for cell in cells:
        by_arm.setdefault(cell.arm, []).append(cell)
    rows = [Row(arm, found) for arm, found in by_arm.items() if found]
    control = next((row for row in rows if row.arm == CONTROL), None)
    return _HEAD.format(control=CONTROL) + "".join(_line(row, control) + "\n" for row in rows)


def _line(row: Row, control: Row | None) -> str:
    n, (low, high) = len(row.cells), wilson(row.solved, len(row.cells))
    judgements, unreadable = (sum(getattr(cell, name) for cell in row.cells) for name in ("judgements", "unreadable"))
    parts = (
        row.arm,
        str(n),
        f"{row.solved} ({low:.2f}–{high:.2f})",
        _discordant(row, control),
        f"{sum(cell.calls for cell in row.cells):,}",
        f"{sum(cell.tokens_in for cell in row.cells):,}",
        f"{sum(cell.tokens_out for cell in row.cells):,}",
        "–" if row.per_solved is None else f"{row.per_solved:,.0f}",
        _ratio(row, control),
        str(sum(cell.lost for cell in row.cells)),
        f"{unreadable} of {judgements}" + (f" ({unreadable / judgements:.0%})" if judgements else ""),
        str(sum(cell.iterations for cell in row.cells)),
    )
    return "| " + " | ".join(parts) + " |"


def _discordant(row: Row, control: Row | None) -> str:
    if control is None or row is control:
        return "–"
    before = {cell.problem: cell.solved for cell in control.cells}
    pairs = [(before[cell.problem], cell.solved) for cell in row.cells if cell.problem in before]
    gained, lost = pairs.count((False, True)), pairs.count((True, False))
    return f"+{gained}, −{lost} (p = {sign_test(gained, lost):.3f})"


def _ratio(row: Row, control: Row | None) -> str:
    """How many times the tokens per solved problem of the control, both on the problems that both have."""
    if control is None or row is control:
        return "–"
    common = {cell.problem for cell in row.cells} & {cell.problem for cell in control.cells}
    mine, other = (Row(each.arm, [c for c in each.cells if c.problem in common]).per_solved for each in (row, control))
    return "–" if not mine or not other else f"{mine / other:.2f}"
