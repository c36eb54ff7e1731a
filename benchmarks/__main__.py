"""Runs the benchmarks and writes ``results.md``: ``python -m benchmarks [--rounds N] [NAME…]``.

They need the extras ``bench`` and ``bench-routing``. Named ones are printed; all of them together are written down.
"""

import argparse
import os
import platform
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Final

from benchmarks.measure import ROUNDS, Row

_BENCHMARKS: Final = {
    "append": ("append", "run"),
    "replay": ("replay", "run"),
    "graph": ("graph", "run"),
    "graph-postgres": ("graph", "postgres"),
    "routing": ("routing", "run"),
    "calls": ("calls", "run"),
    "help": ("command", "run"),
    "grow": ("scale", "grow"),
    "memory": ("scale", "memory"),
    "start": ("scale", "start"),
    "sandbox": ("sandbox", "run"),
    "audit": ("audit", "verify"),
    "holds": ("holds", "run"),
    "lag": ("lag", "run"),
    "view": ("view", "run"),
    "postgres": ("postgres", "run"),
    "batches": ("batches", "run"),
}
_VERSIONS: Final = (
    "attrs",
    "cattrs",
    "orjson",
    "eventsourcing",
    "psycopg",
    "langgraph",
    "langgraph-checkpoint-postgres",
    "langgraph-checkpoint-sqlite",
    "llm",
    "litellm",
    "openai",
    "httpx",
    "datasette",
)
_INTRODUCTION: Final = """\
# What it costs

CPU time (user and system, all threads) beside peers, turn by turn (A B A B …); the median of {rounds} rounds or more
after one that does not count; in brackets the lowest and highest ratio of a single round. Ratios are what counts; the
figures beside them are this machine's. Written by `python -m benchmarks`, which needs the
extras `bench` and `bench-routing`. Why the missed ones are missed: `docs/decisions/0007-what-the-log-costs.md`.

{machine}

| what | ours | peer | ratio | target | |
|---|---|---|---|---|---|
"""


def _rows(names: Sequence[str], rounds: int) -> Iterator[Row]:
    for name in names:
        module, function = _BENCHMARKS[name]
        run: Callable[[int], Iterator[Row]] = getattr(import_module(f"benchmarks.{module}"), function)
        for row in run(rounds):
            print(_line(row), flush=True)
            yield row


def _line(row: Row) -> str:
    sign, verdict = ("≤" if row.most else "≥"), ("met" if row.met else "**missed**")
    target = "–" if row.target is None else f"{sign} {row.target:g}"
    ratio = f"{row.ratio:.2f} ({row.spread[0]:.2f}–{row.spread[1]:.2f})"
    what = f"{row.what} ({row.note})" if row.note else row.what
    return f"| {what} | {row.ours} | {row.peer} | {ratio} | {target} | {'' if row.target is None else verdict} |"


def _machine() -> str:
    packages = ", ".join(f"{name} {version(name)}" for name in _VERSIONS)
    return (
        f"{os.cpu_count()} cores, {platform.system()}, {platform.python_implementation()} {platform.python_version()}, "
        f"SQLite {sqlite3.sqlite_version}; {packages}."
    )


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Measures what things cost.")
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one or more of: {', '.join(_BENCHMARKS)}")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help="rounds that count (default %(default)s)")
    arguments = parser.parse_args()
    unknown = [name for name in arguments.names if name not in _BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is called {unknown[0]!r}; there are {', '.join(_BENCHMARKS)}")
    names = arguments.names or list(_BENCHMARKS)
    rows = list(_rows(names, arguments.rounds))
    if not arguments.names:
        text = _INTRODUCTION.format(rounds=arguments.rounds, machine=_machine())
        (Path(__file__).parent / "results.md").write_text(text + "\n".join(map(_line, rows)) + "\n")


if __name__ == "__main__":
    main()
