"""How long a vendor asks to wait. What cannot be read counts as not given; no number here is unbounded."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_BEHIND: Final = "llm_provider-"
_IN_SECONDS: Final = ("retry-after", "x-retry-after", "msh-cooldown-seconds")
_RESET: Final = re.compile(r"(?:x|anthropic)-ratelimit-(?:reset-(?P<openai>\w+)|(?P<anthropic>[\w-]+)-reset)")
_DURATION: Final = re.compile(
    r"(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,6}(?:\.\d{0,9})?)s)?(?:(\d{1,9}(?:\.\d{0,9})?)ms)?"
)
_UNITS: Final = {"ms": 0.001, "milli": 0.001, "m": 60.0, "s": 1.0, "h": 3600.0}
"""Seconds by how a unit begins; the first that fits."""
_AGAIN: Final = re.compile(
    r"(?:try again|retry(?: again)?|wait|retry[ -]after)(?: in| after| for|:)? (?:about |approximately )?"
    r"(?:(?P<number>\d{1,9}(?:\.\d{1,9})?) ?"
    r"(?P<unit>milliseconds?|ms|s(?:ec(?:ond)?s?)?|min(?:ute)?s?|h(?:(?:ou)?rs?)?)\b"
    r"(?! ?\d)"
    r"|(?P<short>(?:\d{1,6}h)?(?:\d{1,6}m)?(?:\d{1,6}(?:\.\d{1,9})?s)?)\b)"
)
_RESETS_AT: Final = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d)")


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Seconds the server asks to wait: ``retry-after-ms``, then ``retry-after`` and its like, in seconds or as a date.

    A date is compared with the answer's own ``Date``.
    """
    milliseconds = seconds(spoken(headers, "retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    for name in _IN_SECONDS:
        value = spoken(headers, name)
        asked = seconds(value)
        if asked is None and value is not None:
            asked = _until(_date(value), headers)
        if asked is not None:
            return asked
    return None


def spoken(headers: Mapping[str, str], name: str) -> str | None:
    """A header of the server's, or that of the vendor behind it, as a LiteLLM gateway hands it on."""
    value = headers.get(name)
    return headers.get(_BEHIND + name) if value is None else value


def rate_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until the limits of a vendor's rate headers are fresh: of the limits used up, else of all."""
    spent: list[float] = []
    others: list[float] = []
    for name, value in headers.items():
        match = _RESET.fullmatch(name.lower().removeprefix(_BEHIND))
        if match is None:
            continue
        wait = duration(value)
        if wait is None:
            wait = _until(_instant(value), headers)
        if wait is None:
            continue
        token_class = match["openai"] or match["anthropic"]
        left = spoken(
            headers,
            f"x-ratelimit-remaining-{token_class}"
            if match["openai"]
            else f"anthropic-ratelimit-{token_class}-remaining",
        )
        (spent if left is not None and left.strip() == "0" else others).append(wait)
    return max(spent or others, default=None)


def reset_in_text(text: str, headers: Mapping[str, str]) -> float | None:
    """Seconds until the moment, in ISO 8601, that a message says a plan's limit resets at."""
    match = _RESETS_AT.search(text)
    return None if match is None else _until(_instant(match[0]), headers)


def wait_in_text(text: str) -> float | None:
    """Seconds that a message asks to wait, such as ``try again in 1m2.5s`` or ``retry after 20 seconds``."""
    match = _AGAIN.search(text.lower())
    if match is None:
        return None
    if match["unit"] is None:
        return duration(match["short"]) if match["short"] else None
    asked = seconds(match["number"])
    scale = next(scale for unit, scale in _UNITS.items() if match["unit"].startswith(unit))
    return None if asked is None else asked * scale


def seconds(value: str | None) -> float | None:
    """A plain non-negative number."""
    if value is None or not re.fullmatch(r"\s*[0-9]{1,12}(\.[0-9]{0,12})?\s*", value, re.ASCII):
        return None
    return float(value)


def duration(value: str) -> float | None:
    """A duration such as ``1m2.5s``, ``120ms`` or ``34s``, in seconds."""
    match = _DURATION.fullmatch(value.strip())
    if match is None or not any(match.groups()):
        return None
    hours, minutes, whole, milliseconds = (float(part or 0) for part in match.groups())
    return hours * 3600 + minutes * 60 + whole + milliseconds / 1000


def _until(then: datetime | None, headers: Mapping[str, str]) -> float | None:
    if then is None:
        return None
    now = headers.get("date")
    start = _date(now) if now is not None else None
    return max(0.0, (then - (start or datetime.now(UTC))).total_seconds())


def _date(value: str) -> datetime | None:
    try:
        date = parsedate_to_datetime(value)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None
    return _aware(date)


def _instant(value: str) -> datetime | None:
    try:
        return _aware(datetime.fromisoformat(value.strip()))
    except ValueError:
        return None


def _aware(date: datetime) -> datetime | None:
    """In UTC; None at the edges of the calendar, where no difference can be computed."""
    try:
        return (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None
