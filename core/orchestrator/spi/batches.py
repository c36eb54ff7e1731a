"""Batches: requests that a vendor answers together, within a day, and for less. A provider may offer them."""

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from attrs import frozen

from orchestrator.errors import ProviderError
from orchestrator.spi.providers import Body, CallContext, Reply


@frozen
class BatchRequest:
    """One request of a batch."""

    id: str
    """Tells it apart in the results: 64 hexadecimal digits, used for no other request."""
    body: Body
    """What ``encode`` made. What the vendor does not take in batches, such as a stream, is left out of it."""


@frozen
class BatchOrder:
    """A batch to be submitted once. An order that is given again is the same in every field."""

    key: str
    """Tells it apart from every other batch: 64 hexadecimal digits."""
    since: float
    """Seconds UTC since 1970; nothing of it was sent before."""
    requests: Sequence[BatchRequest]
    """At least one; all are for one model."""


BatchResult = Reply | ProviderError
"""What became of one request."""


@frozen
class BatchResults:
    """The results of a batch that has ended."""

    results: Mapping[str, BatchResult]
    """By the ids of the requests."""
    rest: ProviderError | None = None
    """What became of the requests that have no result; None: nothing is known of them."""


@runtime_checkable
class BatchProvider(Protocol):
    """What a provider has besides ``Provider`` where its vendor sells batches.

    Its models that batches are sold of have a ``batch_price``. None of the methods waits for the results.
    """

    async def find_batch(self, order: BatchOrder, ctx: CallContext) -> str | None:
        """The vendor's id of the batch that was submitted for this order; None: it certainly has none.

        Raises:
            ProviderError: it cannot be told now. It is asked again later, and nothing is submitted until then.
        """

    async def submit_batch(self, order: BatchOrder, ctx: CallContext) -> str:
        """Submit it, and return the vendor's id of it.

        Raises:
            ProviderError: it failed. ``billed`` says ``no`` only where the vendor certainly has no batch.
        """

    async def collect_batch(self, batch: str, ctx: CallContext) -> BatchResults | None:
        """The results; None while the batch has not ended.

        Raises:
            ProviderError: they cannot be read now.
        """

    async def cancel_batch(self, batch: str, ctx: CallContext) -> None:
        """Ask the vendor to end it; what it has done by then is among the results.

        Raises:
            ProviderError: the vendor was not reached, or refuses.
        """
