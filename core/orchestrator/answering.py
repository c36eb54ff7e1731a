"""Questions of a run that a program answers: ``run.questions()`` lists them, ``run.answer(…)`` answers."""

import asyncio

from attrs import Factory, define, frozen

from orchestrator.engine.questions import ApprovalQuestion, Offer, RiskForecast
from orchestrator.engine.replies import QuestionReply
from orchestrator.errors import UsageError
from orchestrator.events import ENHANCE, FORECAST, QuestionAsked
from orchestrator.state.run import RunState


@frozen
class OpenQuestion:
    """A question that waits for an answer."""

    name: str
    """What ``run.answer`` takes, such as ``enhance/1``, ``forecast/1`` or ``approve_plan/1``."""
    text: str
    """What is asked, in one line or more."""

    def to_dict(self) -> dict[str, str]:
        """The question as plain data."""
        return {"name": self.name, "text": self.text}


@define(eq=False)
class ProgramAsker:
    """Asks the program that follows the run, and waits for its answer."""

    open: dict[str, OpenQuestion] = Factory(dict)
    _replies: "dict[str, asyncio.Future[bool]]" = Factory(dict)

    async def ask(self, offer: Offer) -> QuestionReply:
        """Whether to take a suggestion."""
        more = "".join(
            f"\nadd to the {mark}: {text}"
            for mark, text in (("description", offer.description), ("criteria", offer.criteria))
            if text
        )
        return await self._asked(f"{ENHANCE}/{offer.number}", f"take the suggestion {offer.title!r}?{more}")

    async def approve(self, outlook: RiskForecast) -> QuestionReply:
        """Whether the tasks may start although the forecast's risk is high."""
        text = f"the run is expected to cost ${outlook.total} of ${outlook.cap}; start the tasks?"
        return await self._asked(f"{FORECAST}/{outlook.number}", text)

    async def confirm(self, question: ApprovalQuestion) -> QuestionReply:
        """Whether the run may go on from an approval point."""
        found = open_question(question.asked)
        return await self._asked(found.name, found.text)

    async def _asked(self, name: str, text: str) -> QuestionReply:
        reply: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self.open[name], self._replies[name] = OpenQuestion(name, text), reply
        try:
            return QuestionReply(await reply)
        finally:
            del self.open[name], self._replies[name]

    def answer(self, name: str, accepted: bool) -> None:
        """Answer a question.

        Raises:
            UsageError: it is not open.
        """
        found = self._replies.get(name)
        if found is None or found.done():
            listed = ", ".join(self.open) or "none"
            raise UsageError(f"the run asks no question {name!r}; open questions: {listed}")
        found.set_result(accepted)


def open_question(asked: QuestionAsked) -> OpenQuestion:
    """A question of the log as a program sees it; the amount, where there is one, is exact."""
    amount = "" if asked.amount is None else f": ${asked.amount}"
    name = f"{asked.node}/{asked.task or asked.number}"
    return OpenQuestion(name, f"{asked.node.replace('_', ' ')}{f' {asked.task}' if asked.task else ''}{amount}?")


def asked_in(state: RunState) -> dict[int, OpenQuestion]:
    """The questions that a run waits with, by the version of their events."""
    found = ((version, opened) for version, opened in state.pending.items())
    return {version: open_question(opened) for version, opened in found if isinstance(opened, QuestionAsked)}
