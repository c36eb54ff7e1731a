"""What comes before the plan: suggestions and the answers to them, and advice on the architecture."""

from attrs import Factory, define

from orchestrator.events import ArchitectureDecided, QuestionAnswered, SpecEnhanced
from orchestrator.money import Usd
from orchestrator.state.tasks import Node


@define
class EnhanceNode(Node):
    """The node whose calls suggest improvements."""

    answers: dict[int, QuestionAnswered] = Factory(dict)
    """By the number of the suggestion, in the order of the answers."""
    asked_at: int | None = None
    """Since when a person has been asked something; microseconds UTC; None while none is."""
    project: str | None = None
    """Digest of the description with everything taken so far; None while it is as it was given."""
    criteria: str | None = None
    words: int | None = None
    """Of that description."""
    ended: SpecEnhanced | None = None


@define
class AdviseNode(Node):
    """The node whose calls advise on the architecture."""

    decided: ArchitectureDecided | None = None


@define
class ApprovalRecord:
    """What a person was asked to approve, and said."""

    asked: int = 0
    """How many questions were asked."""
    open: int | None = None
    """Version of the question that has no answer yet."""
    declined: int = 0
    """Version of the latest no that ended a session."""
    plan: int = 0
    """Version at which a plan was approved."""
    tasks: set[str] = Factory(set)
    refused: set[str] = Factory(set)
    """The tasks that are left out."""
    spend: Usd = Usd.ZERO
    """The largest amount that was approved."""
    forecast: bool = False
    at_ceiling: bool = False
    """Whether a person has said that the ceiling stays."""


@define
class Consent:
    """What a person said to the question whether the tasks may start although the forecast's risk is high."""

    asked: int = 0
    """How often it was asked."""
    asked_version: int = 0
    """Version of the latest question."""
    answer: QuestionAnswered | None = None
    """The latest."""

    @property
    def is_given(self) -> bool:
        """Whether it was a yes."""
        return self.answer is not None and self.answer.accepted
