"""The provider ``google``: the Gemini API.

Needs ``GEMINI_API_KEY`` or ``GOOGLE_API_KEY``; ``GOOGLE_BASE_URL`` or ``GEMINI_BASE_URL`` names another address.
Options: ``base_url``, ``api_key_env``, ``stream``, ``idle_seconds``, ``effort``, ``batches: false``
where none are sold.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from attrs import evolve

from orchestrator.spi import ErrorKind, Finish, Price, Provider, ProviderConfig, Reply, Request, Usage, Usd, hookimpl
from orchestrator_providers.batching import read_batches_option
from orchestrator_providers.error_meanings import Cause, bad_answer, by_words, classify, refused_answer
from orchestrator_providers.google_batches import GoogleBatches
from orchestrator_providers.keys_and_addresses import CALLING, REACHING, check_options, find_access, read_manner
from orchestrator_providers.live_answer import Gathering
from orchestrator_providers.model_catalogue import Catalogue, Listed
from orchestrator_providers.openai_answers import beyond, count, larger_usage, token_classes
from orchestrator_providers.structured_output import unbounded
from orchestrator_providers.text_without_keys import clean, one_line, words_of
from orchestrator_providers.wait_times import duration

_LEVELS: Final = ("json_schema", "reasoning", "effort")
# They ignore what is said of sampling.
_FIXED: Final = (*_LEVELS, "no_temperature")
_PRO: Final = "gemini-4-hydrogen"
_LITE: Final = "gemini-3.5-flash-lite"

CATALOGUE: Final = Catalogue(
    vendor="google",
    checked="2026-11-29",
    price_list="google",
    effort="low",
    thinking={"minimal": 1024, "low": 4096, "medium": 8192, "high": 16_384, "default": 8192},
    models=(
        # Of a million tokens together, one answer has at most so many without being continued.
        Listed(
            _PRO,
            ("gemini-2.5-pro",),
            "standard",
            _FIXED,
            1_048_576,
            65_536,
            price=Price(Usd.parse("1.5"), Usd.parse("7.5"), cached_input=Usd.parse("0.075")),
            price_source="LiteLLM 1.110.2 of Google's page, 2026-11-29",
        ),
        Listed("gemini-4-argon", (), "premium", _FIXED, 1_048_576, 65_536),
        Listed("gemini-3.8-flash", ("gemini-2.5-pro",), "standard", _FIXED, 1_048_576, 65_536),
        Listed("gemini-3.7-flash", (), "standard", _FIXED, 1_048_576, 65_536),
        Listed("gemini-3.6-flash", (), "standard", _FIXED, 1_048_576, 65_536),
        Listed("gemini-3.5-flash", (), "standard", _LEVELS, 1_048_576, 65_536),
        Listed(_LITE, ("gemini-2.5-flash",), "economy", _FIXED, 1_048_576, 65_536),
        Listed("gemini-3.1-pro-preview", (), "premium", _LEVELS, 1_048_576, 65_536),
        Listed("gemini-3.1-flash-lite", (), "economy", _LEVELS, 1_048_576, 65_536, until="2027-05-07", instead=_LITE),
        Listed(
            "gemini-2.5-pro",
            ("gemini-2.5-pro",),
            "premium",
            ("json_schema", "reasoning"),
            1_048_576,
            65_536,
            until="2026-12-01",
            instead="gemini-3.8-flash",
        ),
        Listed(
            "gemini-2.5-flash",
            ("gemini-2.5-flash",),
            "economy",
            ("json_schema", "thinking_budget"),
            1_048_576,
            65_536,
            until="2026-12-01",
            instead=_LITE,
        ),
    ),
    retired={
        **dict.fromkeys(("gemini-pro", "gemini-1.5-pro", "gemini-2.0-pro", "gemini-3-pro-preview"), _PRO),
        **dict.fromkeys(
            ("gemini-1.5-flash", "gemini-1.5-flash-8b", "gemini-2.0-flash", "gemini-2.0-flash-lite"), _LITE
        ),
    },
)

_FINISH: Final = {"STOP": Finish.STOP, "MAX_TOKENS": Finish.LENGTH}
_BLOCKED: Final = ("SAFETY", "RECITATION", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "LANGUAGE", "IMAGE_SAFETY")
_TOO_MANY: Final = 429
_A_DAY: Final = re.compile(r"per_?day", re.IGNORECASE)


class Google(GoogleBatches):
    """Speaks ``:generateContent``."""

    def url(self, request: Request) -> str:
        """Where a request goes: the model and whether to stream stand in the path."""
        method = "streamGenerateContent?alt=sse" if self.streams(request.model) else "generateContent"
        return f"{self.access.base_url}/models/{quote(request.model.sent_name, safe='')}:{method}"

    def list_url(self) -> str:
        """Where the vendor lists what it serves, on one page."""
        return f"{self.access.base_url}/models?pageSize=1000"

    def headers(self) -> dict[str, str]:
        """The key, in a header; the vendor would take it in the URL too, where it would be logged."""
        return {} if self.key is None else {"x-goog-api-key": self.key}

    def fields(self, request: Request) -> dict[str, Any]:
        """The body of a request; system prompts stand apart from the conversation."""
        abilities, effort = request.model.abilities, self.effort(request.model)
        settings: dict[str, Any] = {"maxOutputTokens": request.max_tokens}
        if "no_temperature" not in abilities:
            settings["temperature"] = min(max(request.temperature, 0.0), 2.0)
        if effort is not None:
            settings["thinkingConfig"] = {"thinkingLevel": effort}
        elif "thinking_budget" in abilities:
            settings["thinkingConfig"] = {"thinkingBudget": 0}
        if request.json_schema is not None and "json_schema" in abilities:
            settings["responseMimeType"] = "application/json"
            settings["responseJsonSchema"] = unbounded(request.json_schema)
        fields: dict[str, Any] = {
            "contents": [
                {"role": "model" if each.author == "assistant" else "user", "parts": [{"text": clean(each.text)}]}
                for each in request.messages
                if each.author != "system"
            ],
            "generationConfig": settings,
        }
        system = [{"text": clean(each.text)} for each in request.messages if each.author == "system"]
        return {**fields, "systemInstruction": {"parts": system}} if system else fields

    def cause(self, status: int, error: Any, headers: Mapping[str, str]) -> Cause:
        """Why it refused; the reason for a bad key, and how long to wait, stand in the error's details."""
        details = error.get("details") if isinstance(error, dict) else None
        found = [each for each in details if isinstance(each, dict)] if isinstance(details, list) else []
        if any(str(each.get("reason", "")).startswith("API_KEY_") for each in found):
            return Cause(ErrorKind.AUTHENTICATION)
        words = words_of(error)
        if status == _TOO_MANY:
            special = by_words(status, words)
            if special is not None and special.kind is ErrorKind.QUOTA:
                return special
            wait = next((w for each in found if (w := _delay(each.get("retryDelay"))) is not None), None)
            if any(_A_DAY.search(identity) for identity in _quotas(found)):
                return Cause(ErrorKind.QUOTA, wait=wait)
            return Cause(ErrorKind.RATE_LIMIT, True, wait=wait)
        return classify(status, words)

    def gathering(self) -> Gathering:
        """An empty stream."""
        return _ContentGathering(self)

    def reply(self, answer: dict[str, Any], headers: Mapping[str, str]) -> Reply:
        """The reply in a parsed answer."""
        if answer.get("error"):
            raise self.error_inside(answer["error"], read_usage(answer.get("usageMetadata"), ""), headers)
        candidate = first_candidate(answer)
        parts = parts_of(candidate)
        text = clean("".join(visible(part) for part in parts))
        usage = read_usage(answer.get("usageMetadata"), text)
        feedback = answer.get("promptFeedback")
        blocked = feedback.get("blockReason") if isinstance(feedback, dict) else None
        reason = candidate.get("finishReason")
        if blocked or (isinstance(reason, str) and reason in _BLOCKED):
            raise refused_answer(blocked or reason, usage, self.key)
        if not candidate:
            raise bad_answer("there is no candidate in the answer", usage)
        called = any("functionCall" in part for part in parts)
        finish = _FINISH.get(reason, Finish.OTHER) if isinstance(reason, str) and not called else Finish.OTHER
        if not text and not called and finish is not Finish.LENGTH:
            raise bad_answer(f"there is no text in the answer ({one_line(str(reason), self.key)})", usage)
        return Reply(text, usage, finish, self.request_id(headers, answer.get("responseId")))


