"""The part of a prompt that all roles and iterations of one task share: it comes first, so that servers reuse it."""

from collections.abc import Callable, Iterator, Mapping
from typing import Final

from attrs import frozen

from orchestrator.decide.outcome import output_of
from orchestrator.engine.answers.given_files_in_prompts import context_parts
from orchestrator.engine.answers.prompt_marks import Marks, cut, marks_of
from orchestrator.engine.answers.prompt_templates import Wording
from orchestrator.engine.answers.success_criteria import criteria_of, numbered
from orchestrator.errors import MissingError
from orchestrator.events import TaskFinished
from orchestrator.models import TaskEndReason, TaskStatus, TaskType, Verdict
from orchestrator.state.calls import Answer
from orchestrator.state.equal_answers import checks_of
from orchestrator.state.run import RunState
from orchestrator.state.tasks import Check, TaskState
from orchestrator.suites import imported_modules

Get = Callable[[str], str]
"""The text of a digest."""

LONGEST_RESULT: Final = 40_000
LONGEST_DETAILS: Final = 4_000

_SHORTFALLS: Final[Mapping[TaskEndReason, str]] = {
    TaskEndReason.BELOW_THRESHOLD: "it was judged not good enough",
    TaskEndReason.GATE: "a check did not pass",
    TaskEndReason.UNSCORED: "no model could judge it",
    TaskEndReason.BUDGET: "the money ran out before it was good enough",
    TaskEndReason.POLICY: "a policy's cap was reached before it was good enough",
    TaskEndReason.TIME: "the time ran out before it was good enough",
    TaskEndReason.NO_MODEL: "no model was left to improve it",
    TaskEndReason.CONTEXT: "the prompts to improve it fit the context window of no model",
    TaskEndReason.UNREADABLE: "no answer that should have improved it could be used",
    TaskEndReason.FAILED: "a model that should have improved it gave no answer",
}
"""Why a dependency is degraded, in words without a score."""


@frozen
class PromptSource:
    """What a prompt of one node is made of."""

    state: RunState
    get: Get
    marks: Marks
    wording: Wording


def source_of(state: RunState, node: str, get: Get) -> PromptSource:
    """The state and texts of a run, with the marks of a node and the run's templates."""
    return PromptSource(state, get, marks_of(state.first.seed, node), Wording(state.settings.prompts, get))


def project_parts(source: PromptSource) -> list[str]:
    """What the user wants."""
    state, get, quoted = source.state, source.get, source.marks.quoted
    criteria = cut(get(state.criteria), LONGEST_RESULT)
    several = criteria_of(criteria)
    return [
        quoted("PROJECT", cut(get(state.project), LONGEST_RESULT)),
        quoted("SUCCESS CRITERIA", numbered(several) if len(several) > 1 else criteria),
    ]


def task_parts(source: PromptSource, task: TaskState) -> list[str]:
    """The project, the files the task needs, the results of dependencies, the given tests, the task with its schema.

    The tests stand before the task: small models copy what they read last.
    """
    get, quoted, planned = source.get, source.marks.quoted, task.planned
    parts = [*project_parts(source), *context_parts(source, planned), *_dependencies(source, task)]
    if planned.tests is not None and has_given_tests(source.state):
        parts.append(quoted("TESTS", tests_text(get(planned.tests))))
    parts.append(quoted(f"TASK ({planned.type.value})", get(planned.prompt)))
    if planned.schema is not None:
        parts.append(quoted("JSON SCHEMA OF THE RESULT", get(planned.schema)))
    return parts


def has_given_tests(state: RunState) -> bool:
    """Whether the tests of tasks are the user's; those of a plan that a model made are its guess."""
    return state.start is not None and state.start.given_plan is not None


def tests_text(tests: str) -> str:
    """Tests, after the names of the modules that they import."""
    modules = imported_modules(tests)
    if not modules:
        return tests
    several = "s" if len(modules) > 1 else ""
    return f"# They import the result as the module{several} {', '.join(modules)}.\n{tests}"


def _dependencies(source: PromptSource, task: TaskState) -> Iterator[str]:
    for name in task.planned.dependencies:
        dependency = source.state.tasks[name]
        if dependency.output is None:
            continue
        is_source = (task.planned.type, dependency.planned.type) == (TaskType.CODE_REVIEW, TaskType.CODE_GEN)
        label = "SOURCE TO REVIEW" if is_source else "RESULT OF"
        yield source.marks.quoted(f"{label} {name}", cut(source.get(dependency.output.answer), LONGEST_RESULT))


def shortened(state: RunState, task: TaskState, get: Get) -> tuple[str, ...]:
    """The dependencies whose results are longer than a prompt takes."""
    outputs = ((name, state.tasks[name].output) for name in task.planned.dependencies)
    return tuple(name for name, out in outputs if out is not None and len(get(out.answer)) > LONGEST_RESULT)


def warning_parts(source: PromptSource, task: TaskState) -> list[str]:
    """What the authors of a result have to know of degraded dependencies."""
    tasks = (source.state.tasks[name] for name in task.planned.dependencies)
    lines = [
        _warning(each, each.finished)
        for each in tasks
        if each.finished is not None and each.finished.status is TaskStatus.DEGRADED and each.output is not None
    ]
    return [source.marks.quoted("WARNING", "\n".join(lines))] if lines else []


def _warning(dependency: TaskState, end: TaskFinished) -> str:
    why = "it is not good enough" if end.reason is None else _SHORTFALLS[end.reason]
    if dependency.output is None:
        raise MissingError("output")
    if end.reason is TaskEndReason.GATE:
        output = output_of(dependency, dependency.output.iteration)
        checks = {} if output is None else checks_of(dependency, output)
        missed = [name for name, check in checks.items() if check.verdict not in (Verdict.PASSED, Verdict.SKIPPED)]
        why += f": {', '.join(missed)}" if missed else ""
    return (
        f"The result of {dependency.name} is degraded ({why}). "
        "Parts of it may be wrong or missing: do not take it for granted."
    )


def result_parts(
    source: PromptSource, task: TaskState, answer: Answer, label: str = "RESULT", checks: str = "CHECKS"
) -> list[str]:
    """An answer to the task, and what its checks found, each under its label."""
    parts = [source.marks.quoted(label, source.get(answer.digest))]
    lines = [_check_text(source, name, check) for name, check in checks_of(task, answer).items()]
    if any(lines):
        parts.append(source.marks.quoted(checks, "\n".join(each for each in lines if each)))
    return parts


def _check_text(source: PromptSource, name: str, check: Check) -> str:
    """One check's verdict, with what it said where it is not passed."""
    if check.verdict is None:
        return ""
    guess = " (tests that a model wrote: they may be wrong)" if check.vote else ""
    verdict = f"{name}: {check.verdict.value}{guess}"
    if check.verdict not in (Verdict.FAILED, Verdict.UNKNOWN) or not check.details:
        return verdict
    return f"{verdict}\n{cut(source.get(check.details), LONGEST_DETAILS)}"
