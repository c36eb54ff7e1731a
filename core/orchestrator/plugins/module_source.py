"""What the source of the module that an entry point names says, found and read without running any of its code."""

import ast
import sys
from collections.abc import Iterator
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from importlib.util import find_spec
from pathlib import Path

from attrs import frozen

from orchestrator.python_trees import tree_of


@frozen
class ModuleSource:
    """A module as its file shows it."""

    file: Path | None = None
    first_line: str = ""
    """Of its docstring."""
    problem: str = ""
    """Why it could not be imported, as far as its source shows; empty: nothing is known to be wrong."""


def source_of(value: str) -> tuple[Path | None, str]:
    """The file of the module that an entry point's value names, and its text; None and empty where there is none."""
    found = spec_of(value.partition(":")[0].strip())
    if found is None or not isinstance(found.loader, SourceFileLoader):
        return None, ""
    try:
        return Path(found.loader.path), found.loader.get_source(found.name) or ""
    except (ImportError, OSError, SyntaxError, ValueError):
        return None, ""


def spec_of(module: str) -> ModuleSpec | None:
    """Where a module is; no package above it is imported. None: it is not installed."""
    names = module.split(".")
    try:
        found = find_spec(names[0])  # a name without dots; editable installs may have a finder beside PathFinder
        for depth in range(2, len(names) + 1):
            if found is None or found.submodule_search_locations is None:
                return None
            found = PathFinder.find_spec(".".join(names[:depth]), [*found.submodule_search_locations])
    except Exception:  # a third-party folder or finder may do anything
        return None
    return found


def read_module(value: str) -> ModuleSource:
    """Read the module that an entry point's value names."""
    name = value.partition(":")[0].strip()
    if spec_of(name) is None:
        return ModuleSource(problem=f"there is no module {name}")
    file, source = source_of(value)
    try:
        tree = tree_of(source)
    except SyntaxError as error:
        return ModuleSource(file, problem=f"line {error.lineno} of its module is no Python: {error.msg}")
    except (ValueError, RecursionError, MemoryError) as error:
        return ModuleSource(file, problem=f"its module cannot be read: {type(error).__name__}")
    absent = next((each for each in _imported(tree) if not _is_installed(each)), None)
    problem = "" if absent is None else f"it imports {absent}, which is not installed"
    return ModuleSource(file, (ast.get_docstring(tree) or "").partition("\n")[0].strip(), problem)


def _imported(tree: ast.Module) -> Iterator[str]:
    """The distributions' modules that a module cannot do without: those it imports first of all."""
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            yield node.module.partition(".")[0]


def _is_installed(name: str) -> bool:
    return name in sys.stdlib_module_names or name in sys.modules or spec_of(name) is not None
