"""What the installed providers are worth here: who has a key, where they are reached, what they sell, who answers."""

import asyncio
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from attrs import Factory, define, frozen

from orchestrator.decide.compliance import violated
from orchestrator.engine.vendors.environment import Environment
from orchestrator.engine.vendors.instances import Instance, instances_of
from orchestrator.engine.vendors.isolated_provider import isolate
from orchestrator.engine.vendors.listed_models import PATIENCE, ListedModels, list_of, narrow
from orchestrator.engine.vendors.session_providers import offered, retired_names, slots_of
from orchestrator.errors import OrchestrateError
from orchestrator.models import SLOT_ALIASES, ModelInfo
from orchestrator.policy import EnforcementMode, Policy, with_strictest_modes
from orchestrator.spi import Provider, ProviderConfig

if TYPE_CHECKING:
    import httpx

    from orchestrator.plugins import Catalogue
    from orchestrator.spec import Spec

LOCAL_PATIENCE: Final = 0.5
"""Seconds a server on this machine may take."""

LOCAL_SERVERS: Final[Mapping[str, str]] = {
    "llama.cpp": "http://127.0.0.1:8080/v1",
    "Ollama": "http://127.0.0.1:11434/v1",
    "vLLM": "http://127.0.0.1:8000/v1",
    "LM Studio": "http://127.0.0.1:1234/v1",
}
"""Where servers that speak OpenAI's format usually listen."""

_NO_KEY: Final = "a key that is never sent"


class ProviderStatus(StrEnum):
    """Whether a provider can be used here."""

    READY = "ready"
    UNSET = "unset"
    """It lacks a key or an address."""
    SIMULATED = "simulated"
    """It only pretends, and is used only by specs that name it."""
    BROKEN = "broken"


_USABLE: Final = (ProviderStatus.READY, ProviderStatus.SIMULATED)


@frozen
class Surveyed:
    """One provider."""

    name: str
    provider_status: ProviderStatus
    provider: Provider | None = None
    """Where it has no key, one that can say what it sells and can call no vendor."""
    key: str | None = None
    """The variable the key is found in."""
    keys: tuple[str, ...] = ()
    """The variables that may hold a key, or were asked for one."""
    addresses: tuple[str, ...] = ()
    """The other variables it looks at."""
    problem: str = ""
    type: str = ""
    """The entry-point name of its plugin."""

    @property
    def base_url(self) -> str | None:
        """Where it is reached, as far as it says."""
        found = getattr(self.provider, "base_url", None)
        return found if isinstance(found, str) else None


@frozen
class Offers:
    """Everything that could be bought."""

    models: tuple[ModelInfo, ...]
    available: frozenset[str]
    """The ids of those whose provider is ready and whose price is known."""
    slots: Mapping[str, str]
    """The model that fills each slot, as a run would have it: among the available ones first."""
    retired: Mapping[str, str]
    """Names no longer served, and the model to use instead."""

    def find(self, name: str) -> ModelInfo | None:
        """The model of an id, a vendor's name, a slot or an alias of a slot."""
        known = {model.sent_name: model for model in reversed(self.models)}
        known |= {model.id: model for model in self.models}
        filled_by = self.slots.get(SLOT_ALIASES.get(name, name))
        return known.get(name) or (None if filled_by is None else known.get(filled_by))

    def ruled_out(self, policies: Sequence[Policy]) -> tuple[Policy, ...]:
        """A few HARD policies that leave none of the models together; none where one is left.

        What is measured, and what a task may cost, does not count. Nothing is known, and so none returned, where a list
        of allowed providers or models has a name of which no model is here, or where there is no model at all.
        """
        bound, _ = with_strictest_modes(policies, {})
        hard = {place: each for place, each in enumerate(bound) if each.enforcement_mode is EnforcementMode.HARD}
        if (
            not self.models
            or any(self._allows_unknown(each) for each in hard.values())
            or self._leaves_one(hard.values())
        ):
            return ()
        for place in list(hard):
            fewer = {other: each for other, each in hard.items() if other != place}
            if not self._leaves_one(fewer.values()):
                hard = fewer
        return tuple(policies[place] for place in hard)

    def _leaves_one(self, policies: Collection[Policy]) -> bool:
        return any(violated(policies, model, self._slots(model), None) is None for model in self.models)

    def _slots(self, model: ModelInfo) -> tuple[str, ...]:
        return (*model.slots, *(slot for slot, filling in self.slots.items() if filling == model.id))

    def _allows_unknown(self, policy: Policy) -> bool:
        """Whether the policy allows by a name that no model here has."""
        alone = (
            *(Policy(policy.name, allowed_providers=(name,)) for name in policy.allowed_providers or ()),
            *(Policy(policy.name, allowed_models=(name,)) for name in policy.allowed_models or ()),
        )
        return not all(self._leaves_one((each,)) for each in alone)


