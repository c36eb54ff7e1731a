"""What must never be stored: the values of keys everywhere, key-like shapes in untrusted text."""

import base64
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote, quote_plus

import orjson

from orchestrator.log.key_fragments import Fragments
from orchestrator.models import SHORTEST_SECRET

MARK: Final = "[redacted]"
"""What replaces a secret."""

SHORTEST: Final = SHORTEST_SECRET
"""Characters a value must have to be registered."""

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
    yield from _in_groups(raw)


def _in_groups(value: bytes) -> Iterator[str]:
    """What depends on ``value`` alone in base32 (groups of five bytes) and base85 (of four), at each place."""
    encodings = ((5, 8, base64.b32encode), (4, 5, base64.b85encode), (4, 5, base64.a85encode))
    for size, letters, encode in encodings:
        for offset in range(size):
            first, last = -(-offset // size), (offset + len(value)) // size
            text = encode(bytes([255]) * offset + value + bytes([255]) * size).decode()
            core = text[letters * first : letters * last]
            if len(core) >= SHORTEST:
                yield core
                yield core.lower()


class Redactor:
    """Knows the values of the keys that were loaded, and takes them out of texts."""

    def __init__(self) -> None:
        self._values: set[str] = set()
        self._needles: tuple[str, ...] = ()
        self._fragments = Fragments((), ())

    def add(self, value: str) -> None:
        """Register a key's value; from here on it is taken out. A value below eight characters is left alone."""
        value = value.strip()
        if len(value) < SHORTEST or value in self._values:
            return
        self._values.add(value)
        forms = {form for each in self._values for form in _forms(each)}
        self._needles = tuple(sorted(forms, key=lambda form: (-len(form), form)))
        self._fragments = Fragments.of(self._values)

    def values(self, text: str) -> str:
        """The text without any registered value: as it is, in JSON, base64, base32, base85, hexadecimal or URL form.

        Twelve characters of a key's secret part count as the key, also in capitals and with spaces between them.
        """
        for needle in self._needles:
            if needle in text:
                text = text.replace(needle, MARK)
        return self._fragments.without(text, MARK) if self._values else text

    def shapes(self, text: str) -> str:
        """An untrusted text (an error, a URL, headers) without values, parts of them, or key-like shapes."""
        return _SHAPES.sub(_shape, self.values(text))

    def data(self, text: str) -> str:
        """JSON text whose strings are without registered values; names of fields stay."""
        if any(needle in text for needle in self._needles) or self._fragments.hits(text):
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
