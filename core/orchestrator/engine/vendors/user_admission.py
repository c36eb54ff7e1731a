"""The admission of this user on this machine: what its pure parts look at, read from the world."""

import os
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from orchestrator.engine.vendors.environment import Environment
from orchestrator.errors import OrchestrateError, PluginError
from orchestrator.plugins import DISTRIBUTION
from orchestrator.plugins.local_plugins import file_digest
from orchestrator.spi import Provider, ProviderConfig
from orchestrator.trust import (
    Admission,
    Configuration,
    GrantStore,
    Surroundings,
    VendorFacts,
    configuration_path,
    read_configuration,
)
from orchestrator.trust.addresses import address_of

if TYPE_CHECKING:
    from orchestrator.plugins import Catalogue

_PRETENDED: Final = "a key that is never sent"


def admission_of(catalogue: "Catalogue", environment: Environment, folder: Path) -> Admission:
    """The admission for runs of a data folder, with the user's configuration.

    Raises:
        SpecError: the configuration cannot be used (also UsageError).
    """
    configuration = read_configuration(environment.variables)
    return Admission(GrantStore(folder), surroundings_of(catalogue, environment, folder, configuration), configuration)


def surroundings_of(
    catalogue: "Catalogue", environment: Environment, folder: Path, configuration: Configuration
) -> Surroundings:
    """Where specs are run: this process's working folder, its environment, and the installed plugins."""
    searched = environment.variables.get("PATH", "").split(os.pathsep)
    return Surroundings(
        work=_working_folder(),
        own=(folder.absolute(), configuration_path(environment.variables).absolute().parent),
        programs=tuple(Path(each) for each in searched if each),
        ceiling=configuration.ceiling_usd,
        resolved=_resolved,
        digest=file_digest,
        vendor=cache(lambda provider: vendor_facts(catalogue, environment, provider)),
        is_beside=lambda name: name in environment.dotenv and not environment.variables.get(name),
        providers=catalogue.names("provider"),
        is_built_in=partial(_is_built_in, catalogue),
    )


def _is_built_in(catalogue: "Catalogue", kind: str, name: str) -> bool:
    try:
        return catalogue.find(kind, name).distribution == DISTRIBUTION
    except PluginError:
        return True  # the run does not begin without it


def _working_folder() -> Path:
    """The working folder; one that was deleted holds nothing."""
    try:
        return Path.cwd()
    except OSError:
        return Path(os.devnull)


def _resolved(path: Path) -> Path:
    try:
        return Path(os.path.realpath(path))
    except OSError:  # there is no working folder any more
        return path


def vendor_facts(catalogue: "Catalogue", environment: Environment, provider: str) -> VendorFacts:
    """Where a provider goes without any option of a spec; nothing is known of one that cannot be built."""
    asked: dict[str, None] = {}

    def unset(variable: str) -> None:
        asked[variable] = None

    try:
        catalogue.provider(provider, ProviderConfig(provider, {}, (), unset, environment.variables.get))
        alone = catalogue.provider(provider, ProviderConfig(provider, {}, (), _pretended, lambda variable: None))
        here = catalogue.provider(provider, ProviderConfig(provider, {}, (), _pretended, environment.variables.get))
    except OrchestrateError:
        return VendorFacts()
    reached = _host(here)
    return VendorFacts(frozenset(_hosts(alone)), frozenset(asked), reached)


def _pretended(variable: str) -> str:
    return _PRETENDED


def _host(provider: Provider | None) -> str | None:
    found = getattr(provider, "base_url", None)
    return address_of(found).host if isinstance(found, str) else None


def _hosts(provider: Provider | None) -> set[str]:
    """The vendor's own hosts: where the provider goes, and those it lists in an attribute ``hosts``."""
    listed = {address_of(each).host for each in getattr(provider, "hosts", ())}
    usual = _host(provider)
    return listed if usual is None else {*listed, usual}
