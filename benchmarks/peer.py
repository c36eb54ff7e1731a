"""The ``eventsourcing`` library with our events: once as plain data, once with the same typed values as ours."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Any, cast, get_args, get_origin

import attrs
from eventsourcing.application import Application
from eventsourcing.domain import Aggregate, AggregateEvent
from eventsourcing.persistence import JSONTranscoder, Transcoding
from psycopg.conninfo import conninfo_to_dict

from orchestrator.events import Event
from orchestrator.money import Usd


class Recorded(AggregateEvent):
    """One of our events: its values (typed), or its type and fields as plain data."""

    fact: Any

    def apply(self, aggregate: Any) -> None:
        """Change nothing: no state is measured."""


class History(Aggregate):
    """A stream."""

    def tell(self, fact: Any) -> None:
        """Record one event."""
        self.trigger_event(Recorded, fact=fact)


class _UsdAsNano(Transcoding):
    type = Usd
    name = "usd"

    def encode(self, obj: Usd) -> int:
        return obj.nano

    def decode(self, data: int) -> Usd:
        return Usd(data)


class _Fields(Transcoding):
    """A value class as its fields; enums and tuples, which JSON does not have, are made again from the field's type."""

    def __init__(self, kind: type[Any]) -> None:
        attrs.resolve_types(kind)
        self.type, self.name = kind, kind.__name__
        fields = attrs.fields(kind)
        self._names = tuple(field.name for field in fields)
        self._again = tuple((n, make) for n, field in enumerate(fields) if (make := _maker(field.type)) is not None)

    def encode(self, obj: Any) -> list[Any]:
        return [getattr(obj, name) for name in self._names]

    def decode(self, data: list[Any]) -> Any:
        for place, make in self._again:
            if data[place] is not None:
                data[place] = make(data[place])
        return self.type(*data)


def _maker(kind: Any) -> Callable[[Any], Any] | None:
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind
    if get_origin(kind) is tuple:
        return tuple
    if get_origin(kind) is dict:
        key = _maker(get_args(kind)[0])
        return None if key is None else lambda found: {key(name): value for name, value in found.items()}
    return next((make for each in get_args(kind) if (make := _maker(each)) is not None), None)


def _classes(kind: Any, found: dict[type[Any], None]) -> dict[type[Any], None]:
    """The value classes that occur in a type."""
    if isinstance(kind, type) and kind is not Usd and attrs.has(kind) and kind not in found:
        found[kind] = None
        attrs.resolve_types(kind)
        for field in attrs.fields(kind):
            _classes(field.type, found)
    for each in get_args(kind):
        _classes(each, found)
    return found


class TypedApplication(Application[Any]):
    """An application that gives back the same values as our log, through the default JSON transcoder."""

    def register_transcodings(self, transcoder: JSONTranscoder) -> None:  # type: ignore[override]
        """Teach it our values."""
        super().register_transcodings(transcoder)
        transcoder.register(_UsdAsNano())
        found: dict[type[Any], None] = {}
        for kind in Event.__subclasses__():
            for each in kind.__subclasses__():
                _classes(each, found)
        for kind in found:
            transcoder.register(_Fields(kind))


def application(path: Path, *, typed: bool) -> Application[Any]:
    """An application on an SQLite file, with its defaults."""
    kind = cast("type[Application[Any]]", TypedApplication if typed else Application)
    return kind(env={"PERSISTENCE_MODULE": "eventsourcing.sqlite", "SQLITE_DBNAME": str(path)})


def postgres_application(url: str, *, create: bool) -> Application[Any]:
    """An application on a PostgreSQL server, with its defaults; ``create``: whether its tables are made."""
    given = conninfo_to_dict(url)
    names = {"DBNAME": "dbname", "HOST": "host", "PORT": "port", "USER": "user"}
    env = {f"POSTGRES_{name}": str(given.get(key) or "") for name, key in names.items()}
    module = {"PERSISTENCE_MODULE": "eventsourcing.postgres", "POSTGRES_PASSWORD": "none", "POSTGRES_SCHEMA": "public"}
    module["CREATE_TABLE"] = "yes" if create else "no"
    return cast("type[Application[Any]]", Application)(env={**env, **module})
