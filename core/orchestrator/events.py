"""The language of the log: every event, in the order in which a run tells them.

A *decision* says what shall happen and is computed by ``decide`` from the state; an *outcome* says what came from
outside; an *account event* stands in the stream of an account. Texts are never here, only their digests; times and
durations are whole microseconds (``at``, UTC, is a column of its own); amounts are ``Usd``; ``version`` numbers an
event within its stream, from 1, and the version of the decision that opened an effect is the effect's identity.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import Factory, frozen

from orchestrator.errors import ErrorKind
from orchestrator.models import (
    ArchitectureProfile,
    Finish,
    ModelInfo,
    Phase,
    PlannedTask,
    ProjectStatus,
    RiskLevel,
    Role,
    Suggestion,
    TaskStatus,
    TaskType,
    Verdict,
)
from orchestrator.money import Usage, Usd
from orchestrator.settings import RunSettings

PLAN: Final = "plan"
"""The node whose calls make the plan."""

ENHANCE: Final = "enhance"
"""The node whose calls suggest improvements of the project's description and criteria."""

ADVISE: Final = "advise"
"""The node whose calls advise on the architecture."""
VERIFY: Final = "verify"
"""The node that judges the result as a whole."""


@frozen
class Event:
    """Something that happened in one stream."""


@frozen
class Decision(Event):
    """Computed by ``decide``; ``replay --verify`` computes it again."""


@frozen
class Outcome(Event):
    """Brought in from outside."""


@frozen
class AccountEvent(Event):
    """A movement of an account, with the totals after it."""


# ── values inside events ───────────────────────────────────────────────────────────────────────────────────────


@frozen
class PluginUsed:
    """A plugin of a session."""

    kind: str
    name: str
    distribution: str
    version: str
    parameters: dict[str, Any] = Factory(dict)


@frozen
class EndedAttempt:
    """An attempt that a dead session left without an end; its hold is kept."""

    call: int
    """Version of its CallStarted."""
    amount: Usd


@frozen
class Prior:
    """What earlier runs of the data folder measured of a model for one type of task, as far as it is trusted.

    Averages are exponential; None: never measured.
    """

    model: str
    type: TaskType | None
    """None stands for planning."""
    calls: int
    quality: float | None
    cost: float | None
    """US dollars per call."""
    latency_ms: float | None
    trust: float
    latency_p95_ms: float | None = None
    """Nearest rank over the last 50 answers of the model, of any type."""
    success_rate: float | None = None
    """Over the last ten calls of the model, of any type."""


@frozen(slots=False)  # made in half the time, and every choice makes one per model
class Candidate:
    """A model that was considered: its score where it was ranked, the code of the reason where it lost."""

    model: str
    score: float | None = None
    lost: str | None = None
    """``policy:NAME``, ``no_price``, ``unbounded``, ``off``, ``breaker``, ``tried``, ``budget``, ``context``,
    ``vendor``, ``ranked``."""
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies it violates, by name."""
    reason: str | None = None
    """The backend's, as a code such as ``dominated``."""


@frozen
class AccountEntry:
    """Where a hold stands in an account."""

    name: str
    balance: Usd
    """Settled + held after it."""
    version: int
    """Of the Held event in the account's stream."""


@frozen
class Reading:
    """What a pure reader made of an answer.

    Exactly one of the fields is meaningful: ``score`` for an evaluation, ``plan`` for a decomposition, ``suggestions``
    for the enhancer, ``profile`` for the advisor, none for prose; ``problem`` is the code why nothing usable was found
    (``empty``, ``no_json``, ``no_score``, ``no_tasks`` …).
    """

    score: float | None = None
    plan: tuple[PlannedTask, ...] | None = None
    dropped_validators: tuple[str, ...] = ()
    """Names in the plan that no installed validator has."""
    problem: str | None = None
    suggestions: tuple[Suggestion, ...] = ()
    profile: ArchitectureProfile | None = None
    """Its texts are digests here."""


@frozen
class Reused:
    """An answer of the response cache, copied into this run: nobody was asked, nothing was paid."""

    run: str
    """The run that it was paid in."""
    call: int
    """Version, there, of the CallStarted it answered."""
    answer: str
    """Digest of the copy."""
    answer_bytes: int
    finish: Finish
    reading: Reading


# ── the run and its sessions ───────────────────────────────────────────────────────────────────────────────────


