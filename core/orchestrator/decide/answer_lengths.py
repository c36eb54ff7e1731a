"""How much a model may write: at first by the length of its answers so far, and once more after a cut.

The limits of types and roles bound both. One that the user has set is sent as it is.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

from orchestrator.errors import present
from orchestrator.models import ModelInfo, Role, TaskType
from orchestrator.settings import RunSettings
from orchestrator.state.run import RunState

FIRST_TOKENS: Final[Mapping[TaskType | Role, int]] = MappingProxyType(
    {
        **dict.fromkeys(TaskType, 1024),
        TaskType.SUMMARIZATION: 512,
        Role.DECOMPOSER: 2048,
        Role.CRITIC: 768,
        Role.EVALUATOR: 512,
        Role.ENHANCER: 1024,
        Role.ADVISOR: 1024,
    }
)
"""What a model is asked for at first, in tokens, until it is measured how long its answers are."""

LEAST_FIRST_TOKENS: Final = 512
"""A measured model is asked for no less at first, where its limit is not lower."""

_MARGIN: Final = 150
"""Percent of the measured length."""
_GROWTH: Final = 2
"""How many times its limit a model may write that reaches it at once."""


@frozen
class AnswerSizes:
    """The ``max_tokens`` of a call, room for thinking included."""

    first: int
    most: int
    """After an answer that was cut off; ``first`` where there is no more."""

    def within(self, model: ModelInfo) -> "AnswerSizes":
        """No more than the model can write."""
        ceiling = model.max_output
        return self if ceiling is None else AnswerSizes(min(self.first, ceiling), min(self.most, ceiling))


def call_sizes(state: RunState, model: ModelInfo, role: Role, kind: TaskType | None) -> AnswerSizes:
    """How much a model is asked for at first, and after a cut.

    Args:
        state: the run, with what it and earlier runs measured.
        model: the model that is called.
        role: what the call is for.
        kind: the type of the task; None before there are tasks.
    """
    settings = state.settings
    limit = settings.output_limit(role, kind)
    if settings.is_fixed(role, kind):
        return _with_thinking(model, limit, limit)
    first = min(_first(state, model, role, kind), limit)
    return _with_thinking(model, first, limit if first < limit else _GROWTH * limit)


def usual_size(settings: RunSettings, model: ModelInfo, role: Role, kind: TaskType | None) -> int:
    """How much a model is asked for at first that was never measured."""
    usual = usual_length(settings, role, kind)
    return _with_thinking(model, usual, usual).first


def usual_length(settings: RunSettings, role: Role, kind: TaskType | None) -> int:
    """The most that an answer is to say at first, thinking aside, of a model that was never measured."""
    limit = settings.output_limit(role, kind)
    return limit if settings.is_fixed(role, kind) else min(_usual(role, kind), limit)


def _first(state: RunState, model: ModelInfo, role: Role, kind: TaskType | None) -> int:
    record = state.records.get(model.id)
    measured = None if record is None else record.length(role, kind)
    if measured is None:
        return _usual(role, kind)
    return max(-(-measured.p95 * _MARGIN // 100), LEAST_FIRST_TOKENS)


def _usual(role: Role, kind: TaskType | None) -> int:
    """Of a role whose limit does not depend on the type, else of the type."""
    fixed = FIRST_TOKENS.get(role)
    if fixed is not None:
        return fixed
    kind = present(kind, "kind of task")
    return FIRST_TOKENS[kind]


def _with_thinking(model: ModelInfo, first: int, most: int) -> AnswerSizes:
    """Room for the model's thinking beside what it is to say, within what it can write."""
    return AnswerSizes(first + model.thinking, most + model.thinking).within(model)
