"""Compiled readers: one function per class that checks and builds a value out of decoded JSON.

They read what the program itself writes, every field present; anything else is left to the converter's own hook, which
knows defaults and says what is wrong.
"""

from collections.abc import Callable
from enum import Enum
from types import NoneType, UnionType
from typing import Any, Final, Union, get_args, get_origin

import attrs

from orchestrator.money import Usd

Hook = Callable[[Any, Any], Any]
"""Builds a value of a type: called with the decoded JSON and the type."""

_PRIMITIVES: Final = (str, int, bool, float)


def compiled(cls: type[Any], hook_of: Callable[[Any], Hook], otherwise: Hook) -> Hook:
    """A reader for an attrs class.

    Args:
        cls: the class; one that cannot be built from positional arguments gets ``otherwise``.
        hook_of: finds the hook of a field's type, when the field is first read.
        otherwise: reads what does not look like a whole value.
    """
    attrs.resolve_types(cls)
    fields = attrs.fields(cls)
    if any(field.kw_only or not field.init for field in fields):
        return otherwise
    known: dict[str, Any] = {"cls": cls, "otherwise": otherwise, "Usd": Usd, "wrong": _wrong}
    lines = [
        "def read(values, kind):",
        f"    if type(values) is not dict or len(values) != {len(fields)}:",
        "        return otherwise(values, kind)",
        "    try:",
        *(f"        v{place} = values[{field.name!r}]" for place, field in enumerate(fields)),
        "        pass",
        "    except KeyError:",
        "        return otherwise(values, kind)",
    ]
    for place, field in enumerate(fields):
        lines.extend(f"    {line}" for line in _checks(f"v{place}", field.type, known, hook_of))
    lines.append(f"    return cls({', '.join(f'v{place}' for place in range(len(fields)))})")
    exec("\n".join(lines), known)
    read: Hook = known["read"]
    return read


def _checks(name: str, kind: Any, known: dict[str, Any], hook_of: Callable[[Any], Hook]) -> list[str]:
    """The lines that check the variable ``name`` and turn it into a value of its type."""
    bare = _without_none(kind)
    if bare is not None:
        inner = _checks(name, bare, known, hook_of)
        return [f"if {name} is not None:", *(f"    {line}" for line in inner)]
    if kind in _PRIMITIVES and kind is not float:
        return [f"if type({name}) is not {kind.__name__}:", f"    raise wrong({name}, {kind.__name__!r})"]
    if kind is Usd:
        return [f"if type({name}) is not int:", f"    raise wrong({name}, 'Usd')", f"{name} = Usd({name})"]
    known[f"kind_{name}"] = kind
    if isinstance(kind, type) and issubclass(kind, Enum):
        known[f"kind_{name}"] = {member.value: member for member in kind}
        return [f"{name} = kind_{name}[{name}]"]
    known[f"hook_{name}"] = _on_demand(known, f"hook_{name}", kind, hook_of)
    call = f"{name} = hook_{name}({name}, kind_{name})"
    return [f"if type({name}) is not float:", f"    {call}"] if kind is float else [call]


def _without_none(kind: Any) -> Any:
    """The X of ``X | None``; None for any other type."""
    if get_origin(kind) not in (Union, UnionType):
        return None
    others = [each for each in get_args(kind) if each is not NoneType]
    return others[0] if len(others) == 1 and len(others) < len(get_args(kind)) else None


def _on_demand(known: dict[str, Any], name: str, kind: Any, hook_of: Callable[[Any], Hook]) -> Hook:
    """A hook that finds the real one when it is first called, and steps aside: classes may refer to each other."""

    def find(value: Any, _: Any) -> Any:
        hook = known[name] = hook_of(kind)
        return hook(value, kind)

    return find


def _wrong(value: Any, wanted: str) -> TypeError:
    return TypeError(f"{value!r} is not of type {wanted}")
