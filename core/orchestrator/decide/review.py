"""The review loop of one task: generate, critique, revise, validate, evaluate; and again."""

from fractions import Fraction
from typing import Final

from orchestrator.decide.calling import CallStep, NoAnswer, is_at_work, is_cut_off, next_call, usable
from orchestrator.decide.context import RoutingContext
from orchestrator.decide.outcome import best_iteration, conclude, is_good_enough, output_of
from orchestrator.decide.routing import Query
from orchestrator.events import CheckStarted, Decision, Evaluated, StepSkipped
from orchestrator.models import CallEnd, Role, SkipReason, TaskEndReason, Verdict
from orchestrator.models.scores import is_nearer, is_within
from orchestrator.settings import MissingTool, OnDisagree
from orchestrator.state.calls import Answer, CallKey
from orchestrator.state.tasks import Check, TaskState

_STOPPING: Final = (CallEnd.BUDGET, CallEnd.POLICY, CallEnd.TIME)
"""Why a task stops although it has an output already."""


def next_review(m: RoutingContext, task: TaskState) -> Decision | None:
    """What a started task needs next; None: wait."""
    if _is_at_work(m, task):
        return None
    iteration = max(task.iteration, 1)
    if iteration in task.evaluated:
        if _is_over(m, task, iteration):
            return conclude(m, task, None)
        iteration += 1
    return _next_step(m, task, iteration)


def _is_at_work(m: RoutingContext, task: TaskState) -> bool:
    """What the task needs next is being prepared or performed: a short cut to waiting for it."""
    calls = reversed(task.calls.values())
    call = next(calls, None)
    if call is None or task.skipped:
        return False
    if call.key.role is not Role.EVALUATOR:
        return is_at_work(m, call)
    iteration, samples, waiting = call.key.iteration, 0, False
    while call is not None and call.key.role is Role.EVALUATOR and call.key.iteration == iteration:
        samples += 1
        if not call.answers or is_cut_off(call):
            if not is_at_work(m, call):
                return False
            waiting = True
        call = next(calls, None)
    return waiting and samples >= m.state.settings.evaluation.runs


def _next_step(m: RoutingContext, task: TaskState, iteration: int) -> Decision | None:
    best = best_iteration(task) if iteration > 1 else None
    author = output_of(task, best) if best is not None else None
    reviewed = task.call(Role.CRITIC, iteration) is not None or (Role.CRITIC, iteration) in task.skipped
    draft = _step(m, task, Role.GENERATOR, iteration, None, stands=reviewed)
    if isinstance(draft, NoAnswer):
        stopped = author is None or draft.reason in _STOPPING
        return conclude(m, task, TaskEndReason(draft.reason) if stopped else None, draft.removed)
    if not isinstance(draft, Answer):
        return draft
    critique = _review_step(m, task, Role.CRITIC, iteration, draft.model)
    if not isinstance(critique, Answer) and (Role.CRITIC, iteration) not in task.skipped:
        return critique
    if isinstance(critique, Answer):
        judged = _is_checked(task, iteration) or task.call(Role.EVALUATOR, iteration) is not None
        revision = _review_step(m, task, Role.REVISER, iteration, draft.model, stands=judged)
        if not isinstance(revision, Answer) and (Role.REVISER, iteration) not in task.skipped:
            return revision
    output = output_of(task, iteration)
    assert output is not None
    return _judge(m, task, iteration, output)


def _step(
    m: RoutingContext,
    task: TaskState,
    role: Role,
    iteration: int,
    author: str | None,
    sample: int = 1,
    *,
    stands: bool = False,
) -> CallStep:
    """What a call of the task needs next: ``ask``, with short cuts for a call that has been asked.

    ``stands``: others work with its answer already, so that it is not asked again, were it cut off.
    """
    call = task.call(role, iteration, sample)
    if call is not None:
        if is_at_work(m, call):
            return None
        answer = usable(call)
        if answer is not None and (stands or not is_cut_off(call)):
            return answer
    return next_call(m, CallKey(task.name, role, iteration, sample), Query(role, task.planned.type, author))


