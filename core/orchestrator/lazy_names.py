"""Names of a module that are imported at their first use, so that importing the module costs nothing."""

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any


def lazy_names(module: str, homes: Mapping[str, str], below: str = "") -> Callable[[str], Any]:
    """A module's ``__getattr__``.

    Args:
        module: the module's name.
        homes: the module that has each name.
        below: what the names of these modules begin with, such as ``orchestrator.log.``.
    """

    def found(name: str) -> Any:
        home = homes.get(name)
        if home is None:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        return getattr(import_module(f"{below}{home}"), name)

    return found
