"""What holds for every built-in backend."""

import math
import random

import pytest
from attrs import evolve
from hypothesis import given

from orchestrator.plugins import Catalogue
from orchestrator.spi import ModelTelemetry
from tests.plugins.backends.candidates import FIELDS, ODD_FIELDS, Field, candidate, field_of, order, rank

NAMES = ("greedy", "pareto", "weighted_sum")
OTHER = Catalogue.discover()
"""Not the catalogue that ``rank`` asks."""


def test_these_are_all() -> None:
    """The backends below are those that are installed."""
    own = [each.name for each in Catalogue.discover().entries() if each.kind == "backend"]
    assert set(NAMES) <= set(own)


@pytest.mark.parametrize("name", NAMES)
@given(field=ODD_FIELDS)
def test_any_telemetry_gives_a_permutation(name: str, field: Field) -> None:
    """Every candidate stands once, with a finite score, and the scores fall."""
    ranking = rank(name, field)
    scores = [each.score for each in ranking]
    assert sorted(order(ranking)) == sorted(each.model for each in field.candidates)
    assert all(abs(score) <= 1e6 for score in scores)
    assert scores == sorted(scores, reverse=True)


@pytest.mark.parametrize("name", NAMES)
@given(field=ODD_FIELDS)
def test_the_order_of_the_arguments_does_not_matter(name: str, field: Field) -> None:
    """Equal candidates in any order, asked of any object, twice: the same ranking. The row's place is data."""
    mixed = list(field.candidates)
    random.Random(len(mixed)).shuffle(mixed)
    backend = OTHER.backend(name, {})
    first = list(backend.rank(mixed, field.telemetry, 0.5))
    assert first == list(rank(name, field))
    assert first == list(backend.rank(field.candidates[::-1], dict(reversed(field.telemetry.items())), 0.5))


@pytest.mark.parametrize("name", NAMES)
@given(field=FIELDS)
def test_more_quality_never_costs_a_place(name: str, field: Field) -> None:
    """A model that is measured better, all else equal, ranks no later than before."""
    if not field.candidates:
        return
    last = order(rank(name, field))[-1]
    better = evolve(field.telemetry[last], quality=1.0)
    improved = rank(name, Field(field.candidates, {**field.telemetry, last: better}))
    before = {each.model: each.score for each in rank(name, field)}
    assert {each.model: each.score for each in improved}[last] >= before[last]


@pytest.mark.parametrize("name", NAMES)
def test_equal_candidates_keep_the_row(name: str) -> None:
    """Candidates that differ in nothing stand as the routing row has them."""
    three = [candidate(model, place) for place, model in enumerate("cab")]
    field = field_of()
    assert order(rank(name, Field(three[::-1], field.telemetry))) == ["c", "a", "b"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_what_is_no_finite_number_counts_as_never_measured(name: str, odd: float) -> None:
    """NaN and infinities are replaced by what is assumed, like what is absent."""
    known = ModelTelemetry(quality=0.9, trust=0.9, cost=0.01, latency_ms=500.0)
    strange = ModelTelemetry(quality=odd, trust=odd, cost=odd, latency_ms=odd)
    unmeasured = list(rank(name, field_of(known=known, other=ModelTelemetry())))
    assert list(rank(name, field_of(known=known, other=strange))) == unmeasured


@pytest.mark.parametrize("name", NAMES)
def test_no_candidates_give_no_ranking(name: str) -> None:
    """No candidates, no ranking, no error."""
    assert list(rank(name, field_of())) == []
