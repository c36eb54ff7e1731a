"""Answers to a run's questions that come from outside of its process, or of the terminal it is at."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import orjson
from attrs import Factory, define, frozen

from orchestrator.engine.vendors.environment import application_word
from orchestrator.models import AnsweredBy
from orchestrator.money import Usd

_T = TypeVar("_T")


@frozen
class QuestionReply:
    """What became of a question."""

    accepted: bool
    how: AnsweredBy = AnsweredBy.PERSON
    """As in ``QuestionAnswered``."""
    rest: bool = False
    """Whether the questions that would follow are answered with no."""
    amount: Usd | None = None
    """By how much the ceiling is raised; None: by as much as was asked for."""
    by: str = ""
    """As in ``QuestionAnswered``."""


@define
class Replies:
    """Replies by the version of their question; one that comes before it is waited for is kept."""

    _found: "dict[int, asyncio.Future[QuestionReply]]" = Factory(dict)

    def put(self, question: int, reply: QuestionReply) -> None:
        """Take a reply; the first to a question counts."""
        found = self._of(question)
        if not found.done():
            found.set_result(reply)

    async def of(self, question: int) -> QuestionReply:
        """The reply to a question, whenever it comes."""
        return await asyncio.shield(self._of(question))

    async def first(self, question: int, asked: Coroutine[Any, Any, QuestionReply]) -> QuestionReply:
        """The reply to a question, or what the person at the terminal says, whichever comes first."""
        ways = [asyncio.ensure_future(self.of(question)), asyncio.ensure_future(asked)]
        try:
            done, _ = await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    def _of(self, question: int) -> "asyncio.Future[QuestionReply]":
        if question not in self._found:
            self._found[question] = asyncio.get_running_loop().create_future()
        return self._found[question]


def request_of(question: int, reply: QuestionReply) -> str:
    """A reply as the text of a request in the mailbox."""
    amount = None if reply.amount is None else str(reply.amount)
    return orjson.dumps({"question": question, "accepted": reply.accepted, "amount": amount, "by": reply.by}).decode()


def read_request(text: str) -> tuple[int, QuestionReply] | None:
    """(question, reply) of such a text; None where it is none."""
    try:
        found = orjson.loads(text)
        amount = None if found.get("amount") is None else Usd.parse(found["amount"])
        question, accepted = found["question"], found["accepted"]
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    if not isinstance(question, int) or not isinstance(accepted, bool) or (amount is not None and amount <= Usd.ZERO):
        return None
    by = application_word(found.get("by"))
    return question, QuestionReply(accepted, AnsweredBy.ELSEWHERE, amount=amount, by=by)
