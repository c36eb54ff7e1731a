"""A digest of any value made of attrs classes, collections and scalars, that equal values share on every machine."""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from enum import Enum
from hashlib import sha256
from typing import Any

import attrs

Known = dict[str, list[str]]
"""By class name, the fields that take part; a field that a class gains later does not change an old digest."""


def fingerprint(value: Any, known: Mapping[str, Sequence[str]] | None = None) -> tuple[str, Known]:
    """The SHA-256 of a value, and the fields that took part.

    Args:
        value: what to digest; sets and mappings count in no order, everything else in its own.
        known: take only these fields of the classes named; a class that is not named takes part with all.

    Raises:
        AttributeError: a class lost a field that ``known`` names.
    """
    used: Known = {}
    plain = _plain(value, known or {}, used)
    return sha256(_text(plain).encode()).hexdigest(), used


def _text(plain: Any) -> str:
    return json.dumps(plain, ensure_ascii=False, separators=(",", ":"))


def _plain(value: Any, known: Mapping[str, Sequence[str]], used: Known) -> Any:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, float):
        return repr(value)
    if value is None or isinstance(value, bool | int | str):
        return value
    if attrs.has(type(value)):
        name = type(value).__name__
        taken = list(known.get(name) or [field.name for field in attrs.fields(type(value)) if field.eq])
        used[name] = taken
        return [name, [[field, _plain(getattr(value, field), known, used)] for field in taken]]
    if isinstance(value, Mapping):
        pairs = [[_plain(key, known, used), _plain(each, known, used)] for key, each in value.items()]
        return ["mapping", sorted(pairs, key=_text)]
    if isinstance(value, set | frozenset):
        return ["set", sorted((_plain(each, known, used) for each in value), key=_text)]
    if isinstance(value, list | tuple | deque):
        return [_plain(each, known, used) for each in value]
    raise TypeError(f"no fingerprint of a {type(value).__name__}")
