"""What a model is shown that is called once more, because its answer could not be used."""

from collections.abc import Mapping
from typing import Final

from orchestrator.engine.answers.prompt_marks import cut
from orchestrator.engine.answers.task_prompt_sections import LONGEST_DETAILS, PromptSource
from orchestrator.events import ModelSelected
from orchestrator.models import PLAN_PROBLEMS, Finish, ReadingProblem
from orchestrator.state.calls import Answer
from orchestrator.state.run import RunState

_PROBLEMS: Final[Mapping[str, str]] = {
    **{code.value: words for code, words in PLAN_PROBLEMS.items()},
    ReadingProblem.EMPTY: "it is empty",
    ReadingProblem.NO_SCORE: "it holds no score from 0 to 10",
    ReadingProblem.AMBIGUOUS_SCORE: "it holds several scores that differ",
    ReadingProblem.SCORE_OUT_OF_RANGE: "its score is no whole number from 0 to 10",
    ReadingProblem.NO_CHOICE: "it does not say which result is better: A, B or tie",
    ReadingProblem.AMBIGUOUS_CHOICE: "it names more than one result as the better one",
    ReadingProblem.NO_SUGGESTIONS: "it holds no suggestion that could be used",
    ReadingProblem.NO_PROFILE: "it names no known pattern and topology",
}
_OTHERWISE: Final = "it has another form than asked for"


def again_parts(source: PromptSource, selected: ModelSelected, few: str) -> tuple[list[str], list[str]]:
    """(blocks, rules): the model's own answer, and what was wrong with it; nothing where another model wrote it.

    Args:
        source: the state and texts of the run.
        selected: the call.
        few: what bounds a shorter answer, in words; used where the one before was cut off at its limit.
    """
    answer, problem = _unusable(source.state, selected)
    if answer is None or answer.model != selected.model:
        return [], []
    cut_off = answer.finish is Finish.LENGTH
    say = source.wording.say
    rule = say("again-short", bound=few) if cut_off else say("again", problem=problem)
    text = cut(source.get(answer.digest), LONGEST_DETAILS)
    return ([source.marks.quoted("LAST ANSWER", text)] if text.strip() else []), [rule]


def _unusable(state: RunState, selected: ModelSelected) -> tuple[Answer | None, str]:
    """The answer that the call is made once more for, and why it could not be read, or why its plan was refused."""
    version = selected.unreadable
    if version is None:
        return None, ""
    answers = (each for call in state.node(selected.node).calls.values() for each in call.answers)
    answer = next((each for each in answers if each.version == version), None)
    refused = next((each for each in state.plan.refused if each.call == version), None)
    if refused is not None:
        at_fault = f" ({', '.join(refused.tasks)})" if refused.tasks else ""
        return answer, _PROBLEMS.get(refused.problem, _OTHERWISE) + at_fault
    problem = None if answer is None else answer.reading.problem
    return answer, _OTHERWISE if problem is None else _PROBLEMS.get(problem, _OTHERWISE)