@frozen
class RunStarted(Outcome):
    """A run exists. Everything its decisions depend on from the side of the user is here."""

    seed: int
    """Random draws are functions of it."""
    settings: RunSettings
    spec: str
    """Digest of the specification as given, in canonical JSON."""
    project: str
    """Digest of the project's description."""
    criteria: str
    """Digest of the success criteria."""
    given_plan: tuple[PlannedTask, ...] | None = None
    """The tasks of the spec, where it brings its own plan."""
    words: int = 0
    """Of the project's description."""


@frozen
class SessionOpened(Outcome):
    """A process has taken the run. Every attempt without an end is ended here, its hold kept."""

    number: int
    rules: int
    """The number of the rules ``decide`` follows in this session."""
    program: str
    """The program's version."""
    plugins: tuple[PluginUsed, ...]
    models: tuple[ModelInfo, ...]
    """The models available, with the prices that hold."""
    slots: dict[str, str]
    """Slot to model id."""
    files: bool
    """Whether outputs are written to a folder as tasks finish."""
    caps: dict[str, Usd]
    """The caps of the accounts above the run, when the session began."""
    ended: tuple[EndedAttempt, ...] = ()
    reopened: tuple[str, ...] = ()
    """Tasks that had failed for want of a model and are tried again (``plan`` for the plan)."""
    priors: tuple[Prior, ...] = ()
    """What earlier runs measured; in a run's first session only, which later ones go on from."""


@frozen
class SessionFailed(Outcome):
    """The session ended by an error of the program itself."""

    error: str
    """Digest of the error's text."""


@frozen
class SessionLost(Outcome):
    """Another process found the run's owner dead, and ended the attempts it left."""

    number: int
    ended: tuple[EndedAttempt, ...]


@frozen
class RunInterrupted(Outcome):
    """A person or the system asked to stop; the calls in flight have been ended before."""

    cause: str
    """The signal's name, or ``cancelled``."""


@frozen
class BudgetRaised(Outcome):
    """The run's cap is higher from here on."""

    cap: Usd
    reopened: tuple[str, ...] = ()
    """Tasks that had failed for money, and those they blocked (``plan`` for the plan)."""


@frozen
class TimeRaised(Outcome):
    """The run may take longer from here on."""

    time_limit: int
    reopened: tuple[str, ...] = ()


@frozen
class RunForked(Outcome):
    """A run begins with the past of another: the first event of its own stream, one version after what it shares.

    Money, time and open calls stay the parent's: the fork counts only its own.
    """

    parent: str
    """The run whose history is shared."""
    version: int
    """Of the last event shared, the end of a step; the fork's own events are numbered from here on."""
    hash: str
    """Of that event: it proves the past."""
    inherited_settled: Usd
    """What the shared past had settled, in all of its ancestors; no part of the fork's spend."""
    inherited_kept: Usd
    settings: RunSettings
    """The rules from here on."""
    spec: str
    """Digest of the specification the fork follows, in canonical JSON."""
    project: str
    """Digest of the project's description, as the parent has it."""
    reopened: tuple[str, ...] = ()
    """Tasks that had failed for money, time or want of a model, and those they blocked (``plan`` for the plan)."""


@frozen
class ContentDeleted(Outcome):
    """The texts of the run are gone, and the salt of their digests; chain, money and decisions remain."""

    texts: int
    """How many were deleted."""
    size: int
    """Bytes they took, as stored."""


# ── before the plan ────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class QuestionAsked(Decision):
    """A person is asked whether to take a suggestion. Opens the effect *question*; waiting for it takes no time."""

    node: str
    """Whose suggestion it is: ``enhance``."""
    call: int
    """Version of the call that suggested it."""
    number: int
    """Of the suggestion, from 1."""


@frozen
class QuestionAnswered(Outcome):
    """What came of a question. Unanswered means no."""

    question: int
    """Version of the QuestionAsked."""
    accepted: bool
    how: str
    """``person``; ``flag``: the command line had answered before; ``stopped``: the person wants no more questions;
    ``nobody``: there is no terminal."""
    rest: bool
    """Whether the questions that would follow are answered with no, too."""
    project: str | None = None
    """Digest of the description with everything taken so far; None where this answer changes nothing."""
    criteria: str | None = None
    """Digest of the criteria, likewise."""
    words: int | None = None
    """Of that description."""


@frozen
class SpecEnhanced(Decision):
    """The description and the criteria stand as every later prompt shows them."""

    call: int | None
    """Version of the call whose suggestions were offered; None where there was no answer."""
    taken: tuple[int, ...]
    """Numbers of the suggestions, from 1."""
    refused: tuple[int, ...]
    project: str
    """Digest of the description."""
    criteria: str
    problem: str | None = None
    """Why nothing was offered: the reading's problem, ``budget``, ``time``, ``no_model`` or ``failed``."""


