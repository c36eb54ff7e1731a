"""A small vendor on this machine: real sockets, OpenAI's chat format, and a ledger of what it bills."""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import frozen

from orchestrator.money import Price, Usage, Usd
from tests.servers.local import Fault as Fault
from tests.servers.local import LocalServer, Received

BYTES_PER_TOKEN: Final = 4
DEFAULT_PRICE: Final = Price(Usd.parse("0.25"), Usd.parse("1.25"))


@frozen
class Served:
    """One request as the vendor saw it, and what it charges for it."""

    body: bytes
    request: Mapping[str, Any]
    """The parsed body; empty where it is no JSON object."""
    headers: Mapping[str, str]
    """Names in lower case."""
    status: int
    usage: Usage
    billed: Usd
    text: str
    """What it answered, before any fault on the way."""

    @property
    def model(self) -> str:
        """The model that was asked for."""
        return str(self.request.get("model", ""))

    @property
    def max_tokens(self) -> int | None:
        """The limit that was sent."""
        limit = self.request.get("max_tokens")
        return limit if isinstance(limit, int) else None

    @property
    def role(self) -> str:
        """The role in the first line of the system prompt, or an empty text."""
        return role_of(self.request)

    @property
    def idempotency_key(self) -> str:
        """The header of that name, or an empty text."""
        return self.headers.get("idempotency-key", "")


AnswerFunction = Callable[[Mapping[str, Any]], str | Fault]
"""From the parsed request to a text, or to a fault. Called in the thread of the connection."""


def role_of(request: Mapping[str, Any]) -> str:
    """The role a request asks for: ``X`` of its last line ``Role: X`` outside all marks."""
    said = re.sub(r"(?ms)^=== BEGIN (.+?) ===$.*?^=== END \1 ===$", "", text_of(request, "user"))
    found = re.findall(r"(?m)^Role: (\w+)$", f"{text_of(request, 'system')}\n{said}")
    return found[-1].lower() if found else ""


def text_of(request: Mapping[str, Any], author: str) -> str:
    """The text of the request's messages by one author."""
    messages = request.get("messages")
    found = messages if isinstance(messages, list) else []
    return "\n".join(str(each.get("content", "")) for each in found if each.get("role") == author)


class OpenAIServer(LocalServer):
    """Serves ``/v1/chat/completions`` on 127.0.0.1 while its ``with`` block lasts.

    Tokens are counted as four bytes each, input by the bytes of the body. Prices are by model name.
    """

    def __init__(
        self,
        answer: AnswerFunction | None = None,
        *,
        prices: Mapping[str, Price] | None = None,
        price: Price = DEFAULT_PRICE,
    ) -> None:
        if answer is None:
            from tests.servers.roles import play

            answer = play
        super().__init__()
        self.answer = answer
        self._prices = dict(prices or {})
        self._price = price
        self._ledger: list[Served] = []

    @property
    def base_url(self) -> str:
        """What belongs into ``base_url``."""
        return f"{self.address}/v1"

    @property
    def ledger(self) -> tuple[Served, ...]:
        """Every request so far, in order of arrival of its last byte."""
        with self._lock:
            return tuple(self._ledger)

    @property
    def billed(self) -> Usd:
        """The sum of all that was charged."""
        return sum((each.billed for each in self.ledger), Usd.ZERO)

    def respond(self, received: Received) -> Fault:
        """What to send for a request."""
        if (received.method, received.path) != ("POST", "/v1/chat/completions"):
            return Fault(404, {"error": {"message": f"no such path: {received.path}", "type": "not_found"}})
        sent, _ = self.serve(received.body, received.headers)
        return sent

    def serve(self, body: bytes, headers: Mapping[str, str]) -> tuple[Fault, Served]:
        """Decide on one request, enter it into the ledger, and say what to send."""
        try:
            parsed = json.loads(body)
        except ValueError:
            parsed = None
        request: Mapping[str, Any] = parsed if isinstance(parsed, dict) else {}
        malformed = Fault(400, {"error": {"message": "not a JSON object", "type": "invalid_request_error"}})
        answer = self._answered(request) if request else malformed
        limit = request.get("max_tokens")
        limit = limit if isinstance(limit, int) else 1_000_000
        whole = answer.worked if isinstance(answer, Fault) else answer
        text = whole.encode()[: BYTES_PER_TOKEN * limit].decode(errors="ignore")
        usage = Usage(input=_tokens(body), output=_tokens(text.encode()))
        charged = not isinstance(answer, Fault) or answer.billed
        price = self._prices.get(str(request.get("model")), self._price)
        sent = answer if isinstance(answer, Fault) else Fault(200, _completion(request, text, usage, text != whole))
        served = Served(body, request, headers, sent.status, usage, price.cost(usage) if charged else Usd.ZERO, text)
        with self._lock:
            self._ledger.append(served)
        return sent, served

    def _answered(self, request: Mapping[str, Any]) -> str | Fault:
        try:
            return self.answer(request)
        except Exception as error:
            return Fault(500, {"error": {"message": f"the test's answer function raised {error!r}", "type": "bug"}})


def _tokens(content: bytes) -> int:
    return -(-len(content) // BYTES_PER_TOKEN)


def _completion(request: Mapping[str, Any], text: str, usage: Usage, cut: bool) -> Mapping[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "length" if cut else "stop",
    }
    return {
        "id": "chatcmpl-local",
        "object": "chat.completion",
        "created": 0,
        "model": request.get("model"),
        "choices": [choice],
        "usage": {
            "prompt_tokens": usage.input,
            "completion_tokens": usage.output,
            "total_tokens": usage.input + usage.output,
        },
    }
