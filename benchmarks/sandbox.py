"""What a sandbox costs: a bare interpreter on each sandbox level, beside the same one as a plain child process."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial

from benchmarks.measure import Pairs, Row, alternate, milliseconds
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Job, SandboxLevel
from orchestrator_sandbox import LevelSelector

_ARGV = (sys.executable, "-I", "-c", "pass")


def _plain() -> float:
    """Seconds of a child process that nothing contains."""
    began = time.perf_counter()
    subprocess.run(_ARGV, check=True, capture_output=True)
    return time.perf_counter() - began


def _contained(selector: LevelSelector) -> float:
    """Seconds of a job: folders, sandbox, interpreter, end of what is left."""
    began = time.perf_counter()
    _, ran = selector.run(Job(_ARGV))
    if ran.code != 0:
        raise RuntimeError(f"the job failed: {ran.output}")
    return time.perf_counter() - began


def run(rounds: int) -> Iterator[Row]:
    """Compare the wall-clock time of a check's process on each sandbox level that holds here."""
    for level in SandboxLevel:
        selector = LevelSelector(SandboxChoice(level.value))
        if selector.level() is None:
            continue
        contained: Callable[[], float] = partial(_contained, selector)
        pairs: Pairs = alternate(contained, _plain, max(rounds, 15))
        note = "wall-clock time; 25-100 ms on top are expected"
        yield pairs.row(f"a check on the sandbox level {level.value}", milliseconds, 10.0, most=True, note=note)
