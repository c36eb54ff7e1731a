"""How things are measured: CPU time, turn by turn with the peer, the median of the rounds."""

import gc
import os
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Final

from attrs import frozen

ROUNDS: Final = 5

Work = Callable[[], object]


@frozen
class Row:
    """One line of the results.

    Attributes:
        what: what is compared, and with what.
        ours: what ours takes, as text with its unit.
        peer: what the other takes.
        ratio: the measured ratio, as the target has it.
        spread: the lowest and the highest ratio of a single round.
        target: the ratio to reach; None: there is no target.
        most: whether the target is an upper bound; else a lower one.
        note: what one has to know to read it.
    """

    what: str
    ours: str
    peer: str
    ratio: float
    spread: tuple[float, float]
    target: float | None
    most: bool
    note: str = ""

    @property
    def met(self) -> bool:
        """Whether the target is reached."""
        if self.target is None:
            return True
        return self.ratio <= self.target if self.most else self.ratio >= self.target


@frozen
class Pairs:
    """CPU seconds of both sides, round by round."""

    ours: tuple[float, ...]
    peer: tuple[float, ...]

    def row(self, what: str, unit: Callable[[float], str], target: float | None, *, most: bool, note: str = "") -> Row:
        """The line of the results. ``most``: ours / peer in time; else peer / ours, which is ours / peer in speed."""
        pairs = [(a / b) if most else (b / a) for a, b in zip(self.ours, self.peer, strict=True)]
        ours, peer = median(self.ours), median(self.peer)
        ratio = ours / peer if most else peer / ours
        return Row(what, unit(ours), unit(peer), ratio, (min(pairs), max(pairs)), target, most, note)


def cpu(work: Work) -> float:
    """CPU seconds, user and system and all threads, that a piece of work takes in this process."""
    gc.collect()
    began = time.process_time()
    work()
    return time.process_time() - began


def alternate(ours: Callable[[], float], peer: Callable[[], float], rounds: int = ROUNDS) -> Pairs:
    """Measure A B A B …, after one round that does not count."""
    ours(), peer()
    measured = [(ours(), peer()) for _ in range(rounds)]
    return Pairs(tuple(a for a, _ in measured), tuple(b for _, b in measured))


@frozen
class Child:
    """What a finished process used."""

    cpu: float
    """Seconds, user and system."""
    wall: float
    """Seconds."""
    output: str


def child(arguments: Sequence[str], folder: Path | None = None) -> Child:
    """Run a process to its end and return what it used.

    Raises:
        RuntimeError: it failed.
    """
    began = time.perf_counter()
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, cwd=folder)
    assert process.stdout is not None
    output = process.stdout.read().decode()
    process.stdout.close()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{arguments[0]} ended with {process.returncode}")
    return Child(usage.ru_utime + usage.ru_stime, wall, output)


def milliseconds(seconds: float) -> str:
    """A duration for the results."""
    return f"{seconds * 1000:,.{0 if seconds >= 0.1 else 1 if seconds >= 0.01 else 2}f} ms"


def rate(count: int) -> Callable[[float], str]:
    """Durations of so many events, as events a second, for the results."""
    return lambda seconds: f"{count / seconds:,.0f} events/s"