def _delay(value: Any) -> float | None:
    return duration(value) if isinstance(value, str) else None


def _quotas(details: Sequence[Mapping[str, Any]]) -> list[str]:
    violations = [each["violations"] for each in details if isinstance(each.get("violations"), list)]
    return [str(one.get("quotaId", "")) for each in violations for one in each if isinstance(one, dict)]


def first_candidate(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The candidate that counts: the first, or an empty one."""
    candidates = answer.get("candidates")
    found = candidates[0] if isinstance(candidates, list) and candidates else None
    return found if isinstance(found, dict) else {}


def parts_of(candidate: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The parts of a candidate's content."""
    content = candidate.get("content")
    parts = content.get("parts") if isinstance(content, dict) else None
    return [part for part in parts if isinstance(part, dict)] if isinstance(parts, list) else []


def visible(part: Mapping[str, Any]) -> str:
    """The text of a part that is no thought."""
    text = part.get("text")
    return text if isinstance(text, str) and not part.get("thought") else ""


def read_usage(usage: Any, text: str) -> Usage | None:
    """The tokens of an answer in disjoint token classes: its input contains the cached ones, its output no thinking."""
    if not isinstance(usage, dict):
        return None
    try:
        read = count(usage.get("promptTokenCount")) + count(usage.get("toolUsePromptTokenCount"))
        said, thought = count(usage.get("candidatesTokenCount")), count(usage.get("thoughtsTokenCount"))
        said += beyond(usage.get("totalTokenCount"), read + said + thought)
        cached = count(usage.get("cachedContentTokenCount"))
        return token_classes(read=read, cached=cached, written=0, output=said + thought, reasoning=thought, text=text)
    except ValueError:
        return None


class _ContentGathering:
    """What the events of a stream amount to: each is a whole answer, its text a further piece, its usage cumulative."""

    def __init__(self, vendor: Google) -> None:
        self._vendor = vendor
        self._parts: list[Mapping[str, Any]] = []
        self._latest: dict[str, Any] = {}
        self._reason: Any = None

    def add(self, event: dict[str, Any] | None) -> str:
        """Take one event in; returns the visible text in it."""
        if event is None:
            return ""
        if event.get("error"):
            raise self._vendor.error_inside(event["error"], None, {})
        usage = larger_usage(self._latest.get("usageMetadata"), event.get("usageMetadata"))
        self._latest.update({name: value for name, value in event.items() if value is not None})
        if usage is not None:
            self._latest["usageMetadata"] = usage
        candidate = first_candidate(event)
        self._reason = candidate.get("finishReason") or self._reason
        parts = parts_of(candidate)
        self._parts.extend(parts)
        return clean("".join(visible(part) for part in parts))

    @property
    def is_complete(self) -> bool:
        """Whether a finish reason has come, or the prompt was blocked."""
        feedback = self._latest.get("promptFeedback")
        return self._reason is not None or (isinstance(feedback, dict) and bool(feedback.get("blockReason")))

    def answer(self) -> Any:
        """The answer as it would have come in one piece."""
        whole = {name: value for name, value in self._latest.items() if name != "candidates"}
        if self._reason is None:
            return whole
        return {**whole, "candidates": [{"content": {"parts": self._parts}, "finishReason": self._reason}]}


@hookimpl
def orchestrator_provider(config: ProviderConfig) -> Provider | None:
    """Build the provider, or None where there is no key."""
    check_options(config, (*REACHING, *CALLING, "batches"))
    access = find_access(
        config,
        keys=("GEMINI_API_KEY", "GOOGLE_API_KEY"),
        addresses=("GOOGLE_BASE_URL", "GEMINI_BASE_URL"),
        default="https://generativelanguage.googleapis.com/v1beta",
    )
    if access is None:
        return None
    versioned = re.search(r"/v1(?:alpha|beta)?$", access.base_url)
    base_url = access.base_url if versioned else f"{access.base_url}/v1beta"
    made = Google(evolve(access, base_url=base_url), CATALOGUE.today(config), read_manner(config))
    made.sells_batches = read_batches_option(config)
    made.choose = lambda served: CATALOGUE.today(config, served=served)
    made.retired = CATALOGUE.retired_now()
    return made
