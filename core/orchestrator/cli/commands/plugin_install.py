"""``orchestrate plugins search`` and ``install``: the index of published plugins, and the installer that runs us."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
from attrs import Factory, frozen

from orchestrator.cli.options.shared_options import json_option
from orchestrator.cli.terminal.json_output import result_json
from orchestrator.cli.terminal.tables import print_table
from orchestrator.cli.terminal.terminal_output import line, notice, result
from orchestrator.errors import OrchestrateError, UsageError
from orchestrator.plugin_kinds import KINDS

if TYPE_CHECKING:
    from orchestrator.plugins import PluginEntry

INDEX: Final = "ORCHESTRATE_PLUGIN_INDEX"
"""The variable that names another index: a file, or an address."""
OWN_INDEX: Final = Path(__file__).parent / "plugin_index.json"
"""The index that the program was released with."""
_LARGEST: Final = 20_000_000
_SECONDS: Final = 20.0
_REQUIREMENT: Final = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._-]*(\[[A-Za-z0-9._, -]+\])?((===?|[<>!~]=|[<>])[A-Za-z0-9.*+!,<>=~-]+)?"
)
_PROGRAM: Final = "multi-llm-orchestrator"


class InstallError(OrchestrateError):
    """The installer has failed; it has said why."""


@frozen
class Published:
    """A distribution of plugins on the package index."""

    distribution: str
    version: str
    summary: str = ""
    plugins: Mapping[str, Sequence[str]] = Factory(dict)
    """The names of its plugins by kind."""

    @property
    def words(self) -> Iterator[str]:
        """The names of its plugins."""
        return (name for names in self.plugins.values() for name in names)


def read_index(place: str | None) -> tuple[Published, ...]:
    """The published distributions that an index lists: one in a file or at an address; None: that of the release.

    Raises:
        UsageError: it cannot be read, or is no index.
    """
    place = place or os.environ.get(INDEX) or str(OWN_INDEX)
    try:
        listed = json.loads(_content(place))["plugins"]
        return tuple(_published(each) for each in listed)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(f"{place}: this is no index of plugins") from error


def _published(listed: Mapping[str, Any]) -> Published:
    plugins = {str(kind): tuple(map(str, names)) for kind, names in listed["plugins"].items() if kind in KINDS}
    return Published(str(listed["distribution"]), str(listed["version"]), str(listed.get("summary") or ""), plugins)


def _content(place: str) -> bytes:
    if not place.startswith(("http://", "https://")):
        try:
            with Path(place.removeprefix("file://")).open("rb") as file:
                return file.read(_LARGEST)
        except OSError as error:
            raise UsageError(f"{place}: {error.strerror or error}") from error
    import httpx

    try:
        with httpx.stream("GET", place, timeout=_SECONDS, follow_redirects=True) as response:
            response.raise_for_status()
            content = b""
            for piece in response.iter_bytes():
                content += piece
                if len(content) > _LARGEST:
                    raise UsageError(f"{place}: the index is larger than {_LARGEST} bytes")
            return content
    except httpx.HTTPError as error:
        raise UsageError(f"{place}: {error}") from error


_index_option: Final = click.option(
    "--index", metavar="FILE|URL", help=f"Another index of plugins. [default: ${INDEX}, else the release's]"
)


@click.command()
@click.argument("words", nargs=-1)
@click.option(
    "--kind", metavar="KIND", type=click.Choice([*KINDS]), help=f"Only plugins of a kind: {', '.join(KINDS)}."
)
@_index_option
@json_option
def search(words: tuple[str, ...], kind: str | None, index: str | None, as_json: bool) -> int:
    """Search the index of published plugins. Each of WORDS has to be in a name or the summary."""
    found = [each for each in read_index(index) if _fits(each, words, kind)]
    if as_json:
        plugins = [{kind: list(names) for kind, names in each.plugins.items()} for each in found]
        facts = zip(found, plugins, strict=True)
        result_json(
            [
                {"distribution": each.distribution, "version": each.version, "summary": each.summary, "plugins": of}
                for each, of in facts
            ]
        )
        return 0
    rows = [
        (each.distribution, each.version, f"{kind} {', '.join(names)}", line(each.summary, 200))
        for each in found
        for kind, names in each.plugins.items()
    ]
    if rows:
        print_table(("distribution", "version", "plugins", "summary"), rows, spare=("summary", "version"))
        notice("install one with: orchestrate plugins install NAME")
    else:
        notice("the index lists no such plugin")
    return 0


def _fits(each: Published, words: Sequence[str], kind: str | None) -> bool:
    text = " ".join([each.distribution, each.summary, *each.plugins, *each.words]).lower()
    return (kind is None or kind in each.plugins) and all(word.lower() in text for word in words)


@click.command()
@click.argument("name")
@_index_option
@click.option("--dry-run", is_flag=True, help="Print the installer's command; do not run it.")
@json_option
def install(name: str, index: str | None, dry_run: bool, as_json: bool) -> int:
    """Install a distribution of plugins beside this program, with pip, uv or pipx, whichever this program runs under.

    NAME is a distribution, with a version if you like, a wheel or folder, or the word of a plugin that the index lists.
    """
    _refuse_own(name)
    wanted = requirement(name, read_index(index))
    arguments = installer_command(wanted)
    if dry_run:
        if as_json:
            result_json({"command": arguments, "installed": []})
        else:
            result(" ".join(arguments))
        return 0
    before = set(_installed())
    notice(f"running: {' '.join(arguments)}")
    try:
        done = subprocess.run(arguments, check=False, stdin=subprocess.DEVNULL, stdout=sys.stderr.fileno())
    except OSError as error:
        raise InstallError(f"{arguments[0]} cannot be started: {error.strerror}") from error
    if done.returncode != 0:
        raise InstallError(f"{Path(arguments[0]).name} ended with status {done.returncode}; nothing was installed")
    new = [each for each in _installed() if each not in before]
    if as_json:
        facts = ("kind", "name", "distribution", "version")
        installed = [{fact: getattr(each, fact) for fact in facts} for each in new]
        result_json({"command": arguments, "installed": installed})
        return 0
    for each in new:
        result(f"installed the {each.kind} {each.name} of {each.distribution} {each.version}".rstrip())
    if not new:
        notice(f"{wanted} is installed; it brings no plugin that was not here before")
    return 0


def _refuse_own(name: str) -> None:
    """Refuse the name of a plugin that is here: a distribution of that name could be anything."""
    word = name.lower().replace("-", "_")
    here = next((each for each in _installed() if each.name == word), None)
    if here is not None:
        raise UsageError(
            f"the {here.kind} {name!r} is here already (of {here.distribution}); "
            f"to install another distribution of that name, write '{name}>=0'"
        )


def _installed() -> "list[PluginEntry]":
    from importlib import invalidate_caches

    from orchestrator.plugins import GROUPS, Catalogue
    from orchestrator.plugins.entry_points import installed_points

    invalidate_caches()
    return list(Catalogue(installed_points(GROUPS.values()), {}).entries())


def requirement(name: str, index: Sequence[Published]) -> str:
    """What the installer is asked for.

    Raises:
        UsageError: it is neither a distribution nor a path nor one word of the index.
    """
    if name.endswith(".whl") or "/" in name or os.sep in name:
        path = Path(name).expanduser()
        if not path.exists():
            raise UsageError(f"{name}: there is no such file or folder")
        return str(path.resolve())
    if not _REQUIREMENT.fullmatch(name):
        raise UsageError(f"{name[:80]!r} is no distribution; write a name, or a name with a version such as {_EXAMPLE}")
    if name in [each.distribution for each in index]:
        return name
    offering = [each.distribution for each in index if name.replace("-", "_") in each.words]
    if len(offering) > 1:
        raise UsageError(f"several distributions offer {name!r}; name one of {', '.join(sorted(offering))}")
    return offering[0] if offering else name


_EXAMPLE: Final = "'orchestrator-brief>=1.2'"


def installer_command(
    wanted: str,
    prefix: Path | None = None,
    which: Callable[[str], str | None] = shutil.which,
    has_pip: bool | None = None,
) -> list[str]:
    """The command that installs beside this program, as whatever installed it does.

    Args:
        wanted: a requirement, or a path.
        prefix: the environment of the program; None: this one.
        which: finds installers.
        has_pip: whether pip is in the environment; None: look.

    Raises:
        UsageError: the installer is not on the path.
    """
    prefix = Path(sys.prefix) if prefix is None else prefix
    python = str(prefix / "bin" / "python") if prefix != Path(sys.prefix) else sys.executable
    if (prefix / "pipx_metadata.json").is_file():
        return [_found("pipx", which), "inject", _PROGRAM, wanted]
    if (prefix / "uv-receipt.toml").is_file():
        others = [part for each in _with(prefix / "uv-receipt.toml") for part in ("--with", each)]
        return [_found("uv", which), "tool", "install", _PROGRAM, *others, "--with", wanted]
    made_by_uv = (prefix / "pyvenv.cfg").is_file() and "\nuv = " in "\n" + (prefix / "pyvenv.cfg").read_text()
    if has_pip is None:
        from importlib.util import find_spec

        has_pip = find_spec("pip") is not None
    if (made_by_uv and which("uv")) or not has_pip:
        return [_found("uv", which), "pip", "install", "--python", python, wanted]
    return [python, "-m", "pip", "install", wanted]


def _with(receipt: Path) -> Iterator[str]:
    """What an earlier ``uv tool install --with`` has added: a new one would leave it out."""
    try:
        listed = tomllib.loads(receipt.read_text())["tool"]["requirements"]
    except (OSError, ValueError, LookupError, TypeError):
        return
    for each in listed:
        if isinstance(each, dict) and each.get("name") not in (None, _PROGRAM):
            yield str(each.get("directory") or each.get("path") or f"{each['name']}{each.get('specifier', '')}")


def _found(tool: str, which: Callable[[str], str | None]) -> str:
    path = which(tool)
    if path is None:
        raise UsageError(f"this program was installed by {tool}, which is not on the path; install the plugin with it")
    return path
