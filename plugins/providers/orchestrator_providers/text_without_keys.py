"""Texts of vendors made safe to show: without the key, on one line, of bounded length."""

import base64
import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from orchestrator.models import SHORTEST_SECRET

EXCERPT: Final = 2_000
"""Bytes of a vendor's text that are shown at most."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


def clean(text: str) -> str:
    """The text with every lone surrogate, which no encoding can carry, replaced."""
    return _SURROGATE.sub("\ufffd", text)


def one_line(text: str, key: str | None) -> str:
    """At most two kilobytes of a vendor's text, without the key in any usual form, line breaks and surrogates."""
    if key and len(key) >= SHORTEST_SECRET:
        for form in _forms(key):
            text = text.replace(form, "[key]")
    flat = " ".join(clean(text[: 2 * EXCERPT]).split())
    return flat.encode()[:EXCERPT].decode(errors="ignore")


def _forms(key: str) -> tuple[str, ...]:
    encoded = base64.b64encode(key.encode()).decode()
    return (key, encoded, encoded.rstrip("="), quote(key, safe=""), json.dumps(key)[1:-1], key.encode().hex())


def excerpt(content: bytes, key: str | None) -> str:
    """The beginning of a body, for an error message."""
    return one_line(content[: 8 * EXCERPT].decode(errors="replace"), key) or "an empty body"


_SAYING: Final = ("code", "type", "error_type", "status", "reason", "message", "msg", "raw")
_HOLDING: Final = ("error", "detail", "details", "metadata", "cause")
_DEPTH: Final = 3


def words_of(error: Any) -> str:
    """What an error object says, in lower case, to look for known words in; also what a gateway hands on inside it."""
    return " ".join(_said(error, _DEPTH)).lower()


def _said(error: Any, depth: int) -> Iterator[str]:
    if isinstance(error, str | int):
        yield str(error)[:EXCERPT]
    elif depth and isinstance(error, list):
        for each in error[:_DEPTH]:
            yield from _said(each, depth - 1)
    elif depth and isinstance(error, dict):
        for name in _SAYING:
            if isinstance(error.get(name), str | int):
                yield str(error[name])[:EXCERPT]
        for name in _HOLDING:
            yield from _said(error.get(name), depth - 1)


def message_of(error: Any) -> str:
    """What an error object says to people."""
    if isinstance(error, dict):
        message = error.get("message")
        return message if isinstance(message, str) else json.dumps(error, ensure_ascii=False)
    return str(error)
