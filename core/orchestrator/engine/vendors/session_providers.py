"""From a spec to the providers, models, slots and backend of one session."""

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from attrs import Factory, define, evolve, frozen

from orchestrator.engine.command_validators import plugins_of_commands
from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.instances import Instance, instances_of
from orchestrator.engine.vendors.isolated_provider import IsolatedProvider, isolate
from orchestrator.engine.vendors.listed_models import ListedModels, narrow, unlisted
from orchestrator.engine.vendors.price_age import old_prices
from orchestrator.errors import NoProviderError, PluginError, SpecError
from orchestrator.events import PluginUsed
from orchestrator.models import AUTO, SLOT_ALIASES, ModelInfo
from orchestrator.models.offers import qualified
from orchestrator.plugins.local_plugins import plugins_of_files, qualified_name, source_digest
from orchestrator.spi import Backend, BatchProvider, Provider, Scorer
from orchestrator.trust.addresses import is_local
from orchestrator.trust.wanted_capabilities import plugin_files

if TYPE_CHECKING:
    import httpx

    from orchestrator.plugins import Catalogue
    from orchestrator.spec import Spec

_LOGGER: Final = logging.getLogger("orchestrator.providers")


@frozen
class Connected:
    """Everything a session can call."""

    providers: Mapping[str, Provider]
    models: tuple[ModelInfo, ...]
    slots: dict[str, str]
    backend: Backend
    plugins: tuple[PluginUsed, ...]
    simulated: bool
    validators: tuple[str, ...]
    catalogue: "Catalogue"
    """The plugins of the session: those of the process, and those that only the spec brings."""
    scorer: Scorer | None = None
    """What scores outputs in place of a judge, where the spec names it."""

    @property
    def local(self) -> tuple[str, ...]:
        """The providers whose address is this machine's own."""
        return tuple(name for name, provider in self.providers.items() if is_local(getattr(provider, "base_url", None)))

    async def close(self) -> None:
        """End what third-party providers keep open."""
        for provider in self.providers.values():
            if isinstance(provider, IsolatedProvider):
                await provider.aclose()


def connect(
    catalogue: "Catalogue", spec: "Spec", environment: Environment, backend: Backend | None = None
) -> Connected:
    """Load what the spec names, or every provider the environment has a key for.

    ``backend`` is an object that is no plugin; it is recorded under the name the spec has for it.

    Raises:
        NoProviderError: nothing is usable; the message lists the variables.
        SpecError: options, or a mix of simulated and real providers.
        PluginError: a plugin cannot be used.
        UsageError: a plugin file of the spec cannot be used.
    """
    catalogue = with_plugins_of(spec, catalogue)
    instances = {each.name: each for each in instances_of(spec.providers, catalogue.names("provider"))}
    providers = dict(_providers(catalogue, spec, instances.values(), environment))
    _check_mix(providers)
    lists = narrow(providers, partial(client_of, spec, environment))
    models = offered(providers, spec.models, instances)
    _refuse_retired(providers, spec, models)
    if not models:
        raise NoProviderError(_advice(providers, lists, environment))
    simulated = any(provider.simulated for provider in providers.values())
    old = None if simulated else old_prices(models, datetime.now(UTC).date())
    if old is not None:
        _LOGGER.warning("%s", old)
    name = spec.routing.backend or "greedy"
    parameters = dict(spec.routing.parameters)
    validators = _validators(catalogue, spec)
    scored_by = () if spec.evaluate.scorer is None else (spec.evaluate.scorer,)
    plugins = (
        *(catalogue.used("provider", plugin) for plugin in dict.fromkeys(instances[name].type for name in providers)),
        catalogue.used("backend", name, parameters) if backend is None else _of_object("backend", name, backend),
        *(catalogue.used("validator", validator) for validator in validators),
        *(catalogue.used("scorer", each, spec.evaluate.parameters) for each in scored_by),
        *_installed(catalogue, "exporter", spec.exporters),
        *_installed(catalogue, "scaffold", _scaffolds(catalogue, spec)),
    )
    return Connected(
        providers=providers,
        models=models,
        slots=slots_of(models),
        backend=catalogue.backend(name, parameters) if backend is None else backend,
        plugins=plugins,
        simulated=simulated,
        validators=validators,
        catalogue=catalogue,
        scorer=next((catalogue.scorer(each, spec.evaluate.parameters) for each in scored_by), None),
    )


def _of_object(kind: str, name: str, made: object) -> PluginUsed:
    return PluginUsed(kind, name, "", "", qualified_name=qualified_name(made), source_digest=source_digest(made))


