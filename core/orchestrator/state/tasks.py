"""One task, and the node that makes the plan."""

from attrs import Factory, define, frozen

from orchestrator.events import Compared, Evaluated, FileWritten, OutputChosen, PlanRefused, TaskFinished
from orchestrator.models import PlannedTask, ProbeResult, Role, ScorerProblem, SkipReason, Verdict
from orchestrator.state.calls import CallKey, LogicalCall, Spend


@define
class Node:
    """Anything that calls are made for."""

    name: str
    calls: dict[CallKey, LogicalCall] = Factory(dict)
    spend: Spend = Factory(Spend)

    def call(self, role: Role, iteration: int, sample: int = 1) -> LogicalCall | None:
        """The logical call of this role, iteration and sample, if it has begun."""
        # a plain tuple is equal to the key, and made in half the time: every decision looks up several
        return self.calls.get((self.name, role, iteration, sample))  # type: ignore[call-overload, no-any-return]

    def reopen(self) -> None:
        """Let every call be tried again."""
        for call in self.calls.values():
            call.reopen()


@define
class PlanNode(Node):
    """The node whose calls make the plan."""

    refused: list[PlanRefused] = Factory(list)
    refused_before: int = 0
    """Refusals before the latest reopening."""

    def reopen(self) -> None:
        """Let the plan be asked for again."""
        super().reopen()
        self.refused_before = len(self.refused)


@frozen
class Check:
    """A validator's verdict on an answer, or None while it is at work."""

    version: int
    verdict: Verdict | None = None
    details: str | None = None
    vote: bool = False
    """Whether it is a vote and no gate by itself."""
    permanent: bool = False
    """Whether trying again cannot change the verdict."""
    passed_tests: int | None = None
    total_tests: int | None = None


@frozen
class Probe:
    """What the counterexamples of a critique are worth, one result for each defect; None while they are run."""

    version: int
    results: tuple[ProbeResult, ...] | None = None


@frozen
class Scoring:
    """What the scorer says of an answer; neither score nor problem while it is at work."""

    version: int
    scorer: str
    score: float | None = None
    problem: ScorerProblem | None = None
    reasons: str | None = None


@define
class TaskState(Node):
    """All that has happened to one task."""

    planned: PlannedTask = None  # type: ignore[assignment]  # attrs wants a default after those of Node
    number: int = 0
    """Its place in the plan, from 1."""
    order: int = 0
    """Its place in the execution order, from 0."""
    waiting: int = 0
    """Dependencies that have not ended."""
    failed_dependencies: list[str] = Factory(list)
    started: int | None = None
    iteration: int = 0
    """The latest iteration any call was selected for."""
    checks: dict[int, dict[str, Check]] = Factory(dict)
    """By version of the call whose answer is judged (of the ModelSelected where it is reused), and validator."""
    probes: dict[int, Probe] = Factory(dict)
    """By the version of the call whose answer is the critique."""
    scorings: dict[int, Scoring] = Factory(dict)
    """By the version of the call whose answer is scored."""
    evaluated: dict[int, Evaluated] = Factory(dict)
    compared: Compared | None = None
    """The choice among several results, once it is made."""
    skipped: dict[tuple[Role, int], SkipReason] = Factory(dict)
    """Reasons, by role and iteration."""
    fallbacks: int = 0
    output: OutputChosen | None = None
    written: FileWritten | None = None
    finished: TaskFinished | None = None
    finished_version: int = 0
    replaced: bool = False
    """Whether other tasks stand in its place."""
    asked_about: bool = False
    """Whether the planner was asked about its failure."""
