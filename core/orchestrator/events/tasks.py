"""The way of one task, checks and scores and files included, and the verification of the result as a whole."""

from attrs import frozen

from orchestrator.events.kinds import Decision, Outcome
from orchestrator.events.routing import ModelCandidate
from orchestrator.models import (
    CallEnd,
    PairChoice,
    ProbeResult,
    Role,
    ScoredBy,
    ScorerProblem,
    SkipReason,
    TaskEndReason,
    TaskStatus,
    Verdict,
    VerificationProblem,
)
from orchestrator.money import Usd


@frozen
class TaskStarted(Decision):
    """The task's dependencies have ended, and fewer than ``concurrency`` tasks are started and unfinished."""

    task: str


@frozen
class StepSkipped(Decision):
    """A step of an iteration is skipped."""

    task: str
    role: Role
    iteration: int
    reason: SkipReason
    removed: tuple[ModelCandidate, ...] = ()
    """With ``no_model``: every model, with its rejection reason."""


@frozen
class CheckStarted(Decision):
    """A validator checks the iteration's output. Opens the effect *check*."""

    task: str
    iteration: int
    validator: str
    call: int
    """Version of the CallStarted whose answer is judged (of the ModelSelected where it is reused)."""
    vote: bool = False
    """Whether the verdict is a vote: a planner wrote the tests, and no candidates of two models have passed them."""


@frozen
class Validated(Outcome):
    """A validator's verdict."""

    check: int
    """Version of the CheckStarted."""
    verdict: Verdict
    details: str | None
    """Digest of what it said."""
    latency: int
    sandbox: str | None = None
    """The way in which what it ran was contained: ``bwrap``, ``landlock``, ``none``; None where it ran nothing."""
    permanent: bool = False
    """With ``failed`` or ``unknown``: trying again cannot change it."""
    vote: bool = False
    """Whether the verdict is a vote, as of tests that a planner wrote, and no gate by itself."""
    passed_tests: int | None = None
    """How many tests passed, where tests were run."""
    total_tests: int | None = None
    """Of how many."""


@frozen
class ProbeStarted(Decision):
    """Counterexamples of a critique are run on the draft. Opens the effect *probe*."""

    task: str
    iteration: int
    critique: int
    """Version of the CallStarted (of the ModelSelected where it is reused) whose answer is the critique."""
    call: int
    """The same of the draft that it criticises."""


@frozen
class Probed(Outcome):
    """What the counterexamples are worth."""

    probe: int
    """Version of the ProbeStarted."""
    results: tuple[ProbeResult, ...]
    """One for each defect, in order. What is refuted is dropped."""
    latency: int
    sandbox: str | None = None
    """The way in which it was contained: ``bwrap``, ``landlock``, ``none``; None where nothing was run."""


@frozen
class ScoringStarted(Decision):
    """A scorer is asked for a score of an output. Opens the effect *score*."""

    task: str
    iteration: int
    call: int
    """Version of the CallStarted (of the ModelSelected where it is reused) whose answer is scored."""
    scorer: str


@frozen
class Scored(Outcome):
    """What the scorer says."""

    scoring: int
    """Version of the ScoringStarted."""
    score: float | None
    """From 0 to 1; None: there is none."""
    problem: ScorerProblem | None
    """Why there is none."""
    reasons: str | None
    """Digest of its reasons, or of what went wrong."""
    latency: int
    sandbox: str | None = None
    """The way in which what it ran was contained; None where nothing was run."""


@frozen
class Evaluated(Decision):
    """An iteration's output is scored."""

    task: str
    iteration: int
    call: int
    """Version of the CallStarted whose answer is scored."""
    gate: bool
    """Whether every validator passed or was skipped."""
    samples: tuple[float, ...]
    """The scores that could be read."""
    score: float | None
    """None where nothing could be scored; 0.0 where a validator failed."""
    scored_by: ScoredBy = ScoredBy.JUDGE
    judged: float | None = None
    """What the samples came to, beside a score by tests or by a scorer as well."""
    share: float | None = None
    """The share of the given tests that passed."""
    equal_to: int | None = None
    """Version of the call whose equal answer was scored before: the score is reused."""


@frozen
class ComparedPair:
    """Two results that a model compared, in both orders."""

    earlier: int
    """The iteration of the earlier result."""
    later: int
    verdicts: tuple[PairChoice | None, PairChoice | None]
    """What was answered with the earlier result as A, and with the later one as A; None: no answer could be used."""
    winner: int | None
    """The iteration that both verdicts prefer; None: a tie."""


@frozen
class Compared(Decision):
    """One of the results that passed their checks is chosen: by wins in pairs, then the earlier one."""

    task: str
    candidates: tuple[int, ...]
    """The iterations whose results could be chosen; of equal ones the earliest. One alone is not compared."""
    pairs: tuple[ComparedPair, ...]
    """In the order of the comparisons; a pair that could not change the choice any more is left out."""
    iteration: int
    """The chosen one."""
    call: int
    """Version of the call whose answer is chosen."""
    stopped: CallEnd | None = None
    """Why fewer samples were made or compared than wanted."""


@frozen
class OutputChosen(Decision):
    """The task's best output. With a file name, opens the effect *file*."""

    task: str
    iteration: int
    call: int
    answer: str
    """Digest of the answer."""
    number: int
    """The task's number in file names, from 1."""
    file: bool
    """Whether it is written now."""


@frozen
class FileWritten(Outcome):
    """The output is in its file, or could not be written (a warning, never a failed task)."""

    chosen: int
    """Version of the OutputChosen."""
    size: int
    """Bytes written."""
    problem: str | None
    """Code, such as ``ENOSPC``."""


@frozen
class TaskFinished(Decision):
    """The task has ended."""

    task: str
    status: TaskStatus
    reason: TaskEndReason | None
    """Why it is not completed."""
    score: float | None
    gate: bool
    model: str | None
    """The output's author."""
    reviewer: str | None
    iterations: int
    fallbacks: int
    """How often the author was replaced."""
    cost: Usd
    """Settled + unreconciled on this task so far."""
    blocked_by: str | None = None
    few_tests: int | None = None
    """How few tests were given, where it passed them only on a later try, and they are fewer than four."""
    removed: tuple[ModelCandidate, ...] = ()
    """With ``no_model``: every model, with its rejection reason."""


@frozen
class VerificationStarted(Decision):
    """Every task has ended, and the user's command verifies the result as a whole. Opens the effect *verify*."""

    timeout: int
    """Microseconds after which the engine ends it."""


@frozen
class ResultVerified(Outcome):
    """The verdict of the user's command on the result as a whole."""

    verification: int
    """Version of the VerificationStarted."""
    verdict: Verdict
    """``passed``, ``failed`` or ``unknown``."""
    command: str | None
    """Digest of the command; None where its text is missing."""
    code: int | None
    """Its exit status; a signal as a negative number, None where it did not come to its end."""
    problem: VerificationProblem | None
    """Why the verdict is unknown."""
    details: str | None
    """Digest of what it wrote, cut."""
    latency: int
    sandbox: str | None = None
    """The way in which it was contained: ``bwrap``, ``landlock``, ``none``; None where nothing was run."""
