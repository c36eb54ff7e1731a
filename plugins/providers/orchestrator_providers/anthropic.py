"""The provider ``anthropic``: Anthropic's messages.

Needs ``ANTHROPIC_API_KEY``; ``ANTHROPIC_BASE_URL`` names another address. Options: ``base_url``, ``api_key_env``,
``stream``, ``idle_seconds``, ``effort``, ``batches: false`` where none are sold.
"""

from collections.abc import Mapping
from typing import Any, Final

from attrs import evolve

from orchestrator.spi import Billed, ErrorKind, Finish, Provider, ProviderConfig, Reply, Request, Usage, hookimpl
from orchestrator_providers.anthropic_batches import AnthropicBatches
from orchestrator_providers.batching import read_batches_option
from orchestrator_providers.error_meanings import Cause, bad_answer, by_words, classify, refused_answer
from orchestrator_providers.keys_and_addresses import CALLING, REACHING, check_options, find_access, read_manner
from orchestrator_providers.live_answer import Gathering
from orchestrator_providers.model_catalogue import Catalogue, Listed
from orchestrator_providers.one_call import conversation
from orchestrator_providers.openai_answers import count, details, larger_counts
from orchestrator_providers.structured_output import is_strict, unbounded
from orchestrator_providers.text_without_keys import clean, words_of

_VERSION: Final = "2023-06-01"
_TODAY: Final = ("json_schema", "reasoning", "effort", "no_temperature")

CATALOGUE: Final = Catalogue(
    vendor="anthropic",
    checked="2026-11-29",
    price_list="anthropic",
    effort="low",
    thinking={"low": 4096, "medium": 8192, "high": 16_384, "xhigh": 32_768, "max": 32_768},
    trains_on_data=False,
    models=(
        Listed("claude-opus-5-5", ("claude-opus",), "premium", _TODAY, max_output=128_000),
        Listed("claude-sonnet-5-5", ("claude-sonnet",), "standard", _TODAY, max_output=128_000),
        Listed("claude-haiku-5-5", ("claude-haiku",), "economy", _TODAY, max_output=128_000),
        Listed("claude-fable-5-2", (), "premium", _TODAY, max_output=128_000),
        Listed("claude-fable-5-1", (), "premium", _TODAY, max_output=128_000),
        Listed("claude-fable-5", (), "premium", _TODAY, max_output=128_000),
        Listed("claude-opus-5", (), "premium", _TODAY, max_output=128_000),
        Listed("claude-sonnet-5", (), "standard", _TODAY, max_output=128_000),
        Listed("claude-opus-4-8", (), "premium", _TODAY, max_output=128_000),
        Listed("claude-opus-4-7", (), "premium", _TODAY, max_output=128_000),
        Listed("claude-opus-4-6", (), "premium", ("json_schema", "effort"), max_output=128_000),
        Listed("claude-opus-4-5", (), "premium", ("json_schema",), max_output=64_000),
        Listed("claude-sonnet-4-6", (), "standard", ("json_schema", "effort"), max_output=128_000),
        Listed("claude-haiku-4-5", (), "economy", ("json_schema",), max_output=64_000),
        Listed(
            "claude-sonnet-4-5",
            tier="standard",
            abilities=("json_schema",),
            max_output=64_000,
            until="2026-11-30",
            instead="claude-sonnet-5-5",
        ),
    ),
    retired={
        **dict.fromkeys(
            (
                "claude-3-5-sonnet",
                "claude-3-5-sonnet-20240620",
                "claude-3-5-sonnet-20241022",
                "claude-3-7-sonnet",
                "claude-3-7-sonnet-20250219",
                "claude-3-sonnet-20240229",
                "claude-sonnet-4-0",
                "claude-sonnet-4-20250514",
            ),
            "claude-sonnet-5-5",
        ),
        **dict.fromkeys(
            ("claude-3-5-haiku", "claude-3-5-haiku-20241022", "claude-3-haiku", "claude-3-haiku-20240307"),
            "claude-haiku-5-5",
        ),
        **dict.fromkeys(
            (
                "claude-3-opus",
                "claude-3-opus-20240229",
                "claude-3-5-opus",
                "claude-3-5-opus-20241022",
                "claude-opus-4-0",
                "claude-opus-4-20250514",
            ),
            "claude-opus-5-5",
        ),
    },
)

