"""Reading what OpenAI's ``/responses`` answers."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from orchestrator.spi import ErrorKind, Finish, ProviderError, Reply, Usage
from orchestrator_providers.error_meanings import bad_answer, refused_answer
from orchestrator_providers.openai_answers import beyond, count, details, token_classes
from orchestrator_providers.text_without_keys import clean, one_line, words_of

if TYPE_CHECKING:
    from orchestrator_providers.one_call import Vendor

_ENDS: Final = ("response.completed", "response.incomplete", "response.failed")


def read_response(vendor: "Vendor", answer: Mapping[str, Any], headers: Mapping[str, str]) -> Reply:
    """The reply in a parsed response.

    Raises:
        ProviderError: there is none in it.
    """
    if answer.get("error"):
        raise _failed(vendor, answer["error"], read_usage(answer.get("usage"), ""), headers)
    output = answer.get("output")
    if not isinstance(output, list):
        raise bad_answer("there is no output in the answer", read_usage(answer.get("usage"), ""))
    parts = [
        part
        for item in output
        if isinstance(item, dict) and item.get("type") == "message" and isinstance(item.get("content"), list)
        for part in item["content"]
        if isinstance(part, dict)
    ]
    text = clean("".join(_texts(parts, "output_text", "text")))
    refusal = "".join(_texts(parts, "refusal", "refusal"))
    usage = read_usage(answer.get("usage"), text)
    incomplete = answer.get("incomplete_details")
    reason = incomplete.get("reason") if isinstance(incomplete, dict) else None
    if reason == "content_filter" or (refusal and not text):
        raise refused_answer(refusal or reason, usage, vendor.key)
    status = answer.get("status")
    if status not in (None, "completed", "incomplete"):
        raise bad_answer(f"the response is {one_line(str(status), vendor.key)}", usage)
    finish = Finish.STOP if status == "completed" or (status is None and text) else Finish.OTHER
    if reason in ("max_output_tokens", "max_tokens"):
        finish = Finish.LENGTH
    return Reply(text, usage, finish, vendor.request_id(headers, answer.get("id")))


def _texts(parts: list[dict[str, Any]], kind: str, name: str) -> list[str]:
    return [part[name] for part in parts if part.get("type") == kind and isinstance(part.get(name), str)]


def _failed(vendor: "Vendor", error: Any, usage: Usage | None, headers: Mapping[str, str]) -> ProviderError:
    return vendor.error_inside(error, usage, headers, 429 if "rate_limit" in words_of(error) else 500)


def read_usage(usage: Any, text: str) -> Usage | None:
    """The tokens of a response in disjoint token classes; None where they are missing, inconsistent or absurd."""
    if not isinstance(usage, dict):
        return None
    try:
        read, output = count(usage.get("input_tokens")), count(usage.get("output_tokens"))
        inside = details(usage, "input_tokens_details")
        output += beyond(usage.get("total_tokens"), read + output)
        return token_classes(
            read=read,
            cached=count(inside.get("cached_tokens")),
            written=count(inside.get("cache_write_tokens")),
            output=output,
            reasoning=count(details(usage, "output_tokens_details").get("reasoning_tokens")),
            text=text,
        )
    except ValueError:
        return None


class ResponseGathering:
    """What the events of a stream amount to: the last of them holds the whole response."""

    def __init__(self, vendor: "Vendor") -> None:
        self._vendor = vendor
        self._response: Any = None

    def add(self, event: dict[str, Any] | None) -> str:
        """Take one event in; returns the visible text in it."""
        if event is None:
            return ""
        kind = event.get("type")
        if kind == "error" or event.get("error"):
            raise _failed(self._vendor, event.get("error") or event, None, {})
        if kind in _ENDS:
            self._response = event.get("response")
            if kind == "response.failed" and isinstance(self._response, dict) and not self._response.get("error"):
                raise ProviderError("the response failed", kind=ErrorKind.SERVER, retryable=True)
        delta = event.get("delta")
        return clean(delta) if kind == "response.output_text.delta" and isinstance(delta, str) else ""

    @property
    def is_complete(self) -> bool:
        """Whether the whole response has come."""
        return self._response is not None

    def answer(self) -> Any:
        """The whole response."""
        return self._response
