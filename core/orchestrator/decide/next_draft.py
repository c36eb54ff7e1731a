"""What the next draft of a task is made of, how warm it is, and which models come last for it."""

from typing import Final

from orchestrator.decide.outcome import best_iteration, output_of, waiting
from orchestrator.decide.routing import DraftQuery
from orchestrator.decide.strategies import COLD, WARM, last_try, strategy_of
from orchestrator.models import DraftMode, RepairUse, Role
from orchestrator.settings import RunSettings
from orchestrator.state.calls import Answer
from orchestrator.state.tasks import TaskState

_FIRST_REPAIR: Final = 3
"""A repair closes the order only where two tries came before it."""


def draft_for(settings: RunSettings, task: TaskState, iteration: int) -> DraftQuery:
    """How the draft of an iteration is asked for.

    After a low score the best result is improved. After a failed gate a draft is made anew by the next model, without
    any earlier result; the last of three tries is a repair by a model that did not write what it repairs. A draft that
    is to be compared with others is made anew, too.
    """
    strategy = strategy_of(settings, task.planned.type)
    cold = COLD if strategy.temperature is None else strategy.temperature
    warm = WARM if strategy.temperature is None else strategy.temperature
    output = _best_so_far(task) if iteration > 1 else None
    if output is None:
        return DraftQuery(DraftMode.FRESH, cold, order=strategy.order)
    if waiting(task):
        return DraftQuery(DraftMode.FRESH, warm, last=_authors(task), order=strategy.order)
    if strategy.improves and _passed(task):
        return DraftQuery(DraftMode.IMPROVE, cold, base=output.version, order=strategy.order)
    if strategy.repair is RepairUse.ALWAYS:
        return DraftQuery(
            DraftMode.REPAIR, cold, base=output.version, author=output.model, own=warm, order=strategy.order
        )
    if strategy.repair is RepairUse.LAST and _FIRST_REPAIR <= iteration == last_try(settings, task.planned.type):
        return DraftQuery(
            DraftMode.REPAIR, cold, output.version, output.model, anew=warm, last=(output.model,), order=strategy.order
        )
    return DraftQuery(DraftMode.FRESH, warm, last=_authors(task), order=strategy.order)


def _best_so_far(task: TaskState) -> Answer | None:
    best = best_iteration(task)
    return None if best is None else output_of(task, best)


def _passed(task: TaskState) -> bool:
    """Whether the best output so far passed its gate."""
    best = best_iteration(task)
    evaluated = None if best is None else task.evaluated.get(best)
    return evaluated is not None and evaluated.gate


def _authors(task: TaskState) -> tuple[str, ...]:
    """Who has written the drafts so far, one entry for each."""
    return tuple(
        answer.model
        for call in task.calls.values()
        if call.key.role is Role.GENERATOR
        for answer in call.answers
        if call.can_use(answer)
    )
