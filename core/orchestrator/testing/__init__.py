"""For authors of plugins and rules: contract suites, strategies, a simulated vendor, and a simulator of whole runs.

Needs the extra ``testing``. The names below are loaded on first use, so that a runner of tests which finds this package
installed pays nothing for it.
"""

from typing import TYPE_CHECKING

from orchestrator.lazy_names import lazy_names

if TYPE_CHECKING:
    from orchestrator.testing.contracts import (
        BackendContract,
        Called,
        CommandContract,
        ExecutorContract,
        ExporterContract,
        LoaderContract,
        PluginContract,
        ProviderContract,
        Recording,
        ScaffoldContract,
        ScorerContract,
        StoreContract,
        ValidatorContract,
        called,
        load_recordings,
    )
    from orchestrator.testing.played_run import Played
    from orchestrator.testing.simulation.scenario import Scenario
    from orchestrator.testing.simulation.simulated_vendor import SimulatedVendor
    from orchestrator.testing.simulation.simulator import simulate
    from orchestrator.testing.state_machines.accounts import AccountMachine
    from orchestrator.testing.state_machines.budgets import BudgetMachine
    from orchestrator.testing.state_machines.routing import RoutingRules
    from orchestrator.testing.state_machines.runs import RunMachine

_CONTRACTS = "contracts"
_HOMES = {
    "AccountMachine": "state_machines.accounts",
    "BackendContract": _CONTRACTS,
    "BudgetMachine": "state_machines.budgets",
    "Called": _CONTRACTS,
    "CommandContract": _CONTRACTS,
    "ExecutorContract": _CONTRACTS,
    "ExporterContract": _CONTRACTS,
    "LoaderContract": _CONTRACTS,
    "Played": "played_run",
    "PluginContract": _CONTRACTS,
    "ProviderContract": _CONTRACTS,
    "Recording": _CONTRACTS,
    "RoutingRules": "state_machines.routing",
    "RunMachine": "state_machines.runs",
    "ScaffoldContract": _CONTRACTS,
    "ScorerContract": _CONTRACTS,
    "Scenario": "simulation.scenario",
    "SimulatedVendor": "simulation.simulated_vendor",
    "StoreContract": _CONTRACTS,
    "ValidatorContract": _CONTRACTS,
    "called": _CONTRACTS,
    "load_recordings": _CONTRACTS,
    "simulate": "simulation.simulator",
}

__all__ = [
    "AccountMachine",
    "BackendContract",
    "BudgetMachine",
    "Called",
    "CommandContract",
    "ExecutorContract",
    "ExporterContract",
    "LoaderContract",
    "Played",
    "PluginContract",
    "ProviderContract",
    "Recording",
    "RoutingRules",
    "RunMachine",
    "ScaffoldContract",
    "Scenario",
    "ScorerContract",
    "SimulatedVendor",
    "StoreContract",
    "ValidatorContract",
    "called",
    "load_recordings",
    "simulate",
]


__getattr__ = lazy_names(__name__, _HOMES, "orchestrator.testing.")
