"""Importing plugins, registering them, and having their hooks build what they offer.

Third-party code runs in a thread that is left behind when it does not come back. Whatever else it does, the plugin is
broken and nothing else is.
"""

import logging
import warnings
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Final, NoReturn, TypeVar

import pluggy
from attrs import define

from orchestrator import plugin_kinds, spi
from orchestrator.deadlines import EscapedError, OutOfTimeError, run_in_thread
from orchestrator.errors import ExhaustedError, PluginLoadError, SpecError, present
from orchestrator.plugin_kinds import KINDS, ContractError
from orchestrator.plugins import plugin_status
from orchestrator.plugins.plugin_status import DISABLE, Plugin

PATIENCE: Final = 30.0
"""Seconds a third-party module may take to be imported, and its hook to build an object."""

_LONGEST_CAUSE: Final = 500
_LOGGER: Final = logging.getLogger("orchestrator.plugins")

_Made = TypeVar("_Made")


class PluginLoader:
    """Loads plugins into one pluggy manager.

    Args:
        specifications: what has the hook specifications.
        lets_through: errors of plugins reach the caller unchanged.
    """

    def __init__(self, specifications: ModuleType, lets_through: bool) -> None:
        self.lets_through = lets_through
        self._manager = pluggy.PluginManager("orchestrator")
        self._manager.add_hookspecs(specifications)

    def module(self, plugin: Plugin) -> ModuleType:
        """The module of a plugin, imported and registered; a second time it does nothing.

        Raises:
            PluginLoadError: it cannot be imported or does not fit its hook; the cause is chained.
        """
        if not plugin.lock.acquire(timeout=PATIENCE):
            self._broken(plugin, "cannot be loaded", OutOfTimeError("it is still being loaded"))
        try:
            return plugin.module or self._loaded(plugin)
        finally:
            plugin.lock.release()

    def make(self, plugin: Plugin, check: Callable[[object], _Made], **arguments: object) -> _Made:
        """What the hook of a plugin builds, checked.

        Raises:
            PluginLoadError: as ``module``; also where the hook raises, or returns something else.
            SpecError: the hook says that what the user set makes no sense.
        """
        module = self.module(plugin)
        others = [other for _, other in self._manager.list_name_plugin() if other is not module]
        try:
            served = present(self._hook_of(plugin.kind, module), "served")
            hook = self._manager.subset_hook_caller(served, others)
            made = _patiently(plugin, lambda: check(hook(**arguments)))
        except (SpecError, ExhaustedError):
            raise
        except (KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            self._broken(plugin, f"failed to build its {plugin.kind}", error)
        plugin.problem = ""
        return made

    def _loaded(self, plugin: Plugin) -> ModuleType:
        try:
            plugin.check_interface()
            if plugin.point.pattern.match(plugin.point.value) is None:
                raise ContractError(f"its entry point says {plugin.point.value!r}, which names no module")
            module = _patiently(plugin, plugin.point.load)
            if not isinstance(module, ModuleType):
                raise ContractError("an entry point must name a module, not something in it")
            if not self._manager.is_registered(module):  # one module may serve several kinds
                self._register(plugin, module)
            plugin_kinds.check_interface(getattr(module, plugin_kinds.INTERFACE_NAME, None))
            self._check_kind(plugin, module)
            self._note_hooks(plugin, module)
        except (ExhaustedError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:  # a third-party module may raise anything
            self._broken(plugin, "cannot be loaded", error)
        plugin.module = module
        plugin.problem = ""
        _LOGGER.debug("loaded the %s", plugin.label)
        return module

    def _register(self, plugin: Plugin, module: ModuleType) -> None:
        qualified = f"{plugin.kind}:{plugin.address if plugin.rivals else plugin.name}"
        if plugin.is_local:
            qualified += f"@{id(module)}"  # several runs of a process may each have one of this name
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", spi.DeprecatedHook)  # said below, in the program's own words
                self._manager.register(module, qualified)
            self._check_hooks(module)
        except Exception as error:
            if self._manager.is_registered(module):  # before pluggy 1.7 a refused plugin stays half registered
                self._manager.unregister(module)
            if isinstance(error, pluggy.PluginValidationError):
                raise ContractError(str(error).strip().splitlines()[-1]) from error  # the lines before name the module
            raise

    def _check_hooks(self, module: ModuleType) -> None:
        callers = self._manager.get_hookcallers(module) or []
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            unknown = ", ".join(caller.name for caller in callers if not caller.has_spec())
            hooks = ", ".join(kind.hook for kind in KINDS.values())
            raise ContractError(f"there is no hook {unknown}; the hooks are {hooks}") from error
        for caller in callers:
            for implementation in caller.get_hookimpls():
                if implementation.plugin is module and plugin_kinds.is_async(implementation.function):
                    raise ContractError(f"its {caller.name} is async; hooks are plain functions")

    def _check_kind(self, plugin: Plugin, module: ModuleType) -> None:
        if self._hook_of(plugin.kind, module) is None:
            raise ContractError(f"it has no function {KINDS[plugin.kind].hook} marked with hookimpl")

    def _hook_of(self, kind: str, module: ModuleType) -> str | None:
        """The name of the hook through which a module serves a kind: the kind's own, else a deprecated one of it."""
        wanted = KINDS[kind].hook
        callers = self._manager.get_hookcallers(module) or ()
        if any(caller.name == wanted for caller in callers):
            return wanted
        return next((each.name for each in map(_deprecation, callers) if each and each.replacement == wanted), None)

    def _note_hooks(self, plugin: Plugin, module: ModuleType) -> None:
        callers = self._manager.get_hookcallers(module) or ()
        plugin.hooks = tuple(sorted(caller.name for caller in callers))
        plugin.notes = tuple(str(each) for each in map(_deprecation, callers) if each)
        for note in plugin.notes:
            _LOGGER.warning("the %s: %s", plugin.label, note)

    def _broken(self, plugin: Plugin, what: str, error: BaseException) -> NoReturn:
        cause = _said(error)
        plugin.problem = f"{what}: {cause}"
        _LOGGER.info("the %s %s: %s", plugin.label, what, cause)
        if self.lets_through and not isinstance(error, ContractError):
            raise error
        mend = f"repair or uninstall {plugin.distribution}" if plugin.distribution else "repair it"
        way_on = f"{mend}, or set {DISABLE}={plugin.address}"
        raise PluginLoadError(plugin.kind, plugin.name, f"the {plugin.label} {what}: {cause}; {way_on}") from error


@define(eq=False)
class GuardedLoader:
    """A policy loader that can only give a mapping, or raise what the user is shown as a line."""

    suffixes: tuple[str, ...]
    loader: spi.Loader
    plugin: Plugin
    lets_through: bool

    def load(self, text: str, source: str) -> tuple[Mapping[str, Any], Mapping[tuple[str | int, ...], int]]:
        """See ``Loader``; PluginLoadError where it raises something else or returns something else."""
        try:
            return _patiently(self.plugin, lambda: plugin_kinds.loaded(self.loader.load(text, source)))
        except (SpecError, ExhaustedError, KeyboardInterrupt, GeneratorExit):
            raise
        except BaseException as error:
            if self.lets_through and not isinstance(error, ContractError):
                raise
            said = f"{source}: the {self.plugin.label} failed: {_said(error)}"
            raise PluginLoadError(self.plugin.kind, self.plugin.name, said) from error


def _patiently(plugin: Plugin, call: Callable[[], _Made]) -> _Made:
    """What a plugin's code gives. A third-party one is given so much time, and not called again after that."""
    if plugin.timed_out:
        raise OutOfTimeError("it has not come back before")
    if not plugin_status.is_isolated(plugin.distribution) or KINDS[plugin.kind].has_deadlines:
        return call()
    try:
        return run_in_thread(call, PATIENCE)
    except OutOfTimeError:
        plugin.timed_out = True
        raise


def _deprecation(caller: "pluggy.HookCaller") -> spi.DeprecatedHook | None:
    """What is to be said to the author of a hook."""
    warning = caller.spec.warn_on_impl if caller.spec is not None else None
    return warning if isinstance(warning, spi.DeprecatedHook) else None


def _said(error: BaseException) -> str:
    if isinstance(error, ContractError | EscapedError | OutOfTimeError):
        return str(error)
    try:
        text = " ".join(str(error).split())
    except Exception:  # a third-party exception may fail even here
        text = ""
    if isinstance(error, SystemExit):
        return f"it called sys.exit({text})"
    name = type(error).__name__
    return f"{name}: {text}"[:_LONGEST_CAUSE] if text else name
