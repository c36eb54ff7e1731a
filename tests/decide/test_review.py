"""The review loop of one task, step by step."""

from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.errors import ErrorKind
from orchestrator.models import ProjectStatus, ReadingProblem, Role, TaskStatus, TaskType, Verdict
from orchestrator.settings import Evaluation, MissingTool, OnDisagree, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task

BOTH = (model("a", "north"), model("b", "south"))
WRITES = TaskType.SUMMARIZATION  # two iterations at most, threshold 0.80
CODES = TaskType.CODE_GEN  # three iterations at most, threshold 0.85


def stage(*validators: str, kind: TaskType = WRITES, files: bool = False, **settings: Any) -> Stage:
    """One task, two models of two vendors."""
    made = Stage(RunSettings(**settings), BOTH, [task("t", kind, validators=validators)], files=files)
    made.begin()
    return made


def scores(*by_iteration: float | None, samples: dict[tuple[int, int], float | None] | None = None) -> Any:
    """A responder whose evaluators give these scores, by iteration; ``samples`` by (iteration, sample)."""

    def respond(started: e.CallStarted) -> dict[str, Any]:
        if started.role is not Role.EVALUATOR:
            return {}
        given = (samples or {}).get((started.iteration, started.sample), by_iteration[started.iteration - 1])
        return {"score": given}

    return respond


def roles(made: Stage) -> list[str]:
    """The models called, in order."""
    return [f"{started.role.value} {started.iteration}/{started.sample}" for started in made.all(e.CallStarted)]


def test_a_good_task_takes_one_iteration() -> None:
    """Generate, critique, revise, evaluate twice: then it is completed with the revision as its output."""
    made = stage()
    assert made.play().status is ProjectStatus.SUCCESS
    assert roles(made) == ["generator 1/1", "critic 1/1", "reviser 1/1", "evaluator 1/1", "evaluator 1/2"]
    end = made.last(e.TaskFinished)
    assert (end.status, end.reason, end.score, end.gate) == (TaskStatus.COMPLETED, None, 0.95, True)
    assert (end.model, end.reviewer, end.iterations) == ("a", "b", 1)
    chosen = made.history[made.last(e.OutputChosen).call - 1][1]
    assert isinstance(chosen, e.CallStarted)
    assert chosen.role is Role.REVISER


def test_the_evaluations_of_an_iteration_are_asked_for_side_by_side() -> None:
    """Both samples are in flight at once."""
    made = stage()
    for _ in range(3):
        made.prepare()
        made.answer()
    made.prepare()
    assert [started.role for _, started in made.open(e.CallStarted)] == [Role.EVALUATOR, Role.EVALUATOR]


def test_it_goes_on_until_the_score_is_good_enough() -> None:
    """Turn two is asked for while the threshold is not reached, and no iteration follows the one that reaches it."""
    made = stage(kind=CODES)
    made.play(scores(0.5, 0.9))
    assert [iteration.iteration for iteration in made.all(e.Evaluated)] == [1, 2]
    assert made.last(e.TaskFinished).score == 0.9


def test_it_ends_at_its_iterations() -> None:
    """A task that never is good enough is degraded after the last iteration its type may take."""
    made = stage()
    assert made.play(scores(0.1, 0.5)).status is ProjectStatus.PARTIAL_SUCCESS
    end = made.last(e.TaskFinished)
    assert (end.status, end.reason, end.iterations) == (TaskStatus.DEGRADED, "below_threshold", 2)


def test_a_plateau_ends_it() -> None:
    """Two consecutive gated scores nearer than 0.02 end the iteration."""
    made = stage(kind=CODES)
    made.play(scores(0.5, 0.51, 0.9))
    assert made.last(e.TaskFinished).iterations == 2
    moved = stage(kind=CODES)
    moved.play(scores(0.5, 0.53, 0.9))
    assert moved.last(e.TaskFinished).iterations == 3


def test_iterations_whose_gate_failed_are_no_plateau() -> None:
    """0.0 after 0.0 is two failed gates, not two equal scores."""
    made = stage("check", kind=CODES)
    made.play(verdicts=[Verdict.FAILED, Verdict.FAILED, Verdict.PASSED])
    assert made.last(e.TaskFinished).iterations == 3
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED


@pytest.mark.parametrize(
    ("by_iteration", "best"),
    [((0.6, 0.3, 0.1), 1), ((0.3, 0.6, 0.4), 2), ((0.3, 0.6, 0.6), 2), ((0.5, None, None), 1)],
)
def test_the_best_output_is_that_of_the_best_score_then_the_earlier(
    by_iteration: tuple[float | None, ...], best: int
) -> None:
    """Among iterations whose gate passed the score decides, and among equals the earlier one."""
    made = stage(kind=CODES, plateau=0.0)
    made.play(scores(*by_iteration))
    assert made.last(e.OutputChosen).iteration == best


def test_a_passed_gate_counts_more_than_a_score() -> None:
    """An output whose validator could not run loses against one that passed, whatever their scores."""
    made = stage("check", kind=CODES)
    unknown = [Verdict.UNKNOWN, Verdict.PASSED, Verdict.PASSED, Verdict.UNKNOWN]  # the second has a revision, too
    made.play(scores(0.84, 0.1, 0.3), unknown)
    assert made.last(e.OutputChosen).iteration == 2


def test_a_failed_gate_makes_the_score_nothing_and_skips_the_evaluation() -> None:
    """No evaluator is asked about an output that a validator failed."""
    made = stage("check")
    made.play(verdicts=[Verdict.FAILED, Verdict.FAILED])
    assert [(iteration.gate, iteration.score) for iteration in made.all(e.Evaluated)] == [(False, 0.0), (False, 0.0)]
    assert not any(started.role is Role.EVALUATOR for started in made.all(e.CallStarted))
    assert (made.last(e.TaskFinished).status, made.last(e.TaskFinished).reason) == (TaskStatus.DEGRADED, "gate")