@frozen
class ArchitectureDecided(Decision):
    """How the project is to be built; the decomposer is told."""

    call: int | None
    """Version of the call that advised it; None where there was no answer."""
    model: str | None
    """Who advised it; None for the defaults."""
    profile: ArchitectureProfile
    """Its texts are digests here."""
    problem: str | None = None
    """Why it is the defaults: as in SpecEnhanced."""


# ── planning ───────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class PlanMade(Decision):
    """The tasks stand."""

    tasks: tuple[PlannedTask, ...]
    execution_order: tuple[str, ...]
    call: int | None
    """Version of the call whose answer it was read from; None for a given plan."""
    dropped_validators: tuple[str, ...] = ()


@frozen
class PlanRefused(Decision):
    """An answer of the decomposer is not a plan."""

    call: int
    turn: int
    problem: str
    """``cycle``, ``unknown_dependency``, ``duplicate``, ``too_many``, or the reading's problem."""
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
    """Settled + kept so far: planning."""
    cap: Usd
    models: dict[TaskType, str]
    """Who is expected to write the drafts of each type in the plan; a type is missing where nobody can."""


@frozen
class TaskStarted(Decision):
    """The task's dependencies have ended, and it gets one of the places."""

    task: str


# ── calls ──────────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class ModelSelected(Decision):
    """Whom to ask. Opens the effect *prepare*: build the prompt, shape the body, look into the cache."""

    node: str
    role: Role
    turn: int
    sample: int
    selection: int
    """From 1 within the logical call."""
    model: str
    reason: str
    """``first``, ``fallback``, ``breaker``, ``budget``, ``context``, or ``policy:NAME`` whose cap on the task's cost
    had no room for the one before."""
    max_tokens: int
    """The limit at full size: the role's, within the model's."""
    candidates: tuple[Candidate, ...]
    """Every model considered; in later selections only those of which something changed."""
    backend: str = "row"
    """What ordered them: ``row``, or the backend's name."""
    waiver: str | None = None
    """For a reviewer of the author's vendor: ``same_vendor``, ``same_tier`` or ``same_model``."""
    most_tokens: int = 0
    """The largest limit it may be asked at, should an answer be cut off; 0: none beyond ``max_tokens``."""


@frozen
class CallPrepared(Outcome):
    """The body is known to the byte."""

    selected: int
    """Version of the ModelSelected."""
    prompt: str
    """Digest of the prompt."""
    body_bytes: int
    """Of the body at the largest limit that may be sent; no body that is sent is longer."""
    problem: str | None = None
    """Code of the error that kept the provider from shaping the body."""
    cache: str = "off"
    """``off``, ``miss`` or ``hit``."""
    reused: Reused | None = None
    """With a hit: the answer. Its identity is the version of the ModelSelected, and no call follows."""
    cut: tuple[str, ...] = ()
    """The dependencies whose results were too long for the prompt: the middle of each is left out."""


@frozen
class CallStarted(Decision):
    """An attempt, with the most it can cost held. Durable before a byte leaves."""

    selected: int
    """Version of the ModelSelected."""
    node: str
    role: Role
    turn: int
    sample: int
    attempt: int
    """From 1 within the logical call; with it, the attempt's identity."""
    try_: int
    """1 + the attempts of the logical call that a vendor has ended."""
    provider: str
    model: str
    max_tokens: int
    body_bytes: int
    hold: Usd
    timeout: int
    """Microseconds after which the engine cancels it."""
    probe: bool = False
    """Whether it tests a model behind an open breaker."""
    accounts: tuple[AccountEntry, ...] = ()
    """Filled in by append."""
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies whose cap on the task's cost, or whose rate, it goes beyond, by name."""


@frozen
class AccountRefused(Outcome):
    """Written by append in the place of a CallStarted that an account had no room for."""

    call: CallStarted
    account: str
    need: Usd
    free: Usd
    in_flight_live: Usd
    """Held for calls in flight in live runs, which may become free."""


@frozen
class CallSucceeded(Outcome):
    """An answer, its usage and its settlement: one event."""

    call: int
    """Version of the CallStarted."""
    answer: str
    """Digest of the answer."""
    answer_bytes: int
    finish: Finish
    reading: Reading
    usage: Usage | None
    settled: Usd
    """What it cost."""
    kept: Usd
    """Its hold, where usage is missing or absurd."""
    latency: int
    """Microseconds."""
    request_id: str | None = None
    """Digest of the vendor's id of the call."""


