"""The wire as a provider sees it: an HTTP client without a network that answers what a test says."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from attrs import Factory, define, frozen

from orchestrator.errors import Billed, ErrorKind
from orchestrator.models import Finish
from orchestrator.money import Usage

if TYPE_CHECKING:
    import httpx

TOKEN_CLASSES: Final = ("input", "cached_input", "cache_write", "output", "reasoning")


@frozen
class Recording:
    """One answer of a vendor as it came, and what it amounts to: a reply, or a classified error."""

    name: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    text: str | None = None
    """The reply's text; None: it is an error."""
    finish: Finish = Finish.STOP
    usage: Usage | None = None
    """The tokens by token class; None: the vendor does not say."""
    error: ErrorKind | None = None
    retryable: bool | None = None
    billed: Billed | None = None
    retry_after: float | None = None


def load_recordings(path: Path) -> tuple[Recording, ...]:
    """The recordings of a JSON file.

    It holds a list of ``{"case", "status", "headers", "body", "expect"}``. The body is text or JSON. Expected is
    ``{"text", "finish", "token_classes"}``, the token counts of input, cached input, cache write, output and reasoning,
    or ``{"kind", "retryable", "billed", "wait", "token_classes"}``.
    """
    return tuple(_recording(case) for case in json.loads(path.read_text(encoding="utf-8")))


def _recording(case: Mapping[str, Any]) -> Recording:
    expect, token_classes = case["expect"], case["expect"].get("token_classes")
    body = case["body"] if isinstance(case["body"], str) else json.dumps(case["body"])
    usage = None if token_classes is None else Usage(**dict(zip(TOKEN_CLASSES, token_classes, strict=True)))
    common = (case["case"], case["status"], case["headers"], body.encode())
    if "text" in expect:
        return Recording(*common, text=expect["text"], finish=Finish(expect["finish"]), usage=usage)
    return Recording(
        *common,
        usage=usage,
        error=ErrorKind(expect["kind"]),
        retryable=expect["retryable"],
        billed=Billed(expect["billed"]),
        retry_after=expect.get("wait"),
    )


@frozen
class Sent:
    """One request as it left."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes


Answer = tuple[int, Mapping[str, str], bytes]
"""Status, headers, body."""


@define
class Wire:
    """Answers every request with what ``answer`` says: an answer, or an exception to raise."""

    answer: Callable[[Sent], "Answer | Exception"]
    pieces: int = 0
    """Bytes in each piece of a body; 0: the body is one piece."""
    gate: Callable[[], Any] | None = None
    """Awaited before each answer."""
    sent: list[Sent] = Factory(list)
    left_in_client: list[Any] = Factory(list)
    """What the client that was lent holds afterwards, for every request that follows."""

    def client(self) -> "httpx.AsyncClient":
        """An HTTP client that reaches no other server. It follows no redirect."""
        import httpx

        return httpx.AsyncClient(transport=httpx.MockTransport(self._handle), follow_redirects=False, trust_env=False)

    async def _handle(self, request: "httpx.Request") -> "httpx.Response":
        import httpx

        sent = Sent(request.method, str(request.url), dict(request.headers), await request.aread())
        self.sent.append(sent)
        if self.gate is not None:
            await self.gate()
        found = self.answer(sent)
        if isinstance(found, Exception):
            raise found
        status, headers, body = found
        if not self.pieces:
            return httpx.Response(status, headers=headers, content=body, request=request)
        return httpx.Response(status, headers=headers, content=_in_pieces(body, self.pieces), request=request)


async def _in_pieces(body: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(body), size):
        await asyncio.sleep(0)
        yield body[start : start + size]


def successes(recordings: Iterable[Recording]) -> tuple[Recording, ...]:
    """Those that are replies with a text."""
    return tuple(each for each in recordings if each.text)
