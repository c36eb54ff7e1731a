"""What the metadata of the installed distributions says about plugins; nothing is imported for it."""

import re
import threading
from collections.abc import Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Final

from attrs import Factory, define, frozen

from orchestrator import plugin_kinds
from orchestrator.plugin_kinds import ContractError
from orchestrator.plugins.entry_points import named
from orchestrator.plugins.module_source import source_of

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    from orchestrator.plugins.local_plugins import LocalPoint

DISTRIBUTION: Final = "multi-llm-orchestrator"
"""The distribution whose plugins are the built-in ones."""

GROUPS: Final[Mapping[str, str]] = MappingProxyType({kind.name: kind.group for kind in plugin_kinds.KINDS.values()})
"""Every kind of plugin, and the entry-point group it is found in."""

TRUSTED: Final = frozenset({DISTRIBUTION})
"""The distributions whose code runs where it is called; that of all others runs isolated."""


def is_built_in(distribution: str) -> bool:
    """Whether the plugins of a distribution come with the program."""
    return distribution == DISTRIBUTION


def is_isolated(distribution: str) -> bool:
    """Whether the code of a distribution runs in threads with deadlines, which are left behind where it hangs."""
    return distribution not in TRUSTED


_PREFIX: Final = "orchestrator_"
_PACKAGE: Final = re.compile("[.: ]")
DISABLE: Final = "ORCHESTRATE_DISABLE_PLUGINS"
STRICT: Final = "ORCHESTRATE_STRICT_PLUGINS"
NO_AUTOLOAD: Final = "ORCHESTRATE_NO_AUTOLOAD"
RAISE: Final = "ORCHESTRATE_RAISE"


class PluginStatus(StrEnum):
    """How a plugin stands in this process."""

    AVAILABLE = "available"
    """Installed, and not imported yet."""
    LOADED = "loaded"
    CONFLICT = "conflict"
    """Another distribution offers the same name; usable as ``distribution:name``."""
    BLOCKED = "blocked"
    """Switched off by the environment."""
    BROKEN = "broken"
    """It could not be imported, registered or asked for its object."""


@frozen
class PluginEntry:
    """One line of the listing."""

    kind: str
    name: str
    distribution: str
    version: str
    module: str
    status: PluginStatus
    reason: str = ""
    """Why it is in conflict, blocked or broken; one line."""
    interface: str = ""
    """The range of interface versions that its module declares; empty: none."""
    compatible: bool = True
    """Whether that range includes the program's."""
    hooks: tuple[str, ...] = ()
    """The hooks its module implements, once it is loaded."""
    notes: tuple[str, ...] = ()
    """What its author should change before it breaks, such as a deprecated hook."""

    @property
    def label(self) -> str:
        """Its kind and name, and whose it is: of a distribution with its version, or of a file."""
        where = f"of {self.distribution} {self.version}".rstrip() if self.distribution else f"({self.module})"
        return f"{self.kind} {self.name!r} {where}"


@define(eq=False)
class Plugin:
    """One installed plugin, and how far this process has come with it."""

    point: "EntryPoint | LocalPoint"
    kind: str
    name: str
    distribution: str
    """Empty: it is a file, or an object of a program."""
    version: str
    blocked: str = ""
    rivals: tuple[str, ...] = ()
    problem: str = ""
    module: ModuleType | None = None
    hooks: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    declared: object = None
    """The range of interface versions in its source; read once."""
    looked: bool = False
    timed_out: bool = False
    """Something of it has not come back in time: it is not called again."""
    lock: threading.Lock = Factory(threading.Lock)
    """Held while it is loaded: a check may load a plugin in a thread of its own."""

    @property
    def is_built_in(self) -> bool:
        """Whether it comes with the program: then it is listed and asked before others, and always loaded."""
        return is_built_in(self.distribution)

    @property
    def is_local(self) -> bool:
        """Whether no distribution brings it."""
        return not self.distribution

    @property
    def address(self) -> str:
        """What tells it from another of its name."""
        return f"{self.distribution}:{self.name}".lstrip(":")

    @property
    def label(self) -> str:
        """Whose plugin it is, for messages."""
        if self.is_local:
            return f"{self.kind} {self.name!r} ({self.point.value})"
        where = f"{self.distribution} {self.version}".strip()
        return f"{self.kind} {self.name!r} of {where} (module {self.point.value})"

    def check_interface(self) -> None:
        """Refuse what is made for another version of the interface, before any of its code runs."""
        if not self.looked:
            source = getattr(self.point, "source", None)
            if source is None:
                _, source = source_of(self.point.value)
            self.declared, self.looked = plugin_kinds.declared_interface(source), True
        plugin_kinds.check_interface(self.declared)

    def entry(self) -> PluginEntry:
        """Its line of the listing, as things stand."""
        status, reason = PluginStatus.AVAILABLE, ""
        compatible = True
        try:
            self.check_interface()
        except ContractError as error:
            compatible = False
            status, reason = PluginStatus.BROKEN, str(error)
        if self.blocked:
            status, reason = PluginStatus.BLOCKED, self.blocked
        elif self.problem:
            status, reason = PluginStatus.BROKEN, self.problem
        elif self.rivals:
            reason = f"also offered by {', '.join(self.rivals)}; say {self.address} to choose this one"
            status = PluginStatus.CONFLICT
        elif self.module is not None:
            status = PluginStatus.LOADED
        return PluginEntry(
            self.kind,
            self.name,
            self.distribution,
            self.version,
            self.point.value,
            status=status,
            reason=reason,
            interface="" if self.declared is None else str(self.declared),
            compatible=compatible,
            hooks=self.hooks,
            notes=self.notes,
        )


def described(points: "Iterable[EntryPoint]") -> Iterator[Plugin]:
    """The plugins among entry points."""
    kinds = {group: kind for kind, group in GROUPS.items()}
    for point in points:
        if point.group in kinds:
            distribution, version = named(point.dist) if point.dist else ("", "")
            yield Plugin(point, kinds[point.group], point.name, normalised(distribution or "unknown"), version)


def block(plugins: Iterable[Plugin], environ: Mapping[str, str]) -> None:
    """Switch off what the environment names."""
    disabled = switched_off(environ)
    only_built_in = environ.get(NO_AUTOLOAD, "") not in ("", "0")
    for plugin in plugins:
        if plugin.address in disabled or not disabled.isdisjoint(names_of(plugin.point)):
            plugin.blocked = f"named in {DISABLE}"
        elif only_built_in and not plugin.is_built_in and not plugin.is_local:
            plugin.blocked = f"{NO_AUTOLOAD} leaves only the built-in plugins"


def switched_off(environ: Mapping[str, str]) -> frozenset[str]:
    """What the environment switches off: names of plugins, of packages, ``distribution:name``."""
    words = (word.strip().rpartition(":") for word in environ.get(DISABLE, "").split(","))
    return frozenset(f"{normalised(distribution)}{colon}{name}" for distribution, colon, name in words)


def names_of(point: "EntryPoint | LocalPoint") -> frozenset[str]:
    """The names under which an entry point is switched off: its own, and its package's with and without the prefix."""
    package = _PACKAGE.split(point.value, 1)[0]  # its ``module`` raises where the value is none
    return frozenset(filter(None, (point.name, package, package.removeprefix(_PREFIX))))


def normalised(distribution: str) -> str:
    """The name of a distribution in the one way it is compared."""
    return re.sub(r"[-_.]+", "-", distribution).lower()
