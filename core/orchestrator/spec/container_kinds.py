"""Kinds that hold others: lists, mappings, records of named keys, and free data."""

import math
from collections.abc import Callable, Iterator, Mapping
from decimal import Decimal
from keyword import iskeyword
from typing import Any, Final, Generic, TypeVar

from attrs import NOTHING, Attribute, Factory, fields, frozen

from orchestrator.documents import MAX_DEPTH
from orchestrator.spec.value_kinds import NAME, Kind, Place, Refused, described, encodable, suggestion

T = TypeVar("T")
K = TypeVar("K", bound=str)

_SUGGESTIONS: Final = 50
"""After so many problems no more near misses are looked up: it costs time, and they are not read."""

KEY: Final = "key"
"""Where the metadata of an attrs field keeps its ``Key``."""


@frozen
class ListOf(Kind[tuple[T, ...]]):
    """A list. ``check`` looks at the items that could be read, with their places, and at the raw list."""

    item: Kind[T]
    least: int = 0
    most: int = 10_000
    unique: bool = False
    check: Callable[[dict[int, T], list[Any], Place], None] | None = None

    def read(self, value: Any, at: Place) -> tuple[T, ...]:
        """See ``Kind``."""
        if not isinstance(value, list | tuple):
            raise at.refuse(f"expected a list, found {described(value)}")
        if not self.least <= len(value) <= self.most:
            few = "the list is empty" if not value else f"{len(value)} items are more than {self.most}"
            raise at.refuse(few)
        before = len(at.problems)
        items: dict[int, T] = {}
        seen: set[T] = set()
        for place, raw in enumerate(value):
            try:
                item = items[place] = self.item.read(raw, at.below(place))
            except Refused:
                continue
            if self.unique and item in seen:
                at.below(place).report("it stands in the list twice")
            elif self.unique:
                seen.add(item)
        if self.check is not None:
            self.check(items, list(value), at)
        if len(at.problems) > before:
            raise Refused
        return tuple(items.values())

    def dump(self, value: tuple[T, ...]) -> list[Any]:
        """A list of what its items dump to."""
        return [self.item.dump(item) for item in value]

    def output(self, value: tuple[T, ...]) -> list[Any]:
        """See ``Kind``."""
        return [self.item.output(item) for item in value]

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        schema: dict[str, Any] = {"type": "array", "items": self.item.schema(), "maxItems": self.most}
        if self.least:
            schema["minItems"] = self.least
        if self.unique:
            schema["uniqueItems"] = True
        return schema


class OneOrMore(ListOf[T]):
    """A list, or one item in its place."""

    def read(self, value: Any, at: Place) -> tuple[T, ...]:
        """See ``Kind``."""
        return super().read(value if isinstance(value, list | tuple) else [value], at)

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        one = self.item.schema()
        return {**one, **super().schema(), "type": [one["type"], "array"]}


class MapOf(Kind[dict[K, T]]):
    """A mapping with keys of one kind (``keys``: the allowed ones; None: any ``name``) and values of one kind."""

    def __init__(
        self,
        item: Kind[T],
        keys: Mapping[str, K] | None = None,
        least: int = 0,
        check: Callable[[dict[Any, T], Place], None] | None = None,
        name: Kind[str] = NAME,
    ) -> None:
        self.item = item
        self.keys = keys
        self.name = name
        self.least = least
        self.check = check

    def read(self, value: Any, at: Place) -> dict[K, T]:
        """See ``Kind``."""
        if not isinstance(value, Mapping):
            raise at.refuse(f"expected a mapping, found {described(value)}")
        if len(value) < self.least:
            raise at.refuse("the mapping is empty")
        before = len(at.problems)
        entries: dict[K, T] = {}
        for raw_key, raw in value.items():
            here = at.below(str(raw_key))
            try:
                entries[self._key(raw_key, here)] = self.item.read(raw, here)
            except Refused:
                continue
        if self.check is not None and len(at.problems) == before:
            self.check(entries, at)
        if len(at.problems) > before:
            raise Refused
        return entries

    def _key(self, raw: Any, here: Place) -> Any:
        if self.keys is None:
            return self.name.read(raw, here)
        if isinstance(raw, str) and raw in self.keys:
            return self.keys[raw]
        near = suggestion(raw, self.keys) if len(here.problems) < _SUGGESTIONS else ""
        raise here.refuse("unknown key" + (near or f"; known are {', '.join(self.keys)}"))

    def dump(self, value: dict[K, T]) -> dict[str, Any]:
        """A mapping of what its values dump to."""
        return {str(key): self.item.dump(item) for key, item in value.items()}

    def output(self, value: dict[K, T]) -> dict[str, Any]:
        """See ``Kind``."""
        return {str(key): self.item.output(item) for key, item in value.items()}

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        schema: dict[str, Any] = {"type": "object"}
        if self.keys is None:
            schema |= {"additionalProperties": self.item.schema(), "propertyNames": NAME.schema()}
        else:
            schema |= {
                "additionalProperties": False,
                "properties": {name: self.item.schema() for name in self.keys},
            }
        if self.least:
            schema["minProperties"] = self.least
        return schema


