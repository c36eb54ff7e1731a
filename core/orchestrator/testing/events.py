"""Hypothesis strategies for events, built from the types of their fields."""

from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin

import attrs
from hypothesis import strategies as st

from orchestrator.events import TYPES, Event
from orchestrator.money import Price, Usd

T = TypeVar("T")

_LARGEST: Final = 2**53

_CHARACTERS: Final = st.characters(codec="utf-8")


_JSON: Final[st.SearchStrategy[Any]] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-_LARGEST, _LARGEST)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(_CHARACTERS, max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", max_size=3), inner, max_size=3),
    max_leaves=4,
)


def _prices() -> st.SearchStrategy[Price]:
    token_class = st.integers(0, 10**12).map(Usd)
    return st.builds(Price, token_class, token_class, token_class, token_class, token_class)


_LEAVES: Final[Mapping[Any, Callable[[], st.SearchStrategy[Any]]]] = {
    int: lambda: st.integers(-_LARGEST, _LARGEST),
    float: lambda: st.floats(allow_nan=False, allow_infinity=False),
    str: lambda: st.text(_CHARACTERS, max_size=12),
    bool: st.booleans,
    NoneType: st.none,
    Usd: lambda: st.integers(-_LARGEST, _LARGEST).map(Usd),
    Price: _prices,
    Any: lambda: _JSON,
}


@cache
def value_of(kind: Any) -> st.SearchStrategy[Any]:
    """Values of an annotated type as it occurs in events.

    Raises:
        TypeError: no event has a field of this type yet; teach this function.
    """
    if kind in _LEAVES:
        return _LEAVES[kind]()
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return st.one_of([value_of(each) for each in arguments])
    if origin is tuple and arguments[-1] is not Ellipsis:
        return st.tuples(*map(value_of, arguments))
    if origin is tuple:
        return st.lists(value_of(arguments[0]), max_size=3).map(tuple)
    if origin is dict:
        return st.dictionaries(value_of(arguments[0]), value_of(arguments[1]), max_size=3)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return st.sampled_from(list(kind))
    if isinstance(kind, type) and attrs.has(kind):
        return event_of(kind)
    raise TypeError(f"no strategy for {kind!r}")


def event_of(cls: type[T]) -> st.SearchStrategy[T]:
    """Instances of an event class, or of a value class inside events, with every field drawn from its type."""
    declared: Any = attrs.resolve_types(cast("Any", cls))
    fields = {field.alias: value_of(field.type) for field in attrs.fields(declared) if field.init}
    return st.builds(cls, **fields)


def events() -> st.SearchStrategy[Event]:
    """Any event of the table of types."""
    return st.sampled_from(list(TYPES.values())).flatmap(lambda cls: event_of(cls))
