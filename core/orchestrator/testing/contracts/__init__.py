"""Contract suites, one per kind of plugin: inherit, name the module, done."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.plugin_kinds import KINDS
from orchestrator.testing.contracts.backends import BackendContract
from orchestrator.testing.contracts.base import ContractResult, PluginContract, names_of_tests, play
from orchestrator.testing.contracts.commands import Called, CommandContract, called
from orchestrator.testing.contracts.executors import ExecutorContract
from orchestrator.testing.contracts.exporters import ExporterContract
from orchestrator.testing.contracts.policy_loaders import LoaderContract
from orchestrator.testing.contracts.pretended_http import Recording, load_recordings
from orchestrator.testing.contracts.providers import ProviderContract
from orchestrator.testing.contracts.scaffolds import ScaffoldContract
from orchestrator.testing.contracts.scorers import ScorerContract
from orchestrator.testing.contracts.stores import StoreContract
from orchestrator.testing.contracts.validators import ValidatorContract

SUITES: Final[Mapping[str, type[PluginContract]]] = MappingProxyType(
    {kind.name: kind.load_suite() for kind in KINDS.values()}
)
"""Every kind of plugin, and its suite."""

__all__ = [
    "SUITES",
    "BackendContract",
    "Called",
    "CommandContract",
    "ContractResult",
    "ExecutorContract",
    "ExporterContract",
    "LoaderContract",
    "PluginContract",
    "ProviderContract",
    "Recording",
    "ScaffoldContract",
    "ScorerContract",
    "StoreContract",
    "ValidatorContract",
    "called",
    "load_recordings",
    "names_of_tests",
    "play",
]
