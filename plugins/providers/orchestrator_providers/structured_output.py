"""JSON Schemas as the vendors' strict modes take them.

A strict mode compiles a schema into a grammar and refuses, with HTTP 400, whatever it has no rule for. What only bounds
an answer (its length, its range) is left out for such a vendor: the prompt says it, and the reader checks it. A schema
with anything else that is unknown is not sent as strict, so that a user's own schema never fails a call.
"""

from collections.abc import Mapping
from typing import Any, Final

BOUNDS: Final = frozenset(
    {
        "exclusiveMaximum",
        "exclusiveMinimum",
        "maxItems",
        "maxLength",
        "maximum",
        "minItems",
        "minLength",
        "minimum",
        "pattern",
    }
)
"""Keywords that bound a value and leave its structure as it is."""

_NAMED: Final = frozenset({"properties", "$defs", "definitions"})
"""Keywords whose value holds schemas by names of the user's choice."""

_STRICT: Final = frozenset(
    {
        "$defs",
        "$ref",
        "additionalProperties",
        "anyOf",
        "const",
        "definitions",
        "description",
        "enum",
        "items",
        "properties",
        "required",
        "title",
        "type",
    }
)
"""What the strict modes of OpenAI, Anthropic and Kimi have in common, without the bounds."""


def is_closed(schema: Any) -> bool:
    """Whether every object in a JSON Schema allows its own properties only and requires all of them."""
    if isinstance(schema, list | tuple):
        return all(is_closed(each) for each in schema)
    if not isinstance(schema, Mapping):
        return True
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        properties = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(schema.get("required", ())) != set(properties):
            return False
    return all(is_closed(each) for each in schema.values())


def is_object(schema: Mapping[str, Any]) -> bool:
    """Whether the answer is a JSON object: the only kind that the vendors' modes for schemas take at the top."""
    return schema.get("type") == "object"


def is_strict(schema: Mapping[str, Any]) -> bool:
    """Whether a strict mode takes a schema, once its bounds are left out."""
    return is_object(schema) and is_closed(schema) and all(word in _STRICT | BOUNDS for word in _keywords(schema))


def unbounded(schema: Any) -> Any:
    """The schema without its bounds, in the same order."""
    return _mapped(schema, lambda word: word not in BOUNDS)


def _mapped(schema: Any, wanted: Any) -> Any:
    if isinstance(schema, list | tuple):
        return [_mapped(each, wanted) for each in schema]
    if not isinstance(schema, Mapping):
        return schema
    return {
        word: {name: _mapped(each, wanted) for name, each in value.items()}
        if word in _NAMED and isinstance(value, Mapping)
        else value
        if word in ("enum", "const", "required")
        else _mapped(value, wanted)
        for word, value in schema.items()
        if wanted(word)
    }


def _keywords(schema: Any) -> list[str]:
    """The keywords of a schema and of those inside it; names of properties and values are none."""
    found: list[str] = []

    def note(word: str) -> bool:
        found.append(word)
        return True

    _mapped(schema, note)
    return found
