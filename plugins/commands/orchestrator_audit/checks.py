"""The checks of an audit by name, and what each found."""

from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import Factory, define, frozen

from orchestrator.log.event_ids import event_name

CHECKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "chain": "every event is unchanged and in its place",
        "texts": "every text matches the digest in its event",
        "heads": "the heads kept elsewhere are in the log",
        "layout": "the tables, indexes, triggers and views are as this program makes them",
        "rows": "every row beside the events follows from an event",
        "readings": "what was read from an answer follows from its text",
        "settings": "the rules of the run, its plan and its slots follow from its spec",
        "prompts": "every prompt, and the size of its body, follows from the texts",
        "files": "the files in the output folder, where it is here, are what was written",
        "decisions": "every decision is what the rules answer to the events before it",
        "bundle": "the bundle is as it was made, and holds all it names",
        "signature": "the bundle was signed with the key",
        "sessions": "sessions follow one another; every decision is inside one; a closed run stays closed",
        "intents": "every effect was called for by an earlier decision; every end has its start",
        "holds": "every call held the most it could cost, within the cap, and ended settled, released or unreconciled",
        "spend": "the sums over calls, tasks, phases and the run agree",
        "policies": "no call went to a model that a policy forbids",
        "reviewers": "every reviewer is of another vendor than the author, or the waiver is recorded",
        "gates": "an output passed its gate only if all its checks passed",
        "statuses": "the status of tasks and run follows from their outputs, gates and scores",
        "limits": "tries, back-off, breakers, sizes, concurrency and deadlines were kept",
        "pace": "no two calls have one reserved time, and all runs together kept the pace that they share",
        "accounts": "the totals of accounts follow from their events and agree with their runs",
    }
)
"""The name of every check, and what it makes sure of."""


class AuditResult(StrEnum):
    """What a check found. ``skipped``: it could not be made, and why."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@frozen
class Problem:
    """A breach: where, and what."""

    position: int
    """In the log; for a missing event the position after which it is missing; 0 where none can be named."""
    message: str
    version: int | None = None
    """Of the same event in its stream; None where none can be named."""

    @property
    def event(self) -> str:
        """The event for people, by position and version."""
        return event_name(self.position, self.version)


@frozen
class AuditCheck:
    """One check of one stream."""

    name: str
    subject: str
    """The run or the stream; empty for the log as a whole."""
    result: AuditResult
    problems: tuple[Problem, ...] = ()
    reason: str = ""
    """Why it was skipped."""


@define
class AuditReport:
    """Everything an audit found."""

    checks: list[AuditCheck] = Factory(list)
    heads: dict[str, tuple[int, str]] = Factory(dict)
    """By stream looked at: how many events its history has, and the hash of the last."""

    def add(self, subject: str, found: Mapping[str, Sequence[Problem]]) -> None:
        """Note what several checks found of one subject."""
        for name, problems in found.items():
            result = AuditResult.FAILED if problems else AuditResult.PASSED
            self.checks.append(AuditCheck(name, subject, result, tuple(problems)))

    def skip(self, subject: str, names: Iterable[str], reason: str) -> None:
        """Note that checks could not be made."""
        self.checks.extend(AuditCheck(name, subject, AuditResult.SKIPPED, reason=reason) for name in names)

    @property
    def failed(self) -> list[AuditCheck]:
        """The checks that found a breach."""
        return [check for check in self.checks if check.result is AuditResult.FAILED]

    @property
    def skipped(self) -> list[AuditCheck]:
        """The checks that could not be made."""
        return [check for check in self.checks if check.result is AuditResult.SKIPPED]

    @property
    def first_problem(self) -> Problem | None:
        """The breach at the lowest position, before those without one; None where nothing is wrong."""
        problems = [problem for check in self.failed for problem in check.problems]
        return min(problems, key=lambda problem: (problem.position == 0, problem.position), default=None)

    def passes(self, *, strict: bool = False) -> bool:
        """Whether nothing is wrong and, if strict, everything could be checked."""
        return not self.failed and not (strict and self.skipped)
