"""Reading what servers of OpenAI's chat format answer: pure functions of parsed JSON.

Everything either becomes a value or raises a ``ProviderError``; what is of no use is None.
"""

from collections.abc import Mapping
from typing import Any, Final

from orchestrator.spi import Usage
from orchestrator_providers.text_without_keys import clean


def text_of(content: Any) -> str | None:
    """The text of a message: a string, or the text parts of a list joined; None for anything else."""
    if content is None:
        return ""
    if isinstance(content, str):
        return clean(content)
    if not isinstance(content, list):
        return None
    parts = [each.get("text") if isinstance(each, dict) else each for each in content]
    return clean("".join(part for part in parts if isinstance(part, str)))


def first_choice(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    """The choice that counts: the first, or an empty one."""
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    return choice if isinstance(choice, dict) else {}


def read_usage(usage: Any, *, text: str) -> Usage | None:
    """The tokens of a call in disjoint token classes; None where they are missing, inconsistent or absurd.

    Cached and written tokens count inside the vendor's input. Reasoning counts inside its output, unless the
    total says otherwise: what it has beyond both is output.
    """
    try:
        return _usage(usage, text) if isinstance(usage, dict) else None
    except (ValueError, TypeError):
        return None


def _usage(usage: Mapping[str, Any], text: str) -> Usage | None:
    read, output = count(usage.get("prompt_tokens")), count(usage.get("completion_tokens"))
    inside = details(usage, "prompt_tokens_details")
    cached = max(
        count(inside.get("cached_tokens")),
        count(usage.get("cached_tokens")),
        count(usage.get("prompt_cache_hit_tokens")),
    )
    written = count(inside.get("cache_write_tokens"))
    reasoning = count(details(usage, "completion_tokens_details").get("reasoning_tokens"))
    output += beyond(usage.get("total_tokens"), read + output)
    return token_classes(read=read, cached=cached, written=written, output=output, reasoning=reasoning, text=text)


def token_classes(*, read: int, cached: int, written: int, output: int, reasoning: int, text: str) -> Usage | None:
    """Disjoint token classes of counts that contain each other; None where they cannot be true.

    ``read`` contains ``cached`` and ``written``, ``output`` contains ``reasoning``.
    """
    # A prompt has a token at least, and so has an answer that is not empty.
    if read == 0 or (text and output == 0) or cached + written > read or reasoning > output:
        return None
    usage = Usage(
        input=read - cached - written,
        cached_input=cached,
        cache_write=written,
        output=output - reasoning,
        reasoning=reasoning,
    )
    return usage if usage.is_sane else None


def count(value: Any) -> int:
    """A count of tokens; 0 where it is missing.

    Raises:
        ValueError: it is no such thing.
    """
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ValueError("not a count of tokens")
    return value


def beyond(total: Any, counted: int) -> int:
    """What a total has beyond the tokens that are counted by class: they were billed all the same.

    Raises:
        ValueError: it is no count, or less than they are.
    """
    if total is None:
        return 0
    if count(total) < counted:
        raise ValueError("the total is less than its parts")
    return count(total) - counted


def larger_usage(one: Any, other: Any) -> Any:
    """Of two usages of one answer the one with more tokens, the later where they are equal; what is none never wins."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return other if isinstance(other, dict) or not isinstance(one, dict) else one
    return one if _size(one) > _size(other) else other


def larger_counts(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Two usages that each hold some of the counts: of each count the larger."""
    merged = dict(one)
    for name, value in other.items():
        known = merged.get(name)
        if type(value) is not int or type(known) is not int or value > known:
            merged[name] = value
    return merged


def _size(usage: Mapping[str, Any]) -> int:
    """All tokens in it; of counts that contain each other both."""
    return sum(value for value in usage.values() if type(value) is int)


def details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The object of further counts under a name; empty where it is missing.

    Raises:
        ValueError: it is no object.
    """
    found = usage.get(name)
    if found is None:
        return {}
    if not isinstance(found, dict):
        raise ValueError(f"{name} is not an object")
    return found


class ChatGathering:
    """What the chunks of a chat stream amount to.

    Usage may stand beside the choices or inside one, and come with the last choice, after it, or with every chunk.
    """

    def __init__(self) -> None:
        self._text: list[str] = []
        self._refusal: list[str] = []
        self._reason: Any = None
        self._usage: Any = None
        self._id: Any = None
        self._chosen = False
        self._done = False

    def add(self, event: dict[str, Any] | None) -> str:
        """Take one chunk in, or None for the mark at the end; returns the visible text in it."""
        if event is None:
            self._done = True
            return ""
        choice = first_choice(event)
        self._chosen = self._chosen or bool(choice)
        self._usage = larger_usage(self._usage, event.get("usage") or choice.get("usage"))
        self._id = self._id or event.get("id")
        self._reason = choice.get("finish_reason") or self._reason
        delta = choice.get("delta")
        if not isinstance(delta, dict):
            return ""
        if isinstance(delta.get("refusal"), str):
            self._refusal.append(delta["refusal"])
        text = text_of(delta.get("content")) or ""
        self._text.append(text)
        return text

    @property
    def is_complete(self) -> bool:
        """Whether a finish reason or the mark at the end has come."""
        return self._done or self._reason is not None

    def answer(self) -> Any:
        """The answer as it would have come in one piece."""
        message = {"content": "".join(self._text), "refusal": "".join(self._refusal) or None}
        return {
            "id": self._id,
            "choices": [{"finish_reason": self._reason, "message": message}] if self._chosen else [],
            "usage": self._usage,
        }


BROKEN_OFF: Final = ("insufficient_system_resource", "network_error", "error")
"""Finish reasons that mean a fault of the server."""

FILTERED: Final = ("content_filter", "sensitive")
"""Finish reasons that mean that a filter cut in."""
