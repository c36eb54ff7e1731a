from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.spi import ModelTelemetry, SpecError
from tests.plugins.backends.candidates import FIELDS, Field, candidate, field_of, order, rank

FIELD = field_of(
    good=ModelTelemetry(quality=1.0, trust=0.5, cost=0.04, latency_ms=400.0),
    trusted=ModelTelemetry(quality=0.5, trust=1.0, cost=0.02, latency_ms=200.0),
    cheap=ModelTelemetry(quality=0.5, trust=0.5, cost=0.01, latency_ms=800.0),
    quick=ModelTelemetry(quality=0.5, trust=0.5, cost=0.05, latency_ms=100.0),
)


@pytest.mark.parametrize(
    ("weight", "first"), [("w_quality", "good"), ("w_trust", "trusted"), ("w_cost", "cheap"), ("w_latency", "quick")]
)
def test_each_weight_alone_lets_its_metric_decide(weight: str, first: str) -> None:
    """With one weight the best of that metric comes first, with a score of one."""
    alone: dict[str, object] = {**dict.fromkeys(("w_quality", "w_trust", "w_cost", "w_latency"), 0), weight: 3}
    ranking = rank("weighted_sum", FIELD, **alone)
    assert ranking[0].model == first
    assert ranking[0].score == pytest.approx(1.0)


def test_the_score_is_the_weighted_mean() -> None:
    """Quality and trust as they are, a cost as the lowest divided by it, by weights that add up to one."""
    scores = {each.model: each.score for each in rank("weighted_sum", FIELD, w_quality=0.5, w_trust=0.3, w_cost=0.2)}
    assert scores["good"] == pytest.approx(0.5 * 1.0 + 0.3 * 0.5 + 0.2 * 0.25)
    assert scores["cheap"] == pytest.approx(0.5 * 0.5 + 0.3 * 0.5 + 0.2 * 1.0)
    tripled = {each.model: each.score for each in rank("weighted_sum", FIELD, w_quality=1.5, w_trust=0.9, w_cost=0.6)}
    assert tripled == pytest.approx(scores)


def test_speed_does_not_count_unless_it_is_weighed() -> None:
    """Without ``w_latency`` the latency changes nothing."""
    slow = {
        name: ModelTelemetry(quality=seen.quality, trust=seen.trust, cost=seen.cost)
        for name, seen in FIELD.telemetry.items()
    }
    assert list(rank("weighted_sum", FIELD)) == list(rank("weighted_sum", Field(FIELD.candidates, slow)))


def test_what_was_never_measured_is_assumed() -> None:
    """A quality of 0.8, full trust, the cost of 2,000 tokens, ten seconds."""
    field = Field(
        [candidate("new", 0, "10"), candidate("known", 1, "1")], {"known": ModelTelemetry(0, 0.8, 1.0, 0.02, 10_000.0)}
    )
    new, known = rank("weighted_sum", field, w_latency=1)
    assert (new.model, known.model) == ("new", "known")
    assert new.score == known.score


@given(FIELDS, st.lists(st.integers(0, 5), min_size=4, max_size=4).filter(any))
def test_scores_are_between_nothing_and_one(field: Field, weights: list[int]) -> None:
    """Whatever the weights, a score is a share."""
    names = ("w_quality", "w_trust", "w_cost", "w_latency")
    ranking = rank("weighted_sum", field, **dict(zip(names, weights, strict=True)))
    assert all(0 <= each.score <= 1 + 1e-9 for each in ranking)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"w_speed": 1}, "no 'w_speed'; its weights are w_quality, w_trust, w_cost, w_latency"),
        ({"w_cost": -1}, "routing.parameters.w_cost: expected a number from 0"),
        ({"w_cost": float("nan")}, "w_cost"),
        ({"w_cost": float("inf")}, "w_cost"),
        ({"w_cost": Decimal("NaN")}, "w_cost"),
        ({"w_cost": 10**400}, "w_cost"),
        ({"w_cost": True}, "w_cost"),
        ({"w_cost": "1"}, "w_cost"),
        ({"w_quality": 0, "w_trust": 0, "w_cost": 0.0}, "all weights are 0"),
    ],
)
def test_weights_that_make_no_sense_are_refused(parameters: dict[str, object], message: str) -> None:
    """Each is named with what is expected of it."""
    with pytest.raises(SpecError, match=message):
        rank("weighted_sum", FIELD, **parameters)


def test_all_that_is_wrong_is_said_at_once() -> None:
    """Two bad weights are two problems."""
    with pytest.raises(SpecError) as caught:
        rank("weighted_sum", FIELD, w_cost=-1, w_speed=1)
    assert len(caught.value.problems) == 2


def test_the_first_is_the_best_by_hand() -> None:
    """With the specification's weights the good and the trusted come before the cheap and the quick."""
    assert order(rank("weighted_sum", FIELD, w_quality=0.5, w_trust=0.3, w_cost=0.2)) == [
        "good",
        "trusted",
        "cheap",
        "quick",
    ]
