"""One logical call: which models were called, how often, and what came of it."""

from typing import NamedTuple

from attrs import Factory, define, frozen

from orchestrator.errors import ErrorKind
from orchestrator.events import AccountRefused, CallPrepared, ModelCandidate, Reading
from orchestrator.models import Finish, Role, SelectionReason, SpendLimit, Waiver
from orchestrator.money import Usd


class CallKey(NamedTuple):
    """The identity of a logical call within its run."""

    node: str
    role: Role
    iteration: int
    sample: int


@frozen
class Selection:
    """A model was selected for the call."""

    version: int
    model: str
    max_tokens: int
    reason: SelectionReason
    waiver: Waiver | None
    most_tokens: int = 0
    """The largest limit it may be asked at; 0: ``max_tokens``."""
    policy: str | None = None
    """With the reason ``policy``: the name of the policy."""


@frozen
class Answer:
    """A model answered."""

    version: int
    """Of the CallStarted, or of the ModelSelected where it is reused: the answer's identity."""
    model: str
    digest: str
    size: int
    """Bytes."""
    finish: Finish
    reading: Reading
    reused: bool = False
    """Whether it is another run's, out of the cache."""


@frozen
class Failure:
    """How the latest attempt of the current selection failed."""

    at: int
    kind: ErrorKind
    retryable: bool
    retry_after: int | None


@frozen
class Refusal:
    """An account had too little free."""

    at: int
    event: AccountRefused


@frozen
class Reservation:
    """When a call may start that takes turns with those of all runs."""

    version: int
    """Of the PaceRefused that reserved it."""
    until: int
    """Microseconds UTC."""
    refusals: int = 1
    """How often the call was refused in a row."""


@define
class LogicalCall:
    """All that has happened to one logical call.

    ``since`` and ``ended_before`` mark where a reopening began: selections and ended attempts before it no longer
    count in any limit, but attempt and try numbers go on. So do a model's answers that could not be used.
    """

    key: CallKey
    selections: list[Selection] = Factory(list)
    candidates: dict[str, ModelCandidate] = Factory(dict)
    """What is known of every candidate, by model; emptied when the call is answered."""
    prepared: CallPrepared | None = None
    """Of the latest selection."""
    in_flight: int | None = None
    """Version of the CallStarted that has no end yet."""
    attempts: int = 0
    ended: int = 0
    """Attempts a vendor has ended."""
    took: int = 0
    """Microseconds that these have taken."""
    tries: dict[str, int] = Factory(dict)
    """The same by model."""
    smallest: int | None = None
    """The smallest ``max_tokens`` asked for of the current selection, since its latest answer that was cut off."""
    cut: list[int] = Factory(list)
    """The ``max_tokens`` at which answers of the current selection were cut off, in their order."""
    failure: Failure | None = None
    """Of the current selection's latest attempt."""
    answers: list[Answer] = Factory(list)
    refusals: list[Refusal] = Factory(list)
    """By accounts, of the current selection."""
    refused: bool = False
    refused_by: SpendLimit | None = None
    """The limit that refused."""
    rejected: set[int] = Factory(set)
    """Versions of the answers that a decision refused, although they could be read."""
    since: int = 0
    ended_before: int = 0
    answers_before: int = 0
    compares: tuple[int, int] | None = None
    """Of a comparison: the versions of the calls whose answers are shown as A and B."""

    @property
    def current(self) -> Selection | None:
        """The selection in force."""
        return self.selections[-1] if len(self.selections) > self.since else None

    @property
    def answer(self) -> Answer | None:
        """The answer that counts: the latest that can be used, else the latest; None before there is one."""
        for answer in reversed(self.answers):
            if self.can_use(answer):
                return answer
        return self.answers[-1] if self.answers else None

    def can_use(self, answer: Answer) -> bool:
        """Whether an answer could be read, and no decision refused it."""
        return answer.reading.problem is None and answer.version not in self.rejected

    @property
    def visited(self) -> list[Selection]:
        """The selections that still count."""
        return self.selections[self.since :]

    def reopen(self) -> None:
        """Forget what limits: the call may be tried again from the start."""
        self.since = len(self.selections)
        self.ended_before = self.ended
        self.answers_before = len(self.answers)
        self.tries.clear()
        self.candidates.clear()
        self.refusals.clear()
        self.cut.clear()
        self.took = 0
        self.failure = None
        self.refused = False
        self.refused_by = None


@define
class Spend:
    """Money of one node, phase or run: exact, settled and unreconciled apart."""

    settled: Usd = Usd.ZERO
    unreconciled: Usd = Usd.ZERO

    @property
    def total(self) -> Usd:
        """Settled + unreconciled."""
        return self.settled + self.unreconciled

    def add(self, settled: Usd, unreconciled: Usd) -> None:
        """Count an attempt's end."""
        self.settled += settled
        if unreconciled:
            self.unreconciled += unreconciled
