"""Python source, parsed without a word to the terminal."""

import ast
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from orchestrator.python_trees import tree_of

# Warning filters belong to the whole process, and validators run in threads.
_FILTERS: Final = threading.Lock()
UNREADABLE: Final = (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError)
"""What parsing a source may raise."""


@contextmanager
def unwarned() -> Iterator[None]:
    """Keep the warnings of the compiler away while a source is parsed; one source at a time."""
    with _FILTERS, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def parse(source: str) -> ast.Module:
    """The tree of a module.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError, OverflowError: it is none, or nested too deeply.
    """
    with unwarned():
        return tree_of(source)


def statements(source: str) -> list[ast.stmt]:
    """The top-level statements of a module; none where it cannot be read."""
    try:
        return parse(source).body
    except UNREADABLE:
        return []
