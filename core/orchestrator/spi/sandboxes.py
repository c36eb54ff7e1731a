"""Sandboxes: what runs code that a model wrote. Validators and commands are lent one, and never ask which it is."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Final, Protocol

from attrs import Factory, frozen

from orchestrator.spi.validators import Ran

MIB: Final = 1024 * 1024


class SandboxLevel(StrEnum):
    """The ways to contain a job, best first."""

    BWRAP = "bwrap"
    """Bubblewrap."""
    LANDLOCK = "landlock"
    """Landlock and seccomp."""
    NONE = "none"
    """Nothing: only where the user has said so."""


@frozen
class Job:
    """One command, the files it finds in its working folder, and the files wanted from there afterwards."""

    argv: tuple[str, ...]
    """The command; the program by its absolute path."""
    files: Mapping[str, bytes] = Factory(dict)
    """By relative name: what it finds in its working folder."""
    take: tuple[str, ...] = ()
    """Names of files wanted afterwards."""
    seconds: float = 30.0
    """Its deadline."""
    loopback: bool = False
    """Whether it may use a private loopback network: for starting an app. Only bubblewrap can give it."""
    programs: bool = False
    """Whether compiled programs among the files may be run, as those of installed packages must be."""
    memory: int = 1024 * MIB
    """Address space per process, in bytes."""
    file_size: int = 64 * MIB
    """The largest file that it may write, in bytes."""


@frozen
class LevelProbe:
    """What became of the probe of one sandbox level."""

    level: SandboxLevel
    """The level that was probed."""
    holds: bool
    """Whether it contains what it has to."""
    detail: str
    """Why it cannot be used, or what it is."""


class Sandbox(Protocol):
    """Runs jobs contained, as well as this machine can. Safe to use from threads."""

    def level(self) -> SandboxLevel | None:
        """The sandbox level in force; None where there is none."""

    def run(self, job: Job, executes: bool = True) -> tuple[SandboxLevel, Ran]:
        """Run a job, and say on which sandbox level. Blocks; call it in a thread.

        ``executes`` False is for tools that only read what a model wrote: they go on where there is no sandbox level.

        Raises:
            SandboxError: there is no sandbox level for it; the message says what to install.
        """

    def surveys(self) -> Sequence[LevelProbe]:
        """Every sandbox level and the outcome of its probe, best first."""
