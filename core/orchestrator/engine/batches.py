"""Batches at their vendors: submitted once, waited for by whichever session, each result given to its call."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, TypeVar, cast

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.deadlines.awaiting import contained
from orchestrator.engine.ports import Ports
from orchestrator.errors import Billed, ErrorKind, MissingError, ProviderError, present
from orchestrator.models import ModelInfo
from orchestrator.settings import SECOND
from orchestrator.spi import BatchOrder, BatchProvider, BatchRequest, BatchResults, Body, CallContext, Provider, Reply
from orchestrator.state.batches import Batch
from orchestrator.state.run import RunState

if TYPE_CHECKING:
    import httpx

_LOGGER: Final = logging.getLogger("orchestrator.batches")
_T = TypeVar("_T")

_OPERATION_SECONDS: Final = 300.0
"""How long one request about a batch may take."""
_FIRST_LOOK, _LONGEST_LOOK = 0.1, 60.0
"""Seconds between two looks: at first, and at most. They grow with the age of the batch."""
_PART_OF_AGE: Final = 5
_STOP_SECONDS: Final = 10.0
"""How long the end of a session may be held up by cancelling batches."""
_AFTER_CANCEL: Final = 3600 * SECOND
"""How long the results of a batch are waited for that was cancelled because it took too long."""
_MOST_REFUSALS: Final = 5
"""So many refusals in a row, which waiting does not mend, end the waiting."""


class TextsOfBatches(Protocol):
    """The texts of the run, as far as batches need them."""

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text for the next append, and return its digest."""

    def get(self, digest: str) -> str:
        """The text of a digest."""

    def digest(self, text: str) -> str:
        """The digest that ``put`` would return for a text."""


