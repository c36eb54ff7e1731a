"""What is sent to the models, built from the state and the texts of the run.

A prompt begins with what all roles of its node share, and ends with the role and its instructions. Every text of a
model or a user is between marks (see ``prompt_marks``); what is outside them is ours or, where a run replaces a
template, its user's.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, Final

from attrs import evolve, frozen

from orchestrator.decide.outcome import output_of
from orchestrator.engine.answers import architecture_advice, suggested_improvements
from orchestrator.engine.answers.answer_schemas import (
    Schema,
    choice_schema,
    critique_schema,
    plan_schema,
    verdict_schema,
)
from orchestrator.engine.answers.defects_for_reviser import critique_text
from orchestrator.engine.answers.given_files_in_prompts import files_of, not_whole
from orchestrator.engine.answers.plan_patches import failed_text, plan_text
from orchestrator.engine.answers.prompt_marks import cut
from orchestrator.engine.answers.read_answer import reasons_in
from orchestrator.engine.answers.repeated_prompts import again_parts
from orchestrator.engine.answers.stored_prompts import Prompt
from orchestrator.engine.answers.success_criteria import criteria_of
from orchestrator.engine.answers.task_prompt_sections import (
    LONGEST_DETAILS,
    LONGEST_RESULT,
    Get,
    PromptSource,
    has_given_tests,
    project_parts,
    result_parts,
    shortened,
    source_of,
    task_parts,
    warning_parts,
)
from orchestrator.errors import MissingError, present
from orchestrator.events import ModelSelected
from orchestrator.models import AUTO, DraftMode, PairChoice, Role, TaskType
from orchestrator.spi import Message
from orchestrator.state.calls import Answer
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_SEEDS: Final = (1_000_000_000, 2_000_000_000)
"""All of one length, so that a request's size says nothing of the run; they fit into 32 bits."""

_SMALL: Final = 60  # words of a description
_MOST_FILES: Final = {"small": 8, "usual": 15}

_TEMPERATURES: Final[Mapping[Role, float]] = {
    Role.DECOMPOSER: 0.2,
    Role.GENERATOR: 0.3,
    Role.CRITIC: 0.1,
    Role.REVISER: 0.3,
    Role.EVALUATOR: 0.1,
    Role.ENHANCER: 0.4,
    Role.ADVISOR: 0.2,
}
_WAYS: Final[Mapping[TaskType, str]] = {
    TaskType.CODE_GEN: "code",
    TaskType.DATA_EXTRACTION: "json",
    TaskType.COMPLEX_REASONING: "reasoning",
}


@frozen
class _Ask:
    """What follows the common part: blocks that only this role sees, its instructions, and the form of the answer."""

    parts: Sequence[str]
    rules: str
    schema: Schema | None = None
    seed: int | None = None
    few: str = ""
    """How much shorter an answer should be that was cut off, in words."""


Guidance = Callable[[RunState, Get], str]
"""What is to be said to the decomposer of an application, as things stand."""


def build_prompt(
    state: RunState,
    selected: ModelSelected,
    get: Get,
    guidance: Guidance | None = None,
) -> Prompt:
    """The prompt of a call. Equal state and texts give an equal prompt.

    ``guidance`` is what the scaffold of an application says for the decomposer; None: no application is built.
    """
    source = source_of(state, selected.node, get)
    task = state.tasks.get(selected.node)
    ask = _for_project(source, selected, guidance) if task is None else _ROLES[selected.role](source, task, selected)
    common = project_parts(source) if task is None else task_parts(source, task)
    again, more = again_parts(source, selected, ask.few)
    rules = "\n".join((f"Role: {selected.role.value}", ask.rules, *more))
    messages = (
        Message("system", source.wording.say("system")),
        Message("user", "\n\n".join((*common, *ask.parts, *again, rules))),
    )
    temperature = _TEMPERATURES[selected.role] if selected.temperature is None else selected.temperature
    prompt = Prompt(messages, temperature, ask.schema, seed=ask.seed)
    if task is None:
        return prompt
    return evolve(prompt, cut=shortened(state, task, get), files_cut=not_whole(state, task.planned, get))


def _for_project(source: PromptSource, selected: ModelSelected, guidance: Guidance | None) -> _Ask:
    match selected.role:
        case Role.DECOMPOSER if selected.iteration > 1:
            return _for_patch(source)
        case Role.DECOMPOSER:
            return _for_decomposer(source, guidance)
        case Role.ENHANCER:
            return _Ask(
                (), source.wording.say("enhancer", **suggested_improvements.VALUES), suggested_improvements.SCHEMA
            )
        case Role.ADVISOR:
            return _Ask(
                (), _advisor_rules(source), architecture_advice.schema(architecture_advice.app_types_of(source.state))
            )
    raise ValueError(f"no prompt for {selected.role} of {selected.node}")


