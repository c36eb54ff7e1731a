"""The built-in routing table: which slots are asked for which type of task, and before the plan, first to last."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.models.vocabulary import TaskType

_LAST: Final = ("minimax-3", "glm-4")

ROUTING_TABLE: Final[Mapping[TaskType, tuple[str, ...]]] = MappingProxyType(
    {
        TaskType.CODE_GEN: ("deepseek-chat", "moonshot-v1", "claude-sonnet", "gpt-4o", *_LAST),
        TaskType.CODE_REVIEW: ("deepseek-chat", "moonshot-v1", "gpt-4o", "claude-opus", *_LAST),
        TaskType.COMPLEX_REASONING: ("deepseek-reasoner", "moonshot-v1", "claude-opus", "gpt-4o", *_LAST),
        TaskType.CREATIVE_WRITING: ("claude-opus", "gpt-4o", "deepseek-chat", "gemini-2.5-pro", *_LAST),
        TaskType.DATA_EXTRACTION: ("gemini-2.5-flash", "gpt-4o-mini", "deepseek-chat", "claude-haiku", *_LAST),
        TaskType.SUMMARIZATION: ("gemini-2.5-flash", "deepseek-chat", "claude-haiku", "gpt-4o-mini", *_LAST),
        TaskType.EVALUATION: ("deepseek-chat", "moonshot-v1", "claude-opus", "gpt-4o", *_LAST),
    }
)
"""Which slots are asked for which type of task, in order (the specification's table "Model Routing")."""

INPUT_CHAIN: Final = ("deepseek-reasoner", "moonshot-v1", "claude-opus", "gpt-4o")
"""The models of the enhancer and the advisor for a description of more than ``SHORT_WORDS``, first to last."""

INPUT_SHORT: Final = "deepseek-chat"
"""The model before that chain for a shorter description."""

SHORT_WORDS: Final = 50