def with_plugins_of(spec: "Spec", catalogue: "Catalogue") -> "Catalogue":
    """A catalogue with what a spec brings that its user has agreed to: its plugin files, and its commands.

    Raises:
        UsageError: a plugin file cannot be used.
    """
    return catalogue.with_local([*plugins_of_files(plugin_files(spec)), *plugins_of_commands(spec)])


def _providers(
    catalogue: "Catalogue", spec: "Spec", instances: Iterable[Instance], environment: Environment
) -> Iterable[tuple[str, Provider]]:
    for each in instances:
        looked = _Looked(environment)
        try:
            provider = _built(catalogue, spec, each, environment, looked)
        except PluginError:
            if spec.providers:
                raise
            continue  # a broken third-party plugin does not stop a run that did not ask for it
        if provider is None and spec.providers:
            raise NoProviderError(f"provider {each.name!r} {_lacking(each, looked)}")
        if provider is not None and (spec.providers or not provider.simulated):  # pretending is never a default
            yield each.name, provider


@define
class _Looked:
    """Notes what a provider looks for in the environment in vain."""

    environment: Environment
    keys: dict[str, None] = Factory(dict)
    others: dict[str, None] = Factory(dict)

    def secret(self, name: str) -> str | None:
        return _noted(name, self.environment.secret(name), self.keys)

    def variable(self, name: str) -> str | None:
        return _noted(name, self.environment.variable(name), self.others)


def _noted(name: str, found: str | None, unset: dict[str, None]) -> str | None:
    if not (found and found.strip()):
        unset[name] = None
    return found


def _lacking(instance: Instance, looked: _Looked) -> str:
    """What an instance lacks that cannot be used, and what to set."""
    headers = instance.options.get("headers")
    values = headers.values() if isinstance(headers, Mapping) else ()
    wanted = (instance.options.get("api_key_env"), *(str(value).removeprefix("env:") for value in values))
    named = [variable for variable in looked.keys if variable in wanted]
    if named:
        verb = "is" if len(named) == 1 else "are"
        return f"cannot be used: the spec names {' and '.join(named)} for it, which {verb} not set"
    if looked.keys:
        return f"has no key; set {' or '.join(looked.keys)}"
    if looked.others:
        return f"has no address; set {' or '.join(looked.others)}, or its base_url in the spec"
    return "cannot be used here; it looks at no variable"


def _built(
    catalogue: "Catalogue", spec: "Spec", instance: Instance, environment: Environment, looked: _Looked
) -> Provider | None:
    config = instance.config(spec.models, looked.secret, looked.variable, spec.folder)
    provider = catalogue.provider(instance.type, config)
    if provider is None:
        return None
    isolated = isolate(provider, catalogue.used("provider", instance.type), partial(client_of, spec, environment))
    strange = {model.provider for model in isolated.models()} - {instance.name}
    if strange:
        said = f"its models are of the provider {min(strange)!r}; say ModelInfo(provider={instance.name!r}, …)"
        raise SpecError([f"providers.{instance.name}: {said}"])
    return isolated


def _validators(catalogue: "Catalogue", spec: "Spec") -> tuple[str, ...]:
    """The validators a plan may name: those that are alone with their name, and those a spec tells from another."""
    alone = [
        entry.name
        for entry in catalogue.entries()
        if entry.kind == "validator" and entry.status in ("available", "loaded")
    ]
    addressed = {name: None for task in spec.tasks for name in task.hard_validators if ":" in name}
    addressed_usable = [name for name in addressed if _is_usable(catalogue, name)]
    return (*alone, *addressed_usable)


def _is_usable(catalogue: "Catalogue", validator: str) -> bool:
    try:
        return catalogue.find("validator", validator).status != "broken"
    except PluginError:
        return False


def _scaffolds(catalogue: "Catalogue", spec: "Spec") -> Sequence[str]:
    """The scaffolds a run may use: the one it names, or all where the architecture decides."""
    if spec.app is None:
        return ()
    return catalogue.names("scaffold") if spec.app == AUTO else (spec.app,)


def _installed(catalogue: "Catalogue", kind: str, names: Iterable[str]) -> Iterable[PluginUsed]:
    """Those of the named plugins that are installed; the use of a missing one reports it."""
    for name in names:
        with suppress(PluginError):
            yield catalogue.used(kind, name)


