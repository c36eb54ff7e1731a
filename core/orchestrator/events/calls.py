"""The way of one call: prepared, started with its hold, answered or failed."""

from attrs import frozen

from orchestrator.errors import ErrorKind
from orchestrator.events.kinds import Decision, Outcome
from orchestrator.models import ArchitectureProfile, CacheUse, Finish, PlannedTask, ReadingProblem, Role, Suggestion
from orchestrator.money import Usage, Usd


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
    for the enhancer, ``profile`` for the advisor, none for prose; ``problem`` says why nothing usable was found.
    """

    score: float | None = None
    plan: tuple[PlannedTask, ...] | None = None
    dropped_validators: tuple[str, ...] = ()
    """Names in the plan that no installed validator has."""
    problem: ReadingProblem | None = None
    suggestions: tuple[Suggestion, ...] = ()
    profile: ArchitectureProfile | None = None
    """Its texts are digests here."""


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
    """The body is known to the byte."""

    selected: int
    """Version of the ModelSelected."""
    prompt: str
    """Digest of the prompt."""
    body_bytes: int
    """Of the body at the largest limit that may be sent; no body that is sent is longer."""
    problem: str | None = None
    """Code of the error that kept the provider from shaping the body."""
    cache: CacheUse = CacheUse.OFF
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
    """Whether it tests a model behind an open breaker."""
    accounts: tuple[AccountEntry, ...] = ()
    """Filled in by append."""
    violates: tuple[str, ...] = ()
    """The SOFT and MONITOR policies whose cap on the task's cost, or whose rate, it goes beyond, by name."""


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
    unreconciled: Usd
    """With both zero the hold is released: proof that nothing was billed."""
    retry_after: int | None
    """Microseconds the vendor asked to wait."""
    status: int | None
    error: str | None
    """Digest of the error's text."""
    latency: int
