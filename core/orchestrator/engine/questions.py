"""Questions to a person: what is asked, who asks it, and what an answer changes."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

from attrs import frozen

from orchestrator import events as e
from orchestrator.decide.forecast import expected_total
from orchestrator.engine.answers.suggested_improvements import count_words, joined_criteria, joined_description
from orchestrator.engine.answers_from_outside import QuestionReply, Replies
from orchestrator.models import AnsweredBy, ApprovalPoint, Suggestion, SuggestionKind
from orchestrator.money import Usd
from orchestrator.state.fold.planning import APPROVALS
from orchestrator.state.run import RunState


@frozen
class Offer:
    """A suggestion, as a person is shown it."""

    number: int
    """From 1."""
    of: int
    """How many there are."""
    kind: SuggestionKind
    title: str
    description: str
    """The sentence to add to the description, or an empty text."""
    criteria: str
    """The condition to add to the criteria, or an empty text."""


NO_TERMINAL: Final = QuestionReply(False, AnsweredBy.NO_TERMINAL, rest=True)
"""Unanswered means no."""


@frozen
class RiskForecast:
    """A forecast whose risk is high, as a person is shown it."""

    number: int
    """How often it has been asked, from 1."""
    total: Usd
    """What the run is expected to have spent in the end."""
    cap: Usd


@frozen
class ApprovalQuestion:
    """What a person is asked to approve."""

    asked: e.QuestionAsked
    state: RunState
    text_of: Callable[[str], str]


class Asker(Protocol):
    """Asks a person; may take as long as the person does, and may be cancelled."""

    async def ask(self, offer: Offer) -> QuestionReply:
        """Whether to take a suggestion."""

    async def approve(self, outlook: RiskForecast) -> QuestionReply:
        """Whether the tasks may start although the forecast's risk is high."""

    async def confirm(self, question: ApprovalQuestion) -> QuestionReply:
        """Whether the run may go on from an approval point."""


class Agreeing:
    """Agrees to everything: the person said so beforehand."""

    async def ask(self, offer: Offer) -> QuestionReply:
        """Yes."""
        return QuestionReply(True, AnsweredBy.FLAG)

    async def approve(self, outlook: RiskForecast) -> QuestionReply:
        """Yes."""
        return QuestionReply(True, AnsweredBy.FLAG)

    async def confirm(self, question: ApprovalQuestion) -> QuestionReply:
        """Yes, but for more money than the ceiling: that is said each time."""
        return QuestionReply(question.asked.node != ApprovalPoint.CEILING, AnsweredBy.FLAG)


class QuestionTexts(Protocol):
    """The texts of the run."""

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text for the next append, and return its digest."""

    def get(self, digest: str) -> str:
        """The text of a digest."""


@frozen
class QuestionAnswering:
    """Who answers the questions of a run: the person at the terminal, or another process."""

    state: RunState
    texts: QuestionTexts
    asker: Asker | None
    replies: Replies

    async def approval(self, version: int, asked: e.QuestionAsked) -> QuestionReply:
        """The word of a person, whenever and wherever it comes."""
        if self.asker is None:
            return await self.replies.of(version)
        question = ApprovalQuestion(asked, self.state, self.texts.get)
        return await self.replies.first(version, self.asker.confirm(question))

    async def reply(self, version: int, asked: Callable[[Asker], Coroutine[Any, Any, QuestionReply]]) -> QuestionReply:
        """The word of the person at the terminal; where there is none, no."""
        return NO_TERMINAL if self.asker is None else await self.replies.first(version, asked(self.asker))


async def answered(answering: QuestionAnswering, version: int, asked: e.QuestionAsked) -> e.QuestionAnswered:
    """The outcome of a question; with a yes to a suggestion the patched texts are staged."""
    state, texts = answering.state, answering.texts
    if asked.node in APPROVALS:
        reply = await answering.approval(version, asked)
        raised = asked.node == ApprovalPoint.CEILING and reply.accepted
        cap = state.cap + (reply.amount or asked.amount or Usd.ZERO) if raised else None
        return e.QuestionAnswered(version, reply.accepted, reply.how, reply.rest, cap=cap, by=reply.by)
    if asked.node == e.FORECAST:
        outlook = RiskForecast(asked.number, expected_total(state), state.cap)
        reply = await answering.reply(version, lambda asker: asker.approve(outlook))
        return e.QuestionAnswered(version, reply.accepted, reply.how, reply.rest, by=reply.by)
    offered = suggestions_of(state)
    suggestion = offered[asked.number - 1]
    offer = _offer(asked.number, len(offered), suggestion, texts.get)
    reply = await answering.reply(version, lambda asker: asker.ask(offer))
    if not reply.accepted:
        return e.QuestionAnswered(version, False, reply.how, reply.rest, by=reply.by)
    project = criteria = words = None
    if suggestion.description is not None:
        text = joined_description(texts.get(state.project), texts.get(suggestion.description))
        project, words = texts.put(text), count_words(text)
    if suggestion.criteria is not None:
        criteria = texts.put(joined_criteria(texts.get(state.criteria), texts.get(suggestion.criteria)))
    return e.QuestionAnswered(version, True, reply.how, reply.rest, project, criteria, words, by=reply.by)


def suggestions_of(state: RunState) -> tuple[Suggestion, ...]:
    """What the enhancer suggested, in its order."""
    found = (call.answer for call in state.enhance.calls.values())
    return next((answer.reading.suggestions for answer in found if answer is not None), ())


def _offer(number: int, of: int, suggestion: Suggestion, get: Callable[[str], str]) -> Offer:
    texts = [get(digest) if digest else "" for digest in (suggestion.description, suggestion.criteria)]
    return Offer(number, of, suggestion.kind, get(suggestion.title), *texts)
