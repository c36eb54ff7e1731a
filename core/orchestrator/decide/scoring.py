"""The score of an iteration's output: by its gate, by given tests, by checks alone, by a scorer, or by a judge."""

from fractions import Fraction

from attrs import Factory, define

from orchestrator.decide.calling import CallStep, NoAnswer, next_step
from orchestrator.decide.gates import Gate
from orchestrator.decide.outcome import conclude
from orchestrator.decide.round_context import RoutingContext
from orchestrator.decide.routing import Query
from orchestrator.decide.strategies import judge_runs, runs_beside_tests
from orchestrator.decide.usable_answers import usable
from orchestrator.errors import MissingError
from orchestrator.events import Decision, Evaluated, ScoringStarted, StepSkipped
from orchestrator.models import CallEnd, Role, ScoredBy, SkipReason, TaskEndReason
from orchestrator.models.score_comparison import is_within
from orchestrator.settings import OnDisagree, SecondJudge
from orchestrator.state.calls import Answer
from orchestrator.state.equal_answers import first_equal
from orchestrator.state.run import RunState
from orchestrator.state.tasks import TaskState


def next_score(m: RoutingContext, task: TaskState, iteration: int, output: Answer, gate: Gate) -> Decision | None:
    """What the score of an output needs next; None: wait."""
    runs, scorer = judge_runs(m.state.settings, task.planned.type), m.state.settings.evaluation.scorer
    by_checks = runs == 0 and scorer is None
    if gate.failed:
        score = gate.share if by_checks and gate.share is not None else 0.0
        by = ScoredBy.TESTS if by_checks and gate.share is not None else ScoredBy.GATE
        return _scored(task, iteration, output, gate, score=score, scored_by=by)
    if by_checks:
        return _by_checks(task, iteration, output, gate)
    known = _evaluated_equal(task, iteration, output)
    if known is not None:
        return _again(iteration, output, gate, known)
    if tests_decide(m.state, task, gate):
        return _by_tests(m, task, iteration, output, gate, runs)
    if scorer is not None:
        return _by_scorer(m, task, iteration, output, gate, runs, scorer)
    return _by_judge(m, task, iteration, output, gate, runs)


def tests_decide(state: RunState, task: TaskState, gate: Gate) -> bool:
    """Whether the given tests are the score: all passed, and the settings do not want a judge's for the type."""
    rules = state.settings.evaluation
    return gate.passed and gate.share == 1.0 and rules.tests_decide and task.planned.type not in rules.judged_types


def _scored(
    task: TaskState,
    iteration: int,
    output: Answer,
    gate: Gate,
    *,
    score: float | None,
    scored_by: ScoredBy,
    samples: tuple[float, ...] = (),
    judged: float | None = None,
) -> Evaluated:
    return Evaluated(
        task=task.name,
        iteration=iteration,
        call=output.version,
        gate=gate.passed,
        samples=samples,
        score=score,
        scored_by=scored_by,
        judged=judged,
        share=gate.share,
    )


def _by_checks(task: TaskState, iteration: int, output: Answer, gate: Gate) -> Evaluated:
    """Without a judge the score is the share of the given tests; 1.0 where no check objects, none where one is open."""
    if gate.share is not None:
        return _scored(task, iteration, output, gate, score=gate.share, scored_by=ScoredBy.TESTS)
    if gate.passed:
        return _scored(task, iteration, output, gate, score=1.0, scored_by=ScoredBy.CHECKS)
    return _scored(task, iteration, output, gate, score=None, scored_by=ScoredBy.GATE)


def _evaluated_equal(task: TaskState, iteration: int, output: Answer) -> Evaluated | None:
    """The evaluation of an equal output of an earlier iteration."""
    if output.reading.equivalence is None:
        return None
    first = first_equal(task, output).version
    equal = {answer.version: first_equal(task, answer).version for answer in _answers(task)}
    found = (task.evaluated[number] for number in sorted(task.evaluated) if number < iteration)
    return next((each for each in found if equal.get(each.call) == first), None)


def _answers(task: TaskState) -> list[Answer]:
    return [answer for call in task.calls.values() for answer in call.answers]


def _again(iteration: int, output: Answer, gate: Gate, known: Evaluated) -> Evaluated:
    """The same score for the same output; no model is called for it."""
    return Evaluated(
        task=known.task,
        iteration=iteration,
        call=output.version,
        gate=gate.passed,
        samples=known.samples,
        score=known.score,
        scored_by=known.scored_by,
        judged=known.judged,
        share=gate.share,
        equal_to=known.call,
    )


@define
class _Samples:
    """What the evaluations of an output have come to so far."""

    scores: list[float] = Factory(list)
    unread: list[int] = Factory(list)
    """The samples that were answered, and no answer of which can be used."""
    stopped: CallEnd | None = None
    waiting: bool = False
    decision: Decision | None = None


