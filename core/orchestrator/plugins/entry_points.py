"""The entry points of the installed distributions, whatever state the metadata of some of them is in.

Metadata may be wrong in any way: it belongs to any program that happens to be installed beside this one.
"""

import logging
import os
import sys
import threading
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakKeyDictionary

if TYPE_CHECKING:
    from importlib.metadata import Distribution, EntryPoint

_LOGGER: Final = logging.getLogger("orchestrator.plugins")
_READING: Final = threading.Lock()
_FOUND: Final[dict[tuple[Any, ...], list["EntryPoint"]]] = {}
_NAMES: Final["WeakKeyDictionary[Distribution, tuple[str, str]]"] = WeakKeyDictionary()


def installed_points(groups: Collection[str]) -> list["EntryPoint"]:
    """The entry points of some groups, those of earlier distributions first.

    They are read once, and again only when the module path, or a folder of it, has changed. A distribution whose
    metadata cannot be read is passed over with a warning.
    """
    with _READING:  # programs start runs in several threads
        where = (tuple(groups), *_surroundings())
        found = _FOUND.get(where)
        if found is None:
            _FOUND.clear()
            found = _FOUND[where] = _read(groups)
        return list(found)


def named(distribution: "Distribution") -> tuple[str, str]:
    """The name and the version of a distribution, each empty where its metadata lack it; they are parsed once."""
    known = _NAMES.get(distribution)
    if known is None:
        metadata = distribution.metadata
        known = _NAMES[distribution] = metadata["Name"] or "", metadata["Version"] or ""
    return known


def _surroundings() -> tuple[Any, ...]:
    """What the entry points depend on, cheap to find out: the finders, the module path, and what changed in it."""
    return (*(id(finder) for finder in sys.meta_path), *((folder, _changed(folder)) for folder in sys.path))


def _changed(folder: str) -> int | None:
    try:
        return os.stat(folder or ".").st_mtime_ns  # noqa: PTH116  # a tenth of the time, once per folder and start
    except OSError:
        return None


def _read(groups: Collection[str]) -> list["EntryPoint"]:
    from importlib.metadata import entry_points

    try:
        everything = entry_points()
    except Exception:
        _pass_over_unreadable()
        everything = entry_points()
    found = [point for group in groups for point in everything.select(group=group)]
    sound: dict[int, bool] = {}
    for point in found:
        if id(point.dist) not in sound:
            sound[id(point.dist)] = _is_named(point)
    return [point for point in found if sound[id(point.dist)]]


def _pass_over_unreadable() -> None:
    """Give a distribution whose entry points cannot be read none, in the whole process.

    Libraries that plugins use, pydantic among them, list every entry point as they are imported: one that raises here
    would raise there.
    """
    from importlib.metadata import Distribution, EntryPoints

    read = Distribution.entry_points.fget  # type: ignore[attr-defined]  # typeshed knows the property as an attribute
    seen: set[str] = set()

    def entry_points(distribution: Distribution) -> Any:
        try:
            return read(distribution)
        except Exception as error:
            where = _place_of(distribution)
            if where not in seen:
                seen.add(where)
                _warn(where, error)
            return EntryPoints(())

    Distribution.entry_points = property(entry_points)  # type: ignore[assignment]


def _is_named(point: "EntryPoint") -> bool:
    """Whether the distribution of an entry point can say what it is called; with a warning where it cannot."""
    try:
        return point.dist is None or named(point.dist) is not None
    except Exception as error:
        _warn(_place_of(point.dist), error)
        return False


def _place_of(distribution: object) -> str:
    """Where the metadata of a distribution is: the only name of it that needs no reading."""
    return str(getattr(distribution, "_path", "an installed distribution"))


def _warn(where: str, error: Exception) -> None:
    said = " ".join(f"{type(error).__name__}: {error}".split())
    _LOGGER.warning("the metadata in %s cannot be read; its plugins are left out (%s)", where, said)
