"""What a source imports, and what of it is installed, read without running it."""

import ast
import sys
import sysconfig
from importlib.machinery import PathFinder

from orchestrator.suites.python_source import statements


def imported(source: str) -> set[str]:
    """The top-level names that a module imports absolutely, anywhere in it."""
    names: set[str] = set()
    for node in (inner for statement in statements(source) for inner in ast.walk(statement)):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names.add(node.module.partition(".")[0])
    return names


def imported_from(source: str, module: str) -> set[str]:
    """The names that a module imports from another one, by its top-level name; ``*`` among them where it says so."""
    return {
        alias.name
        for statement in statements(source)
        for node in ast.walk(statement)
        if isinstance(node, ast.ImportFrom) and not node.level and (node.module or "").partition(".")[0] == module
        for alias in node.names
    }


def is_installed(name: str) -> bool:
    """Whether the interpreter that runs tests has a top-level module, without the output's files."""
    if name in sys.stdlib_module_names or name in sys.builtin_module_names:
        return True
    folders = [sysconfig.get_path(each) for each in ("purelib", "platlib", "stdlib")]
    return PathFinder.find_spec(name, folders) is not None


def imported_modules(tests: str) -> list[str]:
    """The modules that tests import and that have to be written: those that are not installed, in order."""
    return [name for name in sorted(imported(tests)) if not is_installed(name)]
