"""Before the plan: suggestions that a person takes or refuses, and advice on the architecture.

Neither can fail a run: without a usable answer the description stays as it is, and the defaults are the architecture.
"""

from orchestrator.decide.calling import NoAnswer, next_call
from orchestrator.decide.context import RoutingContext
from orchestrator.decide.routing import Query
from orchestrator.events import ADVISE, ENHANCE, ArchitectureDecided, Decision, QuestionAsked, SpecEnhanced
from orchestrator.models import INPUT_FIRST, INPUT_ROW, SHORT_WORDS, ArchitectureProfile, InputProblem, Role
from orchestrator.state.calls import Answer, CallKey
from orchestrator.state.run import RunState


def wants_enhancement(state: RunState) -> bool:
    """Whether suggestions are still to be made, or answered."""
    return state.settings.enhance and state.enhance.ended is None


def wants_advice(state: RunState) -> bool:
    """Whether the architecture is still to be decided."""
    return state.settings.advise and state.advise.decided is None


def next_enhancement(m: RoutingContext) -> Decision | None:
    """One call, then one question per suggestion, then what came of them."""
    progress = next_call(m, CallKey(ENHANCE, Role.ENHANCER, 1, 1), _query(m.state, Role.ENHANCER, ENHANCE))
    if isinstance(progress, NoAnswer):
        return _enhanced(m.state, None, InputProblem(progress.reason))
    if not isinstance(progress, Answer):
        return progress
    if progress.reading.problem is not None:
        return _enhanced(m.state, progress, InputProblem(progress.reading.problem))
    return _next_question(m.state, progress)


def _next_question(state: RunState, answer: Answer) -> Decision | None:
    answers = state.enhance.answers
    if len(answers) == len(answer.reading.suggestions) or any(each.rest for each in answers.values()):
        return _enhanced(state, answer, None)
    if any(isinstance(opened, QuestionAsked) for opened in state.pending.values()):
        return None
    return QuestionAsked(ENHANCE, answer.version, len(answers) + 1)


def _enhanced(state: RunState, answer: Answer | None, problem: InputProblem | None) -> SpecEnhanced:
    offered = 0 if answer is None else len(answer.reading.suggestions)
    taken = tuple(number for number, each in state.enhance.answers.items() if each.accepted)
    return SpecEnhanced(
        call=None if answer is None else answer.version,
        taken=taken,
        refused=tuple(number for number in range(1, offered + 1) if number not in taken),
        project=state.project,
        criteria=state.criteria,
        problem=problem,
    )


def next_advice(m: RoutingContext) -> Decision | None:
    """One call, and what it advises; the defaults where it advises nothing."""
    progress = next_call(m, CallKey(ADVISE, Role.ADVISOR, 1, 1), _query(m.state, Role.ADVISOR, ADVISE))
    if isinstance(progress, NoAnswer):
        return ArchitectureDecided(None, None, ArchitectureProfile(), InputProblem(progress.reason))
    if not isinstance(progress, Answer):
        return progress
    profile = progress.reading.profile
    if profile is None:
        problem = InputProblem(progress.reading.problem or InputProblem.NO_PROFILE)
        return ArchitectureDecided(progress.version, None, ArchitectureProfile(), problem)
    return ArchitectureDecided(progress.version, progress.model, profile)


def _query(state: RunState, role: Role, node: str) -> Query:
    """A long description is for a model that thinks; the others follow in a fixed order."""
    short, long = INPUT_FIRST
    first = long if state.words > SHORT_WORDS else short
    return Query(role, None, node=node, first=(first, *INPUT_ROW))
