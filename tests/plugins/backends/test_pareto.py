import pytest
from hypothesis import given

from orchestrator.spi import ModelTelemetry, SpecError
from tests.plugins.backends.candidates import FIELDS, Field, candidate, dominates, field_of, order, rank, vectors


@given(FIELDS)
def test_none_ranks_before_one_that_dominates_it(field: Field) -> None:
    """The dominated come after every candidate of the front, after their own dominators, and are called so."""
    ranking = rank("pareto", field)
    found = vectors(field)
    dominated = {name for name in found if any(dominates(other, found[name]) for other in found.values())}
    assert {each.model for each in ranking if each.reason == "dominated"} == dominated
    assert all((each.reason == "dominated") == (each.score < 0) or each.score == 0 for each in ranking)
    names = order(ranking)
    for place, name in enumerate(names):
        assert not any(dominates(found[later], found[name]) for later in names[place + 1 :])


@given(FIELDS)
def test_the_dominated_do_not_bear_on_the_choice(field: Field) -> None:
    """Without the dominated the front is ranked as before, score for score."""
    ranking = rank("pareto", field)
    front = [each for each in ranking if not each.reason]
    names = set(order(front))
    alone = rank("pareto", Field([each for each in field.candidates if each.model in names], field.telemetry))
    assert list(alone) == front


def test_many_candidates_are_parted_like_few() -> None:
    """Among hundreds, many of them equal, the dominated are those that another one beats."""
    measured = {
        f"m{number}": ModelTelemetry(quality=number * 53 % 97 / 100, trust=number * 31 % 7 / 8 + 0.1, cost=0.01 + cost)
        for number in range(300)
        for cost in [number * 37 % 89 / 1_000]
    }
    field = field_of(**measured)
    found = vectors(field)
    dominated = {name for name in found if any(dominates(other, found[name]) for other in found.values())}
    ranking = rank("pareto", field)
    assert 2 < len(found) - len(dominated) < 100, "there is a front to be found"
    assert {each.model for each in ranking if each.reason == "dominated"} == dominated
    assert [each.score for each in ranking] == sorted((each.score for each in ranking), reverse=True)


def test_one_that_is_fair_in_everything_comes_before_the_extremes() -> None:
    """The best and the cheapest rank after one that is nearly as good for little more."""
    field = field_of(
        best=ModelTelemetry(quality=0.95, cost=0.10),
        cheap=ModelTelemetry(quality=0.20, cost=0.010),
        fair=ModelTelemetry(quality=0.90, cost=0.012),
    )
    assert order(rank("pareto", field)) == ["fair", "cheap", "best"]


def test_the_score_is_the_nearness_to_the_ideal() -> None:
    """One less the quadratic mean of what is missing of the best quality, the best trust and the lowest cost."""
    field = field_of(good=ModelTelemetry(quality=0.8, cost=0.02), cheap=ModelTelemetry(quality=0.4, cost=0.01))
    half_missing = 1 - (0.5**2 / 3) ** 0.5
    assert [each.score for each in rank("pareto", field)] == pytest.approx([half_missing, half_missing])


def test_a_dominated_candidate_scores_one_less() -> None:
    """The loser's score is below zero, and its reason says why."""
    field = field_of(bad=ModelTelemetry(quality=0.4, cost=0.02), good=ModelTelemetry(quality=0.8, cost=0.01))
    first, second = rank("pareto", field)
    assert (first.model, first.score, first.reason) == ("good", 1.0, "")
    assert (second.model, second.reason) == ("bad", "dominated")
    assert second.score == pytest.approx(-(((0.5**2 + 0.5**2) / 3) ** 0.5))


def test_unmeasured_candidates_differ_by_their_price() -> None:
    """Without measurements the cheapest dominates, quality and trust being assumed equal."""
    field = Field([candidate("dear", 0, "10"), candidate("cheap", 1, "1")], {})
    assert order(rank("pareto", field)) == ["cheap", "dear"]


def test_a_parameter_is_refused() -> None:
    """The backend takes no parameters, and says which one to remove."""
    with pytest.raises(SpecError, match="w_cost"):
        rank("pareto", field_of(), w_cost=1)
