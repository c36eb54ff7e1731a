"""Reading of answers: pure functions from a text to what a decision may see of it.

They tolerate what models do (fences, prose around the JSON, small faults in it, an end that is missing) and refuse
rather than guess: a score out of range, two different scores are no reading. They are total,
take time in proportion to the text, and look at no more than its first 1,048,576 characters.
"""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from attrs import evolve

from orchestrator.engine.answers.architecture_advice import read_profile
from orchestrator.engine.answers.criteria_verdicts import is_partial
from orchestrator.engine.answers.given_files_in_prompts import FileNames
from orchestrator.engine.answers.json_documents import whole_values
from orchestrator.engine.answers.pair_preferences import read_choice
from orchestrator.engine.answers.plans import MOST_TASKS, ExistingTasks, Keep, read_plan
from orchestrator.engine.answers.reading_critiques import read_critique
from orchestrator.engine.answers.repetition import ends_in_loop
from orchestrator.engine.answers.result_block import Delivery
from orchestrator.engine.answers.scores import read_score, reasons_in, without_quoted
from orchestrator.engine.answers.suggested_improvements import read_suggestions
from orchestrator.events import Reading
from orchestrator.models import APP_TYPES, ReadingProblem, Role
from orchestrator.suites import shadowing, within

__all__ = ["Keep", "read_answer", "read_score", "reasons_in"]


def read_answer(
    role: Role,
    text: str,
    validators: Sequence[str],
    keep: Keep,
    paths: Mapping[str, str] = MappingProxyType({}),
    most_tasks: int = MOST_TASKS,
    deliver: Callable[[str], Delivery] | None = None,
    criteria: int = 0,
    compares: bool = False,
    judged: str = "",
    files: FileNames | None = None,
    existing: ExistingTasks | None = None,
    app_types: Sequence[str] = APP_TYPES,
) -> Reading:
    """What a decision may know of an answer.

    Args:
        role: what the call was for.
        text: the answer, without thinking.
        validators: the names of those that are installed.
        keep: stores a text and returns its digest.
        paths: where the user wants the files of a plan's tasks.
        most_tasks: the most tasks of a plan.
        deliver: what a draft or revision is delivered as.
        criteria: how many success criteria a judge was to answer one by one.
        compares: whether an evaluator was to choose one of two results.
        judged: the result that a judge was shown.
        files: the names of the user's files that a plan may name; None: there are none.
        existing: the tasks of the plan that an answer patches; None: it makes a plan.
        app_types: the types of applications that may be advised.
    """
    match role:
        case Role.EVALUATOR if compares:
            return read_choice(text)
        case Role.EVALUATOR:
            return evolve(read_score(without_quoted(text, judged)), partial=is_partial(whole_values(text), criteria))
        case Role.DECOMPOSER:
            return read_plan(whole_values(text), validators, keep, paths, most_tasks, files, existing)
        case Role.ENHANCER:
            return read_suggestions(whole_values(text), keep)
        case Role.ADVISOR:
            return read_profile(whole_values(text), keep, app_types)
        case Role.CRITIC:
            return read_critique(text, keep)
    return _read_result(text, keep, deliver)


def _read_result(text: str, keep: Keep, deliver: Callable[[str], Delivery] | None) -> Reading:
    """What is to be said of a draft or revision."""
    if not text.strip():
        return Reading(problem=ReadingProblem.EMPTY)
    repeats = ends_in_loop(text)
    if deliver is None:
        return Reading(repeats=repeats)
    delivery = deliver(text)
    hidden = tuple(keep(name) for name in shadowing(within(delivery.files)))
    return Reading(left_out=delivery.left_out, renamed=delivery.renamed, shadowing=hidden, repeats=repeats)
