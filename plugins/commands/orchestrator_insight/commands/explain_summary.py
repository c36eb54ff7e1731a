"""What ``orchestrate explain`` begins with: a line for each task of a run."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from orchestrator.cli.kit import SELECTED, SHORTFALLS, money, print_table, title_of, verification
from orchestrator.models import Role
from orchestrator.reading import RunState
from orchestrator.reading import events as e
from orchestrator_insight.explained_choices import Explained, ModelChoice, NoCandidateLeft, SpendRefusal

Choice = ModelChoice | NoCandidateLeft | SpendRefusal
_NONE: Final = "–"
_HEADS: Final = ("task", "status", "model", "why", "calls", "cost", "title")


def print_summary(found: Sequence[Explained], state: RunState, text_of: Callable[[str], str]) -> None:
    """Write a line for each task, and for what comes before and after the tasks."""
    by_node: defaultdict[str, list[Choice]] = defaultdict(list)
    for each in found:
        if isinstance(each, Choice):
            by_node[each.node].append(each)
    before = [node for node in (e.ENHANCE, e.ADVISE, e.PLAN) if node in by_node]
    rows = [_row(name, by_node[name], state, text_of) for name in (*before, *state.execution_order)]
    if state.verified is not None:
        rows.append((e.VERIFY, state.verified.verdict.value, _NONE, verification(state.verified), "", "", ""))
    print_table(_HEADS, rows, right=("calls", "cost"), spare=("calls", "cost"))


def _row(
    name: str, found: Sequence[Choice], state: RunState, text_of: Callable[[str], str]
) -> tuple[str, str, str, str, str, str, str]:
    choices = [each for each in found if isinstance(each, ModelChoice)]
    calls = str(sum(len(choice.attempts) for choice in choices))
    task = state.tasks.get(name)
    if task is None:
        spent = {e.ENHANCE: state.enhance, e.ADVISE: state.advise, e.PLAN: state.plan}[name].spend.total
        last = choices[-1] if choices else None
        return name, _NONE, _NONE if last is None else last.model, _why(last), calls, money(spent), ""
    end = task.finished
    status = "running" if end is None else end.status.value
    author = _author(choices, None if end is None else end.model)
    shortfall = f"{SHORTFALLS[end.reason]}; " if end is not None and end.reason else ""
    model = _NONE if author is None else author.model
    return name, status, model, shortfall + _why(author), calls, money(task.spend.total), title_of(state, name, text_of)


def _author(choices: Iterable[ModelChoice], model: str | None) -> ModelChoice | None:
    """The last choice of the model that wrote the output, or of any that was to write."""
    writing = [choice for choice in choices if choice.role in (Role.GENERATOR, Role.REVISER)]
    of_model = [choice for choice in writing if choice.role is Role.GENERATOR and choice.model == model]
    return next(reversed(of_model or writing), None)


def _why(choice: ModelChoice | None) -> str:
    """Why a model was called, in a few words."""
    if choice is None:
        return "no model was called"
    return SELECTED[choice.reason] + (f", iteration {choice.iteration}" if choice.iteration > 1 else "")
