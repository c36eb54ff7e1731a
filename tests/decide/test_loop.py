"""The loop's mechanisms one by one: each test fails where its mechanism is missing."""

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.decide.strategies import STRATEGIES
from orchestrator.errors import ErrorKind
from orchestrator.models import (
    CritiqueUse,
    DraftMode,
    JudgeMethod,
    JudgeUse,
    ModelOrder,
    ProbeResult,
    ProjectStatus,
    Role,
    ScoredBy,
    SkipReason,
    Strategy,
    TaskStatus,
    TaskType,
    Verdict,
)
from orchestrator.money import Price, Usd
from orchestrator.replay import verify
from orchestrator.settings import Evaluation, RunSettings, SecondJudge
from orchestrator.testing.decide_by_hand import Stage, model, task
from orchestrator.testing.laws import broken_laws

MODELS = (model("a", "north"), model("b", "south"), model("c", "east"))
TESTS = "1" * 64
PASSED: dict[str, Any] = {"verdict": Verdict.PASSED, "passed_tests": 4, "total_tests": 4}
SOME_FAILED: dict[str, Any] = {"verdict": Verdict.FAILED, "passed_tests": 1, "total_tests": 4}
DEFECT = e.Defect("2" * 64)
EXAMPLE = e.Defect("3" * 64, counterexample=True)
Checks = Callable[[e.CheckStarted], dict[str, Any]]


def stage(
    *validators: str,
    models: tuple[Any, ...] = MODELS,
    given: bool = True,
    kind: TaskType = TaskType.CODE_GEN,
    **settings: Any,
) -> Stage:
    """One code task; with ``pytest`` among its validators it has tests, which the spec or a planner wrote."""
    tests = TESTS if "pytest" in validators else None
    planned = task("t", kind, validators=validators, tests=tests)
    made = Stage(RunSettings(routing={}, **settings), models, [planned] if given else None)
    made.begin()
    if not given:
        made.prepare()
        made.answer(reading=e.Reading(plan=(planned,)))
    return made


def critique(*defects: e.Defect) -> dict[str, Any]:
    """What a critic answers."""
    return {"reading": e.Reading(defects=defects)}


def by_role(**how: Any) -> Callable[[e.CallStarted], dict[str, Any]]:
    """A responder: by role an answer, or a function of the call; a critic has one defect unless it is said."""
    usual = {"critic": critique(DEFECT), **how}

    def respond(started: e.CallStarted) -> dict[str, Any]:
        found: Any = usual.get(started.role.value, {})
        answer: dict[str, Any] = found(started) if callable(found) else found
        return answer

    return respond


def by_author(made: Stage, verdicts: Mapping[tuple[int, Role], dict[str, Any]], rest: dict[str, Any]) -> Checks:
    """Verdicts by iteration and role of who wrote what is checked."""

    def check(started: e.CheckStarted) -> dict[str, Any]:
        written = made.history[started.call - 1][1]
        assert isinstance(written, e.CallStarted)
        return verdicts.get((written.iteration, written.role), rest)

    return check


def steps(made: Stage) -> list[str]:
    """Roles and iterations called, in order."""
    return [f"{each.role.value} {each.iteration}" for each in made.all(e.CallStarted) if each.node == "t"]


def author_of(made: Stage) -> e.CallStarted:
    """Who wrote the chosen output."""
    written = made.history[made.last(e.OutputChosen).call - 1][1]
    assert isinstance(written, e.CallStarted)
    return written


def drafts(made: Stage) -> list[e.ModelSelected]:
    """The selections of generators."""
    return [each for each in made.all(e.ModelSelected) if each.role is Role.GENERATOR]


def is_sound(made: Stage) -> bool:
    """No law is broken, and each decision is computed again."""
    return broken_laws(made.history) == [] and verify(made.history, lambda session: None).differences == ()