def _sampled(m: RoutingContext, task: TaskState, iteration: int, output: Answer, runs: int) -> _Samples:
    """The samples, called for side by side."""
    found = _Samples()
    for sample in range(1, runs + 1):
        if _is_unread(task, iteration, sample):
            found.unread.append(sample)
            continue
        progress = _sample(m, task, iteration, output, sample)
        if isinstance(progress, Answer):
            if progress.reading.score is None:
                raise MissingError("score in an evaluation")
            found.scores.append(progress.reading.score)
        elif isinstance(progress, NoAnswer):
            found.stopped = progress.reason
        elif progress is None:
            found.waiting = True
        else:
            found.decision = progress
            return found
    return found


def _is_unread(task: TaskState, iteration: int, sample: int) -> bool:
    """Whether a sample has been answered, and no answer of it can be used; it is not in flight again."""
    call = task.call(Role.EVALUATOR, iteration, sample)
    return call is not None and bool(call.answers) and call.in_flight is None and usable(call) is None


def _sample(m: RoutingContext, task: TaskState, iteration: int, output: Answer, sample: int) -> CallStep:
    avoid: tuple[str, ...] = ()
    first = task.call(Role.EVALUATOR, iteration)
    if sample > 1 and first is not None and m.state.settings.evaluation.second is SecondJudge.OTHER_MODEL:
        avoid = tuple(selection.model for selection in first.visited)
    query = Query(Role.EVALUATOR, task.planned.type, output.model, avoid=avoid)
    return next_step(m, task, iteration, query, sample)


def _by_tests(
    m: RoutingContext, task: TaskState, iteration: int, output: Answer, gate: Gate, runs: int
) -> Decision | None:
    """The given tests are the score; where the strategy has an evaluation beside it, it is one sample."""
    beside = runs_beside_tests(m.state.settings, task.planned.type)
    found = _sampled(m, task, iteration, output, beside)
    if found.decision is not None or found.waiting:
        return found.decision
    if runs > beside and (Role.EVALUATOR, iteration) not in task.skipped:
        return StepSkipped(task.name, Role.EVALUATOR, iteration, SkipReason.TESTS)
    judged = found.scores[0] if found.scores else None
    return _scored(
        task,
        iteration,
        output,
        gate,
        score=1.0,
        scored_by=ScoredBy.TESTS,
        samples=tuple(found.scores),
        judged=judged,
    )


def _by_scorer(
    m: RoutingContext, task: TaskState, iteration: int, output: Answer, gate: Gate, runs: int, scorer: str
) -> Decision | None:
    """The scorer's score, with a judge's beside it where one is wanted; that one counts where the scorer gives none."""
    scoring = task.scorings.get(output.version)
    if scoring is None:
        return ScoringStarted(task.name, iteration, output.version, scorer)
    found = _sampled(m, task, iteration, output, runs)
    if found.decision is not None or found.waiting or (scoring.score is None and scoring.problem is None):
        return found.decision
    judged = found.scores[0] if found.scores else None
    if found.stopped is CallEnd.TIME and scoring.score is None and judged is None:
        return conclude(m, task, TaskEndReason.TIME)
    return _scored(
        task,
        iteration,
        output,
        gate,
        score=judged if scoring.score is None else scoring.score,
        scored_by=ScoredBy.JUDGE if scoring.score is None and judged is not None else ScoredBy.SCORER,
        samples=tuple(found.scores),
        judged=judged,
    )


def _by_judge(
    m: RoutingContext, task: TaskState, iteration: int, output: Answer, gate: Gate, runs: int
) -> Decision | None:
    """The samples side by side; the first of them anew where none can be used; then the score."""
    found = _sampled(m, task, iteration, output, runs)
    if found.decision is not None or found.waiting:
        return found.decision
    if found.unread and not found.scores:
        progress = _sample(m, task, iteration, output, found.unread[0])
        if not isinstance(progress, NoAnswer):
            return None if isinstance(progress, Answer) else progress
        found.stopped = progress.reason
    if found.stopped is CallEnd.TIME and not found.scores:
        return conclude(m, task, TaskEndReason.TIME)
    score = _score(m, found.scores)
    return _scored(
        task,
        iteration,
        output,
        gate,
        score=score,
        scored_by=ScoredBy.JUDGE,
        samples=tuple(found.scores),
        judged=score,
    )


def _score(m: RoutingContext, scores: list[float]) -> float | None:
    """The mean where the samples agree, else what the settings say."""
    rules = m.state.settings.evaluation
    if not scores:
        return None
    mean = float(sum(map(Fraction, scores)) / len(scores))  # exact, so that equal scores have that mean
    if is_within(max(scores), min(scores), rules.max_delta) or rules.on_disagree is OnDisagree.MEAN:
        return mean
    return min(scores) if rules.on_disagree is OnDisagree.MIN else max(scores)
