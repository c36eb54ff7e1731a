"""Breaks a project into tasks, routes each to the best model for the money, and keeps every decision in a log.

The names of the Python API are loaded on first use, so that ``import orchestrator`` costs next to nothing.
"""

from typing import TYPE_CHECKING

from orchestrator.lazy_names import lazy_names

if TYPE_CHECKING:
    from orchestrator.agents import AgentPool
    from orchestrator.apps import AppBuilder
    from orchestrator.audit import AuditLog
    from orchestrator.models import (
        Budget,
        Model,
        ModelProfile,
        ProjectState,
        ProjectStatus,
        Task,
        TaskResult,
        TaskStatus,
        TaskType,
    )
    from orchestrator.orchestrator import DiskCache, Orchestrator, StateManager
    from orchestrator.policy import EnforcementMode, JobSpec, Policy, PolicyHierarchy, PolicySet
    from orchestrator.python_api.workspace import Workspace

_HOMES = {
    "AgentPool": "agents",
    "AppBuilder": "apps",
    "AuditLog": "audit",
    "Budget": "models",
    "DiskCache": "orchestrator",
    "EnforcementMode": "policy",
    "JobSpec": "policy",
    "Model": "models",
    "ModelProfile": "models",
    "Orchestrator": "orchestrator",
    "Policy": "policy",
    "PolicyHierarchy": "policy",
    "PolicySet": "policy",
    "ProjectState": "models",
    "ProjectStatus": "models",
    "StateManager": "orchestrator",
    "Task": "models",
    "TaskResult": "models",
    "TaskStatus": "models",
    "TaskType": "models",
    "Workspace": "python_api.workspace",
}

__all__ = [
    "AgentPool",
    "AppBuilder",
    "AuditLog",
    "Budget",
    "DiskCache",
    "EnforcementMode",
    "JobSpec",
    "Model",
    "ModelProfile",
    "Orchestrator",
    "Policy",
    "PolicyHierarchy",
    "PolicySet",
    "ProjectState",
    "ProjectStatus",
    "StateManager",
    "Task",
    "TaskResult",
    "TaskStatus",
    "TaskType",
    "Workspace",
]


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__getattr__ = lazy_names(__name__, _HOMES, "orchestrator.")
