"""What the files of an application import: names of packages, and what is neither there nor a package."""

import ast
import re
import sys
import warnings
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from attrs import frozen

from orchestrator.python_trees import tree_of

_FROM: Final = re.compile(
    r"""(?:^|[;\s])(?:import|export)\b(?:(?!\b(?:import|export)\s)[^'"`;])*?from\s*["']([^"'\n]+)["']"""
    r"""|(?:^|[;\s])import\s*["']([^"'\n]+)["']"""
    r"""|\b(?:require|import)\(\s*["']([^"'\n]+)["']\s*\)""",
    re.MULTILINE,
)
_SCRIPTS: Final = (".js", ".jsx", ".mjs", ".ts", ".tsx")
_ENDINGS: Final = ("", *_SCRIPTS, ".css", ".json", ".svg", "/index.js", "/index.jsx", "/index.ts", "/index.tsx")
_NODE: Final = frozenset(
    {
        "assert",
        "buffer",
        "child_process",
        "cluster",
        "console",
        "crypto",
        "dgram",
        "dns",
        "events",
        "fs",
        "http",
        "http2",
        "https",
        "module",
        "net",
        "os",
        "path",
        "perf_hooks",
        "process",
        "querystring",
        "readline",
        "stream",
        "string_decoder",
        "timers",
        "tls",
        "tty",
        "url",
        "util",
        "v8",
        "vm",
        "worker_threads",
        "zlib",
    }
)
"""Modules that come with Node.js."""


@frozen
class Imports:
    """What was found.

    Attributes:
        packages: top-level names of foreign packages, sorted: modules of Python, or packages of npm.
        problems: one line per file that cannot be read or imports what is not there.
    """

    packages: tuple[str, ...]
    problems: tuple[str, ...]


def python_imports(files: Mapping[str, str]) -> Imports:
    """The imports of the Python files among files (content by path)."""
    modules = _modules(files)
    tops = {name.partition(".")[0] for name in modules}
    packages: set[str] = set()
    problems = []
    for path, content in files.items():
        if not path.endswith(".py"):
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # such as of an escape sequence: it is no matter of the terminal's
                tree = tree_of(content)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:  # the last: nested too deeply
            problems.append(f"{path}: not Python: {' '.join(str(error).split()) or 'it is nested too deeply'}")
            continue
        guarded = _guarded(tree)
        for node in ast.walk(tree):
            if node in guarded:
                continue
            for name in _named(node, path):
                top = name.partition(".")[0]
                if top in tops:
                    if name not in modules:
                        problems.append(f"{path}: imports {name}, which no file defines")
                elif top not in sys.stdlib_module_names and top != "__future__":
                    packages.add(top)
    return Imports(tuple(sorted(packages)), tuple(dict.fromkeys(problems)))


def _modules(files: Mapping[str, str]) -> set[str]:
    """The dotted names that the files define, and those of their folders; ``src`` may be a root as well."""
    found: set[str] = set()
    for path in files:
        if not path.endswith(".py"):
            continue
        parts = list(PurePosixPath(path).with_suffix("").parts)
        for begin in (0, 1) if parts[0] == "src" else (0,):
            name = parts[begin:]
            if name and name[-1] == "__init__":
                name = name[:-1]
            found.update(".".join(name[:end]) for end in range(1, len(name) + 1))
    return found


def _guarded(tree: ast.AST) -> set[ast.AST]:
    """The imports that a file goes on without: those inside a ``try`` that catches their failure."""
    found: set[ast.AST] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Try) and any(_catches_import(handler.type) for handler in node.handlers):
            found.update(inner for each in node.body for inner in ast.walk(each))
    return found


def _catches_import(kind: ast.expr | None) -> bool:
    names = kind.elts if isinstance(kind, ast.Tuple) else [kind]
    caught = {"ImportError", "ModuleNotFoundError", "Exception"}
    return any(each is None or (isinstance(each, ast.Name) and each.id in caught) for each in names)


def _named(node: ast.AST, path: str) -> Iterator[str]:
    """The modules a statement imports, by their absolute names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        if not node.level:
            if node.module:
                yield node.module
            return
        package = PurePosixPath(path).parent.parts
        base = package[: len(package) - node.level + 1]
        if node.module and (base or node.level == 1):
            yield ".".join((*base, *node.module.split(".")))


def script_imports(files: Mapping[str, str]) -> Imports:
    """The imports of the JavaScript and TypeScript files among files (content by path)."""
    packages: set[str] = set()
    problems = []
    for path, content in files.items():
        if not path.endswith(_SCRIPTS):
            continue
        for found in _FROM.finditer(content):
            name = next(group for group in found.groups() if group is not None)
            if name.startswith("."):
                target = _joined(PurePosixPath(path).parent, name)
                if target is None or not any(target + ending in files for ending in _ENDINGS):
                    problems.append(f"{path}: imports {name}, which no file is")
            elif not name.startswith(("/", "@/", "~/", "#", "node:", "http:", "https:")):
                parts = name.split("/")
                package = "/".join(parts[:2]) if name.startswith("@") else parts[0]
                if package not in _NODE:
                    packages.add(package)
    return Imports(tuple(sorted(packages)), tuple(dict.fromkeys(problems)))


def _joined(folder: PurePosixPath, name: str) -> str | None:
    """A relative path from a folder, without dots; None where it climbs out."""
    parts = list(folder.parts)
    for part in name.partition("?")[0].split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
