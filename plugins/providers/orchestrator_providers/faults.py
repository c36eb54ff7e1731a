"""What a refusal, a broken answer or a broken connection means for retries and for money."""

import re
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen

from orchestrator.spi import Billed, ErrorKind, ProviderError, Usage
from orchestrator_providers.wording import one_line

if TYPE_CHECKING:
    import httpx


@frozen
class Cause:
    """Why a call failed. ``billed`` and ``wait`` (seconds) only where they differ from what the status says."""

    kind: ErrorKind
    retryable: bool = False
    billed: Billed | None = None
    wait: float | None = None


_CONTEXT: Final = re.compile(
    r"context_length_exceeded|exceed_context_size|context (?:window|length|size)|prompt is too long|maximum context"
    r"|exceeded model token limit|input token count|prompt exceeds max length"
)
_QUOTA: Final = re.compile(r"insufficient_quota|exceeded_current_quota|insufficient balance|credit balance is too low")
_FILTER: Final = re.compile(r"content_filter|content_policy|contentfilter|flagged")
_OVERLOADED: Final = re.compile(r"overloaded|server_is_overloaded|engine_overloaded")
_MODEL: Final = re.compile(
    r"model_not_found|unknown model|model \S{1,200} (?:does not exist|not found)|supported api model"
)
_KEY: Final = re.compile(r"invalid_api_key|incorrect_api_key|invalid_authentication|authentication_error")


def classify(status: int, words: str) -> Cause:
    """The cause of a refusal, from its status and the error's words in lower case."""
    special = _by_words(status, words)
    if special is not None:
        return special
    match status:
        case 401 | 403:
            return Cause(ErrorKind.AUTHENTICATION)
        case 402:
            return Cause(ErrorKind.QUOTA)
        case 404 | 410:
            return Cause(ErrorKind.UNKNOWN_MODEL)
        case 408 | 499 | 504 | 522 | 524:
            return Cause(ErrorKind.TIMEOUT, True)
        case 409:
            return Cause(ErrorKind.SERVER, True)
        case 413:
            return Cause(ErrorKind.CONTEXT_LENGTH)
        case 429:
            return Cause(ErrorKind.RATE_LIMIT, True)
        case 503 | 529:
            return Cause(ErrorKind.OVERLOADED, True)
        case 501 | 505:
            return Cause(ErrorKind.BAD_REQUEST)
    return Cause(ErrorKind.SERVER, True) if status >= 500 else Cause(ErrorKind.BAD_REQUEST)


def _by_words(status: int, words: str) -> Cause | None:
    if status in (400, 402, 403, 429, 500) and _QUOTA.search(words):
        return Cause(ErrorKind.QUOTA)
    if status in (429, 500, 503) and _OVERLOADED.search(words):
        return Cause(ErrorKind.OVERLOADED, True)
    if status in (400, 403, 404, 422) and _MODEL.search(words):
        return Cause(ErrorKind.UNKNOWN_MODEL)
    if status in (400, 413, 422, 500) and _CONTEXT.search(words):
        return Cause(ErrorKind.CONTEXT_LENGTH)
    if status in (400, 403, 422, 451) and _FILTER.search(words):
        return Cause(ErrorKind.CONTENT_FILTER)
    if status in (400, 500) and _KEY.search(words):
        return Cause(ErrorKind.AUTHENTICATION)
    return None


def billed_of_status(status: int) -> Billed:
    """Whether a status proves that nothing was billed: not where a gateway gave up on work that may be done."""
    unknown = status < 400 or status in (408, 499, 504) or 520 <= status <= 529
    return Billed.UNKNOWN if unknown else Billed.NO


def billed_of_usage(usage: Usage | None) -> Billed:
    """Whether an answer that is none was billed, from the usage in it."""
    return Billed.UNKNOWN if usage is None else Billed.YES


def bad_answer(message: str, usage: Usage | None = None) -> ProviderError:
    """An answer that cannot be used; it may have been billed."""
    return ProviderError(message, kind=ErrorKind.BAD_ANSWER, retryable=True, billed=billed_of_usage(usage), usage=usage)


def refused_answer(reason: Any, usage: Usage | None, key: str | None) -> ProviderError:
    """The model, or a filter around it, declined: not to be asked the same again."""
    return ProviderError(
        f"the model refused: {one_line(str(reason), key)}",
        kind=ErrorKind.CONTENT_FILTER,
        billed=billed_of_usage(usage),
        usage=usage,
    )


def cut_off(message: str, status: int | None = None) -> ProviderError:
    """The answer ended before it was complete: tokens were made, their number is unknown."""
    return ProviderError(message, kind=ErrorKind.CONNECTION, retryable=True, status=status)


def transport_error(error: "httpx.HTTPError", key: str | None) -> ProviderError:
    """What the HTTP client raised, classified. Only a connection that never stood is proof that nothing was billed."""
    import httpx

    kind, retryable, billed = ErrorKind.CONNECTION, True, Billed.UNKNOWN
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError):
        billed = Billed.NO
    elif isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        kind, retryable, billed = ErrorKind.UNSENT, False, Billed.NO
    elif isinstance(error, httpx.TimeoutException):
        kind = ErrorKind.TIMEOUT
    elif isinstance(error, httpx.DecodingError):
        kind, retryable = ErrorKind.BAD_ANSWER, False
    details = one_line(str(error), key)[:500] or "no details"
    return ProviderError(f"{type(error).__name__}: {details}", kind=kind, retryable=retryable, billed=billed)
