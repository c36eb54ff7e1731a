"""The porter: lists the installed plugins without importing any, and loads those a run names, one by one.

A plugin that cannot be imported, or that misbehaves while it builds its object, is shown as broken with the reason
and takes nothing else down. What the listing knows comes from the metadata of the installed distributions alone.
"""

import logging
import os
import re
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType, ModuleType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar

import pluggy
from attrs import define, frozen

from orchestrator import contract, spi
from orchestrator.contract import ContractError
from orchestrator.errors import (
    PluginConflictError,
    PluginError,
    PluginLoadError,
    PluginNotFoundError,
    SpecError,
)
from orchestrator.events import PluginUsed

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

DISTRIBUTION: Final = "multi-llm-orchestrator"
"""The distribution whose plugins are the built-in ones."""

GROUPS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "provider": "orchestrator.providers",
        "validator": "orchestrator.validators",
        "backend": "orchestrator.backends",
        "policy_loader": "orchestrator.policy_loaders",
        "exporter": "orchestrator.exporters",
        "scaffold": "orchestrator.scaffolds",
    }
)
"""Every kind of plugin, and the entry-point group it is found in."""

DISABLE: Final = "ORCHESTRATE_DISABLE_PLUGINS"
STRICT: Final = "ORCHESTRATE_STRICT_PLUGINS"
_NO_AUTOLOAD: Final = "ORCHESTRATE_NO_AUTOLOAD"
_RAISE: Final = "ORCHESTRATE_RAISE"
_LONGEST_CAUSE: Final = 500
_LOGGER: Final = logging.getLogger("orchestrator.plugins")

_Made = TypeVar("_Made")


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


@define(eq=False)
class _Plugin:
    point: "EntryPoint"
    kind: str
    name: str
    distribution: str
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

    @property
    def address(self) -> str:
        return f"{self.distribution}:{self.name}"

    @property
    def label(self) -> str:
        where = f"{self.distribution} {self.version}".strip()
        return f"{self.kind} {self.name!r} of {where} (module {self.point.value})"

    def check_interface(self) -> None:
        """Refuse what is made for another version of the interface, before any of its code runs."""
        if not self.looked:
            self.declared, self.looked = contract.declared_interface(_source_of(self.point)), True
        contract.check_interface(self.declared)

    def entry(self) -> PluginEntry:
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


