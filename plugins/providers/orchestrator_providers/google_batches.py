"""Google's batches: ``:batchGenerateContent`` with the requests in its body, and an operation that has the results.

A batch carries our key as its display name, and the list of batches shows that.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from orchestrator.spi import BatchOrder, BatchResults, Billed, CallContext, ErrorKind, Price, ProviderError, Reply
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
from orchestrator_providers.text_without_keys import message_of, one_line

_SUCCEEDED, _FAILED, _CANCELLED, _EXPIRED = (
    f"BATCH_STATE_{state}" for state in ("SUCCEEDED", "FAILED", "CANCELLED", "EXPIRED")
)
_ERROR_STATUS: Final = {3: 400, 5: 404, 7: 403, 8: 429, 13: 500, 14: 503, 16: 401}
"""HTTP statuses of the codes of ``google.rpc``."""


class GoogleBatches(BatchVendor):
    """Speaks ``:batchGenerateContent`` and ``/batches``."""

    def batch_price(self, price: Price) -> Price:
        """Half, but for what is read from the cache, which costs the same as in single calls."""
        half = price.halved
        rates = tuple(
            evolve(rate, cached_input=whole.cached_input) for rate, whole in zip(half.rates, price.rates, strict=True)
        )
        return evolve(half, cached_input=price.cached_input, rates=rates)

    async def find_batch(self, order: BatchOrder, ctx: CallContext) -> str | None:
        """See ``BatchProvider``."""
        token = ""
        for _ in range(MOST_PAGES):
            page = await self.ask_object(ctx, "GET", f"batches?pageSize=100{token}")
            for each in objects_of(page, "operations") or objects_of(page, "batches"):
                if order.key in (object_of(each, "metadata").get("displayName"), each.get("displayName")):
                    return text_of(each, "name", "a batch")
            following = page.get("nextPageToken")
            if not isinstance(following, str) or not following:
                return None
            token = f"&pageToken={in_path(following)}"
        raise bad_answer("the list of batches has no end")

    async def create_batch(self, order: BatchOrder, ctx: CallContext) -> str:
        """See ``BatchVendor``."""
        model = order.requests[0].body.request.model.sent_name
        requests = [{"request": body, "metadata": {"key": name}} for name, body in bodies(order.requests)]
        wanted = {"batch": {"displayName": order.key, "inputConfig": {"requests": {"requests": requests}}}}
        found = await self.ask_object(ctx, "POST", f"models/{in_path(model)}:batchGenerateContent", wanted)
        return text_of(found, "name", "a new batch")

    async def collect_batch(self, batch: str, ctx: CallContext) -> BatchResults | None:
        """See ``BatchProvider``."""
        found = await self.ask_object(ctx, "GET", _path(batch))
        state = object_of(found, "metadata").get("state") or found.get("state")
        if not (found.get("done") or state in (_SUCCEEDED, _FAILED, _CANCELLED, _EXPIRED)):
            return None
        results = {str(object_of(each, "metadata").get("key")): self._result(each) for each in _inlined(found)}
        if state == _SUCCEEDED or (state is None and results):
            return BatchResults(results)
        return BatchResults(results, self._rest(str(state), object_of(found, "error")))

    def _rest(self, state: str, error: Mapping[str, Any]) -> ProviderError:
        """What became of the requests without a result, in a batch that did not succeed."""
        if state in (_CANCELLED, _EXPIRED):
            return undone(state, cancelled=state == _CANCELLED)
        text = f"the batch failed: {one_line(message_of(error), self.key)}"
        return ProviderError(text, kind=ErrorKind.SERVER, retryable=True, billed=Billed.NO)

    def _result(self, result: Mapping[str, Any]) -> Reply | ProviderError:
        error = object_of(result, "error")
        if error:
            return uncharged(self.error_inside(error, None, {}, _status_of(error.get("code"))))
        return attempt(lambda: self.reply(object_of(result, "response"), {}))

    async def cancel_batch(self, batch: str, ctx: CallContext) -> None:
        """See ``BatchProvider``."""
        await self.ask(ctx, "POST", f"{_path(batch)}:cancel")


def _path(batch: str) -> str:
    """Where a batch is found: its name is ``batches/ID``."""
    return "/".join(in_path(part) for part in batch.split("/"))


def _inlined(batch: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The results in the body: in the operation's response, or in the output of the batch."""
    for place in (object_of(batch, "response"), object_of(object_of(batch, "metadata"), "output"), batch):
        found = place.get("inlinedResponses")
        inner = objects_of(found if isinstance(found, dict) else place, "inlinedResponses")
        if inner:
            return inner
    return []


def _status_of(code: Any) -> int:
    return _ERROR_STATUS.get(code, 500) if type(code) is int else 500