@define
class Batches:
    """The batches of one session. Reads the state, never changes it."""

    run: str
    state: RunState
    texts: TextsOfBatches
    ports: Ports
    providers: Mapping[str, Provider]
    http: "httpx.AsyncClient | None"
    encoded: Callable[[e.CallStarted, ModelInfo], Body]
    """The body of a call; raises ProviderError."""
    _collecting: "dict[int, asyncio.Task[BatchResults]]" = Factory(dict)

    async def submit(self, version: int, started: e.BatchStarted) -> e.BatchSubmitted:
        """Submit a batch, or find the one that an earlier session submitted."""
        try:
            order = self._order(version, started)
            found = await self._placed(version, order)
        except ProviderError as error:
            return e.BatchSubmitted(version, None, self._refusal(error))
        return e.BatchSubmitted(version, self.texts.put(found))

    async def reply(self, call: int) -> Reply:
        """The reply to a call whose batch is submitted, once the batch has ended.

        Raises:
            ProviderError: there is none.
        """
        version = present(self.state.batched[call].batch, "batch of the call")
        batch = self.state.batches[version]
        submitted = present(batch.submitted, "end of the submission")
        if submitted.vendor_id is None:
            raise self._refused(present(submitted.refusal, "refusal"))
        collecting = self._collecting.get(version)
        if collecting is None:
            vendor_id = self.texts.get(submitted.vendor_id)
            collecting = self._collecting[version] = asyncio.create_task(self._collected(batch, vendor_id))
        collected = await asyncio.shield(collecting)
        found = collected.results.get(self._id(f"call {call}"), collected.rest)
        if found is None:
            raise ProviderError("the batch has no result for this call", kind=ErrorKind.BAD_ANSWER, retryable=True)
        if isinstance(found, ProviderError):
            raise found
        return found

    async def cancel(self) -> None:
        """Ask the vendors to end every batch that is waited for; what they have done by then is collected later."""
        submitted = [each for each in self.state.batches.values() if each.submitted and each.submitted.vendor_id]
        asked = [self._cancel(each) for each in submitted]
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.gather(*asked)

    def close(self) -> None:
        """Stop waiting; the batches stay at their vendors."""
        for task in self._collecting.values():
            task.cancel()

    def _id(self, what: str) -> str:
        """An id for a vendor: the same in every session of the run, in no other run, and it says nothing."""
        return self.texts.digest(f"batch of {self.run}: {what}")

    def _order(self, version: int, started: e.BatchStarted) -> BatchOrder:
        calls = [(call, self.state.pending[call], self.state.batched[call]) for call in started.calls]
        requests = [
            BatchRequest(self._id(f"call {call}"), self.encoded(cast(e.CallStarted, opened), batched.model))
            for call, opened, batched in calls
        ]
        return BatchOrder(self._id(f"batch {version}"), self.state.batches[version].at / SECOND, requests)

    async def _placed(self, version: int, order: BatchOrder) -> str:
        """The vendor's id of the batch. It is sent again only after the vendor was seen not to have it."""
        batch = self.state.batches[version]
        provider = self._provider(batch.started.provider)
        may_be_there = batch.session != self.state.opened.number
        while True:
            try:
                if may_be_there:
                    found = await self._done(lambda ctx: provider.find_batch(order, ctx), order.key)
                    if found is not None:
                        return found
                    may_be_there = False
                return await self._done(lambda ctx: provider.submit_batch(order, ctx), order.key)
            except ProviderError as error:
                if not may_be_there and error.billed is Billed.NO:
                    raise
                may_be_there = True
                if self._is_late(batch):
                    text = f"it is not known whether the vendor has the batch: {error}"
                    raise ProviderError(text, kind=error.kind, retryable=True, status=error.status) from error
                _LOGGER.info("whether %s has a batch is asked again: %s", batch.started.provider, error)
            await self.ports.sleep(max(1.0, self._pause(batch)))

    async def _collected(self, batch: Batch, vendor_id: str) -> BatchResults:
        """Look until the batch has ended; one that takes too long is cancelled.

        Raises:
            ProviderError: its results cannot be had.
        """
        provider = self._provider(batch.started.provider)
        cancelled, refusals = False, 0
        while True:
            await self.ports.sleep(self._pause(batch))
            try:
                found = await self._done(lambda ctx: provider.collect_batch(vendor_id, ctx), vendor_id)
            except ProviderError as error:
                lasting = not error.retryable and error.kind is not ErrorKind.AUTHENTICATION
                refusals = refusals + 1 if lasting else 0
                _LOGGER.warning("%s does not say how a batch stands: %s", batch.started.provider, error)
                if refusals >= _MOST_REFUSALS or self._is_late(batch, _AFTER_CANCEL):
                    raise ProviderError(str(error), kind=error.kind, status=error.status) from error
                continue
            if found is not None:
                return found
            if self._is_late(batch, _AFTER_CANCEL):
                raise ProviderError("the batch did not end in time", kind=ErrorKind.TIMEOUT, retryable=True)
            if not cancelled and self._is_late(batch):
                cancelled = True
                await self._cancel(batch)

    async def _cancel(self, batch: Batch) -> None:
        provider, submitted = self._provider(batch.started.provider), present(batch.submitted, "submission")
        vendor_id = self.texts.get(present(submitted.vendor_id, "vendor's id"))
        try:
            await self._done(lambda ctx: provider.cancel_batch(vendor_id, ctx), vendor_id)
        except ProviderError as error:
            _LOGGER.warning("%s does not cancel a batch: %s", batch.started.provider, error)

    def _is_late(self, batch: Batch, more: int = 0) -> bool:
        return self.ports.clock() > batch.at + self.state.settings.limits.batch_wait + more

    def _pause(self, batch: Batch) -> float:
        """Seconds until the next look: a part of the batch's age."""
        age = max(0, self.ports.clock() - batch.at) / SECOND
        return min(max(_FIRST_LOOK, age / _PART_OF_AGE), _LONGEST_LOOK)

    def _provider(self, name: str) -> BatchProvider:
        found = self.providers.get(name)
        if not isinstance(found, BatchProvider):
            raise MissingError(f"provider {name} that sells batches")
        return found

    async def _done(self, ask: Callable[[CallContext], Awaitable[_T]], key: str) -> _T:
        """One exchange with the vendor.

        Raises:
            ProviderError: whatever went wrong.
        """
        context = CallContext(
            http=cast("httpx.AsyncClient", self.http),
            timeout=_OPERATION_SECONDS,
            sleep=self.ports.sleep,
            idempotency_key=key,
        )
        try:
            return cast("_T", await contained(lambda: ask(context), _OPERATION_SECONDS))
        except ProviderError:
            raise
        except TimeoutError as error:
            raise ProviderError("no answer in time", kind=ErrorKind.TIMEOUT, retryable=True) from error
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            raise ProviderError(text, kind=ErrorKind.PLUGIN, retryable=True) from error

    def _refusal(self, error: ProviderError) -> e.BatchRefusal:
        billed = Billed.NO if error.billed is Billed.NO else Billed.UNKNOWN
        said = self.texts.put(str(error)[:16_000], shapes=True)
        return e.BatchRefusal(error.kind, error.retryable, billed.value, error.retry_after, error.status, said)

    def _refused(self, refusal: e.BatchRefusal) -> ProviderError:
        return ProviderError(
            "the batch was not taken" if refusal.error is None else self.texts.get(refusal.error),
            kind=refusal.kind,
            retryable=refusal.retryable,
            retry_after=refusal.retry_after,
            billed=Billed(refusal.billed),
            status=refusal.status,
        )
