"""JSON that waits to be written, packed: a page's data comes before its end is known, and is larger than all else."""

import zlib
from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
from attrs import fields

_FAST = 1
_HEADROOM = 1 << 18


def inert(value: Any) -> bytes:
    """A value as JSON that an HTML parser takes for nothing else, wherever it stands."""
    text = orjson.dumps(value, default=_fields)
    return text.replace(b"<", b"\\u003c").replace(b">", b"\\u003e").replace(b"&", b"\\u0026")


def _fields(value: Any) -> Any:
    """An attrs object as a JSON object."""
    return {name: getattr(value, name) for name in _names(value.__class__)}


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


class Packed:
    """Members of one JSON array or object, kept packed until they are iterated over, once all are there."""

    def __init__(self) -> None:
        self._packer = zlib.compressobj(_FAST)
        self._parts: list[bytes] = []
        self._is_empty = True

    def add(self, value: Any, key: str | None = None) -> None:
        """Add a member, of an object where it has a key."""
        comma = b"" if self._is_empty else b","
        name = b"" if key is None else inert(key) + b":"
        self._is_empty = False
        self._keep(self._packer.compress(comma + name + inert(value)))

    def _keep(self, part: bytes) -> None:
        if part:
            self._parts.append(part)

    def __iter__(self) -> Iterator[bytes]:
        """The members with commas between them, in pieces of any size."""
        self._keep(self._packer.flush())
        unpacker = zlib.decompressobj()
        for part in self._parts:
            while part:
                yield unpacker.decompress(part, _HEADROOM)
                part = unpacker.unconsumed_tail
        yield unpacker.flush()
