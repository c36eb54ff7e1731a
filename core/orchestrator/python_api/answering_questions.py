"""Questions of a run that a program answers: ``run.questions()`` lists them, ``run.answer(…)`` answers."""

import asyncio
from collections.abc import Callable

from attrs import frozen

from orchestrator.engine.answers_from_outside import QuestionReply
from orchestrator.engine.questions import ApprovalQuestion, Offer, RiskForecast
from orchestrator.errors import UsageError
from orchestrator.events import ENHANCE, FORECAST, QuestionAsked
from orchestrator.models import ApprovalPoint
from orchestrator.money import Usd
from orchestrator.state.run import RunState


@frozen
class OpenQuestion:
    """A question that waits for an answer."""

    version: int
    """Of its event ``question.asked``; ``run.answer`` takes it."""
    name: str
    """What it is about and its task or number, such as ``approve_plan/1``; ``run.answer`` takes it, too."""
    text: str
    """What is asked, in one line."""
    task: str | None = None
    """The task that is to be approved."""
    amount_usd: str | None = None
    """The amount that is to be approved."""

    def to_dict(self) -> dict[str, str | int | None]:
        """The question as plain data."""
        return {
            "version": self.version,
            "name": self.name,
            "text": self.text,
            "task": self.task,
            "amount_usd": self.amount_usd,
        }


def open_questions(state: RunState) -> tuple[OpenQuestion, ...]:
    """What a run asks now."""
    asked = ((version, each) for version, each in state.pending.items() if isinstance(each, QuestionAsked))
    return tuple(
        OpenQuestion(
            version,
            f"{each.node}/{each.task or each.number}",
            question_of(each, state, lambda amount: f"${float(amount):.4f}"),
            each.task,
            None if each.amount is None else str(each.amount),
        )
        for version, each in asked
    )


def open_question(state: RunState, run: str, wanted: OpenQuestion | int | str) -> OpenQuestion:
    """The question of a run that is meant by itself, its version or its name.

    Raises:
        UsageError: it is not open.
    """
    asked = open_questions(state)
    found = next((each for each in asked if wanted in (each, each.version, each.name)), None)
    if found is None:
        named = wanted.name if isinstance(wanted, OpenQuestion) else wanted
        listed = ", ".join(each.name for each in asked) or "none"
        raise UsageError(f"run {run} asks no question {named!r}; open questions: {listed}")
    return found


def question_of(asked: QuestionAsked, state: RunState, money: Callable[[Usd], str]) -> str:
    """The question in one line; ``money`` writes amounts."""
    amount = "" if asked.amount is None else money(asked.amount)
    match asked.node:
        case ApprovalPoint.PLAN:
            number = len(state.tasks)
            return f"start the plan of {number} task{'s' * (number != 1)}{_expected(state, money)}?"
        case ApprovalPoint.TASK:
            return f"start {asked.task}? A no leaves it out"
        case ApprovalPoint.SPEND:
            return f"spend more than {amount}? {money(state.spend.total)} is spent"
        case ApprovalPoint.CEILING:
            return f"raise the ceiling of {money(state.cap)} by {amount}? A no leaves it where it is"
        case ApprovalPoint.FORECAST:
            return f"start a run that is expected to cost {amount}?"
        case node if node == FORECAST:
            return "start the tasks although the money may not suffice?"
        case node if node == ENHANCE:
            return f"take suggestion {asked.number}?"
    return f"agree to {asked.node}?"


def _expected(state: RunState, money: Callable[[Usd], str]) -> str:
    if state.forecast is None:
        return ""
    return f", expected to cost {money(state.forecast.expected)} of the {money(state.cap)} ceiling"


class WaitingAsker:
    """Leaves every question open until the program answers it."""

    async def ask(self, offer: Offer) -> QuestionReply:
        """Wait."""
        return await _never()

    async def approve(self, outlook: RiskForecast) -> QuestionReply:
        """Wait."""
        return await _never()

    async def confirm(self, question: ApprovalQuestion) -> QuestionReply:
        """Wait."""
        return await _never()


async def _never() -> QuestionReply:
    waiting: asyncio.Future[QuestionReply] = asyncio.get_running_loop().create_future()
    return await waiting