@frozen
class CallFailed(Outcome):
    """An attempt ended without an answer."""

    call: int
    kind: ErrorKind
    retryable: bool
    outage: bool
    """Whether it counts as a failure of the model (rate limits and content filters do not)."""
    by_vendor: bool
    """Whether the vendor ended it; an end by cancelling counts in no limit."""
    settled: Usd
    kept: Usd
    """With both zero the hold is released: proof that nothing was billed."""
    retry_after: int | None
    """Microseconds the vendor asked to wait."""
    status: int | None
    error: str | None
    """Digest of the error's text."""
    latency: int


@frozen
class SpendRefused(Decision):
    """There is no money for a logical call, at any size, of any model. Stands once per call (and raise)."""

    node: str
    role: Role
    turn: int
    sample: int
    need: Usd
    """What the smallest size of the last candidate would have held."""
    free: Usd
    limit: str
    """``run``, or the account that refused."""


@frozen
class SpendReconciled(Outcome):
    """Somebody found out what a call has cost of which nobody knew: its kept money is settled. No session is open."""

    call: int
    """Version of its CallStarted."""
    kept: Usd
    """What was kept for it: its hold."""
    settled: Usd
    """What it cost, exact; beyond what was kept it is an excess."""


@frozen
class SpendExceeded(Decision):
    """A vendor billed beyond a hold; the model is asked no more."""

    call: int
    model: str
    hold: Usd
    settled: Usd


@frozen
class BreakerOpened(Decision):
    """A model is not asked until a time, or for the rest of the session."""

    model: str
    reason: str
    """``failures``, ``probe``, or for the session: ``authentication``, ``quota``, ``unknown_model``."""
    until: int | None
    """Microseconds UTC; None: for the rest of the session."""


@frozen
class BreakerClosed(Decision):
    """The probe of a model came through."""

    model: str


@frozen
class BackendFailed(Outcome):
    """The backend raised, hung or returned no permutation; the row's order holds for the rest of the session."""

    backend: str
    problem: str
    """``raised``, ``timeout`` or ``not_a_permutation``."""
    error: str | None
    """Digest of the error's text."""


@frozen
class BudgetWarned(Decision):
    """A phase has used a part of its share. Soft: nothing stops."""

    phase: Phase
    percent: int
    spent: Usd
    share: Usd


# ── review ─────────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class StepSkipped(Decision):
    """A step of a turn is left out."""

    task: str
    role: Role
    turn: int
    reason: str
    """``no_model``, ``failed``, ``budget``, ``policy``, ``time``."""
    removed: tuple[Candidate, ...] = ()
    """With ``no_model``: every model, with the code of what removed it."""


@frozen
class CheckStarted(Decision):
    """A validator judges the turn's output. Opens the effect *check*."""

    task: str
    turn: int
    validator: str
    call: int
    """Version of the CallStarted whose answer is judged (of the ModelSelected where it is reused)."""


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


@frozen
class Evaluated(Decision):
    """A turn's output is scored."""

    task: str
    turn: int
    call: int
    """Version of the CallStarted whose answer is scored."""
    gate: bool
    """Whether every validator passed or was skipped."""
    samples: tuple[float, ...]
    """The scores that could be read."""
    score: float | None
    """None where nothing could be scored; 0.0 where a validator failed."""


@frozen
class OutputChosen(Decision):
    """The task's best output. With a file name, opens the effect *file*."""

    task: str
    turn: int
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
    reason: str | None
    """Why not completed: ``below_threshold``, ``gate``, ``unscored``, ``budget``, ``policy``, ``time``, ``no_model``,
    ``failed``, ``dependency``."""
    score: float | None
    gate: bool
    model: str | None
    """The output's author."""
    reviewer: str | None
    iterations: int
    fallbacks: int
    """How often the author was replaced."""
    cost: Usd
    """Settled + kept on this task so far."""
    blocked_by: str | None = None
    removed: tuple[Candidate, ...] = ()
    """With ``no_model``: every model, with the code of what removed it."""


@frozen
class VerificationStarted(Decision):
    """Every task has ended, and the user's command judges the result as a whole. Opens the effect *verify*."""

    timeout: int
    """Microseconds after which the engine ends it."""


@frozen
class ResultVerified(Outcome):
    """What the user's command said of the result as a whole. Only ``passed`` is a pass."""

    verification: int
    """Version of the VerificationStarted."""
    verdict: Verdict
    """``passed``, ``failed`` or ``unknown``."""
    command: str | None
    """Digest of the command; None where it is not known any more."""
    code: int | None
    """Its exit status; a signal as a negative number, None where it did not come to its end."""
    problem: str | None
    """Why nothing is known: ``no_folder``, ``no_sandbox``, ``no_command``, ``too_large``, ``unreadable``, ``time``,
    ``disk``, ``stopped``, ``raised``."""
    details: str | None
    """Digest of what it wrote, cut."""
    latency: int
    sandbox: str | None = None
    """The way in which it was contained: ``bwrap``, ``landlock``, ``none``; None where nothing was run."""


