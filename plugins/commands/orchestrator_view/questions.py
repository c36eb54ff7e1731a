"""What a person was asked in a run, and what was answered."""

from typing import Final

from attrs import evolve, frozen

from orchestrator.cli.kit import money, question_of
from orchestrator.models import AnsweredBy
from orchestrator.reading import RunState
from orchestrator.reading import events as e

_HOW: Final = {
    AnsweredBy.PERSON: "at the terminal",
    AnsweredBy.FLAG: "by a flag",
    AnsweredBy.STOPPED: "with the answer to an earlier question",
    AnsweredBy.NO_TERMINAL: "without a terminal to ask at",
    AnsweredBy.ELSEWHERE: "from another process",
}


@frozen
class QuestionShown:
    """A question in the table of a run's page."""

    what: str
    """In words, as it was when it was asked."""
    at: int
    """When it was asked, in microseconds UTC."""
    answer: str = ""
    """``yes`` or ``no``, with a new ceiling; empty while it is open."""
    how: str = ""
    """Where the answer came from."""


def asked(event: e.QuestionAsked, state: RunState, at: int) -> QuestionShown:
    """A question that has no answer yet."""
    return QuestionShown(question_of(event, state), at)


def answered(question: QuestionShown, event: e.QuestionAnswered) -> QuestionShown:
    """The question with its answer."""
    raised = "" if event.cap is None else f", the ceiling is {money(event.cap)}"
    how = _HOW.get(event.how, str(event.how)) + (f" ({event.by})" if event.by else "")
    return evolve(question, answer=f"{'yes' if event.accepted else 'no'}{raised}", how=how)
