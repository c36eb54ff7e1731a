"""The Python files of an output, as the validators that judge code see them."""

import ast
import sys
import sysconfig
from importlib.machinery import PathFinder
from pathlib import PurePosixPath

from orchestrator.spi import Candidate
from orchestrator.suites import statements


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


def imported(source: str) -> set[str]:
    """The top-level names that a module imports absolutely, anywhere in it."""
    names: set[str] = set()
    for node in (inner for statement in statements(source) for inner in ast.walk(statement)):
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
