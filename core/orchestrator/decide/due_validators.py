"""Which validators are started next on an answer, and whether a verdict holds for an equal one. Pure functions."""

from collections.abc import Mapping, Sequence
from enum import IntEnum
from types import MappingProxyType
from typing import Final

from orchestrator.models import Verdict
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Check


class CheckCost(IntEnum):
    """What a check takes. A validator is started once all cheaper ones have ended and none of them failed."""

    READS = 0
    """It looks at the text."""
    TOOL = 1
    """It starts a program that reads."""
    RUNS = 2
    """It runs what a model wrote."""


_COSTS: Final[Mapping[str, CheckCost]] = {
    "python_syntax": CheckCost.READS,
    "json_schema": CheckCost.READS,
    "length": CheckCost.READS,
    "ruff": CheckCost.TOOL,
}


def cost_of(validator: str) -> CheckCost:
    """What a check by a validator takes; one that is not known is taken for the dearest."""
    return _COSTS.get(validator, CheckCost.RUNS)


def next_checks(
    validators: Sequence[str], verdicts: Mapping[str, Verdict | None] = MappingProxyType({})
) -> tuple[str, ...]:
    """The validators to start now: the cheapest that are missing, side by side; none where one has failed.

    Args:
        validators: those of the task's plan, in its order.
        verdicts: what is known of the answer, by validator; None while one is at work.
    """
    missing = [name for name in validators if name not in verdicts]
    if not missing or Verdict.FAILED in verdicts.values():
        return ()
    least = min(map(cost_of, missing))
    if any(verdict is None and cost_of(name) < least for name, verdict in verdicts.items()):
        return ()
    return tuple(name for name in missing if cost_of(name) == least)


def holds_for_others(state: RunState, check: Check) -> bool:
    """Whether a verdict holds for other answers of the task than the one that it was given for.

    The task's tests and the files of its dependencies stay as they are. Another session may have another version of
    the validator, another sandbox or another library, so that the check is made again there.
    """
    return check.version > state.session_version
