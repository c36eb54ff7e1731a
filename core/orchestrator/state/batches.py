"""What is known of the batches that a run waits for, and of the calls in them."""

from attrs import define

from orchestrator.events import BatchStarted, BatchSubmitted
from orchestrator.models import ModelInfo


@define
class BatchedCall:
    """A call of the lane ``batch`` that has no end yet."""

    at: int
    """When it began, in microseconds UTC."""
    model: ModelInfo
    """As the session had it that began the call: its price counts, whatever later sessions know."""
    batch: int | None = None
    """Version of the BatchStarted; None before there is one."""


@define
class Batch:
    """A batch with calls that have no end yet."""

    started: BatchStarted
    at: int
    """When it was decided on, in microseconds UTC."""
    session: int
    """Number of the session that decided on it."""
    left: int
    """Its calls without an end."""
    submitted: BatchSubmitted | None = None