def test_right_first_time_with_given_tests_is_three_calls() -> None:
    """Draft, critique that accepts, one evaluation beside the tests' score."""
    made = stage("python_syntax", "pytest")
    made.play(by_role(critic=critique(), evaluator={"score": 0.2}), lambda started: PASSED)
    assert steps(made) == ["generator 1", "critic 1", "evaluator 1"]
    scored = made.last(e.Evaluated)
    assert (scored.score, scored.scored_by, scored.judged, scored.share) == (1.0, ScoredBy.TESTS, 0.2, 1.0)
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED
    assert [(step.role, step.reason) for step in made.all(e.StepSkipped)] == [
        (Role.REVISER, "accepted"),
        (Role.EVALUATOR, "tests"),
    ]
    assert is_sound(made)


def test_a_right_draft_survives_a_bad_revision() -> None:
    """The revision fails the tests that the draft passes: the draft is the output, and its score is the tests'."""
    made = stage("pytest")
    made.play(by_role(), by_author(made, {(1, Role.REVISER): SOME_FAILED}, PASSED))
    assert author_of(made).role is Role.GENERATOR
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED
    assert is_sound(made)


def test_where_both_pass_the_revision_is_the_output() -> None:
    """A tie goes to the revision, and to the draft where they are equal."""
    made = stage("pytest")
    made.play(by_role(), lambda started: PASSED)
    assert author_of(made).role is Role.REVISER
    same = {"reading": e.Reading(equivalence="same")}
    equal = stage("pytest")
    equal.play(by_role(generator=same, reviser=same), lambda started: PASSED)
    assert author_of(equal).role is Role.GENERATOR
    assert len(equal.all(e.CheckStarted)) == 1
    assert is_sound(made)
    assert is_sound(equal)


def test_a_failed_draft_is_made_anew_by_the_next_model_and_repaired_by_one_that_did_not_write_it() -> None:
    """No critic, reviser or judge works on it; the last of three tries builds on the best one."""
    made = stage("pytest")
    some = {"verdict": Verdict.FAILED, "passed_tests": 3, "total_tests": 4}
    made.play(by_role(), by_author(made, {(2, Role.GENERATOR): some}, SOME_FAILED))
    assert steps(made) == ["generator 1", "generator 2", "generator 3"]
    modes = [(each.model, each.mode, each.temperature) for each in drafts(made)]
    assert modes == [("a", DraftMode.FRESH, 0.3), ("b", DraftMode.FRESH, 0.8), ("a", DraftMode.REPAIR, 0.3)]
    second = next(each for each in made.all(e.CheckStarted) if each.iteration == 2)
    assert drafts(made)[2].base == second.call
    assert [(step.role, step.reason) for step in made.all(e.StepSkipped)] == [(Role.CRITIC, "gate")] * 3
    assert (made.last(e.OutputChosen).iteration, made.last(e.Evaluated).scored_by) == (2, ScoredBy.GATE)
    assert (made.last(e.TaskFinished).status, made.last(e.TaskFinished).reason) == (TaskStatus.DEGRADED, "gate")
    assert is_sound(made)


def test_one_model_alone_is_never_shown_its_own_failed_code() -> None:
    """It copies it: the last try is a fresh one, too."""
    made = stage("pytest", models=MODELS[:1])
    made.play(by_role(), lambda started: SOME_FAILED)
    assert [(each.mode, each.temperature, each.base) for each in drafts(made)] == [
        (DraftMode.FRESH, 0.3, None),
        (DraftMode.FRESH, 0.8, None),
        (DraftMode.FRESH, 0.8, None),
    ]


def test_the_best_of_failed_iterations_is_that_of_the_largest_share_then_the_earliest() -> None:
    """Not the last one, an apology included."""
    made = stage("pytest")
    none = {"verdict": Verdict.FAILED, "passed_tests": 0, "total_tests": 4}
    made.play(by_role(), by_author(made, {(3, Role.GENERATOR): none}, SOME_FAILED))
    assert made.last(e.OutputChosen).iteration == 1
    assert is_sound(made)


