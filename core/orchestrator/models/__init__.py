"""The vocabulary: task types, roles, phases, models, slots, and the tables the specification gives for them."""

from orchestrator.models.architecture import (
    APP_TYPES,
    ApiParadigm,
    ArchitectureProfile,
    DataParadigm,
    StructuralPattern,
    Topology,
)
from orchestrator.models.limits import MAX_ITERATIONS, MAX_TOKENS, PHASE_OF, PHASE_SHARES, ROLE_MAX_TOKENS, THRESHOLDS
from orchestrator.models.offers import ModelInfo
from orchestrator.models.plans import PLAN_PROBLEMS, PlannedTask, Suggestion, SuggestionKind
from orchestrator.models.results import Budget, ProjectState, Task, TaskResult
from orchestrator.models.slots import (
    COST_TABLE,
    INPUT_FIRST,
    INPUT_ROW,
    ROUTING_TABLE,
    SHORT_WORDS,
    SLOT_ALIASES,
    SLOTS,
    Model,
    ModelProfile,
    build_default_profiles,
)
from orchestrator.models.vocabulary import Finish, Phase, ProjectStatus, RiskLevel, Role, TaskStatus, TaskType, Verdict

__all__ = [
    "APP_TYPES",
    "COST_TABLE",
    "INPUT_FIRST",
    "INPUT_ROW",
    "MAX_ITERATIONS",
    "MAX_TOKENS",
    "PHASE_OF",
    "PHASE_SHARES",
    "PLAN_PROBLEMS",
    "ROLE_MAX_TOKENS",
    "ROUTING_TABLE",
    "SHORT_WORDS",
    "SLOTS",
    "SLOT_ALIASES",
    "THRESHOLDS",
    "ApiParadigm",
    "ArchitectureProfile",
    "Budget",
    "DataParadigm",
    "Finish",
    "Model",
    "ModelInfo",
    "ModelProfile",
    "Phase",
    "PlannedTask",
    "ProjectState",
    "ProjectStatus",
    "RiskLevel",
    "Role",
    "StructuralPattern",
    "Suggestion",
    "SuggestionKind",
    "Task",
    "TaskResult",
    "TaskStatus",
    "TaskType",
    "Topology",
    "Verdict",
    "build_default_profiles",
]
