"""Canonical JSON of a spec, and what differs between two of them."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

_ABSENT = object()
_WITH_PATHS: Final = ("output_dir", "policy_files", "prompts", "providers", "exporters")
"""The keys of a spec whose values may be paths."""
_PATH: Final = "path:"


def canonical_json(value: Any) -> str:
    """Plain data as JSON with sorted keys and exact numbers; equal data gives equal text."""
    match value:
        case Mapping():
            return "{" + ",".join(f"{_text(key)}:{canonical_json(value[key])}" for key in sorted(value)) + "}"
        case list() | tuple():
            return "[" + ",".join(canonical_json(item) for item in value) + "]"
        case str():
            return _text(value)
        case Decimal():
            digits = f"{value:f}"
            return digits.rstrip("0").rstrip(".") if "." in digits else digits
        case float() if not math.isfinite(value):
            raise ValueError(f"{value} has no place in JSON")
    return json.dumps(value)


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def portable(spec: str) -> tuple[str, tuple[str, ...]]:
    """A spec in canonical JSON with a number in the place of each absolute path, and those paths.

    So that they can stay at home where the rest goes into a bundle. A spec without any is left as it is.
    """
    paths: list[str] = []

    def without(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: without(each) for name, each in value.items()}
        if isinstance(value, list):
            return [without(each) for each in value]
        if not isinstance(value, str) or not value.startswith(("/", "~")):
            return value
        if value not in paths:
            paths.append(value)
        return f"{_PATH}{paths.index(value) + 1}"

    fields = json.loads(spec, parse_float=Decimal)
    changed = {name: without(each) if name in _WITH_PATHS else each for name, each in fields.items()}
    return (canonical_json(changed), tuple(paths)) if paths else (spec, ())


def restored(spec: str, paths: Sequence[str]) -> str:
    """A spec as it was before ``portable``."""
    known = {f"{_PATH}{number}": path for number, path in enumerate(paths, 1)}

    def whole(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: whole(each) for name, each in value.items()}
        if isinstance(value, list):
            return [whole(each) for each in value]
        return known.get(value, value) if isinstance(value, str) else value

    if not known:
        return spec
    fields = json.loads(spec, parse_float=Decimal)
    return canonical_json({name: whole(each) if name in _WITH_PATHS else each for name, each in fields.items()})


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