def test_after_a_failed_syntax_check_no_slower_validator_runs() -> None:
    """It comes first, whatever its place in the plan."""
    made = stage("pytest", "ruff", "python_syntax")
    failed = {"verdict": Verdict.FAILED}
    made.play(by_role(), lambda started: failed if started.validator == "python_syntax" else PASSED)
    assert {started.validator for started in made.all(e.CheckStarted)} == {"python_syntax"}
    passing = stage("pytest", "ruff", "python_syntax")
    passing.play(by_role(critic=critique()), lambda started: PASSED)
    assert [started.validator for started in passing.all(e.CheckStarted)] == ["python_syntax", "ruff", "pytest"]


def test_a_low_score_is_improved_with_the_best_output_shown() -> None:
    """A text task does get its revision, and the next draft builds on the best."""
    made = stage(kind=TaskType.CODE_GEN)
    scores = iter([0.3, 0.3, 0.5, 0.5, 0.9, 0.9])
    made.play(by_role(evaluator=lambda started: {"score": next(scores)}))
    assert [each.mode for each in drafts(made)] == [DraftMode.FRESH, DraftMode.IMPROVE, DraftMode.IMPROVE]
    assert drafts(made)[1].base == made.all(e.Evaluated)[0].call
    assert "reviser 1" in steps(made)
    assert is_sound(made)


def test_a_false_counterexample_is_dropped() -> None:
    """Where all are refuted the critique is as good as accepted; one that stands leads to a revision."""
    made = stage("pytest")
    made.play(
        by_role(critic=critique(EXAMPLE, EXAMPLE)), lambda started: PASSED, lambda probe: (ProbeResult.REFUTED,) * 2
    )
    assert steps(made) == ["generator 1", "critic 1", "evaluator 1"]
    assert len(made.all(e.ProbeStarted)) == 1
    stands = stage("pytest")
    stands.play(
        by_role(critic=critique(EXAMPLE, DEFECT)),
        lambda started: PASSED,
        lambda probe: (ProbeResult.REFUTED, ProbeResult.UNVERIFIED),
    )
    assert "reviser 1" in steps(stands)
    plain = stage("pytest")
    plain.play(by_role(critic=critique(DEFECT)), lambda started: PASSED)
    assert plain.all(e.ProbeStarted) == []
    assert is_sound(made)
    assert is_sound(stands)


def test_equal_answers_are_not_checked_nor_scored_again() -> None:
    """The second draft is the first again: its verdicts and its score are reused, and no critic is called."""
    same = {"reading": e.Reading(equivalence="same")}
    failing = stage("pytest")
    failing.play(by_role(generator=same), lambda started: SOME_FAILED)
    assert len(failing.all(e.CheckStarted)) == 1
    assert len(failing.all(e.Evaluated)) == 3
    low = stage("ruff")
    low.play(by_role(generator=same, critic=critique(), evaluator={"score": 0.5}), lambda started: PASSED)
    assert steps(low) == ["generator 1", "critic 1", "evaluator 1", "evaluator 1", "generator 2"]
    first, second = low.all(e.Evaluated)
    assert (second.score, second.equal_to) == (0.5, first.call)
    assert [step.reason for step in low.all(e.StepSkipped)] == ["accepted", "equal"]
    assert is_sound(failing)
    assert is_sound(low)


def test_an_equal_draft_that_no_critic_saw_is_criticised() -> None:
    """The critics were down in the first iteration: the same draft is reviewed in the second."""
    same = {"reading": e.Reading(equivalence="same")}

    def respond(started: e.CallStarted) -> dict[str, Any] | ErrorKind:
        if (started.role, started.iteration) == (Role.CRITIC, 1):
            return ErrorKind.BAD_REQUEST
        return by_role(generator=same, evaluator={"score": 0.5})(started)

    made = stage()
    made.play(respond)
    assert made.all(e.StepSkipped)[0].reason == "failed"
    assert {"critic 2", "reviser 2"} <= set(steps(made))
    assert is_sound(made)


