"""Whether the names in specs and policies are names of something: a misspelt deny-list would deny nothing."""

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from attrs import Factory, define

from orchestrator.engine.command_validators import plugins_of_commands
from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.provider_survey import Offers, offers_of, survey
from orchestrator.models import ROUTING_TABLE, SLOT_ALIASES
from orchestrator.plugins.local_plugins import plugins_of_files
from orchestrator.spec.value_kinds import ELSEWHERE, NameOf, NameUse, suggestion
from orchestrator.trust.wanted_capabilities import plugin_files

if TYPE_CHECKING:
    from orchestrator.plugins import Catalogue
    from orchestrator.spec import Spec

REGIONS: Final = ("global", "eu", "us", "uk", "ch", "ca", "cn", "jp", "kr", "in", "sg", "au", "br")
"""The regions that may be named though no installed model is declared for them."""

_PLUGINS: Final = {
    NameOf.PROVIDER: "provider",
    NameOf.VALIDATOR: "validator",
    NameOf.BACKEND: "backend",
    NameOf.EXPORTER: "exporter",
    NameOf.SCORER: "scorer",
}


def unknown_names(
    uses: Iterable[NameUse], catalogue: "Catalogue", environment: Environment, spec: "Spec | None" = None
) -> list[str]:
    """A line for each name that is nothing's, with its place and what it may have meant.

    Known are all installed plugins, the models and vendors of all installed providers, with or without a key, and
    what the spec itself declares.
    """
    known = KnownNames(catalogue, environment, spec)
    return list(dict.fromkeys(text for use in sorted(uses, key=_place) for text in _problem(use, known)))


def _place(use: NameUse) -> tuple[str, int]:
    return use.place.partition(":")[0], use.line


def _problem(use: NameUse, known: "KnownNames") -> Iterator[str]:
    name = use.name.lower() if use.kind is NameOf.PARTY else use.name  # as policies compare them
    if name in known.cheaply(use.kind) or name in known.all(use.kind):
        return
    near = suggestion(use.name, known.all(use.kind))
    elsewhere = "" if use.kind in _PLUGINS else f"; write '{ELSEWHERE}{use.name}' for one that is not installed here"
    yield f"{use.place}: there is no {use.kind} {use.name!r}{near or _listed(known, use.kind)}{elsewhere}"


def _listed(known: "KnownNames", kind: NameOf) -> str:
    if kind in _PLUGINS:
        return f"; installed are {', '.join(known.catalogue.names(_PLUGINS[kind])) or 'none'}"
    return "; see: orchestrate models list --all" if kind in (NameOf.MODEL, NameOf.SLOT) else ""


@define
class KnownNames:
    """What there is; the providers are built only where a name is not found without them."""

    catalogue: "Catalogue"
    environment: Environment
    spec: "Spec | None"
    _found: dict[NameOf, dict[str, None]] = Factory(dict)
    _offers: Offers | None = None

    def cheaply(self, kind: NameOf) -> dict[str, None]:
        """The names that are known without any provider."""
        models = () if self.spec is None else self.spec.models
        match kind:
            case NameOf.PARTY:
                own = [name.lower() for model in models for name in (model.provider, model.vendor)]
                return dict.fromkeys((*self.catalogue.names("provider"), *map(str.lower, self._instances()), *own))
            case NameOf.MODEL:
                own = [name for model in models for name in (model.id, model.sent_name, *model.slots)]
                return dict.fromkeys((*_slots(), *own))
            case NameOf.SLOT:
                table = () if self.spec is None else self.spec.routing.table.values()
                return dict.fromkeys((*_slots(), *(name for row in table for name in row)))
            case NameOf.REGION:
                return dict.fromkeys((*REGIONS, *(name for model in models for name in model.regions)))
            case NameOf.PROVIDER:
                return dict.fromkeys((*self._plugins("provider"), *self._instances()))
        return dict.fromkeys(self._plugins(_PLUGINS[kind]))

    def _instances(self) -> Iterator[str]:
        """The names that the spec gives to providers of a type."""
        providers = {} if self.spec is None else self.spec.providers
        return (name for name, options in providers.items() if "type" in options)

    def _plugins(self, kind: str) -> Iterator[str]:
        """The names of plugins of a kind, those that cannot be used, too: why not is said where they are loaded."""
        for entry in self.catalogue.entries():
            if entry.kind == kind:
                yield from (entry.name, f"{entry.distribution}:{entry.name}")
        if self.spec is not None:  # none of their code is run
            brought = (*plugins_of_files(plugin_files(self.spec)), *plugins_of_commands(self.spec))
            yield from (plugin.name for plugin in brought if plugin.kind == kind)

    def all(self, kind: NameOf) -> dict[str, None]:
        """The names that are known."""
        if kind not in self._found:
            self._found[kind] = {**self.cheaply(kind), **dict.fromkeys(self._offered(kind))}
        return self._found[kind]

    def _offered(self, kind: NameOf) -> Iterator[str]:
        """What the models of all installed providers bring, and those of the spec's."""
        if kind in _PLUGINS:
            return
        offers = self._survey()
        if kind is NameOf.MODEL:
            yield from offers.retired
        for model in offers.models:
            match kind:
                case NameOf.PARTY:
                    yield from (model.vendor.lower(), model.provider.lower())
                case NameOf.MODEL:
                    yield from (model.id, model.sent_name, *model.slots)
                case NameOf.REGION:
                    yield from model.regions
                case NameOf.SLOT if self.spec is None or model not in self.spec.models:
                    yield from model.slots

    def _survey(self) -> Offers:
        if self._offers is None:
            found = survey(self.catalogue, self.environment)
            if self.spec is not None and self.spec.providers:
                found = (*survey(self.catalogue, self.environment, self.spec), *found)
            declared = () if self.spec is None else self.spec.models
            self._offers = offers_of(found, declared)
        return self._offers


def _slots() -> tuple[str, ...]:
    """The slots that the program itself knows, with their older names."""
    table = dict.fromkeys(slot for row in ROUTING_TABLE.values() for slot in row)
    return (*table, *SLOT_ALIASES, *SLOT_ALIASES.values())
