"""Scores are compared as decimals: what a person reads is what is decided."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import events as e
from orchestrator.models import Role, TaskStatus, TaskType
from orchestrator.models.score_comparison import decimal_of, is_nearer, is_within, reaches
from orchestrator.settings import Evaluation, RunSettings
from orchestrator.testing.decide_by_hand import Stage, model, task

KIND = TaskType.SUMMARIZATION
HUNDREDTHS = [Decimal(number) / 100 for number in range(101)]
PAIRS = [(float(each), float(each + Decimal("0.05"))) for each in HUNDREDTHS if each <= Decimal("0.95")]
MOVES = [(float(each), float(each + Decimal("0.02"))) for each in HUNDREDTHS if each <= Decimal("0.98")]


def scored(*rounds: tuple[float, ...], threshold: float = 0.999, **settings: Any) -> Stage:
    """A task whose evaluations say these scores, round by round, played to its end."""
    rules = RunSettings(thresholds={**RunSettings().thresholds, KIND: threshold}, **settings)
    made = Stage(rules, [model("a"), model("b", "other")], [task("t", KIND)])
    made.begin()

    def respond(started: e.CallStarted) -> dict[str, Any]:
        if started.role is not Role.EVALUATOR:
            return {}
        return {"score": rounds[min(started.iteration, len(rounds)) - 1][started.sample - 1]}

    made.play(respond)
    return made


@pytest.mark.parametrize(("low", "high"), PAIRS)
def test_scores_a_twentieth_apart_agree(low: float, high: float) -> None:
    """All 96 pairs of two decimals 0.05 apart agree, and their mean counts; a hundredth more, and none does."""
    evaluated = scored((high, low), (high, low)).all(e.Evaluated)[0]
    assert evaluated.score == pytest.approx((low + high) / 2)
    if high < 1:
        farther = float(Decimal(str(high)) + Decimal("0.01"))
        assert scored((low, farther), (low, farther)).all(e.Evaluated)[0].score == low


@pytest.mark.parametrize(("before", "after"), MOVES)
def test_a_move_of_two_hundredths_is_a_move(before: float, after: float) -> None:
    """All 99 moves of exactly 0.02 go on to a third iteration; one of 0.01 is a plateau."""
    three = {**RunSettings().iterations, KIND: 3}
    rules: dict[str, Any] = {"iterations": three, "evaluation": Evaluation(runs=1)}
    assert len(scored((before,), (after,), threshold=2.0, **rules).all(e.Evaluated)) == 3
    nearer = float(Decimal(str(after)) - Decimal("0.01"))
    assert len(scored((before,), (nearer,), threshold=2.0, **rules).all(e.Evaluated)) == 2


@given(st.integers(0, 100), st.integers(0, 100))
def test_a_mean_reaches_the_threshold_it_is_written_as(one: int, other: int) -> None:
    """A task whose agreeing scores have the threshold as their mean is completed."""
    low, high = sorted((one, other))
    threshold = float(Decimal(low + high) / 200)
    rules = Evaluation(max_delta=1.0)
    made = scored((high / 100, low / 100), threshold=threshold, evaluation=rules)
    assert made.last(e.TaskFinished).status is TaskStatus.COMPLETED
    assert len(made.all(e.Evaluated)) == 1


DECIMALS = st.decimals(0, 1, places=6)


@given(DECIMALS, DECIMALS, DECIMALS)
def test_comparisons_are_those_of_the_decimals(one: Decimal, other: Decimal, distance: Decimal) -> None:
    """Six places are compared exactly."""
    values = float(one), float(other), float(distance)
    assert is_within(*values) is (abs(one - other) <= distance)
    assert is_nearer(*values) is (abs(one - other) < distance)
    assert reaches(values[0], values[1]) is (one >= other)


@given(st.floats(0, 1), st.floats(-4e-7, 4e-7))
def test_what_is_beyond_six_places_does_not_count(value: float, noise: float) -> None:
    """A number is compared as the nearest one of six places."""
    rounded = round(value, 6)
    assert decimal_of(rounded + noise) == decimal_of(rounded)
