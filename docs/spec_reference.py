"""Write ``docs/spec-keys.md``: every key of a spec with its type, default and meaning, from the classes.

Run: ``python docs/spec_reference.py > docs/spec-keys.md``.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any, Final

from orchestrator.spec import json_schema

_HEAD: Final = """# Keys of a spec

Every key with its type, its default and what it is for. `orchestrate spec schema` prints the same as JSON Schema, for
editors. A dash means: no default, or one that is computed. Names in angle brackets are your own.

"""
_LONGEST: Final = 9


def page() -> str:
    """The page."""
    return _HEAD + "\n".join(_section("spec", json_schema()))


def _section(name: str, schema: Mapping[str, Any]) -> Iterator[str]:
    below: list[tuple[str, Mapping[str, Any]]] = []
    yield f"## `{name}`\n" if name != "spec" else "## At the top\n"
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, value in schema["properties"].items():
        path = key if name == "spec" else f"{name}.{key}"
        inner, below_path = _inner(value, path)
        if inner is not None:
            below.append((below_path, inner))
        required = ", required" if key in schema.get("required", ()) else ""
        default = f"`{json.dumps(value['default'])}`" if "default" in value else "–"
        meaning = value.get("description", "").replace("|", "\\|") or "–"
        yield f"| `{key}` | {_type(value)}{required} | {default} | {meaning} |"
    yield ""
    for path, inner in below:
        yield from _section(path, inner)


def _inner(value: Mapping[str, Any], path: str) -> tuple[Mapping[str, Any] | None, str]:
    """The mapping with keys of its own in a value: itself, or what a list or a mapping of names holds."""
    if "properties" in value:
        return value, path
    for key, mark in (("items", "[]"), ("additionalProperties", ".<name>")):
        if isinstance(value.get(key), Mapping):
            found = _inner(value[key], f"{path}{mark}")
            if found[0] is not None:
                return found
    for each in value.get("anyOf", ()):
        found = _inner(each, path)
        if found[0] is not None:
            return found
    return None, path


def _type(value: Mapping[str, Any]) -> str:
    if "anyOf" in value:
        found = [_type(each) for each in value["anyOf"] if each.get("const") != "" and each.get("type") != "null"]
        return " or ".join(dict.fromkeys(found))
    choices = [each for each in value.get("enum", ()) if each is not None]
    if choices:
        shown = ", ".join(f"`{each}`" for each in choices[:_LONGEST])
        return shown + (", …" if len(choices) > _LONGEST else "")
    kinds = value.get("type", "any")
    kinds = [kinds] if isinstance(kinds, str) else [each for each in kinds if each != "null"]
    names = " or ".join("list" if each == "array" else "mapping" if each == "object" else each for each in kinds)
    return names + _bounds(value)


def _bounds(value: Mapping[str, Any]) -> str:
    least = value.get("minimum", value.get("exclusiveMinimum"))
    most = value.get("maximum")
    if least is None and most is None:
        return ""
    above = "above " if "exclusiveMinimum" in value else ""
    return f", {above}{least:g} to {most:g}" if most is not None else f", {above}{least:g} or more"


if __name__ == "__main__":
    sys.stdout.write(page())
