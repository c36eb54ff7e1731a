"""The events in the stream of an evaluation: which cell is which run, and the grade of its answer.

A cell is a case in an arm, once for each repetition. Names of arms and cases' texts are in the plan's text.
"""

from attrs import frozen

from orchestrator.events.kinds import EvalEvent
from orchestrator.models import CellOutcome, CellProblem
from orchestrator.money import Usd


@frozen
class EvalStarted(EvalEvent):
    """An evaluation begins."""

    plan: str
    """Digest of the plan as canonical JSON: the suite with its graders, the arms, the repetitions."""
    cells: int
    """How many there are."""
    cap: Usd
    """Of the account ``eval/NAME``, when it was opened."""
    seed: int
    """Run seeds are functions of it, the case and the repetition: the arms of a case have the same one."""
    simulated: bool
    sandbox: str | None
    """The way in which graders that run code are contained; None: none holds on this machine."""
    memory: int
    """Bytes that a process of a grader may address."""
    timeout: int
    """Microseconds that one grader may take."""


@frozen
class CellStarted(EvalEvent):
    """A run is about to answer a case."""

    case: str
    arm: int
    """Its place in the plan, from 1."""
    repetition: int
    """From 1."""
    attempt: int
    """From 1; a further one after an error."""
    run: str
    """The id of the run."""


@frozen
class Graded(EvalEvent):
    """The verdict on a cell; the latest one counts."""

    cell: int
    """Version of the CellStarted."""
    outcome: CellOutcome
    problem: CellProblem | None
    """With ``error``: whose it is."""
    passed: int
    """Checks of the graders that passed: tests where they ran tests, else one for each grader."""
    checks: int
    """Of how many."""
    details: str | None
    """Digest of what the graders said."""
    sandbox: str | None
    """The way in which graders that ran code were contained; None where none did."""
    latency: int
    """Microseconds that the grading took."""
    drafts: int = 0
    """Different answers that authors wrote in the run, as far as they were graded."""
    right: int = 0
    """Those among them that pass the graders."""
    judges: tuple[str, ...] = ()
    """The ids of the runs in which a model judged the answer."""


@frozen
class EvalFinished(EvalEvent):
    """Every cell has its grade."""

    solved: int
    failed: int
    errors: int


@frozen
class EvalTaught(EvalEvent):
    """A person wants its grades to count in what later runs know of the models, or no longer; the latest one holds."""

    on: bool
