"""The tables of the specification that bound a task: tokens, scores, iterations, shares of the budget."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.models.vocabulary import Phase, Role, TaskType

MAX_TOKENS: Final[Mapping[TaskType, int]] = MappingProxyType(
    {
        TaskType.CODE_GEN: 8192,
        TaskType.CODE_REVIEW: 4096,
        TaskType.COMPLEX_REASONING: 4096,
        TaskType.CREATIVE_WRITING: 4096,
        TaskType.DATA_EXTRACTION: 2048,
        TaskType.SUMMARIZATION: 1024,
        TaskType.EVALUATION: 2048,
    }
)
"""The output limit, in tokens, of a draft or revision of each type."""

ROLE_MAX_TOKENS: Final[Mapping[Role, int]] = MappingProxyType(
    {Role.DECOMPOSER: 8192, Role.CRITIC: 2048, Role.EVALUATOR: 1024, Role.ENHANCER: 4096, Role.ADVISOR: 4096}
)
"""The output limit, in tokens, of the roles whose answer does not depend on the task's type."""

THRESHOLDS: Final[Mapping[TaskType, float]] = MappingProxyType(
    {
        TaskType.CODE_GEN: 0.85,
        TaskType.CODE_REVIEW: 0.75,
        TaskType.COMPLEX_REASONING: 0.90,
        TaskType.CREATIVE_WRITING: 0.80,
        TaskType.DATA_EXTRACTION: 0.90,
        TaskType.SUMMARIZATION: 0.80,
        TaskType.EVALUATION: 0.80,
    }
)
"""The score, from 0 to 1, at which a task of each type is good enough."""

MAX_ITERATIONS: Final[Mapping[TaskType, int]] = MappingProxyType(
    {
        kind: 3 if kind in (TaskType.CODE_GEN, TaskType.CODE_REVIEW, TaskType.COMPLEX_REASONING) else 2
        for kind in TaskType
    }
)
"""How many iterations a task of each type may take."""

PHASE_SHARES: Final[Mapping[Phase, float]] = MappingProxyType(
    {
        Phase.DECOMPOSITION: 0.05,
        Phase.GENERATION: 0.45,
        Phase.CROSS_REVIEW: 0.25,
        Phase.EVALUATION: 0.15,
        Phase.RESERVE: 0.10,
    }
)
"""The part of the budget each phase may use before a warning; they sum to 1."""

PHASE_OF: Final[Mapping[Role, Phase]] = MappingProxyType(
    {
        Role.DECOMPOSER: Phase.DECOMPOSITION,
        Role.GENERATOR: Phase.GENERATION,
        Role.REVISER: Phase.GENERATION,
        Role.CRITIC: Phase.CROSS_REVIEW,
        Role.EVALUATOR: Phase.EVALUATION,
        Role.ENHANCER: Phase.DECOMPOSITION,
        Role.ADVISOR: Phase.DECOMPOSITION,
    }
)
"""The phase a role's spend counts in."""
