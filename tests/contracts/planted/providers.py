"""Providers with one bug each; beside them a sound one."""

import asyncio
import json
import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final

import httpx
from attrs import evolve

from orchestrator import spi
from orchestrator.spi import (
    Billed,
    Body,
    CallContext,
    ErrorKind,
    Finish,
    ModelInfo,
    ProviderConfig,
    ProviderError,
    Reply,
    Request,
    Usage,
)
from orchestrator.testing import PluginContract, ProviderContract, Recording

RECORDINGS: Final = (
    Recording("one", 200, {}, b'{"text": "one", "in": 5, "out": 2}', "one", usage=Usage(input=5, output=2)),
    Recording("two", 200, {}, b'{"text": "two", "in": 9, "out": 3}', "two", usage=Usage(input=9, output=3)),
    Recording("no", 401, {}, b"{}", error=ErrorKind.AUTHENTICATION, retryable=False, billed=Billed.NO),
)
_KINDS: Final = {
    400: ErrorKind.BAD_REQUEST,
    401: ErrorKind.AUTHENTICATION,
    403: ErrorKind.AUTHENTICATION,
    404: ErrorKind.UNKNOWN_MODEL,
    429: ErrorKind.RATE_LIMIT,
    503: ErrorKind.OVERLOADED,
    504: ErrorKind.TIMEOUT,
}


_UNSURE: Final = (408, 499, 504)


class Gateway:
    """A sound provider of a small format of its own."""

    simulated = False
    url = "http://gateway.invalid/ask"

    def __init__(self, config: ProviderConfig) -> None:
        self.config = config
        self.key = config.secret("GATEWAY_KEY")

    def models(self) -> Sequence[ModelInfo]:
        """Those that are declared."""
        return self.config.models

    def encode(self, request: Request) -> Body:
        """As JSON."""
        fields = {
            "model": request.model.sent_name,
            "most": request.max_tokens,
            "prompt": [[each.author, each.text] for each in request.messages],
        }
        return Body(json.dumps(fields).encode(), request)

    async def call(self, body: Body, ctx: CallContext) -> Reply:
        """Send it once."""
        return self.read(await self.send(body, ctx))

    async def send(self, body: Body, ctx: CallContext) -> httpx.Response:
        """The response, whatever its status."""
        try:
            return await ctx.http.post(
                self.url, content=body.content, headers={"x-key": self.key or ""}, timeout=ctx.timeout
            )
        except httpx.ConnectError as error:
            raise ProviderError("no connection", kind=ErrorKind.CONNECTION, retryable=True, billed=Billed.NO) from error
        except httpx.TimeoutException as error:
            raise ProviderError("silence", kind=ErrorKind.TIMEOUT, retryable=True) from error
        except httpx.HTTPError as error:
            raise ProviderError("broken connection", kind=ErrorKind.CONNECTION, retryable=True) from error

    def read(self, response: httpx.Response) -> Reply:
        """The reply, or the classified error."""
        status = response.status_code
        if status != 200:
            kind = _KINDS.get(status, ErrorKind.SERVER if status >= 500 else ErrorKind.BAD_REQUEST)
            wait = response.headers.get("retry-after", "")
            raise ProviderError(
                f"status {status}",
                kind=kind,
                retryable=status == 429 or status >= 500,
                retry_after=float(wait) if wait.isdigit() else None,
                billed=Billed.UNKNOWN if status in _UNSURE or status < 400 or status >= 520 else Billed.NO,
                status=status,
            )
        try:
            answer = json.loads(response.content)
            return Reply(answer["text"], Usage(input=answer["in"], output=answer["out"]), Finish.STOP)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ProviderError("no answer", kind=ErrorKind.BAD_ANSWER, retryable=True) from error


class SoundProvider(ProviderContract):
    """The suite of the sound provider, or of the one that is planted."""

    planted: ClassVar[type[Gateway]] = Gateway
    recordings: ClassVar[Sequence[Recording]] = RECORDINGS

    def make(self) -> spi.Provider:
        """The one that is planted."""
        return self.planted(self.config())