def _advisor_rules(source: PromptSource) -> str:
    """What an architecture is; an application's type that the spec gives is not to be chosen."""
    say, given = source.wording.say, source.state.settings.app
    rules = say("advisor", **architecture_advice.values(architecture_advice.app_types_of(source.state)))
    return rules if given in (None, AUTO) else f"{rules}\n{say('advisor-application', app_type=given)}"


def _for_decomposer(source: PromptSource, guidance: Guidance | None) -> _Ask:
    state, get, say, quoted = source.state, source.get, source.wording.say, source.marks.quoted
    most = _MOST_FILES["small" if state.words < _SMALL and guidance is None else "usual"]
    parts, rules = [], [say("planner" if guidance is None else "planner-application", most=most)]
    profile = architecture_advice.profile_of(state, get)
    if profile is not None:
        parts.append(quoted("ARCHITECTURE", architecture_advice.profile_text(profile)))
        rules.append(say("planner-architecture"))
    if guidance is not None:
        parts.append(quoted("APPLICATION", guidance(state, get)))
    context = None if state.start is None else state.start.context
    if context is not None:
        parts.append(quoted("FILES", get(context.map)))
        rules.append(say("planner-context"))
    schema = plan_schema(most, application=guidance is not None, context=context is not None)
    return _Ask(parts, "\n".join(rules), schema, few=f": at most {max(1, most // 2)} short tasks")


def _for_patch(source: PromptSource) -> _Ask:
    """Other tasks in the place of those that failed."""
    state, get, say, quoted = source.state, source.get, source.wording.say, source.marks.quoted
    most = _MOST_FILES["small"]
    parts = [quoted("PLAN", plan_text(state, get)), quoted("FAILED", failed_text(state, get))]
    rules = [say("planner-patch", most=most)]
    context = None if state.start is None else state.start.context
    if context is not None:
        parts.append(quoted("FILES", get(context.map)))
        rules.append(say("planner-context"))
    schema = plan_schema(most, application=state.settings.app is not None, context=context is not None, patch=True)
    return _Ask(parts, "\n".join(rules), schema, few=f": at most {max(1, most // 2)} short tasks")


def _for_generator(source: PromptSource, task: TaskState, selected: ModelSelected) -> _Ask:
    parts, rules = warning_parts(source, task), [_result_rules(source, task)]
    mode = selected.mode or DraftMode.FRESH
    best, answer = (None, None) if selected.base is None else _by_version(task, selected.base)
    if mode is not DraftMode.FRESH and best is not None and answer is not None:
        shown = result_parts(source, task, answer, "BEST RESULT")
        parts = [*shown, *(_reasons(source, task, best) if mode is DraftMode.IMPROVE else ()), *parts]
        rules = [source.wording.say(mode.value), *rules]
    return _Ask(parts, "\n".join(rules), _own_schema(source, task))


def _by_version(task: TaskState, version: int) -> tuple[int | None, Answer | None]:
    """(iteration, answer) of the task that has this version."""
    found = ((key.iteration, each) for key, call in task.calls.items() for each in call.answers)
    return next(((number, each) for number, each in found if each.version == version), (None, None))


def _result_rules(source: PromptSource, task: TaskState) -> str:
    """How a result of this type is written down."""
    way = source.wording.say(f"generator-{_WAYS.get(task.planned.type, 'text')}")
    if files_of(source.state, task.planned):
        way = f"{way} {source.wording.say('generator-context')}"
    shown = task.planned.tests is not None and has_given_tests(source.state)
    return f"{way} {source.wording.say('generator-tested')}" if shown else way


def _own_schema(source: PromptSource, task: TaskState) -> Schema | None:
    """The JSON Schema that the task's result has to meet."""
    schema: Any = None if task.planned.schema is None else json.loads(source.get(task.planned.schema))
    return schema if isinstance(schema, Mapping) else None


def _reasons(source: PromptSource, task: TaskState, iteration: int) -> list[str]:
    """What the scorer and the judges said of an iteration's output."""
    answers = (
        call.answer for key, call in task.calls.items() if key.role is Role.EVALUATOR and key.iteration == iteration
    )
    evaluated = task.evaluated.get(iteration)
    scoring = None if evaluated is None else task.scorings.get(evaluated.call)
    found = [reasons_in(source.get(answer.digest)) for answer in answers if answer is not None]
    if scoring is not None and scoring.score is not None and scoring.reasons is not None:
        found.insert(0, source.get(scoring.reasons))
    return [source.marks.quoted("EVALUATION", cut(each, LONGEST_DETAILS)) for each in found if each]


