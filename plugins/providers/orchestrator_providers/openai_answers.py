"""Reading what a server of OpenAI's chat format answers: pure functions from status, headers and bytes.

Everything either becomes a ``Reply`` or raises a ``ProviderError``; no other exception leaves this module.
"""

import json
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final

from orchestrator.spi import Billed, ErrorKind, Finish, ProviderError, Reply, Usage

_EXCERPT: Final = 2_000
_SURROGATE: Final = re.compile("[\ud800-\udfff]")
_FINISH: Final = {"stop": Finish.STOP, "length": Finish.LENGTH, "max_tokens": Finish.LENGTH}
_BROKEN_OFF: Final = ("insufficient_system_resource", "network_error", "error")
_REQUEST_IDS: Final = ("x-request-id", "request-id", "msh-request-id", "x-ds-trace-id", "trace-id", "x-log-id")


def read_answer(status: int, headers: Mapping[str, str], content: bytes, key: str | None = None) -> Reply:
    """The reply in one HTTP answer. ``key`` is cut out of error messages where a server echoes it.

    Raises:
        ProviderError: the status or the body says that there is none.
    """
    if not 200 <= status < 300:
        raise _refusal(status, headers, content, key)
    try:
        return _reply(_strict_json(content), headers, key)
    except ProviderError as error:
        error.status = status
        raise
    except (ValueError, RecursionError, MemoryError) as error:
        cause = "nested too deeply" if not isinstance(error, ValueError) else str(error)[:200]
        raise ProviderError(
            f"the answer is not valid JSON ({cause}): {_excerpt(content, key)}",
            kind=ErrorKind.BAD_ANSWER,
            retryable=True,
            status=status,
        ) from None


# ── answers ────────────────────────────────────────────────────────────────────────────────────────────────────


def _reply(answer: Any, headers: Mapping[str, str], key: str | None) -> Reply:
    if not isinstance(answer, dict):
        raise _bad_answer("the answer is not a JSON object", None)
    if answer.get("error"):
        raise _error_inside(answer["error"], headers, read_usage(answer.get("usage"), text=""), key)
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    if not isinstance(choice, dict) or not isinstance(message, dict):
        raise _bad_answer("there is no choice with a message in the answer", read_usage(answer.get("usage"), text=""))
    text = _text(message.get("content"))
    usage = read_usage(answer.get("usage"), text="" if text is None else text)
    if text is None:
        raise _bad_answer("the content of the answer is neither text nor a list of parts", usage)
    reason = choice.get("finish_reason")
    if choice.get("error"):
        raise _error_inside(choice["error"], headers, usage, key)
    if reason in _BROKEN_OFF:
        raise ProviderError(
            f"the server broke off: {reason}", kind=ErrorKind.SERVER, retryable=True, billed=_billed(usage), usage=usage
        )
    refusal = message.get("refusal")
    if reason == "content_filter" or (refusal and not text):
        raise ProviderError(
            f"the model refused: {_one_line(str(refusal or reason), key)}",
            kind=ErrorKind.CONTENT_FILTER,
            billed=_billed(usage),
            usage=usage,
        )
    finish = _FINISH.get(reason, Finish.OTHER) if isinstance(reason, str) else Finish.OTHER
    return Reply(text, usage, finish, _request_id(answer, headers))


def _text(content: Any) -> str | None:
    """The text of a message: a string, or the text parts of a list joined; None for anything else."""
    if content is None:
        return ""
    if isinstance(content, str):
        return _SURROGATE.sub("\ufffd", content)
    if not isinstance(content, list):
        return None
    parts = [each.get("text") if isinstance(each, dict) else each for each in content]
    return _SURROGATE.sub("\ufffd", "".join(part for part in parts if isinstance(part, str)))


def _request_id(answer: Mapping[str, Any], headers: Mapping[str, str]) -> str | None:
    for found in (*(headers.get(name) for name in _REQUEST_IDS), answer.get("id")):
        if isinstance(found, str) and found:
            return _SURROGATE.sub("\ufffd", found[:200])
    return None


def read_usage(usage: Any, *, text: str) -> Usage | None:
    """The tokens of a call in disjoint lanes; None where they are missing, inconsistent or absurd.

    Cached and written tokens count inside the vendor's input. Reasoning counts inside its output, unless the
    total says otherwise.
    """
    try:
        return _usage(usage, text)
    except (ValueError, TypeError):
        return None