@pytest.mark.parametrize("verdict", [Verdict.UNKNOWN, Verdict.FAILED])
def test_an_impossible_gate_ends_at_once(verdict: Verdict) -> None:
    """Tests that cannot run: no second try can pass them."""
    made = stage("pytest")
    made.play(by_role(), lambda started: {"verdict": verdict, "permanent": True})
    assert [step for step in steps(made) if step.startswith("generator")] == ["generator 1"]
    assert (made.last(e.TaskFinished).status, made.last(e.TaskFinished).reason) == (TaskStatus.DEGRADED, "gate")
    trying = stage("pytest")
    trying.play(by_role(), lambda started: {"verdict": verdict})
    assert "generator 3" in steps(trying)
    assert is_sound(made)


def test_a_false_low_score_does_not_degrade_tested_work() -> None:
    """Unless the spec says that tests do not decide, or names a target for the type."""

    def played(**settings: Any) -> Stage:
        made = stage("pytest", **settings)
        made.play(by_role(critic=critique(), evaluator={"score": 0.0}), lambda started: PASSED)
        assert is_sound(made)
        return made

    assert played().last(e.TaskFinished).status is TaskStatus.COMPLETED
    for rules in (Evaluation(tests_decide=False), Evaluation(judged_types=(TaskType.CODE_GEN,))):
        judged = played(evaluation=rules)
        assert judged.last(e.TaskFinished).status is TaskStatus.DEGRADED
        assert judged.last(e.Evaluated).scored_by is ScoredBy.JUDGE


def test_a_planners_wrong_test_does_not_fail_right_code() -> None:
    """It is a vote: the gate passes, and the judge's score counts."""
    made = stage("pytest", given=False)
    made.play(by_role(critic=critique()), lambda started: SOME_FAILED)
    assert [started.vote for started in made.all(e.CheckStarted)] == [True]
    scored = made.last(e.Evaluated)
    assert (scored.gate, scored.scored_by, scored.share) == (True, ScoredBy.JUDGE, None)
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED
    assert is_sound(made)


def test_a_planners_tests_are_a_gate_once_candidates_of_two_models_agree() -> None:
    """Then what fails them fails."""
    made = stage("pytest", given=False, plateau=0.0)

    def respond(started: e.CallStarted) -> dict[str, Any] | ErrorKind:
        if (started.role, started.iteration, started.model) == (Role.GENERATOR, 2, "a"):
            return ErrorKind.BAD_REQUEST  # so that another model writes the second draft
        return by_role(evaluator={"score": 0.1}, critic=critique())(started)

    made.play(respond, by_author(made, {(3, Role.GENERATOR): SOME_FAILED}, PASSED))
    assert [started.vote for started in made.all(e.CheckStarted)] == [True, True, False]
    assert [scored.gate for scored in made.all(e.Evaluated)] == [True, True, False]
    alone = stage("pytest", given=False, models=MODELS[:1], plateau=0.0)
    alone.play(by_role(evaluator={"score": 0.1}), lambda started: PASSED)
    assert all(started.vote for started in alone.all(e.CheckStarted))
    assert is_sound(made)


def test_a_vote_that_cannot_be_had_is_not_called_for_again() -> None:
    """The planner's tests cannot run at all: the second draft is not tried with them."""
    made = stage("pytest", given=False, plateau=0.0)
    lasting = {"verdict": Verdict.UNKNOWN, "permanent": True}
    made.play(by_role(critic=critique(), evaluator={"score": 0.5}), lambda started: lasting)
    assert len(made.all(e.Evaluated)) == 3
    assert len(made.all(e.CheckStarted)) == 1
    assert is_sound(made)


