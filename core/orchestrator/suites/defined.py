"""The tests that a source defines, read without running it."""

import ast
from collections.abc import Iterator
from pathlib import PurePosixPath


def is_test_file(name: str) -> bool:
    """Whether pytest would look for tests in a file of this name."""
    stem = PurePosixPath(name).name.removesuffix(".py")
    return stem.startswith("test_") or stem.endswith("_test")


def defined_tests(source: str) -> set[str]:
    """The tests a module defines, as ``test_a`` or ``TestB::test_c``; those it marks as skipped are left out."""
    return {name for name, node in _functions(source) if not _is_excused(node)}


def _functions(source: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in statements(source):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and _holds_tests(node):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef | ast.AsyncFunctionDef) and inner.name.startswith("test"):
                    yield f"{node.name}::{inner.name}", inner


def _holds_tests(node: ast.ClassDef) -> bool:
    if any("skip" in ast.unparse(each) for each in node.decorator_list):
        return False
    return node.name.startswith("Test") or any("TestCase" in ast.unparse(base) for base in node.bases)


def _is_excused(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    marks = [ast.unparse(each) for each in node.decorator_list]
    return any(word in mark for mark in marks for word in ("skip", "xfail", "fixture"))


def statements(source: str) -> list[ast.stmt]:
    """The top-level statements of a module; none where it cannot be read."""
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