def client_of(spec: "Spec", environment: Environment) -> "httpx.AsyncClient":
    """An HTTP client for the calls of a run; each event loop needs one of its own.

    Raises:
        UsageError: the proxy or the file of certificate authorities of the environment cannot be used.
    """
    from orchestrator.engine.vendors.http import make_client

    network = environment.network()
    return make_client(concurrency=spec.concurrency, network=network)


def _check_mix(providers: Mapping[str, Provider]) -> None:
    kinds = {provider.simulated for provider in providers.values()}
    if len(kinds) > 1:
        raise SpecError(["providers: simulated and real providers cannot be mixed in one run; name one kind only"])


def offered(
    providers: Mapping[str, Provider], declared: Sequence[ModelInfo], instances: Mapping[str, Instance]
) -> tuple[ModelInfo, ...]:
    """Every model of every provider, those a spec declares first; an id sold twice is qualified by its provider.

    The models of an instance that is not called as its plugin are always qualified.
    """
    first = {(model.provider, model.id) for model in declared}
    offered = [_batchable(model, provider) for provider in providers.values() for model in provider.models()]
    offered.sort(key=lambda model: (model.provider, model.id) not in first)
    found: dict[str, ModelInfo] = {}
    for each in offered:
        model = instances[each.provider].named(each) if each.provider in instances else each
        if model.id not in found:
            found[model.id] = model
        elif found[model.id].provider != model.provider:
            name = qualified(model.provider, model.id)
            found[name] = evolve(model, id=name, wire_name=model.sent_name)
    return tuple(found.values())


def _batchable(model: ModelInfo, provider: Provider) -> ModelInfo:
    """The model without a price for batches where its provider cannot submit any."""
    sold = model.batch_price is None or isinstance(provider, BatchProvider)
    return model if sold else evolve(model, batch_price=None)


def retired_names(providers: Mapping[str, Provider]) -> dict[str, str]:
    """The names that vendors no longer serve, and the model to use instead of each."""
    return {name: instead for each in providers.values() for name, instead in getattr(each, "retired", {}).items()}


def _refuse_retired(providers: Mapping[str, Provider], spec: "Spec", models: Sequence[ModelInfo]) -> None:
    """Say what to use instead of a name that its vendor no longer serves, where the spec relies on it.

    A provider may list such names, and the model to use instead, in an attribute ``retired``. A retired name that the
    user declares with a price of its own is the user's: another server may still serve it.
    """
    retired = retired_names(providers)
    bare = {model.id for model in spec.models if model.price is None}
    known = {
        *(model.id for model in models if model.id not in bare),
        *(slot for model in models for slot in model.slots),
        *SLOT_ALIASES,
    }
    named = [
        *((f"routing.table.{kind.value}", name) for kind, row in spec.routing.table.items() for name in row),
        *(
            (f"policies: {each.name}.allowed_models", name)
            for each in spec.policies
            for name in each.allowed_models or ()
        ),
        *(("models", model.id) for model in spec.models),
    ]
    problems = [
        f"{where}: {name} is no longer served; use {retired[name]}"
        for where, name in named
        if name in retired and name not in known
    ]
    if problems:
        raise SpecError(problems)


def slots_of(models: Sequence[ModelInfo]) -> dict[str, str]:
    """The model that fills each slot: the first that declares it.

    The id of an instance's model without the instance's name stands for that model, where it is no other name.
    """
    slots: dict[str, str] = {}
    for model in models:
        for slot in model.slots:
            slots.setdefault(SLOT_ALIASES.get(slot, slot), model.id)
    known = {*SLOT_ALIASES, *(model.id for model in models)}
    for model in models:
        bare = model.id.removeprefix(f"{model.provider}/")
        if model.provider_type is not None and bare not in known:
            slots.setdefault(bare, model.id)
    return slots


def _advice(providers: Mapping[str, Provider], lists: Mapping[str, ListedModels], environment: Environment) -> str:
    silent = [unlisted(name, providers[name], each) for name, each in lists.items() if each.served is None]
    if silent:
        return "; ".join(silent)
    if providers:
        names = ", ".join(providers)
        return f"{names}: no model is known; declare models with prices in the spec (models:) or with --models FILE"
    asked = environment.asked  # an address alone is of use only where no key is asked for beside it
    wanted = [name for name in asked if name.removesuffix("_BASE_URL") + "_API_KEY" not in asked]
    variables = ", ".join(wanted) or "none of the installed providers asks for one"
    return (
        f"no provider can be used: set a key or address ({variables}), "
        "or try it without one: orchestrate demo, or orchestrate spec init --demo FILE"
    )
