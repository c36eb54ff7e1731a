"""Python source as a tree, one at a time: CPython 3.11 can fail where two threads make trees at the same moment."""

import ast
from threading import RLock
from typing import Final

_ALONE: Final = RLock()


def tree_of(source: str | bytes) -> ast.Module:
    """The tree of a module.

    Raises:
        SyntaxError, ValueError, RecursionError, MemoryError, OverflowError: it is none, or nested too deeply.
    """
    with _ALONE:
        return ast.parse(source)
