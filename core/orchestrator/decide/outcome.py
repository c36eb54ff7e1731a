"""How tasks and runs end, and what can reopen them."""

from fractions import Fraction
from typing import Final

from orchestrator.decide.gates import TESTS, has_given_tests, standing
from orchestrator.decide.round_context import GRACE, RoutingContext
from orchestrator.decide.spending import refusal_of
from orchestrator.errors import present
from orchestrator.events import (
    PLAN,
    Decision,
    Evaluated,
    ModelCandidate,
    OutputChosen,
    RunFinished,
    TaskFinished,
    VerificationStarted,
)
from orchestrator.models import CallEnd, ProjectStatus, Role, RunEndReason, TaskEndReason, TaskStatus, Verdict
from orchestrator.models.score_comparison import decimal_of, reaches
from orchestrator.state.calls import Answer
from orchestrator.state.equal_answers import checks_of, first_equal
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState

_ENOUGH_TESTS: Final = 4
"""Fewer given tests than that select lucky results."""
_UNSCORED: Final = Fraction(-1)


def conclude(
    m: RoutingContext, task: TaskState, cause: TaskEndReason | None, removed: tuple[ModelCandidate, ...] = ()
) -> Decision | None:
    """End a task with its best output. ``cause`` is why it stopped, or None.

    ``removed`` are the models, where none was left to ask.
    """
    best = best_iteration(task)
    if best is None:
        return _finished(m, task, TaskStatus.FAILED, cause or TaskEndReason.FAILED, 0, removed=removed)
    answer = present(output_of(task, best), "answer")
    chosen = task.output
    if chosen is None or chosen.call != answer.version:
        return OutputChosen(task.name, best, answer.version, answer.digest, task.number, m.state.opened.files)
    if chosen.file and task.written is None:
        return None
    evaluated = task.evaluated.get(best)
    if evaluated is not None and is_good_enough(m.state, task, evaluated):
        return _finished(m, task, TaskStatus.COMPLETED, None, best)
    return _finished(m, task, TaskStatus.DEGRADED, cause or _shortfall(task, evaluated), best)


def block(m: RoutingContext, task: TaskState) -> Decision:
    """End a task because a dependency has no output."""
    return _finished(m, task, TaskStatus.FAILED, TaskEndReason.DEPENDENCY, 0, task.failed_dependencies[0])


def output_of(task: TaskState, iteration: int) -> Answer | None:
    """An iteration's output: what was scored, else the better of draft and revision by their checks.

    Where both stand alike it is the revision, and the draft where they are equal.
    """
    draft, revision = _usable(task, Role.GENERATOR, iteration), _usable(task, Role.REVISER, iteration)
    evaluated = task.evaluated.get(iteration)
    if evaluated is not None:
        return next((each for each in (revision, draft) if each is not None and each.version == evaluated.call), draft)
    if draft is None or revision is None:
        return revision or draft
    if first_equal(task, revision).version == first_equal(task, draft).version:
        return draft
    return revision if standing(task, revision) >= standing(task, draft) else draft


def _usable(task: TaskState, role: Role, iteration: int) -> Answer | None:
    call = task.call(role, iteration)
    answer = None if call is None else call.answer
    return answer if call is not None and answer is not None and call.can_use(answer) else None


def best_iteration(task: TaskState) -> int | None:
    """The iteration with the best output: gate passed, share of tests, score, earlier. None: there is no output.

    Where results were compared it is the one that was chosen.
    """
    if task.compared is not None:
        return task.compared.iteration
    iterations = [iteration for iteration in range(1, task.iteration + 1) if output_of(task, iteration) is not None]
    return max(iterations, key=lambda iteration: _rank(task, iteration), default=None)


def waiting(task: TaskState) -> tuple[int, ...]:
    """The iterations with an output that has no score, oldest first."""
    iterations = (number for number in range(1, task.iteration + 1) if number not in task.evaluated)
    return tuple(number for number in iterations if output_of(task, number) is not None)


def _rank(task: TaskState, iteration: int) -> tuple[bool, Fraction, Fraction, int]:
    evaluated = task.evaluated.get(iteration)
    if evaluated is None:
        return (False, _UNSCORED, _UNSCORED, -iteration)
    share, score = (_UNSCORED if each is None else decimal_of(each) for each in (evaluated.share, evaluated.score))
    return (evaluated.gate, share, score, -iteration)


def is_good_enough(state: RunState, task: TaskState, evaluated: Evaluated) -> bool:
    """The gate passed and the score reaches the threshold of the task's type."""
    threshold = state.settings.thresholds[task.planned.type]
    return evaluated.gate and evaluated.score is not None and reaches(evaluated.score, threshold)


def _shortfall(task: TaskState, evaluated: Evaluated | None) -> TaskEndReason:
    if evaluated is not None and not evaluated.gate:
        return TaskEndReason.GATE
    if evaluated is not None and evaluated.score is not None:
        return TaskEndReason.BELOW_THRESHOLD
    judged = (call for key, call in task.calls.items() if key.role is Role.EVALUATOR)
    refused = {refusal_of(call) for call in judged if call.refused}
    if CallEnd.BUDGET in refused:
        return TaskEndReason.BUDGET
    return TaskEndReason.POLICY if refused else TaskEndReason.UNSCORED