def _usage(usage: Any, text: str) -> Usage | None:
    if not isinstance(usage, dict):
        return None
    read, written = _count(usage["prompt_tokens"]) if "prompt_tokens" in usage else 0, 0
    output = _count(usage["completion_tokens"]) if "completion_tokens" in usage else 0
    inside = _details(usage, "prompt_tokens_details")
    cached = max(
        _count(inside.get("cached_tokens")),
        _count(usage.get("cached_tokens")),
        _count(usage.get("prompt_cache_hit_tokens")),
    )
    written = _count(inside.get("cache_write_tokens"))
    reasoning = _count(_details(usage, "completion_tokens_details").get("reasoning_tokens"))
    total = _count(usage["total_tokens"]) if usage.get("total_tokens") is not None else None
    if total is not None and reasoning and total == read + output + reasoning:
        output += reasoning
    elif total is not None and total != read + output:
        return None
    # A prompt has a token at least, and so has an answer that is not empty.
    if read == 0 or (text and output == 0) or cached + written > read or reasoning > output:
        return None
    lanes = Usage(
        input=read - cached - written,
        cached_input=cached,
        cache_write=written,
        output=output - reasoning,
        reasoning=reasoning,
    )
    return lanes if lanes.is_sane else None


def _count(value: Any) -> int:
    if value is None:
        return 0
    if type(value) is not int or value < 0:
        raise ValueError("not a count of tokens")
    return value


