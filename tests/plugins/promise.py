"""What the plugin interface promises, described as plain data, so that two of its versions can be compared."""

import enum
import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from orchestrator import spi
from orchestrator.plugin_kinds import KINDS
from orchestrator.spi import hookspecs

FILE: Final = Path(__file__).parents[1] / "data" / "interface-1.0.json"
"""The first version; never rewritten while the first number of the interface is 1."""


def described() -> dict[str, Any]:
    """Everything that ``orchestrator.spi`` exports, and the hook of every kind."""
    promised = {name: getattr(spi, name) for name in spi.__all__ if name != "INTERFACE"}
    promised |= {kind.hook: getattr(hookspecs, kind.hook) for kind in KINDS.values()}
    return {name: _description(promised[name]) for name in sorted(promised)}


def _description(value: Any) -> dict[str, Any]:
    if hasattr(value, "orchestrator_spec"):
        return {"hook": _parameters(value)}
    if not isinstance(value, type):
        return {"function": _parameters(value)} if inspect.isfunction(value) else {"value": type(value).__name__}
    found: dict[str, Any] = {}
    if issubclass(value, enum.Enum):
        found["members"] = {each.name: str(each.value) for each in value}
    if attrs.has(value):
        found["fields"] = [[f.name.lstrip("_"), f.default is attrs.NOTHING] for f in attrs.fields(value) if f.init]
    implemented = "implemented" if getattr(value, "_is_protocol", False) or value is spi.Exporter else "methods"
    found[implemented] = {name: _parameters(member) for name, member in _methods(value)}
    return found


def _methods(cls: type) -> Iterator[tuple[str, Any]]:
    for name, member in vars(cls).items():
        if isinstance(member, property) or (inspect.isfunction(member) and (name[0] != "_" or name == "__call__")):
            yield name, member
    if getattr(cls, "_is_protocol", False):
        yield from ((name, None) for name in inspect.get_annotations(cls))


def _parameters(function: Any) -> list[list[Any]]:
    if not callable(function):
        return []  # an attribute
    parameters = inspect.signature(function).parameters.values()
    return [[each.name, each.default is each.empty] for each in parameters]


def broken(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """What of the promise does not hold any more: removed, renamed, or asked for where it was not."""
    found = [f"{name} is gone" for name in before if name not in now]
    for name in before.keys() & now.keys():
        found += [f"{name}: {each}" for each in _broken(before[name], now[name])]
    return sorted(found)


def _broken(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    for what, old in before.items():
        new = now.get(what)
        if new is None or (what == "value" and new != old):
            yield f"it is no {what} any more"
        elif what == "members":
            yield from (f"the member {key} is not {value!r}" for key, value in old.items() if new.get(key) != value)
        elif what == "hook":  # called by name: an implementation may leave out what is new
            yield from (f"it does not give {name} any more" for name, _ in old if name not in dict(new))
        elif what in ("fields", "function"):
            yield from _narrower(old, new)
        elif what in ("methods", "implemented"):
            for name, parameters in old.items():
                if name not in new:
                    yield f"the method {name} is gone"
                elif what == "methods":
                    yield from (f"{name}: {each}" for each in _narrower(parameters, new[name]))
                elif parameters != new[name]:  # plugins implement it, and it is called with what they expect
                    yield f"the method {name} takes {_names(new[name])}, not {_names(parameters)}"
            if what == "implemented":
                yield from (f"plugins must have a method {name}" for name in new.keys() - old.keys())


def _narrower(old: list[list[Any]], new: list[list[Any]]) -> Iterator[str]:
    """Names that are gone or stand in another place, and what is required and was not."""
    if _names(new[: len(old)]) != _names(old):
        yield f"{_names(old)} do not come first in {_names(new)}"
        return
    known = dict(map(tuple, old))
    yield from (f"{name} is required" for name, required in new if required and not known.get(name, False))


def _names(parameters: list[list[Any]]) -> list[str]:
    return [name for name, _ in parameters]


if __name__ == "__main__":
    lines = (f"{json.dumps(name)}: {json.dumps(value)}" for name, value in described().items())
    FILE.write_text("{\n" + ",\n".join(lines) + "\n}\n")
