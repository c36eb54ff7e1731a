"""Plugins that no distribution brings: files of Python, and objects that a program hands in.

They come through the same hooks and the same checks as installed ones. A session records each by its qualified name
and the digest of its source.
"""

import ast
import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar, Final

from attrs import field, frozen

from orchestrator.documents import expanded
from orchestrator.errors import UsageError
from orchestrator.plugin_kinds import KINDS
from orchestrator.plugins.plugin_status import Plugin
from orchestrator.python_trees import tree_of
from orchestrator.spi import hookimpl

FILES: Final = "ORCHESTRATE_PLUGINS"
"""The variable that names files of plugins, separated as in ``PATH``; ``--plugin`` adds to it."""
_LARGEST: Final = 1_000_000
_LONGEST: Final = 200
_NAME: Final = re.compile(r"[^A-Za-z0-9_.-]+")


@frozen
class LocalPoint:
    """What an entry point is to an installed plugin."""

    pattern: ClassVar[re.Pattern[str]] = re.compile("")
    group: str
    name: str
    value: str
    """The qualified name: that of the file, or of the object."""
    digest: str
    """The SHA-256 of the source; empty: it is not known."""
    load: Callable[[], ModuleType] = field(repr=False)
    module: str = ""
    """No module of a package: none is switched off by one."""
    source: str = field(default="", repr=False)
    file: Path | None = None
    dist: None = None


def files_named(environ: Mapping[str, str]) -> list[Path]:
    """The files of plugins that flags, the environment and the user's configuration name, each once.

    Raises:
        SpecError: the configuration cannot be used (also UsageError).
    """
    named = [expanded(each) for each in environ.get(FILES, "").split(os.pathsep) if each]
    return list(dict.fromkeys((*named, *_configured(environ))))


def _configured(environ: Mapping[str, str]) -> Iterable[Path]:
    from orchestrator.trust.user_configuration import configuration_path, read_configuration

    if not configuration_path(environ).is_file():
        return ()
    configuration = read_configuration(environ)
    return [configuration.named(each) for each in configuration.plugins]


def plugins_of_files(paths: Iterable[Path]) -> tuple[Plugin, ...]:
    """The plugins in files: one for each hook that a file has, named like the file. None of their code is run.

    Raises:
        UsageError: a file cannot be read, has no hook, or two files have one name.
    """
    found: dict[tuple[str, str], Plugin] = {}
    for path in paths:
        for plugin in _plugins_of(path):
            known = found.setdefault((plugin.kind, plugin.name), plugin)
            if known is not plugin:
                raise UsageError(f"two plugin files offer the {plugin.kind} {plugin.name!r}; rename one of them")
    return tuple(found.values())


def _plugins_of(path: Path) -> Iterator[Plugin]:
    content = _content(path)
    source = content.decode(errors="replace")
    kinds = _kinds_in(source, path)
    digest = sha256(content).hexdigest()
    modules: list[ModuleType] = []

    def load() -> ModuleType:
        if not modules:
            modules.append(_executed(path, source, digest))
        return modules[0]

    name = _NAME.sub("-", path.stem)
    for kind in kinds:
        point = LocalPoint(KINDS[kind].group, name, path.name, digest, load, source=source, file=path)
        yield Plugin(point, kind, name, "", "")


def file_digest(path: Path) -> str:
    """The SHA-256 of a plugin file as it is now; ``missing`` where it cannot be read."""
    try:
        return sha256(_content(path)).hexdigest()
    except UsageError:
        return "missing"


def _content(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise UsageError(f"plugin file {path}: {error.strerror or error}") from error
    if len(content) > _LARGEST:
        raise UsageError(f"plugin file {path}: it is larger than {_LARGEST} bytes")
    return content


def _kinds_in(source: str, path: Path) -> list[str]:
    """The kinds whose hooks a file defines, in the order of the kinds."""
    try:
        tree = tree_of(source)
    except SyntaxError as error:
        where = "it" if error.lineno is None else f"line {error.lineno}"
        raise UsageError(f"plugin file {path}: {where} is no Python: {error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise UsageError(f"plugin file {path}: it is no Python: {error}") from error
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    kinds = [kind.name for kind in KINDS.values() if kind.hook in names]
    if not kinds:
        hooks = ", ".join(kind.hook for kind in KINDS.values())
        raise UsageError(f"plugin file {path}: it defines no hook at its top level; the hooks are {hooks}")
    return kinds


def _executed(path: Path, source: str, digest: str) -> ModuleType:
    """The file as a module: exactly the text whose digest is recorded."""
    module = ModuleType(f"orchestrate_file_{re.sub('[^A-Za-z0-9_]', '_', path.stem)}_{digest[:12]}")
    module.__file__ = str(path)
    sys.modules[module.__name__] = module  # dataclasses and pickle look there
    try:
        exec(compile(source, str(path), "exec"), module.__dict__)
    except BaseException:
        del sys.modules[module.__name__]
        raise
    return module


def plugin_of_object(kind: str, name: str, made: object) -> Plugin:
    """A plugin whose hook returns an object that a program has made."""
    qualified = qualified_name(made)
    module = ModuleType(qualified)
    setattr(module, KINDS[kind].hook, hookimpl(lambda: made))
    point = LocalPoint(KINDS[kind].group, name, qualified, source_digest(made), lambda: module)
    return Plugin(point, kind, name, "", "")


def qualified_name(made: object) -> str:
    """The module and name of a function or class, or those of an object's class."""
    named = _definition(made)
    name = getattr(named, "__qualname__", type(named).__qualname__)
    return f"{getattr(named, '__module__', None) or '?'}.{name}"[:_LONGEST]


def source_digest(made: object) -> str:
    """The SHA-256 of the source of a function or of an object's class; empty where no file has it."""
    try:
        return sha256(inspect.getsource(_definition(made)).encode()).hexdigest()
    except (OSError, TypeError, SyntaxError):
        return ""


def _definition(made: object) -> Any:
    """What stands in the source: the function itself, or the class of an object."""
    while isinstance(made, partial):
        made = made.func
    made = inspect.unwrap(made) if callable(made) else made
    made = getattr(made, "__func__", made)
    return made if inspect.isroutine(made) or isinstance(made, type) else type(made)
