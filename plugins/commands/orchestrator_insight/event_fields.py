"""The fields of a stored event, readable: money and durations with their units, digests cut, nothing that is empty."""

import json
import re
from collections.abc import Iterator
from enum import Enum
from functools import cache
from typing import Any, Final, get_args, get_origin

from attrs import fields, has

from orchestrator import events
from orchestrator.cli.kit import money
from orchestrator.money import Usd
from orchestrator_insight.page_values import duration

_LONGEST: Final = 300
_DIGEST: Final = re.compile("[0-9a-f]{64}")
_DURATIONS: Final = frozenset(("active", "duration", "latency", "retry_after", "time_limit", "timeout", "took"))
"""Fields that are microseconds, in whatever event they stand."""
_EMPTY: Final[tuple[Any, ...]] = (None, [], {}, "")


def readable_fields(kind: str, data: str) -> Iterator[tuple[str, str]]:
    """Names and values of an event of a type, as it is stored."""
    try:
        stored = json.loads(data)
    except ValueError:
        yield "damaged", data[:_LONGEST]
        return
    found: Any = events.TYPES.get(kind)
    known = _fields(found)
    for name, value in stored.items() if isinstance(stored, dict) else [("value", stored)]:
        if value not in _EMPTY:
            yield name.rstrip("_"), _cut(_shown(value, name, known.get(name)))


@cache
def _fields(kind: Any) -> dict[str, Any]:
    """The types of the fields of a class; empty where it is no class of fields."""
    return {each.name: each.type for each in fields(kind)} if isinstance(kind, type) and has(kind) else {}


@cache
def _inside(kind: Any) -> tuple[type, ...]:
    """The plain types that a type is made of: of ``tuple[Usd, ...] | None`` they are ``Usd`` and ``NoneType``."""
    if isinstance(kind, type) and get_origin(kind) is None:
        return (kind,)
    return tuple(each for argument in get_args(kind) for each in _inside(argument))


def _shown(value: Any, name: str, kind: Any) -> str:
    if isinstance(value, dict):
        return _members(value, kind)
    if isinstance(value, list):
        return f"[{', '.join(_shown(each, name, kind) for each in value)}]"
    if isinstance(value, int) and not isinstance(value, bool):
        return _number(value, name, kind)
    text = value if isinstance(value, str) else json.dumps(value)
    return f"{text[:12]}…" if _DIGEST.fullmatch(text) else text


def _members(value: dict[str, Any], kind: Any) -> str:
    """Named values in braces: of a class of fields, or all of one kind."""
    known = {name: found for each in _inside(kind) if each is not Usd for name, found in _fields(each).items()}
    shown = (
        f"{name.rstrip('_')} {_shown(each, name, known.get(name) if known else kind)}"
        for name, each in value.items()
        if each not in _EMPTY
    )
    return f"{{{', '.join(shown)}}}"


def _number(value: int, name: str, kind: Any) -> str:
    if Usd in _inside(kind):
        return money(Usd(value))
    return duration(value) if name in _DURATIONS else str(value)


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


@cache
def amounts() -> dict[str, list[str]]:
    """The names of the fields that are money, at any depth, by the type of the event; only types that have one."""
    found = {kind: sorted(_named(event)) for kind, event in events.TYPES.items()}
    return {kind: names for kind, names in found.items() if names}


def _named(kind: Any) -> set[str]:
    found: set[str] = set()
    for name, inner in _fields(kind).items():
        plain = _inside(inner)
        if Usd in plain:
            keys = (each for each in plain if issubclass(each, Enum))
            found.update((str(member) for key in keys for member in key), (name,))
        else:
            found.update(*(_named(each) for each in plain))
    return found