@frozen
class FreeMapping(Kind[dict[str, Any]]):
    """A mapping whose inside belongs to another party, such as a plugin: any JSON data. ``empty`` lets null mean {}."""

    empty: bool = False

    def read(self, value: Any, at: Place) -> dict[str, Any]:
        """See ``Kind``."""
        if value is None and self.empty:
            return {}
        if not isinstance(value, Mapping):
            raise at.refuse(f"expected a mapping, found {described(value)}")
        return {key: _free(item, at.below(key), 1) for key, item in _entries(value, at)}

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        return {"type": ["object", "null"] if self.empty else "object"}


def _entries(value: Mapping[Any, Any], at: Place) -> list[tuple[str, Any]]:
    for key in value:
        if not isinstance(key, str):
            raise at.refuse(f"a key must be a text, found {described(key)}")
        encodable(key, at)
    return list(value.items())


def _free(value: Any, at: Place, depth: int) -> Any:
    if depth > MAX_DEPTH:
        raise at.refuse(f"nested more than {MAX_DEPTH} levels deep")
    match value:
        case None | bool():
            return value
        case int():
            if not -(2**63) <= value < 2**63:
                raise at.refuse("the number does not fit 64 bits")
            return value
        case str():
            return encodable(value, at)
        case float() | Decimal():
            if not math.isfinite(value):
                raise at.refuse(f"expected a finite number, found {value}")
            return float(value)
        case Mapping():
            return {key: _free(item, at.below(key), depth + 1) for key, item in _entries(value, at)}
        case list() | tuple():
            return [_free(item, at.below(place), depth + 1) for place, item in enumerate(value)]
    raise at.refuse(f"expected plain data, found {described(value)}")


@frozen
class Key:
    """One named key of a record: its kind, one line about it, and whether it must be given."""

    kind: Kind[Any]
    about: str = ""
    required: bool | None = None
    """None: where the class has no default."""
    blank: bool = False
    """Whether an empty text means: not given."""


def key(kind: Kind[Any], about: str, *, blank: bool = False) -> dict[str, Key]:
    """The metadata of an attrs field that a document sets."""
    return {KEY: Key(kind, about, blank=blank)}