_KINDS: Final[Mapping[str, Cause]] = {
    "rate_limit_error": Cause(ErrorKind.RATE_LIMIT, True, Billed.NO),
    "overloaded_error": Cause(ErrorKind.OVERLOADED, True, Billed.NO),
    "api_error": Cause(ErrorKind.SERVER, True),
    "timeout_error": Cause(ErrorKind.TIMEOUT, True),
    "authentication_error": Cause(ErrorKind.AUTHENTICATION),
    "permission_error": Cause(ErrorKind.AUTHENTICATION),
    "billing_error": Cause(ErrorKind.QUOTA),
    "not_found_error": Cause(ErrorKind.UNKNOWN_MODEL),
    "request_too_large": Cause(ErrorKind.CONTEXT_LENGTH),
}
_BY_WORDS: Final = (ErrorKind.QUOTA, ErrorKind.CONTENT_FILTER, ErrorKind.CONTEXT_LENGTH)
"""What the words say better than the error's type, which is ``invalid_request_error`` or ``api_error`` for all."""
_FINISH: Final = {
    "end_turn": Finish.STOP,
    "stop_sequence": Finish.STOP,
    "max_tokens": Finish.LENGTH,
    "model_context_window_exceeded": Finish.LENGTH,
}


class Anthropic(AnthropicBatches):
    """Speaks ``/messages``."""

    request_ids = ("request-id", "x-request-id")

    def url(self, request: Request) -> str:
        """Where a request goes."""
        return f"{self.access.base_url}/messages"

    def headers(self) -> dict[str, str]:
        """The key, and the version of the format."""
        return {"anthropic-version": _VERSION, **({} if self.key is None else {"x-api-key": self.key})}

    def fields(self, request: Request) -> dict[str, Any]:
        """The body of a request; system prompts stand apart from the conversation."""
        abilities, effort = request.model.abilities, self.effort(request.model)
        system, messages = conversation(request)
        fields: dict[str, Any] = {
            "model": request.model.sent_name,
            **({"system": system} if system else {}),
            "messages": messages,
            "max_tokens": request.max_tokens,
        }
        if "no_temperature" not in abilities:
            fields["temperature"] = min(max(request.temperature, 0.0), 1.0)
        if self.streams(request.model):
            fields["stream"] = True
        output: dict[str, Any] = {} if effort is None else {"effort": effort}
        schema = request.json_schema
        # Bounds and open objects are refused; the prompt says what is wanted all the same.
        if schema is not None and "json_schema" in abilities and is_strict(schema):
            output["format"] = {"type": "json_schema", "schema": unbounded(schema)}
        if output:
            fields["output_config"] = output
        return fields

    def cause(self, status: int, error: Any, headers: Mapping[str, str]) -> Cause:
        """Why it refused: by the error's type, and by its words where that says too little."""
        words = words_of(error)
        special = by_words(status, words)
        if special is not None and special.kind in _BY_WORDS:
            return special
        kind = error.get("type") if isinstance(error, dict) else None
        return (_KINDS.get(kind) if isinstance(kind, str) else None) or classify(status, words)

    def gathering(self) -> Gathering:
        """An empty stream."""
        return _MessageGathering(self)

    def reply(self, answer: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        """The reply in a parsed message."""
        if answer.get("type") == "error" or answer.get("error"):
            raise self.error_inside(answer.get("error"), None, headers)
        content = answer.get("content")
        if not isinstance(content, list):
            raise bad_answer("there is no content in the answer", read_usage(answer.get("usage"), ""))
        blocks = [block for block in content if isinstance(block, dict) and block.get("type") == "text"]
        text = clean("".join(block["text"] for block in blocks if isinstance(block.get("text"), str)))
        usage = read_usage(answer.get("usage"), text)
        reason = answer.get("stop_reason")
        if reason == "refusal":
            stopped = answer.get("stop_details")
            why = stopped.get("explanation") if isinstance(stopped, dict) else None
            raise refused_answer(why or reason, usage, self.key)
        finish = _FINISH.get(reason, Finish.OTHER) if isinstance(reason, str) else Finish.OTHER
        return Reply(text, usage, finish, self.request_id(headers, answer.get("id")))


def read_usage(usage: Any, text: str) -> Usage | None:
    """The tokens of a message in disjoint classes: its input contains no cached tokens, its output all thinking."""
    if not isinstance(usage, dict):
        return None
    try:
        output = count(usage.get("output_tokens"))
        thought = count(details(usage, "output_tokens_details").get("thinking_tokens"))
        found = Usage(
            input=count(usage.get("input_tokens")),
            cached_input=count(usage.get("cache_read_input_tokens")),
            cache_write=count(usage.get("cache_creation_input_tokens")),
            output=output - thought,
            reasoning=thought,
        )
    except ValueError:
        return None
    absurd = not found.is_sane or found.input_tokens == 0 or (text and output == 0)
    return None if absurd else found


class _MessageGathering:
    """What the events of a message stream amount to. Usage comes at the start and, cumulative, at the end."""

    def __init__(self, vendor: Anthropic) -> None:
        self._vendor = vendor
        self._message: dict[str, Any] = {}
        self._usage: dict[str, Any] = {}
        self._text: list[str] = []
        self._end: dict[str, Any] = {}
        self._stopped = False

    def add(self, event: dict[str, Any] | None) -> str:
        """Take one event in; returns the visible text in it."""
        if event is None:
            return ""
        match event.get("type"):
            case "error":
                raise self._vendor.error_inside(event.get("error"), None, {})
            case "message_start":
                self._message = _object(event, "message")
                self._usage.update(_object(self._message, "usage"))
            case "content_block_start":
                return self._said(_object(event, "content_block"), "text")
            case "content_block_delta":
                return self._said(_object(event, "delta"), "text_delta")
            case "message_delta":
                self._end.update(_said_only(_object(event, "delta")))
                self._usage = larger_counts(self._usage, _said_only(_object(event, "usage")))
            case "message_stop":
                self._stopped = True
        return ""

    def _said(self, block: dict[str, Any], kind: str) -> str:
        text = block.get("text")
        if block.get("type") != kind or not isinstance(text, str):
            return ""
        self._text.append(text)
        return clean(text)

    @property
    def is_complete(self) -> bool:
        """Whether the reason for the stop has come."""
        return bool(self._end.get("stop_reason")) or (self._stopped and bool(self._message))

    def answer(self) -> Any:
        """The message as it would have come in one piece."""
        content = [{"type": "text", "text": "".join(self._text)}]
        return {"id": self._message.get("id"), "content": content, "usage": self._usage, **self._end}


def _object(parent: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = parent.get(name)
    return found if isinstance(found, dict) else {}


def _said_only(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where there is no key."""
    check_options(config, (*REACHING, *CALLING, "batches"))
    access = find_access(
        config,
        keys=("ANTHROPIC_API_KEY",),
        addresses=("ANTHROPIC_BASE_URL",),
        default="https://api.anthropic.com/v1",
    )
    if access is None:
        return None
    # Other programs read the same variable and want it without the version.
    base_url = access.base_url if access.base_url.endswith("/v1") else f"{access.base_url}/v1"
    made = Anthropic(evolve(access, base_url=base_url), CATALOGUE.today(config), read_manner(config))
    made.sells_batches = read_batches_option(config)
    made.choose = lambda served: CATALOGUE.today(config, served=served)
    made.retired = CATALOGUE.retired_now()
    return made
