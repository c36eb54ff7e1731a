"""The contract suites of what is installed: one class per plugin, built through its entry point as a run builds it."""

from collections.abc import Iterable, Mapping
from types import ModuleType
from typing import Any, ClassVar
from unittest import SkipTest

from orchestrator import plugin_kinds
from orchestrator.errors import PluginError, SpecError
from orchestrator.plugin_kinds import ContractError
from orchestrator.plugins import Catalogue, PluginEntry, PluginStatus
from orchestrator.plugins.plugin_status import normalised
from orchestrator.testing.contracts import SUITES, PluginContract

CONTRACT_NAME = "orchestrator_contract"
"""The name in a plugin's module that holds what its suite needs, such as ``{"options": {...}}``."""

Given = Mapping[str, Mapping[str, Any]]
"""Attributes of the suites, by ``kind:name``."""


def suites_of(
    catalogue: Catalogue, distribution: str | None = None, given: Given | None = None
) -> dict[str, type[PluginContract]]:
    """A suite for every plugin of a distribution, or of all, that is not switched off, by the name of its class.

    ``distribution`` may also be the word of plugins, or ``distribution:word``.

    What a module holds in ``orchestrator_contract``, and then what is ``given``, becomes attributes of its suite. A
    plugin that cannot be imported gets a suite of one test, which says so.
    """
    made = (_suite(catalogue, entry, given or {}) for entry in _wanted(catalogue.entries(), distribution))
    return {suite.__name__: suite for suite in made if suite is not None}


def _wanted(entries: Iterable[PluginEntry], wanted: str | None) -> list[PluginEntry]:
    """Those of the distribution of that name, or else those of that word."""
    usable = [entry for entry in entries if entry.status is not PluginStatus.BLOCKED]
    if wanted is None:
        return usable
    of_distribution = [entry for entry in usable if entry.distribution == normalised(wanted)]
    return of_distribution or [e for e in usable if wanted in (e.name, f"{e.distribution}:{e.name}")]


def _suite(catalogue: Catalogue, entry: PluginEntry, given: Given) -> type[PluginContract] | None:
    base = SUITES.get(entry.kind)
    if base is None:
        return None
    address = f"{entry.distribution}:{entry.name}"
    try:
        module: ModuleType | None = catalogue.module(entry.kind, address)
    except PluginError as error:
        return type(_named(entry), (NotLoaded,), {"kind": entry.kind, "error": error, "__doc__": str(error)})
    own = getattr(module, CONTRACT_NAME, {})
    if not isinstance(own, Mapping) or not all(hasattr(base, name) for name in own):
        wrong = ContractError(f"{CONTRACT_NAME} is a mapping of what {base.__name__} may be given, not {own!r}"[:300])
        return type(_named(entry), (NotLoaded,), {"kind": entry.kind, "error": wrong, "__doc__": str(wrong)})
    attributes = {"plugin": module, **own, **given.get(f"{entry.kind}:{entry.name}", {})}
    if entry.kind == "provider":
        attributes.setdefault("name", entry.name)
    return type(
        _named(entry), (base,), {**attributes, "build": _build(entry.kind), "__doc__": f"The {entry.kind} {address}."}
    )


class NotLoaded(PluginContract):
    """What is left of the contract where there is no module to ask: one test, which says why."""

    error: ClassVar[Exception]

    def test_it_can_be_loaded(self) -> None:
        """It is imported and fits its hook."""
        raise AssertionError(str(self.error))

    test_the_module_has_the_hook_of_its_kind = test_it_is_made_for_this_interface = None  # type: ignore[assignment]


def _build(kind: str) -> Any:
    def build(self: PluginContract, **arguments: object) -> Any:
        """Ask the hook; options that are needed and not given leave the test out."""
        assert self.plugin is not None
        hook = getattr(self.plugin, plugin_kinds.KINDS[kind].hook, None)
        assert hook is not None, f"{self.plugin.__name__} has no function {plugin_kinds.KINDS[kind].hook}"
        try:
            return plugin_kinds.KINDS[kind].check(hook(**arguments))
        except SpecError as error:
            asked: Any = arguments.get("parameters", getattr(arguments.get("config"), "options", {}))
            if dict(asked) != dict(self.options):
                raise
            raise SkipTest(f"it needs options: {error}; put them into {CONTRACT_NAME} in its module") from error

    return build


def _named(entry: PluginEntry) -> str:
    words = f"{entry.kind}_{entry.name}"
    return "Test_" + "".join(letter if letter.isalnum() else "_" for letter in words)
