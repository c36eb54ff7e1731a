"""What a planted bug is."""

from collections.abc import Callable
from typing import Any

from attrs import frozen

from orchestrator.testing import PluginContract


@frozen
class Bug:
    """A planted bug: a suite of a plugin that has it, and the test that must fail."""

    name: str
    suite: type[PluginContract]
    noticed_by: str


def suite_of(base: type[PluginContract], make: Callable[..., object]) -> type[PluginContract]:
    """The suite of what ``make`` gives."""
    return type("Planted", (base,), {"make": lambda self, *given: make(*given)})


def odd(value: Any) -> Any:
    """The value, where the type checker would say that it does not belong."""
    return value
