"""Canonical JSON of a spec: one text for equal specs, with paths kept apart so that it is the same on every machine."""

import json
import math
from collections.abc import Mapping, Sequence
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
