"""One call to one vendor: what every vendor shares, whatever its format.

A vendor's class says how a request is shaped and how an answer, an error and a stream are read. This module sends the
bytes, once, watches a stream for silence, and sees to it that every end of a call is a ``Reply`` or a classified
``ProviderError``.
"""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Final

from orchestrator.spi import Body, CallContext, ErrorKind, ModelInfo, ProviderError, Reply, Request, Usage
from orchestrator_providers.error_meanings import (
    Cause,
    bad_answer,
    billed_of_status,
    billed_of_usage,
    classify,
    transport_error,
)
from orchestrator_providers.keys_and_addresses import Access, Manner
from orchestrator_providers.live_answer import Gathering, LiveAnswer, inline_thinking
from orchestrator_providers.reply_body_json import NO_JSON, parse_strict
from orchestrator_providers.text_without_keys import clean, excerpt, message_of, one_line, words_of
from orchestrator_providers.wait_times import rate_reset, retry_after, wait_in_text

if TYPE_CHECKING:
    import httpx


_TOO_MANY: Final = 429


class Vendor(ABC):
    """Speaks to one company's API at one base URL."""

    simulated: ClassVar[bool] = False
    idle_seconds: ClassVar[float] = 120.0
    """How long a stream may be silent once it has begun, unless a spec says otherwise."""
    request_ids: ClassVar[tuple[str, ...]] = ("x-request-id", "request-id")
    """The headers that may hold the vendor's id of a call, the best first."""
    hosts: ClassVar[tuple[str, ...]] = ()
    """Base URLs of the vendor's other regions."""
    retired: Mapping[str, str] = {}
    """Names the vendor no longer serves, and the model to use instead."""
    choose: Callable[[Collection[str]], Sequence[ModelInfo]] | None = None
    """What it sells of the names that its address lists; None: all it sells, whatever is listed."""

    def __init__(self, access: Access, models: Sequence[ModelInfo], manner: Manner = Manner()) -> None:  # noqa: B008
        self.access = access
        self.manner = manner
        self._models = tuple(models)

    @property
    def key(self) -> str | None:
        """The key that is sent."""
        return self.access.key

    @property
    def base_url(self) -> str:
        """Where it is reached."""
        return self.access.base_url

    @property
    def is_elsewhere(self) -> bool:
        """Whether its address is not the vendor's own, so that it may serve other models."""
        return self.access.is_elsewhere

    def models(self) -> Sequence[ModelInfo]:
        """What it sells today, as the user overrides and adds to it."""
        return self._models

    def narrow(self, served: Collection[str]) -> None:
        """Sell only what its address lists, and what the user declares."""
        if self.choose is not None:
            self._models = tuple(self.choose(served))

    @abstractmethod
    def url(self, request: Request) -> str:
        """Where a request goes."""

    @abstractmethod
    def headers(self) -> dict[str, str]:
        """The headers of the vendor, its key among them."""

    @abstractmethod
    def fields(self, request: Request) -> dict[str, Any]:
        """The body of a request, before it is written as JSON."""

    @abstractmethod
    def reply(self, answer: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        """The reply in a parsed answer.

        Raises:
            ProviderError: there is none in it.
        """

    @abstractmethod
    def gathering(self) -> Gathering:
        """An empty stream."""

    def cause(self, status: int, error: Any, headers: Mapping[str, str]) -> Cause:
        """Why the vendor refused; ``error`` is the error object of its answer, or None."""
        return classify(status, words_of(error))

    def error_inside(
        self, error: Any, usage: Usage | None, headers: Mapping[str, str], status: int = 500
    ) -> ProviderError:
        """An error that came with a status of success: of the class its code says, and possibly billed.

        Args:
            error: the error object, or whatever stands in its place.
            usage: what the answer says was used, where it says so.
            headers: of the answer; empty in a stream.
            status: what to take it for where it has no code of its own.
        """
        code = error.get("code") if isinstance(error, dict) else None
        cause = self.cause(code if type(code) is int and 400 <= code < 600 else status, error, headers)
        wait = retry_after(headers)
        if wait is None and cause.wait is None and cause.retryable:
            wait = wait_in_text(message_of(error))
        return ProviderError(
            f"an error inside an answer: {one_line(message_of(error), self.key)}",
            kind=cause.kind,
            retryable=cause.retryable,
            retry_after=cause.wait if wait is None else wait,
            billed=billed_of_usage(usage),
            usage=usage,
        )

    def streams(self, model: ModelInfo) -> bool:
        """Whether answers of this model are streamed: where a long silence would be normal, unless a spec says."""
        return "reasoning" in model.abilities if self.manner.stream is None else self.manner.stream

    def effort(self, model: ModelInfo, usual: str | None = "low") -> str | None:
        """How much the model should think: as it is declared, as the spec says of the provider, else ``usual``.

        None where it takes no such setting.
        """
        return (model.effort or self.manner.effort or usual) if "effort" in model.abilities else None

    def encode(self, request: Request) -> Body:
        """The request as compact JSON, its keys in their order: that of a schema is the order of the answer."""
        text = json.dumps(
            self.fields(request),
            ensure_ascii=False,
            allow_nan=False,
            separators=(",", ":"),
            default=_plain,
        )
        return Body(clean(text).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send the bytes once and read the answer.

        Raises:
            ProviderError: the call failed.
        """
        import httpx

        live = LiveAnswer(self, ctx.on_text, inline_thinking(body.request.model))
        headers = self._all_headers({"Content-Type": "application/json", "Idempotency-Key": ctx.idempotency_key})
        try:
            async with ctx.http.stream("POST", self.url(body.request), content=body.content, headers=headers) as answer:
                if not _is_stream(answer.status_code, answer.headers, self.streams(body.request.model)):
                    content = await _read(answer)
                    return self.read_answer(answer.status_code, answer.headers, content)
                return await self._follow(answer, live)
        except ProviderError:
            raise
        except httpx.HTTPError as error:
            raise transport_error(error, self.key) from error
        except Exception as error:
            details = one_line(f"{type(error).__name__}: {error}", self.key)
            raise ProviderError(details[:500], kind=ErrorKind.PLUGIN) from error

    def _all_headers(self, others: Mapping[str, str]) -> dict[str, str]:
        """The vendor's headers and others, as the user's replace them and add to them."""
        given = {name.lower() for name in self.access.headers}
        usual = {"Accept": "*/*", **others, **self.headers()}
        return {**{name: value for name, value in usual.items() if name.lower() not in given}, **self.access.headers}

    def list_url(self) -> str:
        """Where the vendor lists what it serves."""
        return f"{self.access.base_url}/models"

    async def served(self, http: "httpx.AsyncClient") -> tuple[str, ...]:
        """The names the vendor says it serves: a check of address and key that costs nothing.

        Raises:
            ProviderError: it does not say.
        """
        import httpx

        try:
            async with http.stream("GET", self.list_url(), headers=self._all_headers({})) as answer:
                return self.read_list(answer.status_code, answer.headers, await _read(answer))
        except httpx.HTTPError as error:
            raise transport_error(error, self.key) from error

    def read_list(self, status: int, headers: Mapping[str, str], content: bytes) -> tuple[str, ...]:
        """The names in the vendor's list of models.

        Raises:
            ProviderError: it is none.
        """
        if not 200 <= status < 300:
            raise self._refusal(status, headers, content)
        try:
            answer = parse_strict(content)
        except NO_JSON:
            raise bad_answer(f"the list of models is not valid JSON: {excerpt(content, self.key)}") from None
        found = answer.get("data", answer.get("models")) if isinstance(answer, dict) else None
        if not isinstance(found, list):
            raise bad_answer("there is no list of models in the answer")
        names = [each.get("id") or each.get("name") for each in found if isinstance(each, dict)]
        return tuple(clean(name.removeprefix("models/")) for name in names if isinstance(name, str))

    async def _follow(self, answer: "httpx.Response", live: "LiveAnswer") -> Reply:
        """Read a stream to its end, noticing when it falls silent."""
        import httpx

        idle = self.manner.idle_seconds or self.idle_seconds
        pieces = aiter(answer.aiter_bytes())
        patience: float | None = None  # until the first piece, the deadline of the call alone counts
        try:
            while True:
                async with asyncio.timeout(patience):
                    piece = await anext(pieces, None)
                if piece is None:
                    break
                live.feed(piece, answer.status_code)
                patience = idle
        except TimeoutError:
            raise ProviderError(
                f"the stream was silent for {idle:g} s", kind=ErrorKind.TIMEOUT, retryable=True, status=200
            ) from None
        except httpx.HTTPError:
            if not live.is_complete:
                raise
        return live.finish(answer.status_code, answer.headers)

    def read_answer(self, status: int, headers: Mapping[str, str], content: bytes) -> Reply:
        """The reply in a whole HTTP answer, in one piece or as a stream.

        Raises:
            ProviderError: the status or the body says that there is none.
        """
        if not 200 <= status < 300:
            raise self._refusal(status, headers, content)
        live = LiveAnswer(self, lambda text: None, strips=False)
        live.feed(content, status)
        return live.finish(status, headers)

    def _refusal(self, status: int, headers: Mapping[str, str], content: bytes) -> ProviderError:
        if status < 400:
            target = one_line(headers.get("location", "elsewhere"), self.key)
            return ProviderError(
                f"HTTP {status}: the server redirects to {target}; redirects are not followed, correct the base URL",
                kind=ErrorKind.BAD_REQUEST,
                status=status,
            )
        try:
            answer = parse_strict(content)
        except NO_JSON:
            answer = None
        answer = answer[0] if isinstance(answer, list) and answer else answer
        error = answer.get("error", answer) if isinstance(answer, dict) else None
        cause = self.cause(status, error, headers)
        wait = retry_after(headers)
        if wait is None:
            wait = cause.wait
        if wait is None and cause.retryable:
            wait = wait_in_text(message_of(error))
        if wait is None and status == _TOO_MANY:
            wait = rate_reset(headers)
        details = one_line(message_of(error), self.key) if error else excerpt(content, self.key)
        return ProviderError(
            f"HTTP {status}: {details}",
            kind=cause.kind,
            retryable=cause.retryable,
            retry_after=wait,
            billed=billed_of_status(status) if cause.billed is None else cause.billed,
            status=status,
        )

    def request_id(self, headers: Mapping[str, str], in_body: Any) -> str | None:
        """The vendor's id of the call."""
        for found in (*(headers.get(name) for name in self.request_ids), in_body):
            if isinstance(found, str) and found:
                return one_line(found[:200], self.key)
        return None


def conversation(request: Request) -> tuple[str, list[dict[str, str]]]:
    """The system prompts as one text, and the other messages, for formats in which these stand apart."""
    system = "\n\n".join(each.text for each in request.messages if each.author == "system")
    others = [
        {"role": each.author, "content": clean(each.text)} for each in request.messages if each.author != "system"
    ]
    return clean(system), others


def _is_stream(status: int, headers: Mapping[str, str], asked: bool) -> bool:
    if not 200 <= status < 300:
        return False
    kind = headers.get("content-type", "").lower()
    return "event-stream" in kind or (asked and "json" not in kind)


async def _read(response: "httpx.Response") -> bytes:
    import httpx

    try:
        return await response.aread()
    except httpx.HTTPError:
        # The status of a refusal says enough; what was to explain it is lost.
        if response.status_code < 400:
            raise
        return b""


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")
