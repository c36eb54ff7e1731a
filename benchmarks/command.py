"""``orchestrate --help`` beside ``llm --help``: whole processes."""

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median

from benchmarks.measure import Child, Row, alternate, child, milliseconds


def run(rounds: int) -> Iterator[Row]:
    """Compare CPU and wall-clock time."""
    scripts = Path(sys.executable).parent
    walls: dict[str, list[float]] = {"orchestrate": [], "llm": []}

    def ask(program: str) -> float:
        ended: Child = child([str(scripts / program), "--help"])
        walls[program].append(ended.wall)
        return ended.cpu

    pairs = alternate(partial(ask, "orchestrate"), partial(ask, "llm"), max(rounds, 9))
    clock = " and ".join(milliseconds(median(found)) for found in walls.values())
    yield pairs.row(
        "orchestrate --help, beside llm --help", milliseconds, 0.15, most=True, note=f"by the clock {clock}"
    )
