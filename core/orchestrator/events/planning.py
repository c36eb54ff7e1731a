"""Before the first task: suggestions and the questions about them, the architecture, the plan, the forecast."""

from attrs import frozen

from orchestrator.events.kinds import Decision, Outcome
from orchestrator.models import (
    AnsweredBy,
    ArchitectureProfile,
    InputProblem,
    Phase,
    PlannedTask,
    PlanProblem,
    PlanRepair,
    RiskLevel,
    TaskType,
)
from orchestrator.money import Usd


@frozen
class QuestionAsked(Decision):
    """A person is asked whether to take a suggestion, whether the tasks may start at a high risk, or to approve.

    Opens the effect *question*; waiting for it takes no time.
    """

    node: str
    """What the question is about: ``enhance``, ``forecast``, or an approval point such as ``approve_plan``."""
    call: int
    """Version of the call that suggested it, or of the ForecastMade."""
    number: int
    """Of the suggestion, from 1; of a forecast's or an approval's question, how often one has been asked."""
    task: str | None = None
    """The task that is to be approved."""
    amount: Usd | None = None
    """What is to be approved: the amount, the forecast, or by how much the ceiling is to be raised."""


@frozen
class QuestionAnswered(Outcome):
    """The answer to a question. No answer means no.

    Without a yes to the forecast, the plan or an amount the run is interrupted at once.
    """

    question: int
    """Version of the QuestionAsked."""
    accepted: bool
    how: AnsweredBy
    rest: bool
    """Whether the questions that would follow are answered with no, too."""
    project: str | None = None
    """Digest of the description with everything taken so far; None where this answer changes nothing."""
    criteria: str | None = None
    """Digest of the criteria, likewise."""
    words: int | None = None
    """Of that description."""
    cap: Usd | None = None
    """The new ceiling, with a yes to raise it."""
    by: str = ""
    """What brought it for its user from another process, such as ``view``; empty: a command, or a program."""


@frozen
class SpecEnhanced(Decision):
    """The final description and criteria, which every later prompt uses."""

    call: int | None
    """Version of the call whose suggestions were offered; None where there was no answer."""
    taken: tuple[int, ...]
    """Numbers of the suggestions, from 1."""
    refused: tuple[int, ...]
    project: str
    """Digest of the description."""
    criteria: str
    problem: InputProblem | None = None
    """Why nothing was offered."""


@frozen
class ArchitectureDecided(Decision):
    """How the project is to be built; part of the decomposer's prompt."""

    call: int | None
    """Version of the call that advised it; None where there was no answer."""
    model: str | None
    """The model that advised it; None for the defaults."""
    profile: ArchitectureProfile
    """Its texts are digests here."""
    problem: InputProblem | None = None
    """Why it is the defaults."""


@frozen
class PlanMade(Decision):
    """The plan is fixed."""

    tasks: tuple[PlannedTask, ...]
    execution_order: tuple[str, ...]
    call: int | None
    """Version of the call whose answer it was read from; None for a given plan."""
    dropped_validators: tuple[str, ...] = ()
    repairs: tuple[PlanRepair, ...] = ()
    """What was repaired in the answer; nothing is repaired in a given plan."""
    fallback: bool = False
    """Whether no answer was a plan, and the project as it is became the only task."""


@frozen
class PlanEdited(Outcome):
    """A person has changed the plan before its first task; the question about the plan before it is void."""

    tasks: tuple[PlannedTask, ...]
    execution_order: tuple[str, ...]
    request: int
    """The number of the request that brought it."""
    by: str = ""
    """What brought it for its user, such as ``view``; empty: a command, or a program."""


@frozen
class Rewired:
    """A task that waits for other tasks than before."""

    task: str
    dependencies: tuple[str, ...]


@frozen
class PlanPatched(Decision):
    """Tasks are added to a plan in the place of others, because one failed that others wait for."""

    call: int | None
    """Version of the call whose answer it was read from; None: there was none, and the plan stays as it is."""
    failed: tuple[str, ...]
    """The failed tasks that the planner was asked about."""
    tasks: tuple[PlannedTask, ...]
    """The new tasks."""
    replaced: tuple[str, ...]
    """The tasks in whose place they stand; none of them has a result."""
    rewired: tuple[Rewired, ...]
    execution_order: tuple[str, ...]
    """Of the whole plan."""
    repairs: tuple[PlanRepair, ...] = ()


@frozen
class PlanRefused(Decision):
    """An answer of the decomposer is not a plan."""

    call: int
    iteration: int
    problem: PlanProblem
    tasks: tuple[str, ...] = ()
    """The tasks at fault."""


@frozen
class ForecastMade(Decision):
    """What the plan is expected to cost, before its first task starts; a typical run, no bound."""

    expected: Usd
    """Beyond what is spent already."""
    phases: dict[Phase, Usd]
    """Its parts."""
    duration: int
    """Microseconds, with the run's concurrency."""
    risk: RiskLevel
    """Of ``spent + expected`` against the cap."""
    spent: Usd
    """Settled + unreconciled so far: planning."""
    cap: Usd
    models: dict[TaskType, str]
    """The model expected to write the drafts of each type in the plan; a type is missing where no model can."""
    tokens: int = 0
    """Read and written, thinking included; 0: not foreseen."""
