"""Policy loaders."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Loader(Protocol):
    """Turns the text of a policy file into plain data."""

    suffixes: tuple[str, ...]
    """The file name endings it reads, such as ``.yaml``."""

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
        """The file's mapping, and the line (from 1) of each path in it as far as known.

        Raises:
            SpecError: it cannot be read; each problem starts with ``source:LINE:``.
        """
