"""Imports by which a file of Python code would import itself, as models copy them from the tests they are shown."""

import ast
import io
import re
from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Final, TypeGuard

from orchestrator.suites import imported, statements

_MAYBE: Final = re.compile(r"^from[ \t]", re.MULTILINE)
_ALWAYS: Final = "solution"
"""A name by which tests may import an answer's one file, whatever it is called."""


def without_own_imports(name: str, content: str, tests: str | None) -> str:
    """Python code without those imports from its own module that give it nothing but what it defines itself.

    Args:
        name: the file's.
        content: what it holds. Text that is no Python is returned as it is.
        tests: those of the task, where this is the only file: it is imported by the names that they use.
    """
    if not name.endswith(".py") or not _MAYBE.search(content):
        return content
    body = statements(content)
    defined = {each for node in body for each in _defined(node)}
    modules = _modules(name) | (set() if tests is None else {_ALWAYS, *imported(tests)})
    own = [node for node in body if _is_own(node, modules, defined)]
    inside = {line for node in own for line in _lines(node)}
    if not own or any(line in inside for node in body if node not in own for line in _lines(node)):
        return content
    # the parser's lines, which are not those of str.splitlines
    kept = [line for number, line in enumerate(io.StringIO(content, newline=""), 1) if number not in inside]
    return "".join(kept).lstrip("\r\n") if 1 in inside else "".join(kept)


def _modules(name: str) -> set[str]:
    """The names by which a file may be imported: its path from any of its folders on."""
    parts = PurePosixPath(name.removesuffix(".py").removesuffix("/__init__")).parts
    return {".".join(parts[first:]) for first in range(len(parts))}


def _is_own(node: ast.stmt, modules: set[str], defined: set[str]) -> bool:
    if not isinstance(node, ast.ImportFrom) or node.level > 1 or node.module not in modules:
        return False
    return all(alias.asname in (None, alias.name) and alias.name in defined for alias in node.names)


def _defined(node: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement defines, imports aside: itself, or what stands in its branches."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        yield from (each.id for target in targets for each in ast.walk(target) if _is_bound(each))
    elif isinstance(node, ast.If | ast.Try | ast.With):
        inner = [*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])]
        inner += [each for handler in getattr(node, "handlers", []) for each in handler.body]
        yield from (name for each in inner for name in _defined(each))


def _is_bound(node: ast.AST) -> TypeGuard[ast.Name]:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def _lines(node: ast.stmt) -> range:
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    return range(first, (node.end_lineno or node.lineno) + 1)
