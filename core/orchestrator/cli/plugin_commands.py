"""The commands of plugins: their lines in the help, which import none, and loading the one that is called.

Reading every installed distribution takes longer than the help may, so the lines are kept in the user's cache folder
with the distribution and version each is of. They are read anew when a folder of the module path, or a command's file,
has changed.
"""

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypedDict

from orchestrator.cli.terminal.terminal_output import line

if TYPE_CHECKING:
    import click

    from orchestrator.plugins import Catalogue, PluginEntry

KIND: Final = "command"
_LONGEST: Final = 100
_STRICT: Final = "ORCHESTRATE_STRICT_PLUGINS"
_SWITCHES: Final = (
    "ORCHESTRATE_DISABLE_PLUGINS",
    "ORCHESTRATE_NO_AUTOLOAD",
    "ORCHESTRATE_PLUGINS",
    "ORCHESTRATE_CONFIG",
)
_LATEST: Final[list[str]] = []
"""Whose command has been loaded last, for what is said of a defect."""


class Listed(TypedDict):
    """A command of a plugin, as the help lists it."""

    name: str
    """What is typed; ``distribution:name`` where several distributions have the name."""
    distribution: str
    version: str
    text: str
    """The first line of its module's docstring."""
    problem: str
    """Why it cannot be used; empty: nothing is known to be wrong."""
    file: str | None
    """The module's file."""
    changed: list[int] | None
    """When the file was written, in nanoseconds, and its size in bytes."""


def listed(kernel: Sequence[str]) -> list[Listed]:
    """Every command of a plugin that is not switched off, by name; none is imported.

    Args:
        kernel: the names of the kernel's own commands, which come first: a plugin's is typed with its distribution.
    """
    surroundings = _surroundings()
    kept = _kept(surroundings)
    if kept is None:
        kept = sorted(_read(kernel), key=lambda each: each["name"])
        _keep(surroundings, kept)
    return kept


def load(name: str, kernel: Sequence[str]) -> "click.Command | None":
    """Import a command; None where no plugin has one of the name.

    Args:
        name: as it was typed.
        kernel: as for ``listed``.

    Raises:
        PluginError: it is switched off, broken, or of several distributions.
    """
    from orchestrator.errors import PluginError, PluginLoadError

    catalogue = _catalogue()
    entries = catalogue.entries(KIND)
    if not any(name in (each.name, _address(each)) for each in entries):
        return None
    try:
        entry = catalogue.find(KIND, name)
        loaded = catalogue.command(name)
    except PluginError as error:
        if isinstance(error, PluginLoadError):
            listed(kernel)  # the attempt may have changed what the listing depends on: Python keeps compiled modules
            _keep_problem(name, catalogue.find(KIND, name).reason)
        raise
    _keep_problem(name, "")
    _LATEST[:] = [f"the {entry.label}"]
    return loaded


def whose() -> str:
    """What a defect is of: the command that has been loaded last, else the program."""
    return _LATEST[-1] if _LATEST else "the program"


def _catalogue() -> "Catalogue":
    from orchestrator.errors import SpecError, UsageError
    from orchestrator.plugins import GROUPS, Catalogue
    from orchestrator.plugins.entry_points import installed_points

    environ = {name: value for name, value in os.environ.items() if name != _STRICT}
    try:
        return Catalogue.discover(environ)
    except (SpecError, UsageError):  # a file of plugins or the configuration: the command that is called says so
        return Catalogue(installed_points(GROUPS.values()), environ)


def _read(kernel: Sequence[str]) -> Iterator[Listed]:
    from orchestrator.plugins import PluginStatus

    for entry in _catalogue().entries(KIND):
        if entry.status is not PluginStatus.BLOCKED:
            hidden = entry.status is PluginStatus.CONFLICT or entry.name in kernel
            yield _described(entry, _address(entry) if hidden else entry.name)


def _described(entry: "PluginEntry", name: str) -> Listed:
    from orchestrator.plugins import PluginStatus
    from orchestrator.plugins.module_source import read_module

    module = read_module(entry.module)
    problem = entry.reason if entry.status is PluginStatus.BROKEN else module.problem
    return {
        "name": name,
        "distribution": entry.distribution,
        "version": entry.version,
        "text": line(module.first_line or f"The {entry.label}.", _LONGEST),
        "problem": line(problem, _LONGEST),
        "file": None if module.file is None else str(module.file),
        "changed": _changed(module.file),
    }


def _address(entry: "PluginEntry") -> str:
    return f"{entry.distribution}:{entry.name}".lstrip(":")


def _surroundings() -> list[Any]:
    """What the listing depends on besides the commands' own files, cheap to find out."""
    folders = [[folder, _changed(Path(folder or "."))] for folder in sys.path]
    return [*sys.version_info[:2], folders, [os.environ.get(each, "") for each in _SWITCHES]]


def _changed(path: Path | None) -> list[int] | None:
    try:
        seen = None if path is None else path.stat()
    except OSError:
        return None
    return None if seen is None else [seen.st_mtime_ns, seen.st_size]


def _file() -> Path:
    """Where the listing of this Python's distributions is kept."""
    from zlib import crc32

    from platformdirs import user_cache_path

    return user_cache_path("orchestrate", appauthor=False) / f"commands-{crc32(os.fsencode(sys.prefix)):08x}.json"


def _kept(surroundings: list[Any]) -> list[Listed] | None:
    """The listing as it was kept; None where there is none, or something has changed since."""
    try:
        kept = json.loads(_file().read_bytes())
        commands: list[Listed] = kept["commands"]
        same = kept["surroundings"] == surroundings and all(_is_current(each) for each in commands)
    except (OSError, ValueError, LookupError, TypeError, RuntimeError):  # RuntimeError: there is no home folder
        return None
    return commands if same else None


def _is_current(each: Listed) -> bool:
    if not all(isinstance(each[key], str) for key in ("name", "text", "problem")):
        return False
    return each["file"] is None or _changed(Path(each["file"])) == each["changed"]


def _keep(surroundings: list[Any], commands: list[Listed]) -> None:
    """Keep the listing, as far as there is a place for it."""
    with suppress(OSError, RuntimeError):
        file = _file()
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_name(f".{file.name}.{os.getpid()}")
        temporary.write_text(json.dumps({"surroundings": surroundings, "commands": commands}), encoding="utf-8")
        temporary.replace(file)


def _keep_problem(name: str, problem: str) -> None:
    """Let the help say what was found when the command was called, until its file or what is installed changes."""
    surroundings = _surroundings()
    commands = _kept(surroundings)
    for each in commands or ():
        if each["name"] == name and each["problem"] != line(problem, _LONGEST):
            each["problem"] = line(problem, _LONGEST)
            _keep(surroundings, commands or [])