def _review_step(
    m: RoutingContext, task: TaskState, role: Role, iteration: int, author: str, *, stands: bool = False
) -> Decision | Answer | None:
    """A critique or revision; where there will be none, the step is skipped and the draft stands."""
    if (role, iteration) in task.skipped:
        return None
    progress = _step(m, task, role, iteration, author, stands=stands)
    if isinstance(progress, NoAnswer):
        return StepSkipped(task.name, role, iteration, SkipReason(progress.reason), progress.removed)
    return progress


def _judge(m: RoutingContext, task: TaskState, iteration: int, output: Answer) -> Decision | None:
    """Validate and evaluate the iteration's output."""
    checks = task.checks.get(output.version, {})
    for validator in task.planned.validators:
        if validator not in checks:
            if m.time_up:
                return conclude(m, task, TaskEndReason.TIME)
            return CheckStarted(task.name, iteration, validator, output.version)
    if any(check.verdict is None for check in checks.values()):
        return None
    verdicts = {_as_gate(m, check) for check in checks.values()}
    gate = verdicts <= {Verdict.PASSED}
    if Verdict.FAILED in verdicts:
        return Evaluated(task.name, iteration, output.version, False, (), 0.0)
    return _evaluate(m, task, iteration, output, gate)


def _is_checked(task: TaskState, iteration: int) -> bool:
    """Whether a check of the iteration's output has begun."""
    output = output_of(task, iteration)
    return output is not None and output.version in task.checks


def _as_gate(m: RoutingContext, check: Check) -> Verdict:
    """What a verdict means for the gate; a skipped one as the settings say."""
    assert check.verdict is not None
    if check.verdict is not Verdict.SKIPPED:
        return check.verdict
    return Verdict.FAILED if m.state.settings.missing_tool is MissingTool.FAIL else Verdict.PASSED


def _evaluate(m: RoutingContext, task: TaskState, iteration: int, output: Answer, gate: bool) -> Decision | None:
    """Ask for the samples side by side; once more where none can be read; then score."""
    runs = m.state.settings.evaluation.runs
    scores: list[float] = []
    unreadable, stopped, waiting = False, None, False
    sample = 1
    while sample <= runs or (sample == runs + 1 and unreadable and not scores and not waiting):
        progress = _step(m, task, Role.EVALUATOR, iteration, output.model, sample)
        if isinstance(progress, Answer):
            score = progress.reading.score
            if score is None:
                unreadable = True
            else:
                scores.append(score)
        elif isinstance(progress, NoAnswer):
            stopped = progress.reason
        elif progress is None:
            waiting = True
        else:
            return progress
        sample += 1
    if waiting:
        return None
    if stopped is CallEnd.TIME and not scores:
        return conclude(m, task, TaskEndReason.TIME)
    return Evaluated(task.name, iteration, output.version, gate, tuple(scores), _score(m, scores))


def _score(m: RoutingContext, scores: list[float]) -> float | None:
    """The mean where the samples agree, else what the settings say."""
    rules = m.state.settings.evaluation
    if not scores:
        return None
    mean = float(sum(map(Fraction, scores)) / len(scores))  # exact, so that equal scores have that mean
    if is_within(max(scores), min(scores), rules.max_delta) or rules.on_disagree is OnDisagree.MEAN:
        return mean
    return min(scores) if rules.on_disagree is OnDisagree.MIN else max(scores)


def _is_over(m: RoutingContext, task: TaskState, iteration: int) -> bool:
    """Good enough, out of iterations, or no longer moving."""
    evaluated = task.evaluated[iteration]
    settings = m.state.settings
    if is_good_enough(m.state, task, evaluated) or iteration >= settings.iterations[task.planned.type]:
        return True
    before = task.evaluated.get(iteration - 1)
    if before is None or not (before.gate and evaluated.gate) or before.score is None or evaluated.score is None:
        return False
    return is_nearer(evaluated.score, before.score, settings.plateau)
