"""Runs that grow, and data folders that fill: time per task, memory, start-up."""

import json
import resource
import shutil
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any, Final

from benchmarks.measure import Row, alternate, child, milliseconds
from benchmarks.tasks import at_first_step, play, spec_of

_SMALL, _MIDDLE, _LARGE = 100, 1_000, 10_000
_OLD_RUNS: Final = 1_000


def _in_child(*arguments: object) -> dict[str, Any]:
    """Call ``main`` of this module in a process of its own; returns what it prints."""
    ended = child([sys.executable, "-m", __name__, *map(str, arguments)], Path(__file__).parents[1])
    return {**json.loads(ended.output), "process": ended.cpu}


def main(what: str, home: str, number: str) -> None:
    """Play a run of so many tasks and print its CPU seconds as JSON, or fill the folder with so many runs."""
    folder, began = Path(home), []
    folder.mkdir(parents=True, exist_ok=True)
    if what == "fill":
        for _ in range(int(number)):
            play(folder, spec_of(folder, 1))
        print("{}")
        return
    spec = spec_of(folder, int(number))
    opened = process_time()
    play(folder, spec, at_first_step(lambda: began.append(process_time())))
    print(json.dumps({"start": began[0] - opened, "tasks": process_time() - began[0], "memory": _peak()}))


def grow(rounds: int) -> Iterator[Row]:
    """Compare a run of 10,000 tasks with one of 100."""

    def per_task(tasks: int) -> float:
        with tempfile.TemporaryDirectory() as scratch:
            return float(_in_child("run", scratch, tasks)["tasks"]) / tasks

    pairs = alternate(partial(per_task, _LARGE), partial(per_task, _SMALL), rounds)
    yield pairs.row("a task among 10,000, beside one among 100", milliseconds, 1.5, most=True)


def memory(rounds: int) -> Iterator[Row]:
    """Compare what a task adds to the memory from 1,000 to 10,000 with what it adds from 100 to 1,000; once."""
    peaks: dict[int, float] = {}
    for tasks in (_SMALL, _MIDDLE, _LARGE):
        with tempfile.TemporaryDirectory() as scratch:
            peaks[tasks] = float(_in_child("run", scratch, tasks)["memory"])
    late = (peaks[_LARGE] - peaks[_MIDDLE]) / (_LARGE - _MIDDLE)
    early = (peaks[_MIDDLE] - peaks[_SMALL]) / (_MIDDLE - _SMALL)
    ratio = late / early
    what = "memory a task adds from 1,000 to 10,000, beside from 100 to 1,000"
    note = "measured once; peaks: " + ", ".join(f"{peak / 2**20:.0f} MiB at {n:,}" for n, peak in peaks.items())
    yield Row(what, f"{late / 1024:.1f} KiB", f"{early / 1024:.1f} KiB", ratio, (ratio, ratio), 1.5, True, note)


def _peak() -> int:
    """The most memory this process has used, in bytes.

    Linux counts in ``ru_maxrss`` what the parent had when it started the process, so its own count is preferred.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def start(rounds: int) -> Iterator[Row]:
    """Compare the start of a run beside 1,000 old runs with one beside a single run, and with the very first."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = {count: Path(scratch) / str(count) for count in (0, 1, _OLD_RUNS)}
        whole: dict[int, list[float]] = {count: [] for count in folders}
        for count, folder in folders.items():
            _in_child("fill", folder, count)

        def begin(count: int) -> float:
            home = Path(scratch) / "home"
            shutil.rmtree(home, ignore_errors=True)
            shutil.copytree(folders[count], home)
            found = _in_child("run", home, 1)
            whole[count].append(found["process"])
            return float(found["start"])

        for count, beside in ((0, "an empty folder"), (1, "a single old one")):
            pairs = alternate(partial(begin, _OLD_RUNS), partial(begin, count), max(rounds, 9))
            processes = " and ".join(milliseconds(median(whole[each])) for each in (_OLD_RUNS, count))
            note = f"from opening the folder to the first step; the whole processes took {processes}"
            what = f"start of a run among 1,000 old ones, beside {beside}"
            yield pairs.row(what, milliseconds, 1.2, most=True, note=note)


if __name__ == "__main__":
    main(*sys.argv[1:])