def _finished(
    m: RoutingContext,
    task: TaskState,
    status: TaskStatus,
    reason: TaskEndReason | None,
    iteration: int,
    blocked_by: str | None = None,
    removed: tuple[ModelCandidate, ...] = (),
) -> TaskFinished:
    evaluated = task.evaluated.get(iteration)
    author = output_of(task, iteration)
    return TaskFinished(
        task=task.name,
        status=status,
        reason=reason,
        score=None if evaluated is None else evaluated.score,
        gate=evaluated is not None and evaluated.gate,
        model=author.model if author else None,
        reviewer=_reviewer(task, iteration),
        iterations=task.iteration,
        fallbacks=task.fallbacks,
        cost=task.spend.total,
        blocked_by=blocked_by,
        few_tests=_few_tests(m.state, task, iteration) if status is TaskStatus.COMPLETED else None,
        removed=removed,
    )


def _few_tests(state: RunState, task: TaskState, iteration: int) -> int | None:
    """How few tests were given, where the output is not the first try: a lucky one may pass them."""
    answer = output_of(task, iteration)
    failed = any(not evaluated.gate for number, evaluated in task.evaluated.items() if number < iteration)
    if answer is None or not failed or not has_given_tests(state, task):
        return None
    check = checks_of(task, answer).get(TESTS)
    count = None if check is None else check.total_tests
    return count if count is not None and count < _ENOUGH_TESTS else None


def _reviewer(task: TaskState, iteration: int) -> str | None:
    call = task.call(Role.CRITIC, iteration)
    answer = None if call is None else call.answer
    return None if answer is None else answer.model


def finish_run(
    m: RoutingContext, status: ProjectStatus, reason: RunEndReason | None, removed: tuple[ModelCandidate, ...] = ()
) -> Decision | None:
    """End the run, once nothing is in flight any more. ``removed`` are the models, where none was left to plan."""
    if m.state.pending:
        return None
    return RunFinished(status, reason, m.state.spend.settled, m.state.spend.unreconciled, removed)


_COMMON: Final = {TaskEndReason.POLICY: RunEndReason.POLICY, TaskEndReason.CONTEXT: RunEndReason.CONTEXT}
"""Why a run has no output, where every task failed for the same reason."""


def next_ending(m: RoutingContext) -> Decision | None:
    """End a run whose tasks have all ended."""
    state = m.state
    ends = [(task.finished, task.finished_version) for task in state.tasks.values() if not task.replaced]
    finished = [end for end, _ in ends if end is not None]
    reasons = {
        end.reason for end, version in ends if end is not None and version > state.raised.get(end.reason or "", 0)
    }
    if TaskEndReason.TIME in reasons:
        return finish_run(m, ProjectStatus.TIMEOUT, RunEndReason.TIME)
    if TaskEndReason.BUDGET in reasons:
        return finish_run(m, ProjectStatus.BUDGET_EXHAUSTED, RunEndReason.BUDGET)
    if all(end.status is TaskStatus.FAILED for end in finished):
        causes = {end.reason for end in finished} - {TaskEndReason.DEPENDENCY}
        common = (run for task, run in _COMMON.items() if causes == {task})
        return finish_run(m, ProjectStatus.SYSTEM_FAILURE, next(common, RunEndReason.NO_OUTPUT))
    if state.settings.verify and state.verified is None:
        return _verify(m)
    if state.verified is not None and state.verified.verdict is not Verdict.PASSED:
        return finish_run(m, ProjectStatus.PARTIAL_SUCCESS, RunEndReason.VERIFICATION)
    if state.fallback_plan:
        return finish_run(m, ProjectStatus.PARTIAL_SUCCESS, RunEndReason.FALLBACK_PLAN)
    if all(end.status is TaskStatus.COMPLETED for end in finished):
        return finish_run(m, ProjectStatus.SUCCESS, None)
    return finish_run(m, ProjectStatus.PARTIAL_SUCCESS, None)


def _verify(m: RoutingContext) -> Decision | None:
    """Have the whole result judged, once; with no time left the run halts, and more time lets it go on."""
    state = m.state
    if state.pending:
        return None
    if m.time_up:
        return finish_run(m, ProjectStatus.TIMEOUT, RunEndReason.TIME)
    left = state.time_limit - state.active(m.now) + GRACE
    return VerificationStarted(min(state.settings.limits.verify_timeout, left))


_CAUSES = {
    "budget": (TaskEndReason.BUDGET,),
    "time": (TaskEndReason.TIME,),
    "model": (TaskEndReason.NO_MODEL, TaskEndReason.FAILED, TaskEndReason.UNREADABLE, TaskEndReason.CONTEXT),
}


def reopened_by(state: RunState, remedy: str) -> tuple[str, ...]:
    """The tasks that removing a cause of a halt reopens: those that failed for it, and those they blocked.

    ``remedy`` is ``budget``, ``time`` or ``model``. ``plan`` stands for the plan itself.
    """
    if state.finished is not None and state.finished.status.is_closed:
        return ()
    if not state.planned:
        stuck = state.finished is not None or any(call.refused for call in state.plan.calls.values())
        return (PLAN,) if stuck else ()
    failed = [
        name
        for name in state.execution_order
        if (end := state.tasks[name].finished) is not None
        and end.status is TaskStatus.FAILED
        and end.reason in _CAUSES[remedy]
        and not state.tasks[name].replaced
    ]
    reopened = set(failed)
    for name in state.execution_order:
        end = state.tasks[name].finished
        if (
            end is not None
            and end.reason is TaskEndReason.DEPENDENCY
            and reopened & set(state.tasks[name].planned.dependencies)
        ):
            reopened.add(name)
    return tuple(name for name in state.execution_order if name in reopened)
