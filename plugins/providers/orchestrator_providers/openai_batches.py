"""Batches in OpenAI's format: a file of requests, ``/batches``, and a file of results.

A batch carries our key in its metadata, and the list of batches shows that: so it is known whether one was submitted.
"""

import json
from collections.abc import Mapping
from typing import Any, Final

from orchestrator.spi import BatchOrder, BatchResults, Billed, CallContext, ErrorKind, ProviderError, Reply
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
from orchestrator_providers.text_without_keys import one_line

_KEY: Final = "orchestrate_batch"
_ENDED: Final = ("completed", "expired", "cancelled")
_FAILED: Final = "failed"
_AFTER_EXPIRY: Final = "batch_expired"
_AFTER_CANCEL: Final = "batch_cancelled"
_QUEUE_IS_FULL: Final = "token_limit_exceeded"
_SKEW: Final = 300
"""Seconds by which the vendor's clock may be behind."""


class OpenAIBatches(BatchVendor):
    """Speaks ``/files`` and ``/batches``."""

    async def find_batch(self, order: BatchOrder, ctx: CallContext) -> str | None:
        """See ``BatchProvider``. The latest batches are listed first."""
        after = ""
        for _ in range(MOST_PAGES):
            page = await self.ask_object(ctx, "GET", f"batches?limit=100{after}")
            found = objects_of(page, "data")
            for each in found:
                if object_of(each, "metadata").get(_KEY) == order.key:
                    return text_of(each, "id", "a batch")
            created = found[-1].get("created_at") if found else None
            is_older = isinstance(created, int) and created < order.since - _SKEW
            if not found or not page.get("has_more") or is_older:
                return None
            after = f"&after={in_path(text_of(found[-1], 'id', 'a batch'))}"
        raise bad_answer("the list of batches has no end")

    async def create_batch(self, order: BatchOrder, ctx: CallContext) -> str:
        """See ``BatchVendor``."""
        url = "/v1" + self.url(order.requests[0].body.request).removeprefix(self.access.base_url)
        lines = [
            json.dumps({"custom_id": name, "method": "POST", "url": url, "body": body}, ensure_ascii=False)
            for name, body in bodies(order.requests)
        ]
        file = await self._uploaded("\n".join(lines).encode(), ctx)
        wanted = {
            "input_file_id": file,
            "endpoint": url,
            "completion_window": "24h",
            "metadata": {_KEY: order.key},
        }
        return text_of(await self.ask_object(ctx, "POST", "batches", wanted), "id", "a new batch")

    async def _uploaded(self, content: bytes, ctx: CallContext) -> str:
        """The id of an uploaded file. A file alone is charged for nothing, whatever becomes of the upload."""
        files = {"file": ("batch.jsonl", content, "application/jsonl")}
        try:
            answer = await self.ask_object(ctx, "POST", "files", files=files, data={"purpose": "batch"})
            return text_of(answer, "id", "an uploaded file")
        except ProviderError as error:
            raise ProviderError(
                str(error),
                kind=error.kind,
                retryable=error.retryable,
                retry_after=error.retry_after,
                billed=Billed.NO,
            ) from error

    async def collect_batch(self, batch: str, ctx: CallContext) -> BatchResults | None:
        """See ``BatchProvider``."""
        found = await self.ask_object(ctx, "GET", f"batches/{in_path(batch)}")
        status = found.get("status")
        if status == _FAILED:
            return BatchResults({}, self._failure(found))
        if status not in _ENDED:
            return None
        results: dict[str, Reply | ProviderError] = {}
        for name in ("error_file_id", "output_file_id"):
            file = found.get(name)
            if isinstance(file, str) and file:
                _, content = await self.ask(ctx, "GET", f"files/{in_path(file)}/content")
                results |= {str(line.get("custom_id")): self._result(line) for line in self.lines(content)}
        is_whole = status == "completed"
        return BatchResults(results, None if is_whole else undone(str(status), cancelled=status == "cancelled"))

    async def cancel_batch(self, batch: str, ctx: CallContext) -> None:
        """See ``BatchProvider``."""
        await self.ask(ctx, "POST", f"batches/{in_path(batch)}/cancel")

    def _failure(self, batch: Mapping[str, Any]) -> ProviderError:
        """Why none of the requests was begun."""
        errors = objects_of(object_of(batch, "errors"), "data")
        said = "; ".join(one_line(str(each.get("message") or each.get("code")), self.key) for each in errors[:3])
        full = any(each.get("code") == _QUEUE_IS_FULL for each in errors)
        kind = ErrorKind.RATE_LIMIT if full else ErrorKind.BAD_REQUEST
        text = f"the batch was refused: {said or 'no reason is given'}"
        return ProviderError(text, kind=kind, retryable=full, billed=Billed.NO)

    def _result(self, line: Mapping[str, Any]) -> Reply | ProviderError:
        error, response = object_of(line, "error"), object_of(line, "response")
        if error.get("code") in (_AFTER_EXPIRY, _AFTER_CANCEL):
            return undone(str(error["code"]), cancelled=error["code"] == _AFTER_CANCEL)
        if not response:
            failed = self.error_inside(error or None, None, {})
            return uncharged(failed) if error else failed
        given = response.get("status_code")
        status = given if type(given) is int else 200
        headers = {"x-request-id": str(response.get("request_id") or "")}
        content = json.dumps(response.get("body")).encode()
        found = attempt(lambda: self.read_answer(status, headers, content))
        return uncharged(found) if isinstance(found, ProviderError) and status >= 400 else found