def _details(usage: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    details = usage.get(name)
    if details is None:
        return {}
    if not isinstance(details, dict):
        raise ValueError(f"{name} is not an object")
    return details


# ── errors ─────────────────────────────────────────────────────────────────────────────────────────────────────


def _billed(usage: Usage | None) -> Billed:
    return Billed.UNKNOWN if usage is None else Billed.YES


def _bad_answer(message: str, usage: Usage | None) -> ProviderError:
    return ProviderError(message, kind=ErrorKind.BAD_ANSWER, retryable=True, billed=_billed(usage), usage=usage)


def _error_inside(error: Any, headers: Mapping[str, str], usage: Usage | None, key: str | None) -> ProviderError:
    """An error that came with a status of success: of the class its code says, and possibly billed."""
    code = error.get("code") if isinstance(error, dict) else None
    status = code if type(code) is int and 400 <= code < 600 else 500
    kind, retryable = _classify(status, _words(error))
    return ProviderError(
        f"an error inside an answer: {_one_line(_message(error), key)}",
        kind=kind,
        retryable=retryable,
        retry_after=retry_after(headers),
        billed=_billed(usage),
        usage=usage,
    )


def _refusal(status: int, headers: Mapping[str, str], content: bytes, key: str | None) -> ProviderError:
    if status < 400:
        target = _one_line(headers.get("location", "elsewhere"), key)
        return ProviderError(
            f"HTTP {status}: the server redirects to {target}; redirects are not followed, correct the base URL",
            kind=ErrorKind.BAD_REQUEST,
            status=status,
        )
    try:
        answer = _strict_json(content)
    except (ValueError, RecursionError, MemoryError):
        answer = None
    error = answer.get("error", answer) if isinstance(answer, dict) else None
    kind, retryable = _classify(status, _words(error))
    explained = _one_line(_message(error), key) if error else _excerpt(content, key)
    unknown = status in (408, 499, 504) or 520 <= status <= 529
    return ProviderError(
        f"HTTP {status}: {explained}",
        kind=kind,
        retryable=retryable,
        retry_after=retry_after(headers),
        billed=Billed.UNKNOWN if unknown else Billed.NO,
        status=status,
    )


def _classify(status: int, words: str) -> tuple[ErrorKind, bool]:
    """The kind of an error and whether to try again, from the status and the error's words in lower case."""
    special = _by_words(status, words)
    if special is not None:
        return special
    match status:
        case 401 | 403:
            return ErrorKind.AUTHENTICATION, False
        case 402:
            return ErrorKind.QUOTA, False
        case 404 | 410:
            return ErrorKind.UNKNOWN_MODEL, False
        case 408 | 499 | 504 | 522 | 524:
            return ErrorKind.TIMEOUT, True
        case 409:
            return ErrorKind.SERVER, True
        case 413:
            return ErrorKind.CONTEXT_LENGTH, False
        case 429:
            return ErrorKind.RATE_LIMIT, True
        case 503 | 529:
            return ErrorKind.OVERLOADED, True
        case 501 | 505:
            return ErrorKind.BAD_REQUEST, False
    return (ErrorKind.SERVER, True) if status >= 500 else (ErrorKind.BAD_REQUEST, False)


_CONTEXT: Final = re.compile(
    r"context_length_exceeded|exceed_context_size|context (?:window|length|size)|prompt is too long|maximum context"
)
_QUOTA: Final = re.compile(r"insufficient_quota|exceeded_current_quota|insufficient balance|credit balance is too low")
_FILTER: Final = re.compile(r"content_filter|content_policy|contentfilter|flagged")
_OVERLOADED: Final = re.compile(r"overloaded|server_is_overloaded|engine_overloaded")
_MODEL: Final = re.compile(
    r"model_not_found|unknown model|model \S{1,200} (?:does not exist|not found)|supported api model"
)
_KEY: Final = re.compile(r"invalid_api_key|incorrect_api_key|invalid_authentication|authentication_error")


def _by_words(status: int, words: str) -> tuple[ErrorKind, bool] | None:
    if status in (400, 402, 403, 429, 500) and _QUOTA.search(words):
        return ErrorKind.QUOTA, False
    if status in (429, 500, 503) and _OVERLOADED.search(words):
        return ErrorKind.OVERLOADED, True
    if status in (400, 403, 404, 422) and _MODEL.search(words):
        return ErrorKind.UNKNOWN_MODEL, False
    if status in (400, 413, 422, 500) and _CONTEXT.search(words):
        return ErrorKind.CONTEXT_LENGTH, False
    if status in (400, 403, 422, 451) and _FILTER.search(words):
        return ErrorKind.CONTENT_FILTER, False
    if status in (400, 500) and _KEY.search(words):
        return ErrorKind.AUTHENTICATION, False
    return None


def _words(error: Any) -> str:
    if not isinstance(error, dict):
        return str(error)[:_EXCERPT].lower() if isinstance(error, str) else ""
    found = (error.get(name) for name in ("code", "type", "status", "message"))
    return " ".join(str(each)[:_EXCERPT] for each in found if isinstance(each, str | int)).lower()


def _message(error: Any) -> str:
    if isinstance(error, dict):
        message = error.get("message")
        return message if isinstance(message, str) else json.dumps(error, ensure_ascii=False)
    return str(error)


def _excerpt(content: bytes, key: str | None) -> str:
    return _one_line(content[: 4 * _EXCERPT].decode(errors="replace"), key) or "an empty body"


def _one_line(text: str, key: str | None) -> str:
    """At most two kilobytes of a stranger's text, without the key, line breaks and lone surrogates."""
    if key:
        text = text.replace(key, "[key]")
    flat = " ".join(_SURROGATE.sub("\ufffd", text[: 2 * _EXCERPT]).split())
    return flat.encode()[:_EXCERPT].decode(errors="ignore")


# ── waiting ────────────────────────────────────────────────────────────────────────────────────────────────────


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: ``retry-after-ms``, then ``retry-after`` in seconds or as a date.

    A date is compared with the answer's own ``Date``. What cannot be read counts as not given.
    """
    milliseconds = _seconds(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    for name in ("retry-after", "x-retry-after"):
        value = headers.get(name)
        seconds = _seconds(value)
        if seconds is None and value is not None:
            seconds = _until(value, headers.get("date"))
        if seconds is not None:
            return seconds
    return None


def _seconds(value: str | None) -> float | None:
    if value is None or not re.fullmatch(r"\s*[0-9]{1,12}(\.[0-9]{0,12})?\s*", value):
        return None
    return float(value)


def _until(value: str, now: str | None) -> float | None:
    then = _date(value)
    if then is None:
        return None
    start = _date(now) if now is not None else None
    return max(0.0, (then - (start or datetime.now(UTC))).total_seconds())


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)


# ── strict JSON ────────────────────────────────────────────────────────────────────────────────────────────────


def _strict_json(content: bytes) -> Any:
    """Parse UTF-8 JSON, refusing duplicate keys, NaN and infinities.

    Raises:
        ValueError: not such JSON.
        RecursionError: nested too deeply.
    """
    return json.loads(
        content.decode("utf-8-sig"), object_pairs_hook=_object, parse_constant=_refuse_constant, parse_float=_finite
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise ValueError("a key stands twice in one object")
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError("a number is too large")
    return value
