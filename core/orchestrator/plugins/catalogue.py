"""The porter: lists the installed plugins without importing any, and loads those a run names, one by one.

A plugin that cannot be imported, or that misbehaves while it builds its object, is shown as broken with the reason
and takes nothing else down. What the listing knows comes from the metadata of the installed distributions alone.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy, deepcopy
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import evolve

from orchestrator import plugin_kinds, spi
from orchestrator.documents.nearest import nearest
from orchestrator.errors import PluginConflictError, PluginError, PluginLoadError, PluginNotFoundError
from orchestrator.events import PluginUsed
from orchestrator.plugins.entry_points import installed_points
from orchestrator.plugins.loading import GuardedLoader, PluginLoader
from orchestrator.plugins.local_plugins import LocalPoint, files_named, plugins_of_files
from orchestrator.plugins.plugin_status import (
    DISABLE,
    GROUPS,
    RAISE,
    STRICT,
    Plugin,
    PluginEntry,
    PluginStatus,
    block,
    described,
    normalised,
)
from orchestrator.spi import hookspecs

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

    import click

    from orchestrator.log.protocol import StoreKind

_Made = TypeVar("_Made")


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
        self, points: "Iterable[EntryPoint]", environ: Mapping[str, str], specifications: ModuleType = hookspecs
    ) -> None:
        self._environ = environ
        self._loader = PluginLoader(specifications, environ.get(RAISE, "") not in ("", "0"))
        found = {(plugin.kind, plugin.name, plugin.distribution): plugin for plugin in described(reversed([*points]))}
        self._plugins = sorted(found.values(), key=_order)
        block(self._plugins, environ)
        for plugin in self._plugins:
            plugin.rivals = tuple(
                other.distribution for other in self._named(plugin.kind, plugin.name) if other is not plugin
            )

    @classmethod
    def discover(cls, environ: Mapping[str, str] | None = None) -> "Catalogue":
        """Read the metadata of every installed distribution once; import no plugin.

        A distribution whose metadata cannot be read is passed over with a warning. Files of plugins that the
        environment (``ORCHESTRATE_PLUGINS``, which ``--plugin`` sets) or the user's configuration names are among them.

        Args:
            environ: see the class; the process's environment where None. With ``ORCHESTRATE_STRICT_PLUGINS=1`` every
                plugin is imported, and one that cannot be used is an error.

        Raises:
            PluginError: plugins are strict, and one is broken, in conflict or made for another interface.
            UsageError: a file of plugins cannot be used.
            SpecError: the user's configuration cannot be used.
        """
        environ = os.environ if environ is None else environ
        catalogue = cls(installed_points(GROUPS.values()), environ)
        files = files_named(environ)
        if files:
            catalogue = catalogue.with_local(plugins_of_files(files))
        if environ.get(STRICT, "") not in ("", "0"):
            catalogue.require_sound()
        return catalogue

    def with_local(self, plugins: Iterable[Plugin]) -> "Catalogue":
        """The catalogue with plugins that no distribution brings; one of them hides the installed one of its name."""
        added = tuple(plugins)
        if not added:
            return self
        block(added, self._environ)
        names = {(each.kind, each.name): each.point.value for each in added if not each.blocked}
        other = copy(self)
        other._plugins = sorted([*(_hidden(each, names) for each in self._plugins), *added], key=_order)
        return other

    def entries(self, kind: str | None = None) -> tuple[PluginEntry, ...]:
        """Every plugin (of a kind), blocked and broken ones too, by kind and name, the built-in one of a name first."""
        return tuple(plugin.entry() for plugin in self._plugins if kind in (None, plugin.kind))

    def names(self, kind: str) -> tuple[str, ...]:
        """The names of a kind that may be asked for, in alphabetical order."""
        return tuple(dict.fromkeys(plugin.name for plugin in self._of(kind) if not plugin.blocked))

    def find(self, kind: str, name: str) -> PluginEntry:
        """Look a plugin up by its name, or by ``distribution:name``; nothing is imported.

        Raises:
            PluginNotFoundError: it is not installed, or the environment blocks it.
            PluginConflictError: two distributions offer it.
        """
        return self._find(kind, name).entry()

    def used(self, kind: str, name: str, parameters: Mapping[str, Any] | None = None) -> PluginUsed:
        """Describe a plugin as a session records it.

        Raises:
            PluginNotFoundError: it is not installed, or the environment blocks it.
            PluginConflictError: two distributions offer it.
        """
        plugin = self._find(kind, name)
        used = PluginUsed(kind, plugin.name, plugin.distribution, plugin.version, dict(parameters or {}))
        if isinstance(plugin.point, LocalPoint):
            return evolve(used, qualified_name=plugin.point.value, source_digest=plugin.point.digest)
        return used

    def probe_all(self) -> tuple[PluginEntry, ...]:
        """Import every plugin that is not blocked, so that broken ones show, and list them all."""
        for plugin in self._plugins:
            if not plugin.blocked:
                try:
                    self._loader.module(plugin)
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
            what = f"the {entry.label}"
            way_on = f"leave it out with --disable {entry.distribution}:{entry.name}"
            if entry.status is PluginStatus.BROKEN:
                raise PluginLoadError(entry.kind, entry.name, f"strict plugins: {what}: {entry.reason}; {way_on}")
            if entry.status is PluginStatus.CONFLICT:
                raise PluginConflictError(entry.kind, entry.name, f"strict plugins: {what} is {entry.reason}; {way_on}")

    def load(self, kind: str, name: str) -> PluginEntry:
        """Import and register one plugin; a second time it does nothing.

        Raises:
            PluginNotFoundError: it is not installed, or the environment blocks it.
            PluginConflictError: two distributions offer it.
            PluginLoadError: it cannot be imported or does not fit its hook; the cause is chained.
        """
        plugin = self._find(kind, name)
        self._loader.module(plugin)
        return plugin.entry()

    def module(self, kind: str, name: str) -> ModuleType:
        """The module of a plugin, imported and registered.

        Raises:
            PluginError: as ``load``.
        """
        return self._loader.module(self._find(kind, name))

    def provider(self, name: str, config: spi.ProviderConfig) -> spi.Provider | None:
        """Build a provider, or None where the environment has no key for it.

        Raises:
            PluginError: as ``load``; also where its hook raises anything but ``SpecError``, or returns no provider.
            SpecError: its options make no sense.
        """
        return self._make("provider", name, plugin_kinds.provider, config=config)

    def validator(self, name: str) -> spi.Validator:
        """Build a validator.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns no validator.
        """
        return self._make("validator", name, plugin_kinds.validator)

    def scorer(self, name: str, parameters: Mapping[str, Any]) -> spi.Scorer:
        """Build a scorer from a spec's parameters.

        Raises:
            PluginError: as ``load``; also where its hook raises anything but ``SpecError``, or returns no scorer.
            SpecError: the parameters make no sense.
        """
        return self._make("scorer", name, plugin_kinds.scorer, parameters=deepcopy(dict(parameters)))

    def backend(self, name: str, parameters: Mapping[str, Any]) -> spi.Backend:
        """Build a backend from a spec's parameters.

        Raises:
            PluginError: as ``load``; also where its hook raises anything but ``SpecError``, or returns no backend.
            SpecError: the parameters make no sense.
        """
        return self._make("backend", name, plugin_kinds.backend, parameters=deepcopy(dict(parameters)))

    def policy_loader(self, name: str) -> spi.Loader:
        """Build a policy loader.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns no loader.
        """
        loader = self._make("policy_loader", name, plugin_kinds.policy_loader)
        return GuardedLoader(loader.suffixes, loader, self._find("policy_loader", name), self._loader.lets_through)

    def exporter(self, name: str, config: spi.ExporterConfig) -> spi.Exporter:
        """Build an exporter.

        Raises:
            PluginError: as ``load``; also where its hook raises anything but ``SpecError``, or returns no exporter.
            SpecError: its options make no sense.
        """
        return self._make("exporter", name, plugin_kinds.exporter, config=config)

    def scaffold(self, name: str) -> spi.Scaffold:
        """Build a scaffold.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns no scaffold.
        """
        return self._make("scaffold", name, plugin_kinds.scaffold)

    def store(self, name: str) -> "StoreKind":
        """What opens the stores whose addresses begin with a name, such as ``sqlite``.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns something else.
        """
        return self._make("store", name, plugin_kinds.store)

    def executor(self, name: str) -> spi.Executor:
        """Build an executor.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns no executor.
        """
        return self._make("executor", name, plugin_kinds.executor)

    def command(self, name: str) -> "click.Command":
        """Build a command.

        Raises:
            PluginError: as ``load``; also where its hook raises, or returns no command.
        """
        return self._make("command", name, plugin_kinds.command)

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
        for plugin in sorted(usable, key=lambda each: (each.name != first, not each.is_built_in)):
            try:
                loader = self.policy_loader(plugin.name)
            except PluginError:
                if plugin.name == first:
                    raise
                continue  # this one was not asked for
            if wanted in loader.suffixes:
                return loader
            known.extend(loader.suffixes)
        readable = f"readable: {', '.join(sorted(set(known)))}" if known else "no policy loader is usable"
        raise PluginNotFoundError(
            "policy_loader", suffix, f"no policy loader reads {suffix or 'nameless'!r} files; {readable}"
        )

    def _of(self, kind: str) -> Iterator[Plugin]:
        if kind not in GROUPS:
            raise ValueError(f"{kind!r} is no kind of plugin; there are {', '.join(GROUPS)}")
        return (plugin for plugin in self._plugins if plugin.kind == kind)

    def _named(self, kind: str, name: str) -> list[Plugin]:
        return [plugin for plugin in self._of(kind) if plugin.name == name and not plugin.blocked]

    def _find(self, kind: str, name: str) -> Plugin:
        distribution, colon, short = name.rpartition(":")
        matches = self._named(kind, name)
        if colon and not matches:
            matches = [p for p in self._named(kind, short) if p.distribution == normalised(distribution)]
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
        names = self.names(kind)
        close = nearest(name.rpartition(":")[2], names)
        if close:
            return f"no {kind} {name!r} is installed; did you mean {close!r}?"
        return f"no {kind} {name!r} is installed; there are: {', '.join(names) or 'none'}"

    def _make(self, kind: str, name: str, check: Callable[[object], _Made], **arguments: object) -> _Made:
        return self._loader.make(self._find(kind, name), check, **arguments)


def _order(plugin: Plugin) -> tuple[int, str, bool, str]:
    return [*GROUPS].index(plugin.kind), plugin.name, not plugin.is_built_in, plugin.distribution


def _hidden(plugin: Plugin, names: Mapping[tuple[str, str], str]) -> Plugin:
    """The plugin, switched off where one of these names hides it."""
    by = names.get((plugin.kind, plugin.name))
    return plugin if by is None else evolve(plugin, blocked=f"hidden by {by}", module=None)
