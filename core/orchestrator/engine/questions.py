"""Questions to a person: what is asked, who asks it, and what an answer changes."""

from collections.abc import Callable
from typing import Final, Protocol

from attrs import frozen

from orchestrator import events as e
from orchestrator.decide.forecast import expected_total
from orchestrator.engine.answers.enhancing import count_words, joined_criteria, joined_description
from orchestrator.models import AnsweredBy, Suggestion, SuggestionKind
from orchestrator.money import Usd
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


@frozen
class QuestionReply:
    """What became of a question."""

    accepted: bool
    how: AnsweredBy = AnsweredBy.PERSON
    """As in ``QuestionAnswered``."""
    rest: bool = False
    """Whether the questions that would follow are answered with no."""


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


class Asker(Protocol):
    """Asks a person; may take as long as the person does, and may be cancelled."""

    async def ask(self, offer: Offer) -> QuestionReply:
        """Whether to take a suggestion."""

    async def approve(self, outlook: RiskForecast) -> QuestionReply:
        """Whether the tasks may start although the forecast's risk is high."""


class Agreeing:
    """Agrees to everything: the person said so beforehand."""

    async def ask(self, offer: Offer) -> QuestionReply:
        """Yes."""
        return QuestionReply(True, AnsweredBy.FLAG)

    async def approve(self, outlook: RiskForecast) -> QuestionReply:
        """Yes."""
        return QuestionReply(True, AnsweredBy.FLAG)


class QuestionTexts(Protocol):
    """The texts of the run."""

    def put(self, text: str, shapes: bool = False) -> str:
        """Stage a text for the next append, and return its digest."""

    def get(self, digest: str) -> str:
        """The text of a digest."""


async def answered(
    state: RunState, version: int, asked: e.QuestionAsked, asker: Asker | None, texts: QuestionTexts
) -> e.QuestionAnswered:
    """The outcome of a question; with a yes to a suggestion the patched texts are staged."""
    if asked.node == e.FORECAST:
        outlook = RiskForecast(asked.number, expected_total(state), state.cap)
        reply = NO_TERMINAL if asker is None else await asker.approve(outlook)
        return e.QuestionAnswered(version, reply.accepted, reply.how, reply.rest)
    offered = suggestions_of(state)
    suggestion = offered[asked.number - 1]
    reply = NO_TERMINAL
    if asker is not None:
        reply = await asker.ask(_offer(asked.number, len(offered), suggestion, texts.get))
    if not reply.accepted:
        return e.QuestionAnswered(version, False, reply.how, reply.rest)
    project = criteria = words = None
    if suggestion.description is not None:
        text = joined_description(texts.get(state.project), texts.get(suggestion.description))
        project, words = texts.put(text), count_words(text)
    if suggestion.criteria is not None:
        criteria = texts.put(joined_criteria(texts.get(state.criteria), texts.get(suggestion.criteria)))
    return e.QuestionAnswered(version, True, reply.how, reply.rest, project, criteria, words)


def declines(state: RunState, outcome: e.Outcome) -> bool:
    """Whether an outcome is a no to starting the tasks: then the session ends with it."""
    if not isinstance(outcome, e.QuestionAnswered) or outcome.accepted:
        return False
    asked = state.pending.get(outcome.question)
    return isinstance(asked, e.QuestionAsked) and asked.node == e.FORECAST


def suggestions_of(state: RunState) -> tuple[Suggestion, ...]:
    """What the enhancer suggested, in its order."""
    found = (call.answer for call in state.enhance.calls.values())
    return next((answer.reading.suggestions for answer in found if answer is not None), ())


def _offer(number: int, of: int, suggestion: Suggestion, get: Callable[[str], str]) -> Offer:
    texts = [get(digest) if digest else "" for digest in (suggestion.description, suggestion.criteria)]
    return Offer(number, of, suggestion.kind, get(suggestion.title), *texts)
