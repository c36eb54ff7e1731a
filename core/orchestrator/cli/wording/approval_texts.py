"""What a person is asked at an approval point, in words: the same at the terminal, in progress and in ``answer``."""

from collections.abc import Callable, Iterator

from orchestrator.cli.options.shared_options import command
from orchestrator.cli.terminal.terminal_output import line, money
from orchestrator.events import QuestionAsked
from orchestrator.models import ApprovalPoint
from orchestrator.python_api.answering_questions import question_of as asked_in_words
from orchestrator.state.run import RunState

_LONGEST_PROMPT = 160


def question_of(asked: QuestionAsked, state: RunState) -> str:
    """The question in one line."""
    return asked_in_words(asked, state, money)


def shown_with(asked: QuestionAsked, state: RunState, text_of: Callable[[str], str]) -> Iterator[str]:
    """What the question is about: the tasks of the plan, or the task, a line each."""
    if asked.node == ApprovalPoint.PLAN:
        names: tuple[str, ...] = state.execution_order
    elif asked.node == ApprovalPoint.TASK and asked.task in state.tasks:
        names = (asked.task,)
    else:
        names = ()
    for name in names:
        planned = state.tasks[name].planned
        after = f", after {', '.join(planned.dependencies)}" if planned.dependencies else ""
        yield line(f"{name} ({planned.type.value}{after}): {text_of(planned.prompt)}", _LONGEST_PROMPT)


def ways_of(asked: QuestionAsked, run: str) -> str:
    """The commands that answer it from another terminal."""
    ways = f"answer with: {command(f'answer {run} yes')}, or no"
    if asked.node == ApprovalPoint.PLAN:
        return f"{ways}; change the plan with: {command(f'plan edit {run}')}"
    if asked.node == ApprovalPoint.CEILING:
        return f"{ways}; another amount: {command(f'answer {run} yes --add-budget USD')}"
    return ways