def test_a_pass_on_a_later_try_with_few_tests_is_marked() -> None:
    """Weak tests select lucky results: with fewer than four the end says how few there were."""

    def played(total: int) -> e.TaskFinished:
        made = stage("pytest")
        passed = {"verdict": Verdict.PASSED, "passed_tests": total, "total_tests": total}
        made.play(by_role(critic=critique()), by_author(made, {(1, Role.GENERATOR): SOME_FAILED}, passed))
        assert is_sound(made)
        return made.last(e.TaskFinished)

    assert (played(1).status, played(1).few_tests, played(3).few_tests) == (TaskStatus.COMPLETED, 1, 3)
    assert played(4).few_tests is None
    first = stage("pytest")
    one = {"verdict": Verdict.PASSED, "passed_tests": 1, "total_tests": 1}
    first.play(by_role(critic=critique()), lambda started: one)
    assert first.last(e.TaskFinished).few_tests is None


def test_an_author_does_not_review_tested_work_of_its_own() -> None:
    """With one model a critique of what passed its given tests is left out; untested work is reviewed all the same."""
    tested = stage("pytest", models=MODELS[:1])
    tested.play(by_role(), lambda started: PASSED)
    assert steps(tested) == ["generator 1", "evaluator 1"]
    assert next((each.role, each.reason) for each in tested.all(e.StepSkipped)) == (Role.CRITIC, SkipReason.ALONE)
    assert is_sound(tested)
    untested = stage("python_syntax", models=MODELS[:1])
    untested.play(by_role(), lambda started: PASSED)
    assert "critic 1" in steps(untested)
    others = stage("pytest")
    others.play(by_role(), lambda started: PASSED)
    assert "critic 1" in steps(others)


# ── strategies ───────────────────────────────────────────────────────────────────────────────────────────────────────


def under(strategy: Strategy, *validators: str, **more: Any) -> Stage:
    """A run of one task under a strategy."""
    return stage(*validators, loop=dict.fromkeys(TaskType, strategy), **more)


def test_plain_is_one_call_and_its_checks() -> None:
    """The share of given tests is the score; 1.0 where only static checks ran; no model scores."""
    tested = under(STRATEGIES["plain"], "pytest")
    tested.play(by_role(), lambda started: SOME_FAILED)
    assert steps(tested) == ["generator 1"]
    scored = tested.last(e.Evaluated)
    assert (scored.score, scored.scored_by, scored.gate) == (0.25, ScoredBy.TESTS, False)
    static = under(STRATEGIES["plain"], "python_syntax")
    assert static.play(by_role(), lambda started: {"verdict": Verdict.PASSED}).status is ProjectStatus.SUCCESS
    assert (static.last(e.Evaluated).score, static.last(e.Evaluated).scored_by) == (1.0, ScoredBy.CHECKS)
    assert is_sound(tested)
    assert is_sound(static)


@pytest.mark.parametrize("name", ["best_of", "repair", "cascade"])
def test_where_given_tests_choose_no_judge_is_called(name: str) -> None:
    """The tests' score is enough; ``judge: always`` has one evaluation beside it, and a task without tests needs it."""
    tested = under(STRATEGIES[name], "pytest")
    tested.play(by_role(), lambda started: PASSED)
    assert steps(tested) == ["generator 1"]
    assert tested.last(e.Evaluated).scored_by is ScoredBy.TESTS
    assert is_sound(tested)
    beside = under(evolve(STRATEGIES[name], judge=JudgeUse.ALWAYS), "pytest")
    beside.play(by_role(), lambda started: PASSED)
    assert steps(beside) == ["generator 1", "evaluator 1"]
    untested = under(evolve(STRATEGIES[name], method=JudgeMethod.SCORES), "python_syntax")
    untested.play(by_role(), lambda started: PASSED)
    assert set(steps(untested)) == {"generator 1", "evaluator 1"}
    assert untested.last(e.Evaluated).scored_by is ScoredBy.JUDGE


