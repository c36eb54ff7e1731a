"""The review loop of one task: generate, critique, revise, validate, evaluate; and again."""

from fractions import Fraction

from orchestrator.decide.asking import GaveUp, Progress, ask, is_at_work, is_cut_off, usable
from orchestrator.decide.moment import Moment
from orchestrator.decide.outcome import best_turn, conclude, is_good_enough, output_of
from orchestrator.decide.routing import Question
from orchestrator.events import CheckStarted, Decision, Evaluated, StepSkipped
from orchestrator.models import Role, Verdict
from orchestrator.settings import MissingTool, OnDisagree
from orchestrator.state.calls import Answer, CallKey
from orchestrator.state.tasks import Check, TaskState


def next_review(m: Moment, task: TaskState) -> Decision | None:
    """What a started task needs next; None: wait."""
    if _is_at_work(m, task):
        return None
    turn = max(task.turn, 1)
    if turn in task.evaluated:
        if _is_over(m, task, turn):
            return conclude(m, task, None)
        turn += 1
    return _next_step(m, task, turn)


def _is_at_work(m: Moment, task: TaskState) -> bool:
    """What the task needs next is being prepared or performed: a short cut to waiting for it."""
    calls = reversed(task.calls.values())
    call = next(calls, None)
    if call is None or task.skipped:
        return False
    if call.key.role is not Role.EVALUATOR:
        return is_at_work(m, call)
    turn, samples, waiting = call.key.turn, 0, False
    while call is not None and call.key.role is Role.EVALUATOR and call.key.turn == turn:
        samples += 1
        if not call.answers or is_cut_off(call):
            if not is_at_work(m, call):
                return False
            waiting = True
        call = next(calls, None)
    return waiting and samples >= m.state.settings.evaluation.runs


def _next_step(m: Moment, task: TaskState, turn: int) -> Decision | None:
    best = best_turn(task) if turn > 1 else None
    author = output_of(task, best) if best is not None else None
    reviewed = task.call(Role.CRITIC, turn) is not None or (Role.CRITIC, turn) in task.skipped
    draft = _step(m, task, Role.GENERATOR, turn, None, stands=reviewed)
    if isinstance(draft, GaveUp):
        stopped = author is None or draft.reason in ("budget", "policy", "time")
        return conclude(m, task, draft.reason if stopped else None, draft.removed)
    if not isinstance(draft, Answer):
        return draft
    critique = _review_step(m, task, Role.CRITIC, turn, draft.model)
    if not isinstance(critique, Answer) and (Role.CRITIC, turn) not in task.skipped:
        return critique
    if isinstance(critique, Answer):
        judged = turn in task.checks or task.call(Role.EVALUATOR, turn) is not None
        revision = _review_step(m, task, Role.REVISER, turn, draft.model, stands=judged)
        if not isinstance(revision, Answer) and (Role.REVISER, turn) not in task.skipped:
            return revision
    output = output_of(task, turn)
    assert output is not None
    return _judge(m, task, turn, output)


def _step(
    m: Moment, task: TaskState, role: Role, turn: int, author: str | None, sample: int = 1, *, stands: bool = False
) -> Progress:
    """What a call of the task needs next: ``ask``, with short cuts for a call that has been asked.

    ``stands``: others work with its answer already, so that it is not asked again, were it cut off.
    """
    call = task.call(role, turn, sample)
    if call is not None:
        if is_at_work(m, call):
            return None
        answer = usable(call)
        if answer is not None and (stands or not is_cut_off(call)):
            return answer
    return ask(m, CallKey(task.name, role, turn, sample), Question(role, task.planned.type, author))


def _review_step(
    m: Moment, task: TaskState, role: Role, turn: int, author: str, *, stands: bool = False
) -> Decision | Answer | None:
    """A critique or revision; where there will be none, the step is skipped and the draft stands."""
    if (role, turn) in task.skipped:
        return None
    progress = _step(m, task, role, turn, author, stands=stands)
    if isinstance(progress, GaveUp):
        return StepSkipped(task.name, role, turn, progress.reason, progress.removed)
    return progress


def _judge(m: Moment, task: TaskState, turn: int, output: Answer) -> Decision | None:
    """Validate and evaluate the turn's output."""
    checks = task.checks.get(turn, {})
    for validator in task.planned.validators:
        if validator not in checks:
            if m.time_up:
                return conclude(m, task, "time")
            return CheckStarted(task.name, turn, validator, output.version)
    if any(check.verdict is None for check in checks.values()):
        return None
    verdicts = {_as_gate(m, check) for check in checks.values()}
    gate = verdicts <= {Verdict.PASSED}
    if Verdict.FAILED in verdicts:
        return Evaluated(task.name, turn, output.version, False, (), 0.0)
    return _evaluate(m, task, turn, output, gate)


def _as_gate(m: Moment, check: Check) -> Verdict:
    """What a verdict means for the gate; a skipped one as the settings say."""
    assert check.verdict is not None
    if check.verdict is not Verdict.SKIPPED:
        return check.verdict
    return Verdict.FAILED if m.state.settings.missing_tool is MissingTool.FAIL else Verdict.PASSED


def _evaluate(m: Moment, task: TaskState, turn: int, output: Answer, gate: bool) -> Decision | None:
    """Ask for the samples side by side; once more where none can be read; then score."""
    runs = m.state.settings.evaluation.runs
    scores: list[float] = []
    unreadable, stopped, waiting = False, None, False
    sample = 1
    while sample <= runs or (sample == runs + 1 and unreadable and not scores and not waiting):
        progress = _step(m, task, Role.EVALUATOR, turn, output.model, sample)
        if isinstance(progress, Answer):
            score = progress.reading.score
            if score is None:
                unreadable = True
            else:
                scores.append(score)
        elif isinstance(progress, GaveUp):
            stopped = progress.reason
        elif progress is None:
            waiting = True
        else:
            return progress
        sample += 1
    if waiting:
        return None
    if stopped == "time" and not scores:
        return conclude(m, task, "time")
    return Evaluated(task.name, turn, output.version, gate, tuple(scores), _score(m, scores))


def _score(m: Moment, scores: list[float]) -> float | None:
    """The mean where the samples agree, else what the settings say."""
    rules = m.state.settings.evaluation
    if not scores:
        return None
    mean = float(sum(map(Fraction, scores)) / len(scores))  # exact, so that equal scores have that mean
    if max(scores) - min(scores) <= rules.max_delta or rules.on_disagree is OnDisagree.MEAN:
        return mean
    return min(scores) if rules.on_disagree is OnDisagree.MIN else max(scores)


def _is_over(m: Moment, task: TaskState, turn: int) -> bool:
    """Good enough, out of turns, or no longer moving."""
    evaluated = task.evaluated[turn]
    settings = m.state.settings
    if is_good_enough(m.state, task, evaluated) or turn >= settings.iterations[task.planned.type]:
        return True
    before = task.evaluated.get(turn - 1)
    if before is None or not (before.gate and evaluated.gate) or before.score is None or evaluated.score is None:
        return False
    return abs(evaluated.score - before.score) < settings.plateau
