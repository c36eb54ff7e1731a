"""Objects that a program hands in: keywords of the Python API in which plugins and keys of the spec stand together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from orchestrator.errors import SpecError
from orchestrator.plugin_kinds import KINDS, ContractError
from orchestrator.plugins.local_plugins import plugin_of_object
from orchestrator.plugins.plugin_status import Plugin
from orchestrator.spec.value_kinds import suggestion

OBJECTS: Final[Mapping[str, str]] = {f"{name}s": name for name in KINDS if name not in ("command", "store")}
"""The keywords that take objects, and the kind of each. Commands are typed, and stores have addresses."""

_KEYS: Final = ("providers", "validators", "exporters")
"""Those that are keys of the spec, too."""
_NAMED: Final = ("providers", "exporters")
"""Those whose plugins a run has by being named in its spec."""
_DATA: Final = (Mapping, Sequence, int, float, type(None))


class KeywordError(SpecError, TypeError):
    """A keyword that a call of the Python API does not know; a TypeError too, as Python has it."""


def check_keywords(call: str, given: Iterable[str], known: Iterable[str]) -> None:
    """Refuse keywords that a call does not know.

    Raises:
        KeywordError: there are some; all problems together.
    """
    names = sorted(known)
    problems = [
        f"{call}: there is no argument {name!r}{suggestion(name, names)}" for name in given if name not in names
    ]
    if problems:
        raise KeywordError(problems)


def objects_only(call: str, given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Plugin, ...]]:
    """See ``objects_among``, for a call that has its settings from a spec.

    Raises:
        KeywordError: there is no such keyword.
        SpecError: an object is none of its kind, or a value is a setting; all problems together.
    """
    check_keywords(call, given, OBJECTS)
    keys, plugins = objects_among(given)
    made = {(each.kind, each.name) for each in plugins}
    settings = [word for word, data in keys.items() if any((OBJECTS[word], name) not in made for name in data)]
    if settings:
        raise SpecError([f"{call}: {word} takes objects here; its settings stand in the spec" for word in settings])
    return keys, plugins


def objects_among(given: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[Plugin, ...]]:
    """Keywords as keys of the spec, and a plugin for every object among their values.

    A value is a mapping from names to objects, or an object or a list of them, named like their functions or classes.

    Raises:
        SpecError: an object is none of its kind; all problems together.
    """
    keys: dict[str, Any] = {name: value for name, value in given.items() if name not in OBJECTS}
    plugins: list[Plugin] = []
    problems: list[str] = []
    for word in (name for name in given if name in OBJECTS):
        named = _named(given[word])
        made = {name: each for name, each in named.items() if not isinstance(each, _DATA)}
        plugins.extend(_checked(word, made, problems))
        data = {name: each for name, each in named.items() if name not in made}
        if word in _NAMED:
            data |= {name: {} for name in made}
        if word in _KEYS and data:
            keys[word] = data
        elif data:
            problems.append(f"{word}: expected objects by name, found {type(next(iter(data.values()))).__name__}")
    if problems:
        raise SpecError(problems)
    return keys, tuple(plugins)


def _named(value: object) -> dict[str, Any]:
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, _DATA) and not isinstance(value, list | tuple):
        return {"": value}
    return dict(_numbered(value if isinstance(value, list | tuple) else [value]))


def _numbered(objects: Iterable[object]) -> Iterator[tuple[str, object]]:
    """Objects by the names of their functions or classes; a further one of a name gets a number."""
    seen: dict[str, int] = {}
    for each in objects:
        name = getattr(each, "__name__", type(each).__name__)
        seen[name] = seen.get(name, 0) + 1
        yield name if seen[name] == 1 else f"{name}-{seen[name]}", each


def _checked(word: str, made: Mapping[str, object], problems: list[str]) -> Iterator[Plugin]:
    for name, each in made.items():
        try:
            KINDS[OBJECTS[word]].check(each)
        except ContractError as error:
            problems.append(f"{word}.{name}: {error}")
        else:
            yield plugin_of_object(OBJECTS[word], name, each)