# ── channels ───────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class ChannelPut(Outcome):
    """A message was put into a channel of the run."""

    channel: str
    message: str
    """Digest of the message as JSON. It is numbered within its channel, from 1."""


@frozen
class ChannelTaken(Outcome):
    """A message was taken out of a channel."""

    channel: str
    number: int


@frozen
class RunFinished(Decision):
    """The run has ended."""

    status: ProjectStatus
    reason: str | None
    """``no_plan``, ``no_model``, ``no_output``, ``budget``, ``policy``, ``time``, ``verification``."""
    settled: Usd
    kept: Usd
    removed: tuple[Candidate, ...] = ()
    """With ``no_model``: every model, with the code of what removed it."""


# ── accounts ───────────────────────────────────────────────────────────────────────────────────────────────────


@frozen
class Totals:
    """How an account stands. ``held`` counts calls in flight and kept money."""

    cap: Usd = Usd.ZERO
    settled: Usd = Usd.ZERO
    held: Usd = Usd.ZERO
    kept: Usd = Usd.ZERO
    excess: Usd = Usd.ZERO

    @property
    def free(self) -> Usd:
        """What a further hold may take."""
        return self.cap - self.settled - self.held


@frozen
class AccountOpened(AccountEvent):
    """The account exists."""

    totals: Totals


@frozen
class CapSet(AccountEvent):
    """Its cap is another; never below settled + held."""

    totals: Totals


@frozen
class Held(AccountEvent):
    """A call of a run took a hold."""

    run: str
    call: int
    """Version of the CallStarted in the run's stream."""
    amount: Usd
    totals: Totals


@frozen
class Settled(AccountEvent):
    """A hold became spend."""

    run: str
    call: int
    hold: Usd
    amount: Usd
    totals: Totals


@frozen
class Reconciled(AccountEvent):
    """Kept money became spend: somebody found out what was billed."""

    run: str
    call: int
    kept: Usd
    amount: Usd
    totals: Totals


@frozen
class Released(AccountEvent):
    """A hold was given back: nothing was billed."""

    run: str
    call: int
    hold: Usd
    totals: Totals


@frozen
class Kept(AccountEvent):
    """A hold stays at its worst case: nobody knows what was billed."""

    run: str
    call: int
    hold: Usd
    totals: Totals


TYPES: Final[Mapping[str, type[Event]]] = {
    "run.started": RunStarted,
    "session.opened": SessionOpened,
    "session.failed": SessionFailed,
    "session.lost": SessionLost,
    "run.interrupted": RunInterrupted,
    "budget.raised": BudgetRaised,
    "time.raised": TimeRaised,
    "run.forked": RunForked,
    "content.deleted": ContentDeleted,
    "question.asked": QuestionAsked,
    "question.answered": QuestionAnswered,
    "spec.enhanced": SpecEnhanced,
    "architecture.decided": ArchitectureDecided,
    "plan.made": PlanMade,
    "plan.refused": PlanRefused,
    "forecast.made": ForecastMade,
    "task.started": TaskStarted,
    "model.selected": ModelSelected,
    "call.prepared": CallPrepared,
    "call.started": CallStarted,
    "account.refused": AccountRefused,
    "call.succeeded": CallSucceeded,
    "call.failed": CallFailed,
    "spend.refused": SpendRefused,
    "spend.exceeded": SpendExceeded,
    "spend.reconciled": SpendReconciled,
    "breaker.opened": BreakerOpened,
    "breaker.closed": BreakerClosed,
    "backend.failed": BackendFailed,
    "budget.warned": BudgetWarned,
    "step.skipped": StepSkipped,
    "check.started": CheckStarted,
    "check.validated": Validated,
    "turn.evaluated": Evaluated,
    "output.chosen": OutputChosen,
    "file.written": FileWritten,
    "task.finished": TaskFinished,
    "verification.started": VerificationStarted,
    "result.verified": ResultVerified,
    "channel.put": ChannelPut,
    "channel.taken": ChannelTaken,
    "run.finished": RunFinished,
    "account.opened": AccountOpened,
    "account.cap_set": CapSet,
    "account.held": Held,
    "account.settled": Settled,
    "account.released": Released,
    "account.kept": Kept,
    "account.reconciled": Reconciled,
}
"""The stored name of every event class. A name is never reused and never changes."""