def _for_critic(source: PromptSource, task: TaskState, selected: ModelSelected) -> _Ask:
    code = task.planned.type is TaskType.CODE_GEN
    parts = [*result_parts(source, task, _draft(task, selected.iteration)), *_votes(source, task)]
    return _Ask(parts, source.wording.say("critic-code" if code else "critic-text"), critique_schema(code=code))


def _for_reviser(source: PromptSource, task: TaskState, selected: ModelSelected) -> _Ask:
    critique = _answer_of(task, Role.CRITIC, selected.iteration)
    parts = [
        *result_parts(source, task, _draft(task, selected.iteration)),
        *_votes(source, task),
        source.marks.quoted("CRITIQUE", _critique(source, task, critique)),
        *warning_parts(source, task),
    ]
    rules = f"{source.wording.say('reviser')}\n{_result_rules(source, task)}"
    return _Ask(parts, rules, _own_schema(source, task))


def _critique(source: PromptSource, task: TaskState, answer: Answer) -> str:
    """A critique as a list of defects where it is one, else as it was written."""
    defects = answer.reading.defects
    if not defects:
        return source.get(answer.digest)
    probe = task.probes.get(answer.version)
    results = () if probe is None or probe.results is None else probe.results
    return critique_text([json.loads(source.get(each.text)) for each in defects], results)


def _for_evaluator(source: PromptSource, task: TaskState, selected: ModelSelected) -> _Ask:
    if selected.compares is not None:
        return _for_comparison(source, task, selected, selected.compares)
    say, state = source.wording.say, source.state
    output = present(output_of(task, selected.iteration), "output")
    count = criteria_count(state, source.get)
    order = _order(state, selected, count) if count > 1 else []
    anchors = say(f"anchors-{task.planned.type.value}")
    if order:
        rules = say("judge-criteria", anchors=anchors, order=", ".join(map(str, order)))
    else:
        rules = say("judge", anchors=anchors)
    parts = [*result_parts(source, task, output), *_votes(source, task)]
    return _Ask(parts, rules, verdict_schema(order), seed=_draw(state, selected).randrange(*_SEEDS))


def _for_comparison(source: PromptSource, task: TaskState, selected: ModelSelected, versions: tuple[int, int]) -> _Ask:
    """Two results, the first as A: which is the better one?"""
    parts: list[str] = []
    for letter, version in zip((PairChoice.A, PairChoice.B), versions, strict=True):
        _, answer = _by_version(task, version)
        answer = present(answer, "answer")
        parts += result_parts(source, task, answer, f"RESULT {letter}", f"CHECKS OF {letter}")
    rules = source.wording.say("judge-pairs", anchors=source.wording.say(f"anchors-{task.planned.type.value}"))
    seed = _draw(source.state, selected).randrange(*_SEEDS)
    return _Ask([*parts, *_votes(source, task)], rules, choice_schema(), seed=seed)


def criteria_count(state: RunState, get: Get) -> int:
    """How many success criteria a judge answers one by one; 0 where there is only one."""
    count = len(criteria_of(cut(get(state.criteria), LONGEST_RESULT)))
    return count if count > 1 else 0


def _order(state: RunState, selected: ModelSelected, count: int) -> list[int]:
    """The order in which a sample answers the criteria: the first as they stand, each further one another."""
    order = list(range(1, count + 1))
    if selected.sample > 1:
        _draw(state, selected).shuffle(order)
        if order == sorted(order):
            order.reverse()
    return order


def _draw(state: RunState, selected: ModelSelected) -> Random:
    """A generator of its own for each sample: a function of the run's seed."""
    return Random(f"{state.first.seed}/{selected.node}/{selected.iteration}/{selected.sample}")


def _votes(source: PromptSource, task: TaskState) -> list[str]:
    """The tests of a task that a model planned, as they may be wrong: its author does not see them."""
    if task.planned.tests is None or has_given_tests(source.state):
        return []
    return [source.marks.quoted("TESTS OF THE PLAN (MAY BE WRONG)", source.get(task.planned.tests))]


def _draft(task: TaskState, iteration: int) -> Answer:
    return _answer_of(task, Role.GENERATOR, iteration)


def _answer_of(task: TaskState, role: Role, iteration: int) -> Answer:
    call = present(task.call(role, iteration), "call")
    if call.answer is None:
        raise MissingError("answer")
    return call.answer


_ROLES: Final[Mapping[Role, Callable[[PromptSource, TaskState, ModelSelected], _Ask]]] = {
    Role.GENERATOR: _for_generator,
    Role.CRITIC: _for_critic,
    Role.REVISER: _for_reviser,
    Role.EVALUATOR: _for_evaluator,
}
