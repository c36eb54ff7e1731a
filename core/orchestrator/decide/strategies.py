"""The strategies of the review loop, as values, and what they mean for a type of task."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from orchestrator.models import CritiqueUse, JudgeMethod, JudgeUse, ModelOrder, RepairUse, Strategy, TaskType
from orchestrator.settings import RunSettings

REVIEWED: Final = Strategy()
"""A draft that passes its checks is criticised, revised and scored; one that fails is made anew."""

STRATEGIES: Final[Mapping[str, Strategy]] = MappingProxyType(
    {
        each.name: each
        for each in (
            REVIEWED,
            Strategy("plain", samples=1, critique=CritiqueUse.NEVER, runs=0, repair=RepairUse.NEVER, improves=False),
            Strategy(
                "best_of",
                critique=CritiqueUse.NEVER,
                judge=JudgeUse.UNTESTED,
                repair=RepairUse.NEVER,
                improves=False,
                method=JudgeMethod.PAIRS,
            ),
            Strategy("repair", critique=CritiqueUse.NEVER, judge=JudgeUse.UNTESTED, repair=RepairUse.ALWAYS),
            Strategy(
                "cascade",
                critique=CritiqueUse.NEVER,
                judge=JudgeUse.UNTESTED,
                repair=RepairUse.NEVER,
                improves=False,
                order=ModelOrder.CHEAPEST,
            ),
        )
    }
)
"""By the name that a spec uses."""

COLD: Final = 0.3
"""The temperature of a first draft, and of one that builds on another."""
WARM: Final = 0.8
"""The temperature of a draft that is made anew: a model shown its own result, or asked the same, repeats itself."""


def _compares(settings: RunSettings, strategy: Strategy) -> bool:
    """Whether a strategy compares results that no given tests decide; without a judge nothing is compared."""
    if settings.evaluation.scorer is not None:
        return False
    runs = settings.evaluation.runs if strategy.runs is None else strategy.runs
    return runs > 0 and (strategy.method or settings.evaluation.judge) is JudgeMethod.PAIRS


def strategy_of(settings: RunSettings, kind: TaskType) -> Strategy:
    """The strategy for a type of task."""
    return settings.loop[kind]


def most_iterations(settings: RunSettings, kind: TaskType) -> int:
    """How many iterations a task of this type may take."""
    strategy = strategy_of(settings, kind)
    if strategy.iterations is not None:
        return strategy.iterations
    if _compares(settings, strategy):
        return strategy.samples
    return settings.iterations[kind] if strategy.improves else strategy.samples


def compares_pairs(settings: RunSettings, kind: TaskType) -> bool:
    """Whether several results of this type are made and compared, unless given tests decide."""
    return _compares(settings, strategy_of(settings, kind)) and most_iterations(settings, kind) > 1


def last_try(settings: RunSettings, kind: TaskType) -> int:
    """The iteration that is the last one as long as no output passes its checks."""
    return min(strategy_of(settings, kind).samples, most_iterations(settings, kind))


def judge_runs(settings: RunSettings, kind: TaskType) -> int:
    """How many evaluations an output of this type gets; at most one beside a scorer."""
    if settings.evaluation.scorer is not None:
        return int(settings.evaluation.with_judge)
    runs = strategy_of(settings, kind).runs
    return settings.evaluation.runs if runs is None else runs


def runs_beside_tests(settings: RunSettings, kind: TaskType) -> int:
    """How many evaluations an output gets whose given tests all passed: they are its score."""
    wanted = strategy_of(settings, kind).judge is JudgeUse.ALWAYS
    return min(1, judge_runs(settings, kind)) if wanted else 0
