"""What a refusal, a broken answer or a broken connection means for retries and for money."""

from typing import TYPE_CHECKING, Any

from attrs import frozen

from orchestrator.spi import Billed, ErrorKind, ProviderError, Usage
from orchestrator_providers.error_wordings import WORDINGS
from orchestrator_providers.text_without_keys import one_line

if TYPE_CHECKING:
    import httpx


@frozen
class Cause:
    """Why a call failed. ``billed`` and ``wait`` (seconds) only where they differ from what the status says."""

    kind: ErrorKind
    retryable: bool = False
    billed: Billed | None = None
    wait: float | None = None


def classify(status: int, words: str) -> Cause:
    """The cause of a refusal, from its status and the error's words in lower case."""
    special = by_words(status, words)
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


def by_words(status: int, words: str) -> Cause | None:
    """The cause that an error's words tell, where the table of wordings has them; the first row counts."""
    for row in WORDINGS:
        if row.says(status, words):
            return Cause(row.kind, row.retryable)
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
        kind, retryable, billed = ErrorKind.UNREACHABLE, not getattr(error, "lasting", False), Billed.NO
    elif isinstance(error, httpx.UnsupportedProtocol | httpx.LocalProtocolError):
        kind, retryable, billed = ErrorKind.UNSENT, False, Billed.NO
    elif isinstance(error, httpx.TimeoutException):
        kind = ErrorKind.TIMEOUT
    elif isinstance(error, httpx.DecodingError):
        kind, retryable = ErrorKind.UNREACHABLE if getattr(error, "lasting", False) else ErrorKind.BAD_ANSWER, False
    details = one_line(str(error), key)[:500] or "no details"
    name = "" if kind is ErrorKind.UNREACHABLE else f"{type(error).__name__}: "
    return ProviderError(f"{name}{details}", kind=kind, retryable=retryable, billed=billed)
