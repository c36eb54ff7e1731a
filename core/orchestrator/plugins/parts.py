"""Parts of the program that packages beside the core bring, found by their entry points and imported at first use.

The core names a part and never the package that has it: a package can be switched off like a plugin, and what needs
none of it goes on.
"""

import os
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from orchestrator.errors import PluginConflictError, PluginLoadError, PluginNotFoundError
from orchestrator.plugins.entry_points import installed_points
from orchestrator.plugins.plugin_status import DISABLE, names_of, switched_off

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP: Final = "orchestrator.parts"
"""The entry-point group."""
_KIND: Final = "part"


def part(name: str) -> Any:
    """What a package brings under a name, imported.

    Raises:
        PluginNotFoundError: no package brings it, or its package is switched off.
        PluginConflictError: several do.
        PluginLoadError: it cannot be imported.
    """
    return _loaded(_found(name, os.environ.get(DISABLE, "")))


def has_part(name: str) -> bool:
    """Whether a package brings it and is not switched off; nothing is imported."""
    try:
        _found(name, os.environ.get(DISABLE, ""))
    except PluginNotFoundError:
        return False
    return True


@cache
def _found(name: str, disabled: str) -> "EntryPoint":
    points = [point for point in _points() if point.name == name]
    if not points:
        raise PluginNotFoundError(_KIND, name, f"no installed package brings the part {name!r}")
    off = switched_off({DISABLE: disabled})
    usable = [point for point in points if off.isdisjoint(names_of(point))]
    if not usable:
        package = points[0].value.partition(".")[0].partition(":")[0]
        raise PluginNotFoundError(_KIND, name, f"the part {name!r} of {package} is switched off: named in {DISABLE}")
    if len(usable) > 1:
        several = " and ".join(point.value for point in usable)
        raise PluginConflictError(_KIND, name, f"{several} bring the part {name!r}; set {DISABLE} to switch one off")
    return usable[0]


@cache
def _points() -> "tuple[EntryPoint, ...]":
    return tuple(installed_points([GROUP]))


@cache
def _loaded(point: "EntryPoint") -> Any:
    try:
        return point.load()
    except Exception as error:
        cause = " ".join(f"{type(error).__name__}: {error}".split())
        raise PluginLoadError(_KIND, point.name, f"the part {point.name!r} ({point.value}): {cause}") from error


def names_of_part(name: str) -> Callable[[str], Any]:
    """A module's ``__getattr__`` that finds its public names in the module that a package brings."""

    def found(attribute: str) -> Any:
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(part(name), attribute)

    return found