@define(eq=False)
class _GuardedLoader:
    """A policy loader that can only give a mapping, or raise what the user is shown as a line."""

    suffixes: tuple[str, ...]
    loader: spi.Loader
    plugin: _Plugin
    lets_through: bool

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
        """See ``Loader``; PluginLoadError where it raises something else or returns something else."""
        try:
            loaded = contract.loaded(self.loader.load(text, source))
        except (SpecError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if self.lets_through and not isinstance(error, ContractError):
                raise
            said = f"{source}: the {self.plugin.label} failed: {_said(error)}"
            raise PluginLoadError(self.plugin.kind, self.plugin.name, said) from error
        return loaded


class Catalogue:
    """The installed plugins, and those of them that this process has loaded.

    Args:
        points: entry points of any groups, earlier ones first; those of other programs are passed over.
        environ: the environment that switches plugins off (``ORCHESTRATE_DISABLE_PLUGINS``, a comma-separated list
            of names or ``distribution:name``; ``ORCHESTRATE_NO_AUTOLOAD=1`` leaves only the built-in ones) and lets
            errors of plugins through unchanged (``ORCHESTRATE_RAISE=1``).
        specifications: what has the hook specifications; another one is for tests.
    """

    def __init__(
        self, points: "Iterable[EntryPoint]", environ: Mapping[str, str], specifications: ModuleType = spi
    ) -> None:
        self._raise = environ.get(_RAISE, "") not in ("", "0")
        self._manager = pluggy.PluginManager("orchestrator")
        self._manager.add_hookspecs(specifications)
        found = {(plugin.kind, plugin.name, plugin.distribution): plugin for plugin in _described(reversed([*points]))}
        kinds = tuple(GROUPS)
        self._plugins = sorted(
            found.values(),
            key=lambda p: (kinds.index(p.kind), p.name, p.distribution != DISTRIBUTION, p.distribution),
        )
        _block(self._plugins, environ)
        for plugin in self._plugins:
            plugin.rivals = tuple(
                other.distribution for other in self._named(plugin.kind, plugin.name) if other is not plugin
            )

    @classmethod
    def discover(cls, environ: Mapping[str, str] | None = None) -> "Catalogue":
        """Read the metadata of every installed distribution once; import no plugin.

        Args:
            environ: see the class; the process's environment where None. With ``ORCHESTRATE_STRICT_PLUGINS=1`` every
                plugin is imported, and one that cannot be used is an error.

        Raises:
            PluginError: plugins are strict, and one is broken, in conflict or made for another interface.
        """
        from importlib.metadata import entry_points

        everything = entry_points()
        points = [point for group in GROUPS.values() for point in everything.select(group=group)]
        environ = os.environ if environ is None else environ
        catalogue = cls(points, environ)
        if environ.get(STRICT, "") not in ("", "0"):
            catalogue.require_sound()
        return catalogue

    # ── the listing ──────────────────────────────────────────────────────────────────────────────────────────────

    def entries(self) -> tuple[PluginEntry, ...]:
        """Every plugin, blocked and broken ones too, ordered by kind and name, the built-in one of a name first."""
        return tuple(plugin.entry() for plugin in self._plugins)

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of a kind that may be asked for, in alphabetical order."""
        return tuple(dict.fromkeys(plugin.name for plugin in self._of(kind) if not plugin.blocked))

    def find(self, kind: str, name: str) -> PluginEntry:
        """Look a plugin up by its name, or by ``distribution:name``; nothing is imported.

        Raises:
            PluginNotFoundError: nobody offers it, or the environment blocks it.
            PluginConflictError: two distributions offer it.
        """
        return self._find(kind, name).entry()

    def used(self, kind: str, name: str, parameters: Mapping[str, Any] | None = None) -> PluginUsed:
        """Describe a plugin as a session records it.

        Raises:
            PluginNotFoundError: nobody offers it, or the environment blocks it.
            PluginConflictError: two distributions offer it.
        """
        plugin = self._find(kind, name)
        return PluginUsed(kind, plugin.name, plugin.distribution, plugin.version, dict(parameters or {}))

    def probe_all(self) -> tuple[PluginEntry, ...]:
        """Import every plugin that is not blocked, so that broken ones show, and list them all."""
        for plugin in self._plugins:
            if not plugin.blocked:
                try:
                    self._load(plugin)
                except PluginLoadError:
                    continue  # its entry says so
        return self.entries()

    def shadows(self, entry: PluginEntry) -> tuple[PluginEntry, ...]:
        """The other plugins of the kind and name: each hides the other until one is named with its distribution."""
        return tuple(
            plugin.entry()
            for plugin in self._plugins
            if (plugin.kind, plugin.name) == (entry.kind, entry.name) and plugin.distribution != entry.distribution
        )

    def require_sound(self) -> None:
        """Import every plugin that is not switched off, and refuse to go on where one could not be used as it stands.

        Raises:
            PluginLoadError: one is broken, or made for another version of the interface.
            PluginConflictError: two distributions offer one name.
        """
        for entry in self.probe_all():
            what = f"the {entry.kind} {entry.name!r} of {entry.distribution} {entry.version}".rstrip()
            way_on = f"leave it out with --disable {entry.distribution}:{entry.name}"
            if entry.status is PluginStatus.BROKEN:
                raise PluginLoadError(entry.kind, entry.name, f"strict plugins: {what}: {entry.reason}; {way_on}")
            if entry.status is PluginStatus.CONFLICT:
                raise PluginConflictError(entry.kind, entry.name, f"strict plugins: {what} is {entry.reason}; {way_on}")

    # ── loading ──────────────────────────────────────────────────────────────────────────────────────────────────

    def load(self, kind: str, name: str) -> PluginEntry:
        """Import and register one plugin; a second time it does nothing.

        Raises:
            PluginNotFoundError: nobody offers it, or the environment blocks it.
            PluginConflictError: two distributions offer it.
            PluginLoadError: it cannot be imported or does not fit its hook; the cause is chained.
        """
        plugin = self._find(kind, name)
        self._load(plugin)
        return plugin.entry()

    def module(self, kind: str, name: str) -> ModuleType:
        """The module of a plugin, imported and registered.

        Raises:
            PluginError: as ``load``.
        """
        return self._load(self._find(kind, name))

    def provider(self, name: str, config: spi.ProviderConfig) -> spi.Provider | None:
        """Build a provider, or None where the environment has no key for it.

        Raises:
            PluginError: as ``load``; also where its hook raises anything but ``SpecError``, or returns no provider.
            SpecError: its options make no sense.
        """
        return self._make("provider", name, contract.provider, config=config)

    def validator(self, name: str) -> spi.Validator:
        """Build a validator.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns no validator.
        """
        return self._make("validator", name, contract.validator)

    def backend(self, name: str, parameters: Mapping[str, Any]) -> spi.Backend:
        """Build a backend from a spec's parameters.

        Raises:
            PluginError: as ``load``; also where its hook raises anything but ``SpecError``, or returns no backend.
            SpecError: the parameters make no sense.
        """
        return self._make("backend", name, contract.backend, parameters=dict(parameters))

    def policy_loader(self, name: str) -> spi.Loader:
        """Build a policy loader.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns no loader.
        """
        loader = self._make("policy_loader", name, contract.policy_loader)
        return _GuardedLoader(loader.suffixes, loader, self._find("policy_loader", name), self._raise)

    def exporter(self, name: str, config: spi.ExporterConfig) -> spi.Exporter:
        """Build an exporter.

        Raises:
            PluginError: as ``load``; also where its hook raises anything but ``SpecError``, or returns no exporter.
            SpecError: its options make no sense.
        """
        return self._make("exporter", name, contract.exporter, config=config)

    def scaffold(self, name: str) -> spi.Scaffold:
        """Build a scaffold.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns no scaffold.
        """
        return self._make("scaffold", name, contract.scaffold)

    def loader_for_suffix(self, suffix: str) -> spi.Loader:
        """Find the policy loader for a file name ending such as ``.yaml``, whatever its case.

        A loader named like the suffix is asked first, then the built-in ones, then the others; one that is broken,
        or in conflict and not named like the suffix, is passed over.

        Raises:
            PluginNotFoundError: no working loader reads such files.
            PluginError: the loader named like the suffix cannot be used.
        """
        wanted = suffix.lower()
        known: list[str] = []
        first = wanted.removeprefix(".")
        usable = (plugin for plugin in self._of("policy_loader") if not plugin.blocked)
        for plugin in sorted(usable, key=lambda each: (each.name != first, each.distribution != DISTRIBUTION)):
            try:
                loader = self.policy_loader(plugin.name)
            except PluginError:
                if plugin.name == first:
                    raise
                continue  # nobody asked for this one
            if wanted in loader.suffixes:
                return loader
            known.extend(loader.suffixes)
        readable = f"readable: {', '.join(sorted(set(known)))}" if known else "no policy loader is usable"
        raise PluginNotFoundError(
            "policy_loader", suffix, f"no policy loader reads {suffix or 'nameless'!r} files; {readable}"
        )

    # ── inside ───────────────────────────────────────────────────────────────────────────────────────────────────

    def _of(self, kind: str) -> Iterator[_Plugin]:
        if kind not in GROUPS:
            raise ValueError(f"{kind!r} is no kind of plugin; there are {', '.join(GROUPS)}")
        return (plugin for plugin in self._plugins if plugin.kind == kind)

    def _named(self, kind: str, name: str) -> list[_Plugin]:
        return [plugin for plugin in self._of(kind) if plugin.name == name and not plugin.blocked]

    def _find(self, kind: str, name: str) -> _Plugin:
        distribution, colon, short = name.rpartition(":")
        matches = self._named(kind, name)
        if colon and not matches:
            matches = [p for p in self._named(kind, short) if p.distribution == _normalised(distribution)]
        if len(matches) > 1:
            choices = " or ".join(plugin.address for plugin in matches)
            switch = f"set {DISABLE}={matches[-1].address} to switch one off"
            raise PluginConflictError(
                kind, name, f"several distributions offer the {kind} {name!r}: say {choices}, or {switch}"
            )
        if not matches:
            raise PluginNotFoundError(kind, name, self._why_missing(kind, name))
        return matches[0]

    def _why_missing(self, kind: str, name: str) -> str:
        for plugin in self._of(kind):
            if plugin.blocked and name in (plugin.name, plugin.address):
                return f"the {plugin.label} is switched off: {plugin.blocked}"
        from difflib import get_close_matches

        names = self.names(kind)
        close = get_close_matches(name.rpartition(":")[2], names, n=1)
        if close:
            return f"no {kind} {name!r} is installed; did you mean {close[0]!r}?"
        return f"no {kind} {name!r} is installed; there are: {', '.join(names) or 'none'}"

    def _load(self, plugin: _Plugin) -> ModuleType:
        if plugin.module is None:
            try:
                plugin.check_interface()
                module = plugin.point.load()
                if not isinstance(module, ModuleType):
                    raise ContractError("an entry point must name a module, not something in it")
                if not self._manager.is_registered(module):  # one module may serve several kinds
                    self._register(plugin, module)
                contract.check_interface(getattr(module, contract.INTERFACE_NAME, None))
                self._check_kind(plugin, module)
                self._note_hooks(plugin, module)
            except (KeyboardInterrupt, GeneratorExit):
                raise
            except BaseException as error:  # a stranger's module may raise anything
                self._broken(plugin, "cannot be loaded", error)
            plugin.module = module
            plugin.problem = ""
            _LOGGER.debug("loaded the %s", plugin.label)
        return plugin.module

    def _register(self, plugin: _Plugin, module: ModuleType) -> None:
        qualified = f"{plugin.kind}:{plugin.address if plugin.rivals else plugin.name}"
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", spi.DeprecatedHook)  # said below, in the program's own words
                self._manager.register(module, qualified)
            self._check_hooks(module)
        except Exception:
            if self._manager.is_registered(module):  # before pluggy 1.7 a refused plugin stays half registered
                self._manager.unregister(module)
            raise

    def _check_hooks(self, module: ModuleType) -> None:
        callers = self._manager.get_hookcallers(module) or []
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            unknown = ", ".join(caller.name for caller in callers if not caller.has_spec())
            hooks = ", ".join(f"orchestrator_{kind}" for kind in GROUPS)
            raise ContractError(f"there is no hook {unknown}; the hooks are {hooks}") from error
        for caller in callers:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is module and contract.is_async(implementation.function):
                    raise ContractError(f"its {caller.name} is async; hooks are plain functions")

    def _check_kind(self, plugin: _Plugin, module: ModuleType) -> None:
        if self._hook_of(plugin.kind, module) is None:
            raise ContractError(f"it has no function orchestrator_{plugin.kind} marked with hookimpl")

    def _hook_of(self, kind: str, module: ModuleType) -> str | None:
        """The name of the hook through which a module serves a kind: the kind's own, else a deprecated one of it."""
        wanted = f"orchestrator_{kind}"
        callers = self._manager.get_hookcallers(module) or ()
        if any(caller.name == wanted for caller in callers):
            return wanted
        return next((each.name for each in map(_deprecation, callers) if each and each.replacement == wanted), None)

    def _note_hooks(self, plugin: _Plugin, module: ModuleType) -> None:
        callers = self._manager.get_hookcallers(module) or ()
        plugin.hooks = tuple(sorted(caller.name for caller in callers))
        plugin.notes = tuple(str(each) for each in map(_deprecation, callers) if each)
        for note in plugin.notes:
            _LOGGER.warning("the %s: %s", plugin.label, note)

    def _make(self, kind: str, name: str, check: Callable[[object], _Made], **arguments: object) -> _Made:
        plugin = self._find(kind, name)
        module = self._load(plugin)
        strangers = [other for _, other in self._manager.list_name_plugin() if other is not module]
        try:
            served = self._hook_of(kind, module)
            assert served is not None
            hook = self._manager.subset_hook_caller(served, strangers)
            made = check(hook(**arguments))
        except SpecError:
            raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            self._broken(plugin, f"failed to build its {kind}", error)
        plugin.problem = ""
        return made

    def _broken(self, plugin: _Plugin, what: str, error: BaseException) -> NoReturn:
        cause = _said(error)
        plugin.problem = f"{what}: {cause}"
        _LOGGER.info("the %s %s: %s", plugin.label, what, cause)
        if self._raise and not isinstance(error, ContractError):
            raise error
        way_on = f"repair or uninstall {plugin.distribution}, or set {DISABLE}={plugin.address}"
        raise PluginLoadError(plugin.kind, plugin.name, f"the {plugin.label} {what}: {cause}; {way_on}") from error


def _deprecation(caller: "pluggy.HookCaller") -> spi.DeprecatedHook | None:
    """What is to be said to whoever implements a hook."""
    warning = caller.spec.warn_on_impl if caller.spec is not None else None
    return warning if isinstance(warning, spi.DeprecatedHook) else None


def _source_of(point: "EntryPoint") -> str:
    """The source of the module that an entry point names, found without importing anything; empty: not found."""
    from importlib.machinery import PathFinder, SourceFileLoader

    path: list[str] | None = None
    names = point.value.partition(":")[0].strip().split(".")
    for depth in range(1, len(names) + 1):
        try:
            found = PathFinder.find_spec(".".join(names[:depth]), path)
        except Exception:  # a stranger's folder or finder may do anything
            return ""
        if found is None:
            return ""
        path = None if found.submodule_search_locations is None else [*found.submodule_search_locations]
    if found is None or not isinstance(found.loader, SourceFileLoader):
        return ""
    try:
        return found.loader.get_source(found.name) or ""
    except (ImportError, OSError, SyntaxError, ValueError):
        return ""


# ── what the metadata says ─────────────────────────────────────────────────────────────────────────────────────────


def _described(points: "Iterable[EntryPoint]") -> Iterator[_Plugin]:
    kinds = {group: kind for kind, group in GROUPS.items()}
    for point in points:
        if point.group in kinds:
            # a stranger's metadata may lack either
            distribution = (point.dist.metadata["Name"] if point.dist else None) or "unknown"
            version = (point.dist.metadata["Version"] if point.dist else None) or ""
            yield _Plugin(point, kinds[point.group], point.name, _normalised(distribution), version)


def _block(plugins: Iterable[_Plugin], environ: Mapping[str, str]) -> None:
    disabled = {word.strip() for word in environ.get(DISABLE, "").split(",")}
    only_built_in = environ.get(_NO_AUTOLOAD, "") not in ("", "0")
    for plugin in plugins:
        if plugin.name in disabled or plugin.address in disabled:
            plugin.blocked = f"named in {DISABLE}"
        elif only_built_in and plugin.distribution != DISTRIBUTION:
            plugin.blocked = f"{_NO_AUTOLOAD} leaves only the built-in plugins"


def _normalised(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def _said(error: BaseException) -> str:
    if isinstance(error, ContractError):
        return str(error)
    try:
        text = " ".join(str(error).split())
    except Exception:  # a stranger's exception may fail even here
        text = ""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({text})"
    name = type(error).__name__
    return f"{name}: {text}"[:_LONGEST_CAUSE] if text else name