@define
class _EnvironmentUse:
    """Notes which variables a provider looks at, and which of them holds its key."""

    environment: Environment
    keys: dict[str, bool] = Factory(dict)
    others: dict[str, None] = Factory(dict)

    def secret(self, name: str) -> str | None:
        value = self.environment.secret(name)
        self.keys[name] = bool(value and value.strip())
        return value

    def variable(self, name: str) -> str | None:
        self.others[name] = None
        return self.environment.variable(name)


def survey(catalogue: "Catalogue", environment: Environment, spec: "Spec | None" = None) -> tuple[Surveyed, ...]:
    """Every installed provider, or those a spec names, each built if it can be. No vendor is called.

    Raises:
        SpecError: the name of an instance cannot be used.
    """
    instances = instances_of({} if spec is None else spec.providers, catalogue.names("provider"))
    declared = () if spec is None else spec.models
    folder = "." if spec is None else spec.folder
    return tuple([_surveyed(catalogue, environment, each, declared, folder) for each in instances])


def _surveyed(
    catalogue: "Catalogue", environment: Environment, instance: Instance, declared: tuple[ModelInfo, ...], folder: str
) -> Surveyed:
    name, used = instance.name, _EnvironmentUse(environment)
    try:
        config = instance.config(declared, used.secret, used.variable, folder)
        provider = catalogue.provider(instance.type, config)
        provider_status = ProviderStatus.READY
        if provider is None:
            provider_status = ProviderStatus.UNSET
            pretended = instance.config(declared, lambda variable: _NO_KEY, environment.variable, folder)
            provider = catalogue.provider(instance.type, pretended)
        elif provider.simulated:
            provider_status = ProviderStatus.SIMULATED
        provider = None if provider is None else isolate(provider, catalogue.used("provider", instance.type))
    except OrchestrateError as error:
        keys, others = tuple(used.keys), tuple(used.others)
        return Surveyed(name, ProviderStatus.BROKEN, None, None, keys, others, str(error), instance.type)
    key = next((variable for variable, found in used.keys.items() if found), None)
    return Surveyed(
        name,
        provider_status,
        provider,
        key if provider_status is ProviderStatus.READY else None,
        tuple(used.keys),
        tuple(used.others),
        type=instance.type,
    )


def narrowed(found: Sequence[Surveyed], client: "Callable[[], httpx.AsyncClient]") -> dict[str, ListedModels]:
    """Let the ready providers offer what a run would have of them: elsewhere than at the vendor's, what is listed."""
    ready = {each.name: each.provider for each in found if each.provider_status is ProviderStatus.READY}
    return narrow({name: provider for name, provider in ready.items() if provider is not None}, client)


def offers_of(found: Sequence[Surveyed], declared: Sequence[ModelInfo] = ()) -> Offers:
    """The models of the surveyed providers, those that can be asked now first."""
    usable_first = sorted(found, key=lambda each: each.provider_status not in _USABLE)
    providers = {each.name: each.provider for each in usable_first if each.provider is not None}
    models = offered(providers, declared, {each.name: Instance(each.name, each.type, {}) for each in found})
    ready = {each.name for each in found if each.provider_status in _USABLE}
    available = [model for model in models if model.provider in ready]
    slots = {**slots_of(models), **slots_of(available)}
    priced = frozenset(model.id for model in available if model.price is not None)
    return Offers(models, priced, slots, retired_names(providers))


async def check_live(found: Sequence[Surveyed], http: "httpx.AsyncClient") -> dict[str, ListedModels]:
    """Ask every ready provider that can say it what it serves, all at once."""
    queried = [
        each for each in found if each.provider_status is ProviderStatus.READY and hasattr(each.provider, "served")
    ]
    answers = await asyncio.gather(*(list_of(each.provider, http, PATIENCE) for each in queried))
    return {each.name: answer for each, answer in zip(queried, answers, strict=True)}


async def find_local(catalogue: "Catalogue", http: "httpx.AsyncClient") -> dict[str, tuple[str, tuple[str, ...]]]:
    """The servers at the usual addresses of this machine that list models: by kind, the base URL and the names.

    No key is sent.
    """
    try:
        queried = dict(_local_providers(catalogue))
    except OrchestrateError:
        return {}
    answers = await asyncio.gather(*(list_of(provider, http, LOCAL_PATIENCE) for provider in queried.values()))
    return {
        kind: (LOCAL_SERVERS[kind], live.served)
        for kind, live in zip(queried, answers, strict=True)
        if live.served is not None
    }


def _local_providers(catalogue: "Catalogue") -> Iterator[tuple[str, Provider]]:
    for kind, address in LOCAL_SERVERS.items():
        options = {"base_url": address}
        config = ProviderConfig("openai_compatible", options, (), lambda variable: None, lambda variable: None)
        provider = catalogue.provider("openai_compatible", config)
        if provider is not None and hasattr(provider, "served"):
            yield kind, provider
