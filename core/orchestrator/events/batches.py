"""The way of a batch: calls of the lane ``batch`` that one vendor answers together, later and for less."""

from attrs import frozen

from orchestrator.errors import ErrorKind
from orchestrator.events.kinds import Decision, Outcome


@frozen
class BatchStarted(Decision):
    """Calls in flight go to their vendor as one batch. Durable before a byte of it leaves."""

    provider: str
    model: str
    calls: tuple[int, ...]
    """Versions of their CallStarteds. The id of each within the batch follows from its version and the run."""


@frozen
class BatchRefusal:
    """Why a batch was not taken; each of its calls fails so."""

    kind: ErrorKind
    retryable: bool
    billed: str
    """Whether the vendor may have it all the same, and charge for it: ``no`` or ``unknown``."""
    retry_after: float | None = None
    """Seconds to wait, according to the vendor."""
    status: int | None = None
    error: str | None = None
    """Digest of the error's text."""


@frozen
class BatchSubmitted(Outcome):
    """The vendor has taken the batch, and its results are waited for, by every later session too; or it has not."""

    batch: int
    """Version of the BatchStarted."""
    vendor_id: str | None
    """Digest of the vendor's id of the batch."""
    refusal: BatchRefusal | None = None
