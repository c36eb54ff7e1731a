"""A vendor on this machine that speaks as each of the seven does, and keeps a ledger of what it bills."""

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from attrs import frozen

from orchestrator.models import ModelInfo
from orchestrator.money import Usage, Usd
from tests.plugins.providers.vendors import VENDORS
from tests.servers.local import Fault, LocalServer, Received
from tests.servers.roles import play

BYTES_PER_TOKEN: Final = 4
_GOOGLE_PATH: Final = re.compile(r"/v1beta/models/([^/:]+):(generateContent|streamGenerateContent\?alt=sse)")


@frozen
class Asked:
    """One request, taken apart."""

    model: str
    request: Mapping[str, Any]
    """In OpenAI's chat format, whatever the vendor's is."""
    limit: int
    stream: bool


@frozen
class Billed:
    """One line of the ledger."""

    model: str
    usage: Usage
    cost: Usd
    headers: Mapping[str, str]
    """Names in lower case."""


Wrong = Callable[[Asked, Fault], Fault]
"""From a request and the right answer to what is sent in its place; the right answer itself: nothing is wrong.

Called once per request, under a lock, so that it may count.
"""


class VendorServer(LocalServer):
    """Serves one vendor's format on 127.0.0.1 while its ``with`` block lasts.

    Tokens are four bytes each. A third of every prompt was in the cache, and a quarter of every answer is thinking;
    where the vendor says so, it says it where that vendor does. ``wrong`` puts faults in the place of answers; whether
    those are billed, they say.
    """

    def __init__(self, vendor: str, models: Mapping[str, ModelInfo], wrong: Wrong | None = None) -> None:
        super().__init__()
        self.vendor = vendor
        self.wrong = wrong
        self._models = {model.sent_name: model for model in models.values()}
        self.ledger: list[Billed] = []
        self.requests = 0
        """How many calls arrived, billed or not."""
        self.hidden: set[str] = set()
        """Names left out of the list of models."""
        self.list_headers: list[Mapping[str, str]] = []
        """The headers of every request for the list of models."""
        self._refusal: Fault | None = None

    @property
    def base_url(self) -> str:
        """What belongs into the vendor's variable."""
        return f"{self.address}/{'v1beta' if self.vendor == 'google' else 'v1'}"

    @property
    def billed(self) -> Usd:
        """The sum of all that was charged."""
        with self._lock:
            return sum((each.cost for each in self.ledger), Usd.ZERO)

    def refuse_list(self, status: int, body: Mapping[str, Any]) -> None:
        """Refuse the list of models from now on."""
        self._refusal = Fault(status, body)

    def respond(self, received: Received) -> Fault:
        """What to send for a request."""
        if received.method == "GET":
            return self._list(received)
        asked = _understood(self.vendor, received.path, json.loads(received.body))
        model = None if asked is None else self._models.get(asked.model)
        if asked is None or model is None or model.price is None or VENDORS[self.vendor].header not in received.headers:
            return Fault(404, {"error": {"message": "not found"}})
        answer, usage = self._answer(asked, received.body)
        with self._lock:
            self.requests += 1
            sent = answer if self.wrong is None else self.wrong(asked, answer)
            if sent is answer or sent.billed:
                cost = model.price.cost(usage, time.time_ns() // 1000)
                self.ledger.append(Billed(asked.model, usage, cost, dict(received.headers)))
        return sent

    def _list(self, received: Received) -> Fault:
        with self._lock:
            self.list_headers.append(received.headers)
        if self._refusal is not None or not received.path.partition("?")[0].endswith("/models"):
            return self._refusal or Fault(404, {"error": {"message": "not found"}})
        names = [name for name in self._models if name not in self.hidden]
        if self.vendor == "google":
            return Fault(200, {"models": [{"name": f"models/{name}"} for name in names]})
        return Fault(200, {"object": "list", "data": [{"id": name, "object": "model"} for name in names]})

    def _answer(self, asked: Asked, body: bytes) -> tuple[Fault, Usage]:
        """What the vendor says when nothing is wrong, and what that is billed by."""
        whole = play(asked.request)
        read = -(-len(body) // BYTES_PER_TOKEN)
        thought = asked.limit // 8
        text = whole.encode()[: BYTES_PER_TOKEN * (asked.limit - thought)].decode(errors="ignore")
        said = -(-len(text.encode()) // BYTES_PER_TOKEN)
        written = read // 5 if self.vendor in ("anthropic", "openai") else 0
        usage = Usage(read - read // 3 - written, read // 3, written, said, min(thought, 1 + said // 3))
        parts = _parts(self.vendor, text, text != whole, usage, asked.stream)
        if not asked.stream:
            return Fault(200, next(parts)), usage
        end = "\r\n" if self.vendor == "google" else "\n"
        events = "".join(f"data: {json.dumps(part)}{end}{end}" for part in parts)
        marked = "" if self.vendor in ("google", "anthropic") else "data: [DONE]\n\n"
        content = f": queued{end}{end}{events}{marked}"
        return Fault(200, content, {"content-type": "text/event-stream"}), usage


def _understood(vendor: str, path: str, body: Mapping[str, Any]) -> Asked | None:
    if vendor == "google":
        match = _GOOGLE_PATH.fullmatch(path)
        if match is None:
            return None
        system = "".join(part["text"] for part in body.get("systemInstruction", {}).get("parts", []))
        said = [
            {"role": "assistant" if each["role"] == "model" else "user", "content": each["parts"][0]["text"]}
            for each in body["contents"]
        ]
        request = {"messages": [{"role": "system", "content": system}, *said]}
        return Asked(match[1], request, body["generationConfig"]["maxOutputTokens"], match[2].startswith("stream"))
    if vendor == "anthropic":
        if path != "/v1/messages":
            return None
        request = {"messages": [{"role": "system", "content": body.get("system", "")}, *body["messages"]]}
        return Asked(body["model"], request, body["max_tokens"], body.get("stream", False))
    if path != "/v1/chat/completions":
        return None
    limit = body["max_tokens"] if vendor in ("deepseek", "zhipu") else body["max_completion_tokens"]
    return Asked(body["model"], body, limit, body.get("stream", False))


def _parts(vendor: str, text: str, cut: bool, usage: Usage, stream: bool) -> Iterator[Mapping[str, Any]]:
    """The answer in one part, or the events of a stream."""
    if vendor == "google":
        return _google(text, cut, usage, stream)
    if vendor == "anthropic":
        return _anthropic(text, cut, usage, stream)
    return _family(vendor, text, cut, usage, stream)


def _google(text: str, cut: bool, usage: Usage, stream: bool) -> Iterator[Mapping[str, Any]]:
    counted = {
        "promptTokenCount": usage.input_tokens,
        "cachedContentTokenCount": usage.cached_input,
        "candidatesTokenCount": usage.output,
        "thoughtsTokenCount": usage.reasoning,
        "totalTokenCount": usage.input_tokens + usage.output_tokens,
    }
    reason = {"finishReason": "MAX_TOKENS" if cut else "STOP"}
    thought = {"text": "hm", "thought": True}
    if not stream:
        yield {
            "candidates": [{"content": {"parts": [thought, {"text": text}]}, **reason}],
            "usageMetadata": counted,
        }
        return
    half = len(text) // 2
    first = {"promptTokenCount": usage.input_tokens, "totalTokenCount": usage.input_tokens}
    yield {"candidates": [{"content": {"parts": [thought, {"text": text[:half]}]}}], "usageMetadata": first}
    yield {"candidates": [{"content": {"parts": [{"text": text[half:]}]}, **reason}], "usageMetadata": counted}


def _anthropic(text: str, cut: bool, usage: Usage, stream: bool) -> Iterator[Mapping[str, Any]]:
    read = {
        "input_tokens": usage.input,
        "cache_read_input_tokens": usage.cached_input,
        "cache_creation_input_tokens": usage.cache_write,
    }
    made = {"output_tokens": usage.output_tokens, "output_tokens_details": {"thinking_tokens": usage.reasoning}}
    reason = "max_tokens" if cut else "end_turn"
    content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": text}]
    if not stream:
        yield {"type": "message", "id": "msg", "content": content, "stop_reason": reason, "usage": {**read, **made}}
        return
    yield {"type": "message_start", "message": {"id": "msg", "content": [], "usage": {**read, "output_tokens": 1}}}
    yield {"type": "ping"}
    half = len(text) // 2
    for piece in (text[:half], text[half:]):
        yield {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": piece}}
    yield {"type": "message_delta", "delta": {"stop_reason": reason}, "usage": made}
    yield {"type": "message_stop"}


def _family(vendor: str, text: str, cut: bool, usage: Usage, stream: bool) -> Iterator[Mapping[str, Any]]:
    counted: dict[str, Any] = {
        "prompt_tokens": usage.input_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.input_tokens + usage.output_tokens,
        "completion_tokens_details": {"reasoning_tokens": usage.reasoning},
    }
    match vendor:
        case "deepseek":
            counted["prompt_cache_hit_tokens"] = usage.cached_input
            counted["prompt_cache_miss_tokens"] = usage.input
        case "kimi":
            counted["cached_tokens"] = usage.cached_input
        case _:
            counted["prompt_tokens_details"] = {
                "cached_tokens": usage.cached_input,
                "cache_write_tokens": usage.cache_write,
            }
    extra = {"base_resp": {"status_code": 0, "status_msg": ""}} if vendor == "minimax" else {}
    reason = "length" if cut else "stop"
    if not stream:
        message = {"role": "assistant", "content": text, "reasoning_content": "hm"}
        yield {"id": "c", "choices": [{"message": message, "finish_reason": reason}], "usage": counted, **extra}
        return
    yield {"id": "c", "choices": [{"delta": {"role": "assistant", "reasoning_content": "hm"}, "finish_reason": None}]}
    half = len(text) // 2
    for piece in (text[:half], text[half:]):
        yield {"id": "c", "choices": [{"delta": {"content": piece}, "finish_reason": None}], "usage": None}
    last = {"delta": {}, "finish_reason": reason}
    match vendor:
        case "kimi":
            yield {"id": "c", "choices": [{**last, "usage": counted}]}
        case "zhipu" | "deepseek":
            yield {"id": "c", "choices": [last], "usage": counted}
        case "minimax":
            yield {"id": "c", "choices": [last]}
            yield {"id": "c", "choices": [{"delta": {}}], "usage": counted, **extra}
        case _:
            yield {"id": "c", "choices": [last]}
            yield {"id": "c", "choices": [], "usage": counted}