def _provider(**methods: Any) -> type[PluginContract]:
    return type("Planted", (SoundProvider,), {"planted": type("Planted", (Gateway,), methods)})


def _reading(change: Callable[[ProviderError], object]) -> type[PluginContract]:
    """One that changes its errors."""

    def read(self: Gateway, response: httpx.Response) -> Reply:
        try:
            return Gateway.read(self, response)
        except ProviderError as error:
            change(error)
            raise

    return _provider(read=read)


async def _retrying(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    try:
        return await Gateway.call(self, body, ctx)
    except ProviderError:
        return await Gateway.call(self, body, ctx)


async def _waiting(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    try:
        return await Gateway.call(self, body, ctx)
    except ProviderError:
        await ctx.sleep(1)
        raise


async def _blocking(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    time.sleep(0.01)  # noqa: ASYNC251
    return await Gateway.call(self, body, ctx)


async def _printing_call(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    print(body.content)  # noqa: T201
    return await Gateway.call(self, body, ctx)


async def _logging_call(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    logging.getLogger("planted").debug("headers: x-key=%s", self.key)
    return await Gateway.call(self, body, ctx)


async def _own_client(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    wire = httpx.AsyncClient(transport=httpx.MockTransport(lambda request: httpx.Response(200, content=b"{}")))
    async with wire as client:
        return self.read(await client.post("http://gateway.invalid", content=body.content))


async def _following(self: Gateway, body: Body, ctx: CallContext) -> httpx.Response:
    return await ctx.http.post(self.url, content=body.content, follow_redirects=True)


async def _adding(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    return await Gateway.call(self, Body(body.content + b" ", body.request), ctx)


async def _swallowing(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    try:
        return await Gateway.call(self, body, ctx)
    except asyncio.CancelledError:
        return Reply("", None)


async def _leaking(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    asyncio.get_running_loop().create_task(asyncio.sleep(30))
    return await Gateway.call(self, body, ctx)


async def _one_by_one(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    async with self.__dict__.setdefault("lock", asyncio.Lock()):
        return await Gateway.call(self, body, ctx)


async def _shared_state(self: Any, body: Body, ctx: CallContext) -> Reply:
    self.body = body
    await asyncio.sleep(0)
    return await Gateway.call(self, self.body, ctx)


def _strict(self: Gateway, response: httpx.Response) -> Reply:
    response.raise_for_status()
    return Gateway.read(self, response)


def _trusting(self: Gateway, response: httpx.Response) -> Reply:
    return Reply(response.text, None) if response.status_code == 200 else Gateway.read(self, response)


def _crossed(self: Gateway, response: httpx.Response) -> Reply:
    reply = Gateway.read(self, response)
    assert reply.usage is not None
    return evolve(reply, usage=Usage(input=reply.usage.output, output=reply.usage.input))


def _quoting(self: Gateway, response: httpx.Response) -> Reply:
    try:
        return Gateway.read(self, response)
    except ProviderError as error:
        raise ProviderError(f"{error}: {response.text}", kind=error.kind, billed=error.billed) from None


def _numbered(self: Gateway, request: Request) -> Body:
    body = Gateway.encode(self, request)
    return Body(body.content + os.urandom(4), request)


def _unlimited(self: Gateway, request: Request) -> Body:
    return Gateway.encode(self, evolve(request, max_tokens=1))


def _cut(self: Gateway, request: Request) -> Body:
    body = Gateway.encode(self, request)
    return Body(body.content[:500], request)


def _renamed(self: Gateway) -> Sequence[ModelInfo]:
    return [evolve(each, provider="somebody") for each in self.config.models]


def _system_dropped(self: Gateway, request: Request) -> Body:
    body = Gateway.encode(self, evolve(request, messages=request.messages[1:]))
    return Body(body.content, request)


async def _key_in_client(self: Gateway, body: Body, ctx: CallContext) -> Reply:
    ctx.http.headers["x-key"] = self.key or ""
    return await Gateway.call(self, body, ctx)


def _free_timeout(error: ProviderError) -> None:
    if error.status in (408, 522):
        error.billed = Billed.NO


_ONCE: Final = "test_a_call_is_made_once"
_KEY: Final = "test_the_key_travels_in_a_header_only"
_REFUSALS: Final = "test_refusals_are_classified"
PROVIDERS: Final[Mapping[str, tuple[type[PluginContract], str]]] = {
    "retries": (_provider(call=_retrying), _ONCE),
    "waits": (_provider(call=_waiting), _ONCE),
    "blocks the loop": (_provider(call=_blocking), _ONCE),
    "uses a client of its own": (_provider(call=_own_client), _ONCE),
    "adds a byte when sending": (_provider(call=_adding), _ONCE),
    "prints the request": (_provider(call=_printing_call), _KEY),
    "logs the key": (_provider(call=_logging_call), _KEY),
    "puts the key into the address": (_provider(url="http://gateway.invalid/?key=sk-canary-3b9d51f0c7aa"), _KEY),
    "quotes the vendor's words": (_provider(read=_quoting), _KEY),
    "follows redirects": (_provider(send=_following), "test_redirects_are_not_followed"),
    "lets errors of the client through": (
        _provider(send=lambda self, body, ctx: ctx.http.post(self.url, content=body.content)),
        "test_broken_connections_are_classified",
    ),
    "leaves the key in the client": (_provider(call=_key_in_client), _KEY),
    "shows the key in its repr": (_provider(__repr__=lambda self: f"Gateway({self.key})"), _KEY),
    "drops the system message": (
        _provider(encode=_system_dropped),
        "test_the_bytes_hold_the_prompt_and_the_limit",
    ),
    "says a 408 was free": (_reading(_free_timeout), _REFUSALS),
    "sells at floats": (
        _provider(models=lambda self: [evolve(each, price=(1.0, 2.0)) for each in self.config.models]),
        "test_its_models_are_models",
    ),
    "raises for a status": (_provider(read=_strict), _REFUSALS),
    "calls every refusal a server error": (_reading(lambda error: setattr(error, "kind", ErrorKind.SERVER)), _REFUSALS),
    "never lets anybody try again": (_reading(lambda error: setattr(error, "retryable", False)), _REFUSALS),
    "always lets them try again": (_reading(lambda error: setattr(error, "retryable", True)), _REFUSALS),
    "says a refusal was billed": (_reading(lambda error: setattr(error, "billed", Billed.YES)), _REFUSALS),
    "says nothing was billed": (
        _reading(lambda error: setattr(error, "billed", Billed.NO)),
        "test_rubbish_is_a_bad_answer",
    ),
    "takes anything for an answer": (_provider(read=_trusting), "test_rubbish_is_a_bad_answer"),
    "drops Retry-After": (
        _reading(lambda error: setattr(error, "retry_after", None)),
        "test_retry_after_is_passed_on",
    ),
    "waits for ever": (
        _reading(lambda error: setattr(error, "retry_after", float("inf"))),
        "test_retry_after_is_passed_on",
    ),
    "confuses the token classes": (_provider(read=_crossed), "test_recordings_are_read"),
    "shapes other bytes each time": (_provider(encode=_numbered), "test_equal_requests_have_equal_bytes"),
    "leaves max_tokens out": (_provider(encode=_unlimited), "test_the_bytes_hold_the_prompt_and_the_limit"),
    "cuts the prompt": (_provider(encode=_cut), "test_the_bytes_hold_the_prompt_and_the_limit"),
    "sells under another name": (_provider(models=_renamed), "test_its_models_are_models"),
    "sells one twice": (_provider(models=lambda self: self.config.models * 2), "test_its_models_are_models"),
    "swallows a cancellation": (_provider(call=_swallowing), "test_a_call_can_be_cancelled"),
    "leaves a task behind": (_provider(call=_leaking), "test_a_call_can_be_cancelled"),
    "answers one at a time": (_provider(call=_one_by_one), "test_calls_run_side_by_side"),
    "mixes calls up": (_provider(call=_shared_state), "test_calls_run_side_by_side"),
}
