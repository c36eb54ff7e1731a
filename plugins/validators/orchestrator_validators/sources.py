"""The Python files of an output, as the validators that judge code see them."""

import ast
import sys
import sysconfig
from collections.abc import Iterator
from importlib.machinery import PathFinder
from pathlib import PurePosixPath

from orchestrator.spi import Candidate


def python_files(candidate: Candidate) -> dict[str, str]:
    """The output's Python files by their names below its own folder; its one content where it names no files."""
    if len(candidate.files) < 2:
        name = next((PurePosixPath(name).name for name in candidate.files if name.endswith(".py")), "output.py")
        return {name: candidate.content}
    inside = {_below(name, candidate.files): source for name, source in candidate.files.items()}
    return {name: source for name, source in inside.items() if name.endswith(".py")}


def _below(name: str, names: object) -> str:
    """A name without the folder that all of them lie in."""
    first, _, rest = name.partition("/")
    every = [str(each) for each in names] if isinstance(names, dict) else []
    return rest if rest and all(each.startswith(f"{first}/") for each in every) else name


def is_test_file(name: str) -> bool:
    """Whether pytest would look for tests in a file of this name."""
    stem = PurePosixPath(name).name.removesuffix(".py")
    return stem.startswith("test_") or stem.endswith("_test")


def defined_tests(source: str) -> set[str]:
    """The tests a module defines, as ``test_a`` or ``TestB::test_c``; those it marks as skipped are left out."""
    return {name for name, node in _functions(source) if not _is_excused(node)}


def _functions(source: str) -> Iterator[tuple[str, ast.FunctionDef | ast.AsyncFunctionDef]]:
    for node in _parsed(source):
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


def imported(source: str) -> set[str]:
    """The top-level names that a module imports absolutely, anywhere in it."""
    names: set[str] = set()
    for node in (inner for statement in _parsed(source) for inner in ast.walk(statement)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def is_installed(name: str) -> bool:
    """Whether the interpreter that runs tests has a top-level module, without the output's files."""
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        return True
    folders = [sysconfig.get_path(each) for each in ("purelib", "platlib", "stdlib")]
    return PathFinder.find_spec(name, folders) is not None


def _parsed(source: str) -> list[ast.stmt]:
    try:
        return ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
