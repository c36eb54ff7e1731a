"""The contract with plugin authors: hook specifications, and the types that cross the border.

A plugin is a module named by an entry point. It implements one hook with ``hookimpl`` and returns one object::

    from orchestrator.spi import Candidate, Finding, ValidatorContext, hookimpl

    def shouting(candidate: Candidate, context: ValidatorContext) -> Finding:
        return Finding.passed() if candidate.text.isupper() else Finding.failed("say it louder")

    @hookimpl
    def orchestrator_validator():
        return shouting

Import from here, never from the modules behind: only the names here are promised.
"""

from orchestrator.errors import Billed, ErrorKind, ProviderError, SandboxError, SpecError
from orchestrator.models import Allowance, Allowances, ArchitectureProfile, Finish, ModelInfo, Role, TaskType, Verdict
from orchestrator.money import Price, Rate, Usage, Usd
from orchestrator.policy import EnforcementMode, Policy, PolicyHierarchy, PolicySet
from orchestrator.spi.backends import Backend, ModelTelemetry, Ranked, RoutingCandidate
from orchestrator.spi.batches import BatchOrder, BatchProvider, BatchRequest, BatchResults
from orchestrator.spi.executors import Executor, Fleet, FleetWorker
from orchestrator.spi.exporters import (
    Exporter,
    ExporterConfig,
    Metrics,
    ModelMetrics,
    RunEvent,
    RunMetrics,
    no_history,
    to_stdout,
)
from orchestrator.spi.hookspecs import INTERFACE, DeprecatedHook, hookimpl, hookspec
from orchestrator.spi.policy_loaders import Loader
from orchestrator.spi.providers import Body, CallContext, CallRef, Message, Provider, ProviderConfig, Reply, Request
from orchestrator.spi.sandboxes import Job, LevelProbe, Sandbox, SandboxLevel
from orchestrator.spi.scaffolds import App, Ask, Launch, Scaffold, Skeleton
from orchestrator.spi.scorers import Score, Scorer, ScorerContext
from orchestrator.spi.validators import Candidate, Finding, Ran, Run, RunOptions, Validator, ValidatorContext, find_tool

__all__ = [
    "INTERFACE",
    "Allowance",
    "Allowances",
    "App",
    "ArchitectureProfile",
    "Ask",
    "Backend",
    "BatchOrder",
    "BatchProvider",
    "BatchRequest",
    "BatchResults",
    "Billed",
    "Body",
    "CallContext",
    "CallRef",
    "Candidate",
    "DeprecatedHook",
    "EnforcementMode",
    "ErrorKind",
    "Executor",
    "Exporter",
    "ExporterConfig",
    "Finding",
    "Finish",
    "Fleet",
    "FleetWorker",
    "Job",
    "Launch",
    "LevelProbe",
    "Loader",
    "Message",
    "Metrics",
    "ModelInfo",
    "ModelMetrics",
    "ModelTelemetry",
    "Policy",
    "PolicyHierarchy",
    "PolicySet",
    "Price",
    "Provider",
    "ProviderConfig",
    "ProviderError",
    "Ran",
    "Ranked",
    "Rate",
    "Reply",
    "Request",
    "Role",
    "RoutingCandidate",
    "Run",
    "RunEvent",
    "RunMetrics",
    "RunOptions",
    "Sandbox",
    "SandboxError",
    "SandboxLevel",
    "Scaffold",
    "Score",
    "Scorer",
    "ScorerContext",
    "Skeleton",
    "SpecError",
    "TaskType",
    "Usage",
    "Usd",
    "Validator",
    "ValidatorContext",
    "Verdict",
    "find_tool",
    "hookimpl",
    "hookspec",
    "no_history",
    "to_stdout",
]
