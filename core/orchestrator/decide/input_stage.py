"""Before the plan: suggestions that a person takes or refuses, and advice on the architecture.

Neither can fail a run: without a usable answer the description stays as it is, and the defaults are the architecture.
"""

from attrs import evolve

from orchestrator.decide.calling import NoAnswer, next_call
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import Query
from orchestrator.events import ADVISE, ENHANCE, ArchitectureDecided, Decision, QuestionAsked, SpecEnhanced
from orchestrator.models import (
    AUTO,
    INPUT_CHAIN,
    INPUT_SHORT,
    SHORT_WORDS,
    ArchitectureProfile,
    CallEnd,
    InputProblem,
    Role,
)
from orchestrator.state.calls import Answer, CallKey
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Node


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
        return _enhanced(m.state, *_ended(m.state.enhance, progress))
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
        return _decided(m.state, *_ended(m.state.advise, progress))
    if not isinstance(progress, Answer):
        return progress
    profile = progress.reading.profile
    if profile is None:
        return _decided(m.state, progress, InputProblem.NO_PROFILE)
    return _decided(m.state, progress, None, profile)


def input_chain(words: int) -> tuple[str, ...]:
    """The models and slots of the enhancer and the advisor, first to last, by the words of the description."""
    return INPUT_CHAIN if words > SHORT_WORDS else (INPUT_SHORT, *INPUT_CHAIN)


def _ended(node: Node, end: NoAnswer) -> tuple[Answer | None, InputProblem]:
    """What a call without a usable answer leaves: the latest answer and what is wrong with it, where there is one."""
    if end.reason is not CallEnd.UNREADABLE:
        return None, InputProblem(end.reason)
    latest = [call.answers[-1] for call in node.calls.values()][-1]
    return latest, InputProblem(latest.reading.problem or InputProblem.NO_JSON)


def _query(state: RunState, role: Role, node: str) -> Query:
    return Query(role, None, node=node, first=input_chain(state.words))


def _decided(
    state: RunState, answer: Answer | None, problem: InputProblem | None, advised: ArchitectureProfile | None = None
) -> Decision:
    """What is advised, or the defaults; an application type that the spec gives is not the advisor's to choose."""
    profile, wanted = advised or ArchitectureProfile(), state.settings.app
    if wanted is not None and wanted != AUTO:
        profile = evolve(profile, app_type=wanted)
    version = None if answer is None else answer.version
    return ArchitectureDecided(version, None if answer is None or problem else answer.model, profile, problem)