def test_best_of_takes_fresh_samples_until_one_passes() -> None:
    """No critic, and no earlier code in any of them."""
    made = under(evolve(STRATEGIES["best_of"], samples=5, runs=0), "pytest")
    made.play(by_role(), by_author(made, {(4, Role.GENERATOR): PASSED}, SOME_FAILED))
    assert steps(made) == [f"generator {number}" for number in (1, 2, 3, 4)]
    assert {(each.mode, each.base) for each in drafts(made)} == {(DraftMode.FRESH, None)}
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED
    assert is_sound(made)


def test_repair_shows_the_report_to_its_author_too() -> None:
    """With the error executed, warmer where the author repairs its own."""
    made = under(STRATEGIES["repair"], "pytest", models=MODELS[:1])
    made.play(by_role(), by_author(made, {(3, Role.GENERATOR): PASSED}, SOME_FAILED))
    assert [(each.mode, each.temperature) for each in drafts(made)] == [
        (DraftMode.FRESH, 0.3),
        (DraftMode.REPAIR, 0.8),
        (DraftMode.REPAIR, 0.8),
    ]
    assert "critic 1" not in steps(made)
    assert is_sound(made)


def test_cascade_climbs_from_the_cheapest_to_the_next_tier() -> None:
    """A dearer model of another tier each time; the same tier and the cheaper ones only after those."""

    def priced(name: str, cents: str, tier: str) -> Any:
        return model(name, name, price=Price(Usd.parse(cents), Usd.parse(cents)), tier=tier)

    models = (priced("top", "9", "l"), priced("mid", "3", "m"), priced("mid2", "2", "s"), priced("low", "1", "s"))
    made = under(STRATEGIES["cascade"], "pytest", models=models)
    made.play(by_role(), lambda started: SOME_FAILED)
    assert [each.model for each in drafts(made)] == ["low", "mid", "top"]
    assert STRATEGIES["cascade"].order is ModelOrder.CHEAPEST
    assert is_sound(made)


def test_a_strategy_can_leave_out_critic_and_judge() -> None:
    """``critique: never`` and ``evaluate.runs: 0``."""
    made = under(evolve(STRATEGIES["reviewed"], critique=CritiqueUse.NEVER, runs=0), "pytest")
    made.play(by_role(), lambda started: PASSED)
    assert steps(made) == ["generator 1"]
    assert [(step.role, step.reason) for step in made.all(e.StepSkipped)] == [(Role.CRITIC, "strategy")]


def test_nothing_is_held_for_a_judge_that_is_not_called() -> None:
    """The same money lets a plain draft start at full size, and a judged one only smaller."""
    price = MODELS[0].price
    assert price is not None
    sizes = []
    for name in ("plain", "best_of"):
        made = under(STRATEGIES[name], cap=price.bound(612, 8192), fixed_types=tuple(TaskType))
        made.prepare()
        sizes.append(made.last(e.CallStarted).max_tokens)
    assert sizes[0] == 8192 > sizes[1]


def test_the_second_evaluation_can_be_another_models() -> None:
    """``second: other_model``; else both are of one model."""
    for second, count in ((SecondJudge.SAME_MODEL, 1), (SecondJudge.OTHER_MODEL, 2)):
        made = stage(evaluation=Evaluation(second=second))
        made.play(by_role(critic=critique()))
        judges = {each.model for each in made.all(e.CallStarted) if each.role is Role.EVALUATOR}
        assert len(judges) == count
        assert is_sound(made)


def test_completed_means_gate_and_score_in_every_strategy() -> None:
    """For each strategy, and verdicts of every kind."""
    for strategy in STRATEGIES.values():
        for verdict in Verdict:
            made = under(strategy, "pytest")
            made.play(by_role(evaluator={"score": 0.7}), lambda started, verdict=verdict: {"verdict": verdict})  # type: ignore[misc]
            end = made.last(e.TaskFinished)
            threshold = made.settings.thresholds[TaskType.CODE_GEN]
            good = end.gate and end.score is not None and end.score >= threshold
            assert good is (end.status is TaskStatus.COMPLETED)
            assert is_sound(made)
