"""The way of one call: prepared, started with its hold, answered or failed."""

from attrs import frozen

from orchestrator.errors import ErrorKind
from orchestrator.events.kinds import Decision, Outcome
from orchestrator.models import (
    Allowances,
    ArchitectureProfile,
    CacheUse,
    Finish,
    Lane,
    PairChoice,
    PlannedTask,
    PlanRepair,
    ReadingProblem,
    Role,
    Suggestion,
)
from orchestrator.money import Usage, Usd


@frozen
class AccountEntry:
    """Where an account holds a call's hold: in an event of its own, or in the run's advance."""

    name: str
    balance: Usd
    """The account's settled + held after that event."""
    version: int
    """Of the Held event in the account's stream; of the Advanced event, where the run's advance grants the hold."""
    advance: Usd | None = None
    """What is left of the run's advance after this hold; None: the account itself holds it."""


@frozen
class Defect:
    """What a critique objects to."""

    text: str
    """Digest of the defect as canonical JSON with the keys ``where``, ``problem`` and ``counterexample``."""
    counterexample: bool = False
    """Whether it names an input, the expected and the actual result."""


@frozen
class Reading:
    """What a pure function read from an answer.

    Exactly one of the fields is meaningful: ``score`` for an evaluation, ``choice`` for a comparison, ``plan`` for a
    decomposition, ``suggestions`` for the enhancer, ``profile`` for the advisor, none for prose; ``problem`` says why
    nothing usable was found.
    """

    score: float | None = None
    plan: tuple[PlannedTask, ...] | None = None
    dropped_validators: tuple[str, ...] = ()
    """Names in the plan that no installed validator has."""
    problem: ReadingProblem | None = None
    suggestions: tuple[Suggestion, ...] = ()
    profile: ArchitectureProfile | None = None
    """Its texts are digests here."""
    repairs: tuple[PlanRepair, ...] = ()
    """What was repaired in the plan: first entries left out, then by task."""
    defects: tuple[Defect, ...] | None = None
    """Of a critique; empty: it accepts. None: this is no critique."""
    equivalence: str | None = None
    """Of a draft or revision: two answers of a run with an equal one have equal results, for code by its syntax tree.

    32 hexadecimal digits, salted like a digest; no text is stored under it.
    """
    left_out: int = 0
    """Of a draft or revision: how many of its fenced blocks are in no file that it is delivered as."""
    renamed: int = 0
    """Of a draft or revision: how many of its files have another name, because theirs is not allowed."""
    shadowing: tuple[str, ...] = ()
    """Of a draft or revision: digests of the names of files that hide a module which runs tests."""
    partial: bool = False
    """Whether a judge's verdict leaves a success criterion without an answer; its score counts all the same."""
    choice: PairChoice | None = None
    """Of a comparison: which of the two results is the better one."""
    repeats: bool = False
    """Of a draft or revision: whether it ends with the same text again and again."""


@frozen
class Reused:
    """An answer of the response cache, copied into this run: no model was called, nothing was paid."""

    run: str
    """The run that it was paid in."""
    call: int
    """Version, there, of the CallStarted it answered."""
    answer: str
    """Digest of the copy."""
    answer_bytes: int
    finish: Finish
    reading: Reading


@frozen
class CallPrepared(Outcome):
    """The request is encoded; the size of its body is known."""

    selected: int
    """Version of the ModelSelected."""
    prompt: str
    """Digest of the prompt."""
    body_bytes: int
    """Of the body at the largest limit that may be sent; no body that is sent is longer."""
    problem: str | None = None
    """Code of the error that kept the provider from encoding the request."""
    cache: CacheUse = CacheUse.OFF
    reused: Reused | None = None
    """With a hit: the answer. Its identity is the version of the ModelSelected, and no call follows."""
    cut: tuple[str, ...] = ()
    """The dependencies whose results were too long for the prompt: the middle of each is left out."""
    files_cut: int = 0
    """How many of the task's files the prompt does not hold whole."""


@frozen
class CallStarted(Decision):
    """An attempt, with the most it can cost held. Durable before a byte leaves."""

    selected: int
    """Version of the ModelSelected."""
    node: str
    role: Role
    iteration: int
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
    """Whether it tests a model whose circuit is open."""
    accounts: tuple[AccountEntry, ...] = ()
    """Filled in by append."""
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies whose cap on the task's cost, or whose rate, it goes beyond, by name."""
    larger: bool = False
    """Whether it asks with more room because the answer before was cut off; once per model and logical call."""
    lane: Lane = Lane.INTERACTIVE
    """How it is sent; in the lane ``batch`` a later BatchStarted says with which others."""
    ticket: int | None = None
    """Version of the PaceRefused whose reservation it uses; it makes no second one."""


@frozen
class AccountRefused(Outcome):
    """Written by append in place of a CallStarted whose hold did not fit an account."""

    call: CallStarted
    account: str
    need: Usd
    free: Usd
    in_flight_live: Usd
    """Held for calls in flight in live runs, which may become free."""


@frozen
class PaceRefused(Outcome):
    """Written by append in place of a CallStarted that the pace of all runs makes wait; its time is reserved."""

    call: CallStarted
    scope: str
    """What it waits for: ``requests`` or ``tokens`` of an account, as ``PROVIDER/ACCOUNT/requests``."""
    until: int
    """The time that is reserved for it, in microseconds UTC: the call may start then."""
    took: int = 0
    """Microseconds that the call takes of the scope: so much later is the next time that is reserved in it."""
    early: int = 0
    """By how many microseconds a call of the scope may come early."""


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
    unreconciled: Usd
    """Its hold, where usage is missing or absurd."""
    latency: int
    """Microseconds."""
    request_id: str | None = None
    """Digest of the vendor's id of the call."""
    thoughts: str | None = None
    """Digest of the thinking that the model wrote into its text; the answer is without it."""
    allowances: Allowances | None = None
    """What the vendor's headers say that the account may do, in runs that share their pace, where that is news."""


@frozen
class CallFailed(Outcome):
    """An attempt ended without an answer."""

    call: int
    kind: ErrorKind
    retryable: bool
    outage: bool
    """Whether it counts as a failure of the model (rate limits and content filters do not)."""
    by_vendor: bool
    """Whether the vendor ended it; an end by cancelling does not count towards any limit."""
    settled: Usd
    unreconciled: Usd
    """With both zero the hold is released: proof that nothing was billed."""
    retry_after: int | None
    """Microseconds to wait, according to the vendor."""
    status: int | None
    error: str | None
    """Digest of the error's text."""
    latency: int
