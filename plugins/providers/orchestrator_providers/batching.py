"""What the vendors that sell batches share: half the price, exchanges of JSON, results line by line."""

import json
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from attrs import evolve

from orchestrator.spi import (
    BatchOrder,
    BatchRequest,
    Billed,
    CallContext,
    ErrorKind,
    ModelInfo,
    Price,
    ProviderConfig,
    ProviderError,
    Reply,
    SpecError,
)
from orchestrator_providers.error_meanings import bad_answer, transport_error
from orchestrator_providers.one_call import Vendor
from orchestrator_providers.reply_body_json import NO_JSON, parse_strict
from orchestrator_providers.text_without_keys import excerpt

if TYPE_CHECKING:
    import httpx

MOST_PAGES: Final = 1000
"""Pages of a list of batches that are looked through."""
_MAYBE_DONE: Final = (408, 409, 499)
_SERVER_ERROR: Final = 500
_STREAMING: Final = ("stream", "stream_options")


class BatchVendor(Vendor):
    """A vendor that sells batches; see ``orchestrator.spi.BatchProvider``."""

    sells_batches: bool = True
    """Whether its models without a declared ``batch_price`` have the vendor's usual one."""

    def models(self) -> Sequence[ModelInfo]:
        """What it sells, with the prices of batches."""
        return tuple([self._batched(each) for each in super().models()])

    def _batched(self, model: ModelInfo) -> ModelInfo:
        if model.batch_price is not None or model.price is None or not self.sells_batches:
            return model
        return evolve(model, batch_price=self.batch_price(model.price))

    def batch_price(self, price: Price) -> Price:
        """What a batch costs where single calls cost ``price``."""
        return price.halved

    async def submit_batch(self, order: BatchOrder, ctx: CallContext) -> str:
        """See ``BatchProvider``."""
        try:
            return await self.create_batch(order, ctx)
        except ProviderError as error:
            raise _unless_certain(error) from error

    @abstractmethod
    async def create_batch(self, order: BatchOrder, ctx: CallContext) -> str:
        """Submit it, and return the vendor's id of it.

        Raises:
            ProviderError: it failed.
        """

    async def ask(
        self, ctx: CallContext, method: str, path: str, value: Any = None, **given: Any
    ) -> tuple["httpx.Response", bytes]:
        """One exchange about batches; ``value`` is sent as JSON, ``given`` as ``httpx`` takes it.

        Raises:
            ProviderError: it was refused, or broke.
        """
        import httpx

        headers = {}
        if value is not None:
            given["content"] = json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
            headers["Content-Type"] = "application/json"
        if method == "POST":
            headers["Idempotency-Key"] = ctx.idempotency_key
        url = f"{self.access.base_url}/{path}"
        try:
            answer = await ctx.http.request(method, url, headers=self._all_headers(headers), **given)
        except httpx.HTTPError as error:
            raise transport_error(error, self.key) from error
        if not 200 <= answer.status_code < 300:
            raise self._refusal(answer.status_code, answer.headers, answer.content)
        return answer, answer.content

    async def ask_object(self, ctx: CallContext, method: str, path: str, value: Any = None, **given: Any) -> Any:
        """The JSON object that is answered.

        Raises:
            ProviderError: there is none.
        """
        _, content = await self.ask(ctx, method, path, value, **given)
        return self.parsed(content)

    def parsed(self, content: bytes) -> dict[str, Any]:
        """The JSON object in an answer.

        Raises:
            ProviderError: there is none.
        """
        try:
            found = parse_strict(content)
        except NO_JSON:
            found = None
        if not isinstance(found, dict):
            raise bad_answer(f"an answer about batches is no JSON object: {excerpt(content, self.key)}")
        return found

    def lines(self, content: bytes) -> Iterator[dict[str, Any]]:
        """The objects of JSON lines; one that cannot be read is left out, so that the others count."""
        for line in content.splitlines():
            try:
                yield self.parsed(line)
            except ProviderError:
                continue


def bodies(requests: Iterable[BatchRequest]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The id and the parsed body of each request, without what asks for a stream."""
    for each in requests:
        body = json.loads(each.body.content)
        yield each.id, {name: value for name, value in body.items() if name not in _STREAMING}


def attempt(read: Callable[[], Reply]) -> Reply | ProviderError:
    """What ``read`` returns, or the error it raises."""
    try:
        return read()
    except ProviderError as error:
        return error


def uncharged(failed: ProviderError) -> ProviderError:
    """The error of a request that has failed: in a batch that is charged for nothing, whatever the error is."""
    return ProviderError(str(failed), kind=failed.kind, retryable=failed.retryable, billed=Billed.NO)


def undone(why: str, *, cancelled: bool) -> ProviderError:
    """A request that the vendor did not get to: it is charged for nothing, and may be sent again."""
    kind = ErrorKind.CANCELLED if cancelled else ErrorKind.OVERLOADED
    return ProviderError(f"the vendor did not get to it: {why}", kind=kind, retryable=True, billed=Billed.NO)


def text_of(value: Mapping[str, Any], name: str, where: str) -> str:
    """A text of an answer that must be there.

    Raises:
        ProviderError: it is not.
    """
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise bad_answer(f"there is no {name} in {where}")
    return found


def object_of(value: Mapping[str, Any], name: str) -> dict[str, Any]:
    """An object of an answer; an empty one where it is missing."""
    found = value.get(name)
    return found if isinstance(found, dict) else {}


def objects_of(value: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """The objects of a list in an answer."""
    found = value.get(name)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def in_path(name: str) -> str:
    """A vendor's id as a part of a path."""
    return quote(name, safe="")


def read_batches_option(config: ProviderConfig) -> bool:
    """Whether the spec leaves batches on.

    Raises:
        SpecError: it says neither.
    """
    found = config.options.get("batches", True)
    if not isinstance(found, bool):
        raise SpecError([f"providers.{config.name}.batches: say true or false"])
    return found


def _unless_certain(error: ProviderError) -> ProviderError:
    """The error of a submission; what proves of a single call that nothing was billed proves less of a batch."""
    unknown = error.status is not None and (error.status in _MAYBE_DONE or error.status >= _SERVER_ERROR)
    if error.billed is not Billed.NO or not unknown:
        return error
    return ProviderError(
        str(error),
        kind=error.kind,
        retryable=error.retryable,
        retry_after=error.retry_after,
        billed=Billed.UNKNOWN,
        status=error.status,
    )