class Record(Kind[T], Generic[T]):
    """A mapping with known keys that becomes an attrs object.

    The keys are those of the class's fields that carry a ``Key`` in their metadata, or are given in ``keys`` for a
    class that knows nothing of documents. ``later``: keys of the specification nothing enforces yet, refused by name.
    ``make`` builds the object from the values given (a ValueError is a problem of the record).
    """

    def __init__(
        self,
        cls: type[T],
        keys: Mapping[str, Key] | None = None,
        *,
        later: frozenset[str] = frozenset(),
        make: Callable[..., T] | None = None,
    ) -> None:
        attributes: dict[str, Attribute[Any]] = {a.name: a for a in fields(cls)}  # type: ignore[arg-type]
        self.cls = cls
        self.keys = keys or {name.rstrip("_"): a.metadata[KEY] for name, a in attributes.items() if KEY in a.metadata}
        self.defaults = {name: _default(attributes[_attribute(name)]) for name in self.keys}
        self.later = later
        self.make = make or cls

    def required(self, name: str) -> bool:
        """Whether a document must give this key."""
        required = self.keys[name].required
        return self.defaults[name] is NOTHING if required is None else required

    def read(self, value: Any, at: Place) -> T:
        """See ``Kind``."""
        if not isinstance(value, Mapping):
            raise at.refuse(f"expected a mapping, found {described(value)}")
        before = len(at.problems)
        for name in value:
            if name not in self.keys:
                self._unknown(name, at)
        given: dict[str, Any] = {}
        for name, entry in self.keys.items():
            raw = value.get(name)
            if raw is None or (entry.blank and raw == ""):
                if self.required(name):
                    (at.below(name) if name in value else at).report(f"the key {name!r} is required")
                continue
            try:
                given[_attribute(name)] = entry.kind.read(raw, at.below(name))
            except Refused:
                continue
        if len(at.problems) > before:
            raise Refused
        try:
            return self.make(**given)
        except ValueError as error:
            raise at.refuse(str(error)) from None

    def _unknown(self, name: object, at: Place) -> None:
        if isinstance(name, str) and name in self.later:
            at.below(name).report("not supported yet: nothing would enforce it; take it out")
            return
        near = suggestion(name, self.keys) if len(at.problems) < _SUGGESTIONS else ""
        known = f"; known are {', '.join(self.keys)}" if len(at.problems) < _SUGGESTIONS else ""
        at.below(str(name)).report(f"unknown key{near or known}")

    def dump(self, value: T) -> dict[str, Any]:
        """The keys whose values are not the defaults."""
        return {name: self.keys[name].kind.dump(held) for name, held in self._given(value)}

    def output(self, value: T) -> dict[str, Any]:
        """The same keys; see ``Kind``."""
        return {name: self.keys[name].kind.output(held) for name, held in self._given(value)}

    def _given(self, value: T) -> Iterator[tuple[str, Any]]:
        for name in self.keys:
            held = getattr(value, _attribute(name))
            if held is not None and (self.required(name) or held != self.defaults[name]):
                yield name, held

    def schema(self) -> dict[str, Any]:
        """See ``Kind``."""
        properties: dict[str, Any] = {}
        for name, entry in self.keys.items():
            schema = entry.kind.schema()
            if entry.about:
                schema["description"] = entry.about
            properties[name] = schema if self.required(name) else _nullable(schema, blank=entry.blank)
            properties[name] |= self._default(name)
        schema = {"type": "object", "additionalProperties": False, "properties": properties}
        required = [name for name in self.keys if self.required(name)]
        return schema | {"required": required} if required else schema

    def _default(self, name: str) -> dict[str, Any]:
        """The default of a key where it is one value; empty otherwise."""
        held = self.defaults[name]
        if self.required(name) or held is None or type(held) is object:
            return {}
        plain = self.keys[name].kind.dump(held)
        if isinstance(plain, Decimal):
            plain = float(plain)
        return {"default": plain} if isinstance(plain, bool | int | float) or (isinstance(plain, str) and plain) else {}


def _attribute(name: str) -> str:
    """The attribute that has a key: of a key that is a word of Python, the one with ``_`` behind it."""
    return f"{name}_" if iskeyword(name) else name


def _default(attribute: "Attribute[Any]") -> Any:
    default: Any = attribute.default
    if isinstance(default, Factory):  # type: ignore[arg-type]
        # A default made from the other values equals nothing, so the key is always written.
        return object() if default.takes_self else default.factory()
    return default


def _nullable(schema: dict[str, Any], *, blank: bool) -> dict[str, Any]:
    about = {"description": schema.pop("description")} if "description" in schema else {}
    if blank:
        return {"anyOf": [schema, {"type": "null"}, {"const": ""}]} | about
    kinds = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    schema["type"] = list(dict.fromkeys([*kinds, "null"]))
    if "enum" in schema:
        schema["enum"] = [*schema["enum"], None]
    return schema | about


NAMES: Final = ListOf(NAME)
"""A list of names."""
