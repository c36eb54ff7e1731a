"""What differs between two specs, or two sets of settings: a line for each key, its values cut to fit."""

import json
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from orchestrator.spec.canonical import canonical_json

_ABSENT = object()


def differences(before: str, after: str) -> list[str]:
    """One line for each key whose value differs between two canonical texts; none exactly where they are equal."""
    if before == after:
        return []
    lines = list(_compare("", _load(before), _load(after)))
    return lines or ["the same keys with the same values, written differently"]


def _load(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def _compare(where: str, before: Any, after: Any) -> Iterator[str]:
    before, after = _opened(before, after), _opened(after, before)
    if isinstance(before, list) and isinstance(after, list):
        named = _by_name(before), _by_name(after)
        if named[0] is not None and named[1] is not None:
            yield from _compare(where, *named)
            common = [name for name in named[0] if name in named[1]]
            if common != [name for name in named[1] if name in named[0]]:
                yield f"{where}: in another order"
            return
    if isinstance(before, dict) and isinstance(after, dict):
        for name in dict.fromkeys((*before, *after)):
            yield from _compare(
                f"{where}.{name}" if where else name, before.get(name, _ABSENT), after.get(name, _ABSENT)
            )
    elif type(before) is not type(after) or before != after:
        if isinstance(before, list) and isinstance(after, list):
            before, after = canonical_json(before), canonical_json(after)
            start = _first_difference(before, after)
            yield f"{where}: {_cut(_from(before, start))} → {_cut(_from(after, start))}"
            return
        start = _first_difference(before, after) if isinstance(before, str) and isinstance(after, str) else 0
        yield f"{where or 'the spec'}: {_shown(before, start)} → {_shown(after, start)}"


def _opened(value: Any, other: Any) -> Any:
    """The value, or no part at all for one that is not given beside one that is too long to be shown in one piece."""
    if value is not _ABSENT or other is _ABSENT or _fits(canonical_json(other)):
        return value
    parts = isinstance(other, dict) or (isinstance(other, list) and _by_name(other) is not None)
    return type(other)() if parts else value


def _by_name(items: list[Any]) -> dict[str, Any] | None:
    """Items by their ids or names, where all have one and no two the same."""
    named: dict[str, Any] = {}
    for item in items:
        name = (item.get("id") or item.get("name")) if isinstance(item, dict) else None
        if not isinstance(name, str) or name in named:
            return None
        named[name] = item
    return named


def _first_difference(before: str, after: str) -> int:
    return next((at for at, pair in enumerate(zip(before, after, strict=False)) if pair[0] != pair[1]), len(before))


def _shown(value: Any, start: int) -> str:
    """A value in at most about 60 characters; of a long text those where the difference begins."""
    if value is _ABSENT:
        return "(not given)"
    return _cut(canonical_json(_from(value, start) if isinstance(value, str) else value))


def _from(text: str, start: int) -> str:
    return f"…{text[start - 20 :]}" if start > 40 else text


def _cut(text: str) -> str:
    return text if _fits(text) else f"{text[:59]}…"


def _fits(text: str) -> bool:
    return len(text) <= 60
