"""What must never be stored: the values of keys everywhere, key-like shapes in untrusted text."""

import base64
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

import orjson

MARK: Final = "[redacted]"
"""What replaces a secret."""

SHORTEST: Final = 8
"""Characters a value must have to be registered; shorter ones would eat ordinary words."""

_FRAGMENT: Final = 12

_SHAPES: Final = re.compile(
    r"""
      \b(?:sk|pk|rk|gsk|xai)-[A-Za-z0-9_\-*.]{6,}                            # vendors' key prefixes
    | \bAIza[A-Za-z0-9_\-]{10,}
    | (?P<scheme>\b(?:Bearer|Basic)\s+)[^\s"',;]+
    | (?P<name>\b(?:x-api-key|x-goog-api-key|api[-_]?key|apikey|access[-_]token|authorization|key|token|secret)
        ["']?\s*[:=]\s*["']?)(?!\s|(?:Bearer|Basic)\b)[^\s"'&,;}]+
    """,
    re.IGNORECASE | re.VERBOSE,
)


def _shape(match: re.Match[str]) -> str:
    return f"{match['scheme'] or match['name'] or ''}{MARK}"


def _aligned(value: bytes) -> Iterator[str]:
    """The base64 characters that depend on ``value`` alone, for each place it can have in a group of three."""
    for offset in range(3):
        text = base64.b64encode(bytes(offset) + value + bytes(2)).decode()
        core = text[-(-8 * offset // 6) : 8 * (offset + len(value)) // 6]
        yield core
        yield core.replace("+", "-").replace("/", "_")


def _forms(value: str) -> Iterator[str]:
    raw = value.encode("utf-8", "surrogatepass")
    yield value
    yield orjson.dumps(value.encode("utf-8", "replace").decode()).decode()[1:-1]
    yield raw.hex()
    yield raw.hex().upper()
    for quoted in (quote(raw, safe=""), quote(raw), quote_plus(raw)):
        yield quoted
        yield re.sub(r"%[0-9A-F]{2}", lambda match: match[0].lower(), quoted)
    yield from _aligned(raw)


class Redactor:
    """Knows the values of the keys that were loaded, and takes them out of texts."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._needles: tuple[str, ...] = ()
        self._blocks: tuple[tuple[str, str], ...] = ()

    def add(self, value: str) -> None:
        """Register a key's value; from here on it is taken out. A value below eight characters is left alone."""
        value = value.strip()
        if len(value) < SHORTEST or value in self._values:
            return
        self._values.add(value)
        forms = {form for each in self._values for form in _forms(each)}
        self._needles = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        half = _FRAGMENT // 2
        self._blocks = tuple(
            (each, each[start : start + half])
            for each in sorted(self._values)
            for start in range(0, len(each) - half + 1, half)
        )

    def values(self, text: str) -> str:
        """The text without any registered value: as it is, in JSON, base64, hexadecimal or URL form."""
        for needle in self._needles:
            if needle in text:
                text = text.replace(needle, MARK)
        return text

    def shapes(self, text: str) -> str:
        """An untrusted text (an error, a URL, headers) without values, parts of them, or key-like shapes."""
        text = self.values(text)
        for value, block in self._blocks:
            if block in text:
                text = _without_fragments(text, value)
        return _SHAPES.sub(_shape, text)

    def data(self, text: str) -> str:
        """JSON text whose strings are without registered values; names of fields stay."""
        for needle in self._needles:
            if needle in text:
                return orjson.dumps(self._walk(orjson.loads(text))).decode()
        return text

    def _walk(self, value: Any) -> Any:
        if isinstance(value, str):
            return self.values(value)
        if isinstance(value, list):
            return [self._walk(each) for each in value]
        if isinstance(value, dict):
            return {name: self._walk(each) for name, each in value.items()}
        return value


def _without_fragments(text: str, value: str) -> str:
    """Take out every run of twelve or more characters that is also part of ``value``."""
    start = 0
    while start + _FRAGMENT <= len(text):
        end = start + _FRAGMENT
        if text[start:end] not in value:
            start += 1
            continue
        while end < len(text) and text[start : end + 1] in value:
            end += 1
        text = f"{text[:start]}{MARK}{text[end:]}"
        start += len(MARK)
    return text
