"""Laws of the input stage: the suggestions, the questions about them, the advice."""

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.models import ApprovalPoint
from orchestrator.state.fold.planning import APPROVALS
from orchestrator_audit.laws.verification_and_channels import Endings


@define
class Inputs(Endings):
    """The questions, and how the enhancer and the advisor ended."""

    answers: dict[int, bool] = Factory(dict)
    """By the number of the suggestion, whether it was taken."""
    enhanced: bool = False
    advised: bool = False

    def question_asked(self, event: e.QuestionAsked) -> None:
        """One after the other, of suggestions that were made or of a risk that is high, beside nothing else."""
        if event.node == e.FORECAST:
            self._forecast_asked_about(event)
            return
        if event.node in APPROVALS:
            self._approval_asked_for(event)
            return
        self.require("intents", self.state.settings.enhance, "a question that the settings do not ask for")
        self.require("intents", not self.enhanced and not self.planned, "a question after the input stage")
        self.require("intents", not self.open_effects, "a question beside open effects")
        self.require("intents", event.number == len(self.answers) + 1, "a question is out of its order")
        offered = [answer for call in self.state.enhance.calls.values() for answer in call.answers]
        most = max((len(answer.reading.suggestions) for answer in offered), default=0)
        self.require("intents", event.number <= most, "a question about a suggestion that was not made")
        self.open_effects[self.version] = event

    def _forecast_asked_about(self, event: e.QuestionAsked) -> None:
        """After the forecast and before any task, while the risk is high and not agreed to."""
        self.require("intents", self.forecast and not self.begun, "a question about the forecast out of its place")
        self.require("intents", not self.open_effects, "a question beside open effects")
        self.require("intents", self.needs_consent, "a question about the forecast that needs no answer")
        self.require("intents", event.number == self.asked + 1, "a question is out of its order")
        self.asked = event.number
        self.open_effects[self.version] = event

    def _approval_asked_for(self, event: e.QuestionAsked) -> None:
        """Where the settings ask for it, in turn, beside nothing else."""
        wanted, planned = self.state.settings.approve, bool(self.planned)
        asked_for = {
            ApprovalPoint.PLAN: wanted.plan and planned and not self.plan_agreed,
            ApprovalPoint.TASK: wanted.tasks and event.task in self.planned and event.task not in self.tasks_agreed,
            ApprovalPoint.SPEND: event.amount in wanted.spend,
            ApprovalPoint.CEILING: wanted.ceiling,
            ApprovalPoint.FORECAST: wanted.forecast_above is not None and planned and not self.begun,
        }
        self.require("intents", asked_for[ApprovalPoint(event.node)], "an approval that the settings do not ask for")
        self.require("intents", not self.open_effects, "a question beside open effects")
        self.require("intents", event.number == self.questions + 1, "a question is out of its order")
        self.questions = event.number
        self.open_effects[self.version] = event

    def _approved(self, asked: e.QuestionAsked, event: e.QuestionAnswered) -> None:
        """A yes lets go on; only a yes to more money changes the ceiling, and upwards."""
        raises = asked.node == ApprovalPoint.CEILING and event.accepted
        self.require("holds", raises is (event.cap is not None), "a ceiling that changes without a yes, or not with it")
        if event.cap is not None:
            self.require("holds", event.cap > self.cap, "the ceiling is not raised")
            self.cap = event.cap
        if not event.accepted:
            return
        match asked.node:
            case ApprovalPoint.PLAN:
                self.plan_agreed = True
            case ApprovalPoint.TASK:
                self.tasks_agreed.add(asked.task or "")
            case ApprovalPoint.SPEND:
                self.spend_agreed = asked.amount or self.spend_agreed
            case ApprovalPoint.FORECAST:
                self.forecast_agreed = True

    def question_answered(self, event: e.QuestionAnswered) -> None:
        """It ends an open question, once; only a yes to a suggestion changes a text."""
        opened = self.open_effects.pop(event.question, None)
        if not isinstance(opened, e.QuestionAsked):
            self.require("intents", False, "QuestionAnswered ends no question")
            return
        changes = event.project is not None or event.criteria is not None
        if opened.node in APPROVALS:
            self._approved(opened, event)
            self.require("intents", not changes, "a text changes with an approval")
            return
        if opened.node == e.FORECAST:
            self.agreed = event.accepted
            self.require("intents", not changes, "a text changes with the forecast")
            return
        self.answers[opened.number] = event.accepted
        self.require("intents", changes is event.accepted, "a text changes without a yes, or a yes changes nothing")

    def spec_enhanced(self, event: e.SpecEnhanced) -> None:
        """Once, before the plan; it takes what was said yes to, and no cent beyond what suggestions may cost."""
        self.require("intents", self.state.settings.enhance and not self.enhanced, "enhanced without need")
        self.require("intents", not self.planned, "enhanced after the plan")
        taken = tuple(number for number, accepted in self.answers.items() if accepted)
        self.require("intents", event.taken == taken, f"taken are {event.taken}, said yes to was {taken}")
        texts = (event.project, event.criteria)
        self.require("intents", texts == (self.state.project, self.state.criteria), "other texts than were agreed on")
        spent, cap = self.state.enhance.spend.total, self.state.settings.enhance_cap
        self.require("holds", spent <= cap + self.excess, f"suggestions cost {spent}, {cap} was allowed")
        self.enhanced = True

    def architecture_decided(self, event: e.ArchitectureDecided) -> None:
        """Once, before the plan."""
        self.require("intents", self.state.settings.advise and not self.advised, "advised without need")
        self.require("intents", not self.planned, "advised after the plan")
        self.require(
            "intents",
            (event.model is None) is (event.problem is not None),
            "advice without a model, or a problem with one",
        )
        self.advised = True