def test_an_unknown_verdict_keeps_the_score_and_never_completes() -> None:
    """A validator that could not run leaves the task degraded, its score standing."""
    made = stage("check")
    made.play(verdicts=[Verdict.UNKNOWN] * 2)
    end = made.last(e.TaskFinished)
    assert (end.status, end.reason, end.score, end.gate) == (TaskStatus.DEGRADED, "gate", 0.95, False)


def test_a_skipped_check_passes_unless_missing_tools_fail() -> None:
    """``missing_tool`` decides what an absent tool means for the gate."""
    passing = stage("check")
    passing.play(verdicts=[Verdict.SKIPPED] * 2)
    assert passing.last(e.TaskFinished).status is TaskStatus.COMPLETED
    failing = stage("check", missing_tool=MissingTool.FAIL)
    failing.play(verdicts=[Verdict.SKIPPED] * 2)
    assert failing.last(e.Evaluated).score == 0.0


def test_near_samples_count_by_their_mean_and_far_ones_by_the_lower() -> None:
    """Within 0.05 the mean, beyond it the lower, unless the settings say otherwise."""
    for low, expected in ((0.90, 0.92), (0.60, 0.60)):
        made = stage()
        made.play(scores(0.94, 0.94, samples={(1, 1): low}))
        assert made.all(e.Evaluated)[0].score == pytest.approx(expected)
    for rule, expected in ((OnDisagree.MAX, 0.94), (OnDisagree.MEAN, 0.77)):
        made = stage(evaluation=Evaluation(on_disagree=rule))
        made.play(scores(0.94, 0.94, samples={(1, 1): 0.60}))
        assert made.all(e.Evaluated)[0].score == pytest.approx(expected)


def test_equal_samples_have_exactly_their_score() -> None:
    """The mean is exact: three equal scores at the threshold reach it."""
    for hundredths in range(101):
        score = hundredths / 100
        made = stage(evaluation=Evaluation(runs=3))
        made.play(scores(score, score))
        assert {iteration.score for iteration in made.all(e.Evaluated)} == {score}


def test_one_unreadable_evaluation_of_two_does_not_count() -> None:
    """The other one is the score, and no model is called again."""
    made = stage()
    made.play(scores(0.9, samples={(1, 2): None}))
    assert made.last(e.Evaluated).samples == (0.9,)
    assert sum(started.role is Role.EVALUATOR for started in made.all(e.CallStarted)) == 2


def test_two_unreadable_evaluations_are_asked_for_anew_then_unscored() -> None:
    """The first sample is asked for again, then of the next model; if no answer can be read, there is no score."""

    def second(started: e.CallStarted) -> dict[str, Any]:
        answer: dict[str, Any] = scores(0.9 if started.try_ == 2 else None)(started)
        return answer

    made = stage()
    made.play(second)
    assert made.all(e.Evaluated)[0].samples == (0.9,)
    judged = [step for step in roles(made) if step.startswith("evaluator")]
    assert judged == ["evaluator 1/1", "evaluator 1/2", "evaluator 1/1"]
    hopeless = stage()
    hopeless.play(scores(None, None))
    assert [iteration.score for iteration in hopeless.all(e.Evaluated)] == [None, None]
    assert len([step for step in roles(hopeless) if step == "evaluator 1/1"]) == 4
    assert len([step for step in roles(hopeless) if step == "evaluator 1/2"]) == 1
    end = hopeless.last(e.TaskFinished)
    assert (end.status, end.reason, end.score) == (TaskStatus.DEGRADED, "unscored", None)


@pytest.mark.parametrize("role", [Role.CRITIC, Role.REVISER])
def test_a_lost_review_is_skipped_and_the_draft_stands(role: Role) -> None:
    """A critique or revision that no model gives is left out, and the iteration is scored all the same."""
    made = stage()
    made.play(lambda started: ErrorKind.BAD_REQUEST if started.role is role else {})
    skipped = made.all(e.StepSkipped)
    assert [(step.role, step.iteration, step.reason) for step in skipped] == [(role, 1, "failed")]
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED
    chosen = made.history[made.last(e.OutputChosen).call - 1][1]
    assert isinstance(chosen, e.CallStarted)
    assert chosen.role is Role.GENERATOR


def test_a_lost_second_draft_leaves_the_first_output() -> None:
    """A task that has an output is degraded, not failed, when the next draft fails."""
    made = stage()
    fails = lambda started: (  # noqa: E731  # a responder in one expression
        ErrorKind.BAD_REQUEST
        if started.role is Role.GENERATOR and started.iteration == 2
        else scores(0.5, 0.5)(started)
    )
    made.play(fails)
    assert (made.last(e.TaskFinished).status, made.last(e.OutputChosen).iteration) == (TaskStatus.DEGRADED, 1)


def test_a_file_is_written_before_the_task_ends() -> None:
    """OutputChosen, FileWritten, TaskFinished: in this order, and a failed write is no failed task."""
    made = stage(files=True)
    made.play()
    names = [type(event).__name__ for _, event in made.history][-4:]
    assert names == ["OutputChosen", "FileWritten", "TaskFinished", "RunFinished"]


def test_an_empty_answer_is_no_draft() -> None:
    """An answer without a text is asked for again, and counts as a try."""
    made = stage()
    made.prepare()
    made.answer(reading=e.Reading(problem=ReadingProblem.EMPTY))
    made.prepare()
    assert made.last(e.CallStarted).try_ == 2
    assert made.last(e.CallStarted).role is Role.GENERATOR
