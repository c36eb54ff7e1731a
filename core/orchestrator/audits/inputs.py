"""Laws of what stands before the plan: the suggestions, the questions about them, the advice."""

from attrs import Factory, define

from orchestrator import events as e
from orchestrator.audits.endings import Endings


@define
class Inputs(Endings):
    """The questions, and how the enhancer and the advisor ended."""

    answers: dict[int, bool] = Factory(dict)
    """By the number of the suggestion, whether it was taken."""
    enhanced: bool = False
    advised: bool = False

    def question_asked(self, event: e.QuestionAsked) -> None:
        """One after the other, of suggestions that were made, while nothing else is at work."""
        self.require("intents", self.state.settings.enhance, "a question nobody wanted")
        self.require("intents", not self.enhanced and not self.planned, "a question after the input stage")
        self.require("intents", not self.open_effects, "a question beside open effects")
        self.require("intents", event.number == len(self.answers) + 1, "a question is out of its order")
        offered = [answer for call in self.state.enhance.calls.values() for answer in call.answers]
        most = max((len(answer.reading.suggestions) for answer in offered), default=0)
        self.require("intents", event.number <= most, "a question about a suggestion that was not made")
        self.open_effects[self.version] = event

    def question_answered(self, event: e.QuestionAnswered) -> None:
        """It ends an open question, once; only a yes changes a text."""
        opened = self.open_effects.pop(event.question, None)
        if not isinstance(opened, e.QuestionAsked):
            self.require("intents", False, "QuestionAnswered ends no question")
            return
        self.answers[opened.number] = event.accepted
        changes = event.project is not None or event.criteria is not None
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
        self.require("intents", (event.model is None) is (event.problem is not None), "advice by nobody, or a problem")
        self.advised = True
