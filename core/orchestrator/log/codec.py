"""Events to stored JSON and back: one converter, one hook per type, nothing coerced.

The type column chooses the decoder. Old schemas are lifted step by step on reading; stored rows are never rewritten.
"""

import math
import operator
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache, partial
from types import MappingProxyType
from typing import Any, Final, get_args, get_origin

import attrs
import orjson
from cattrs import Converter
from cattrs.gen import make_dict_structure_fn

from orchestrator.errors import LogError, UnknownEventError
from orchestrator.events import TYPES, Event
from orchestrator.log.compiled_readers import compiled
from orchestrator.money import Usd

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
"""Lifts the data of one type from one schema number to the next."""

SCHEMAS: Final[Mapping[str, int]] = MappingProxyType({})
"""The schema number a type is written with, where it is no longer 1."""

UPCASTERS: Final[Mapping[tuple[str, int], Upcaster]] = MappingProxyType({})
"""By (type, schema): the step to schema + 1."""


def _strict(kind: type) -> Callable[[Any, Any], Any]:
    def structure(value: Any, _: Any) -> Any:
        if type(value) is not kind:
            raise TypeError(f"{value!r} is not of type {kind.__name__}")
        return value

    return structure


def _number(value: Any, _: Any) -> float:
    if type(value) is float:
        return value
    if type(value) is int:
        return float(value)
    raise TypeError(f"{value!r} is not a number")


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError(f"{value!r} cannot be stored")
    return value


def _amount(value: Any, _: Any) -> Usd:
    if type(value) is not int:
        raise TypeError(f"{value!r} is not an amount in nano-dollars")
    return Usd(value)


@cache
def _members(kind: type[Enum]) -> dict[Any, Enum]:
    return {member.value: member for member in kind}


def _text(value: Any, kind: Any) -> Any:
    """A string, or a member of an enum of strings: the converter asks this hook for every subclass of str."""
    if kind is not str:
        return _members(kind)[value]
    if type(value) is not str:
        raise TypeError(f"{value!r} is not of type str")
    return value


def _is_enum(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Enum)


def _is(origin: Any, kind: Any) -> bool:
    return get_origin(kind) is origin


def _tuple(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    item = get_args(kind)[0]
    hook = converter.get_structure_hook(item)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not list:
            raise TypeError(f"{value!r} is not a list")
        return tuple([hook(each, item) for each in value]) if value else ()

    return structure


def _dict(converter: Converter, kind: Any) -> Callable[[Any, Any], Any]:
    key, item = get_args(kind)
    key_hook, hook = converter.get_structure_hook(key), converter.get_structure_hook(item)

    def structure(value: Any, _: Any) -> Any:
        if type(value) is not dict:
            raise TypeError(f"{value!r} is not a mapping")
        return {key_hook(name, key): hook(each, item) for name, each in value.items()}

    return structure


def _whole(converter: Converter, kind: type[Any]) -> Callable[[Any, Any], Any]:
    """The compiled reader of a class; what is not whole goes to the hook that cattrs makes."""
    otherwise = make_dict_structure_fn(
        kind, converter, _cattrs_forbid_extra_keys=True, _cattrs_detailed_validation=False
    )
    return compiled(kind, converter.get_structure_hook, otherwise)


def make_converter() -> Converter:
    """A converter for events: strict primitives, amounts as integers, unknown keys forbidden."""
    converter = Converter(detailed_validation=False, forbid_extra_keys=True)
    for kind in (int, bool):
        converter.register_structure_hook(kind, _strict(kind))
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(float, _number)
    converter.register_unstructure_hook(float, _finite)
    converter.register_structure_hook(Usd, _amount)
    converter.register_unstructure_hook(Usd, lambda amount: amount.nano)
    converter.register_unstructure_hook_func(_is_enum, operator.attrgetter("value"))
    converter.register_structure_hook_factory(partial(_is, tuple), lambda kind: _tuple(converter, kind))
    converter.register_structure_hook_factory(partial(_is, dict), lambda kind: _dict(converter, kind))
    converter.register_structure_hook_factory(attrs.has, lambda kind: _whole(converter, kind))
    return converter


class Codec:
    """Writes and reads the events of a table of types.

    Args:
        types: stored name to event class.
        schemas: the schema number of every type that is no longer at 1.
        upcasters: by (type, schema), the step to the next schema.
    """

    def __init__(
        self,
        types: Mapping[str, type[Event]] = TYPES,
        schemas: Mapping[str, int] = SCHEMAS,
        upcasters: Mapping[tuple[str, int], Upcaster] = UPCASTERS,
    ) -> None:
        self._types = types
        self._schemas = schemas
        self._upcasters = upcasters
        self._names = {kind: name for name, kind in types.items()}
        self._converter = make_converter()
        self._readers: dict[tuple[str, int], Callable[[Any], Any]] = {}
        self._writers: dict[type[Event], Callable[[Any], Any]] = {}

    def encode(self, event: Event) -> tuple[str, int, str]:
        """The stored name, the schema number and the compact JSON of an event.

        Raises:
            LogError: its class has no stored name, or a value in it cannot be stored.
        """
        kind = type(event)
        name = self._names.get(kind)
        if name is None:
            raise LogError(f"{kind.__name__} has no stored name; add it to the table of events")
        writer = self._writers.get(kind) or self._writer(kind)
        try:
            data = orjson.dumps(writer(event), option=orjson.OPT_NON_STR_KEYS).decode()
        except (TypeError, ValueError) as error:
            raise LogError(f"{name} cannot be stored: {error}") from error
        return name, self._schemas.get(name, 1), data

    def prepare(self) -> None:
        """Make now what writes each type, a millisecond each: a program does so beside its event loop."""
        for kind in self._names:
            if kind not in self._writers:
                self._writer(kind)

    def _writer(self, kind: type[Event]) -> Callable[[Any], Any]:
        writer = self._writers[kind] = self._converter.get_unstructure_hook(kind)
        return writer

    def decode(self, name: str, schema: int, data: str | bytes) -> Event:
        """The event that was stored, lifted to today's schema.

        Raises:
            UnknownEventError: the type or the schema is not known here.
            LogError: the data is not what the type and schema say.
        """
        reader = self._readers.get((name, schema))
        if reader is None:
            reader = self._reader(name, schema)
        try:
            event: Event = reader(orjson.loads(data))
        except LogError:
            raise
        except Exception as error:
            raise LogError(f"{name} cannot be read: {type(error).__name__}: {error}") from error
        return event

    def _reader(self, name: str, schema: int) -> Callable[[Any], Any]:
        """What builds an event of a type out of its data; that of today's schema is kept."""
        kind = self._types.get(name)
        if kind is None:
            raise UnknownEventError(f"events of type {name!r} are not known to this program; use a newer one")
        build = self._converter.get_structure_hook(kind)
        if schema != self._schemas.get(name, 1):
            return lambda values: build(self._lift(name, schema, values), kind)
        reader = self._readers[name, schema] = lambda values: build(values, kind)
        return reader

    def _lift(self, name: str, schema: int, values: dict[str, Any]) -> dict[str, Any]:
        latest = self._schemas.get(name, 1)
        if schema > latest:
            raise UnknownEventError(f"{name} is stored with schema {schema}, known is {latest}; use a newer program")
        for step in range(schema, latest):
            upcaster = self._upcasters.get((name, step))
            if upcaster is None:
                raise LogError(f"{name} has no step from schema {step} to {step + 1}")
            values = upcaster(values)
        return values


CODEC: Final = Codec()
"""The codec of this program's events."""

prepare = CODEC.prepare
encode = CODEC.encode
decode = CODEC.decode
