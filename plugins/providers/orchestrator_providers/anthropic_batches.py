"""Anthropic's message batches.

A batch carries nothing of ours that the list of batches would show: only its results have our ids. So one that may be
ours is waited for before anything is sent again.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from orchestrator.spi import BatchOrder, BatchResults, CallContext, ErrorKind, ProviderError, Reply
from orchestrator_providers.batching import (
    MOST_PAGES,
    BatchVendor,
    attempt,
    bodies,
    in_path,
    object_of,
    objects_of,
    text_of,
    uncharged,
    undone,
)
from orchestrator_providers.error_meanings import bad_answer

_BATCHES: Final = "messages/batches"
_ENDED: Final = "ended"
_SKEW: Final = 300
"""Seconds by which the vendor's clock may be behind."""
_UNDONE: Final = ("canceled", "expired")


class AnthropicBatches(BatchVendor):
    """Speaks ``/messages/batches``."""

    async def find_batch(self, order: BatchOrder, ctx: CallContext) -> str | None:
        """See ``BatchProvider``: those of the same size since then, and what their results are of."""
        wanted, undecided = {each.id for each in order.requests}, False
        for each in await self._since(order, ctx):
            if each.get("processing_status") != _ENDED:
                undecided = True
                continue
            name = text_of(each, "id", "a batch")
            if wanted & (await self._results(name, ctx)).keys():
                return name
        if undecided:
            text = "a batch that has not ended may be this one: the vendor shows whose it is with its results"
            raise ProviderError(text, kind=ErrorKind.TIMEOUT, retryable=True)
        return None

    async def _since(self, order: BatchOrder, ctx: CallContext) -> list[dict[str, Any]]:
        """The batches of the order's size that were created since; the latest are listed first."""
        found: list[dict[str, Any]] = []
        after = ""
        for _ in range(MOST_PAGES):
            page = await self.ask_object(ctx, "GET", f"{_BATCHES}?limit=100{after}")
            batches = objects_of(page, "data")
            found += [each for each in batches if _size(each) == len(order.requests) and _is_since(each, order)]
            if not batches or not page.get("has_more") or not _is_since(batches[-1], order):
                return found
            after = f"&after_id={in_path(text_of(batches[-1], 'id', 'a batch'))}"
        raise bad_answer("the list of batches has no end")

    async def create_batch(self, order: BatchOrder, ctx: CallContext) -> str:
        """See ``BatchVendor``."""
        requests = [{"custom_id": name, "params": body} for name, body in bodies(order.requests)]
        return text_of(await self.ask_object(ctx, "POST", _BATCHES, {"requests": requests}), "id", "a new batch")

    async def collect_batch(self, batch: str, ctx: CallContext) -> BatchResults | None:
        """See ``BatchProvider``."""
        found = await self.ask_object(ctx, "GET", f"{_BATCHES}/{in_path(batch)}")
        if found.get("processing_status") != _ENDED:
            return None
        return BatchResults(await self._results(batch, ctx))

    async def _results(self, batch: str, ctx: CallContext) -> dict[str, Reply | ProviderError]:
        """The results; their address is made here, so that the key goes nowhere else."""
        _, content = await self.ask(ctx, "GET", f"{_BATCHES}/{in_path(batch)}/results")
        lines = self.lines(content)
        return {str(line.get("custom_id")): self._result(object_of(line, "result")) for line in lines}

    def _result(self, result: Mapping[str, Any]) -> Reply | ProviderError:
        kind = result.get("type")
        if kind in _UNDONE:
            return undone(str(kind), cancelled=kind == "canceled")
        if kind == "succeeded":
            return attempt(lambda: self.reply(object_of(result, "message"), {}))
        error = object_of(result, "error")
        error = object_of(error, "error") or error
        status = 400 if error.get("type") == "invalid_request_error" else 500
        return uncharged(self.error_inside(error, None, {}, status))

    async def cancel_batch(self, batch: str, ctx: CallContext) -> None:
        """See ``BatchProvider``."""
        await self.ask(ctx, "POST", f"{_BATCHES}/{in_path(batch)}/cancel")


def _size(batch: Mapping[str, Any]) -> int:
    return sum(each for each in object_of(batch, "request_counts").values() if type(each) is int)


def _is_since(batch: Mapping[str, Any], order: BatchOrder) -> bool:
    """Whether it may have been created since the order was made; without a date it may."""
    try:
        created = datetime.fromisoformat(str(batch.get("created_at")))
    except ValueError:
        return True
    return created.timestamp() >= order.since - _SKEW
