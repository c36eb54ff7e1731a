from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.money import Price, Usd
from orchestrator.spi import ModelTelemetry, RoutingCandidate, SpecError
from orchestrator_backends.greedy import orchestrator_backend


def candidate(model: str, place: int, price: str = "1") -> RoutingCandidate:
    """A candidate whose input and output cost the same."""
    return RoutingCandidate(model, "p", "v", Price(Usd.parse(price), Usd.parse(price)), place)


def order(candidates: list[RoutingCandidate], telemetry: Mapping[str, ModelTelemetry]) -> list[str]:
    """The models as the backend ranks them."""
    return [each.model for each in orchestrator_backend({}).rank(candidates, telemetry, 0.5)]


def test_quality_times_trust_per_dollar_decides() -> None:
    """A model twice as good for the same money comes first, and trust counts as much as quality."""
    good, cheap, doubtful = candidate("good", 2), candidate("cheap", 1), candidate("doubtful", 0)
    telemetry = {
        "good": ModelTelemetry(quality=0.9, trust=1.0, cost=0.01),
        "cheap": ModelTelemetry(quality=0.3, trust=1.0, cost=0.005),
        "doubtful": ModelTelemetry(quality=0.9, trust=0.5, cost=0.01),
    }

    assert order([doubtful, cheap, good], telemetry) == ["good", "cheap", "doubtful"]


def test_the_score_is_the_formula() -> None:
    """The score is quality × trust / cost, in full precision."""
    ranked = orchestrator_backend({}).rank(
        [candidate("m", 0)], {"m": ModelTelemetry(quality=0.5, trust=0.8, cost=0.004)}, 0.5
    )

    assert ranked[0].score == pytest.approx(100.0)


def test_what_was_never_measured_is_assumed() -> None:
    """Without measurements the quality is 0.8 and the cost that of 2,000 tokens at the blended price."""
    ranked = orchestrator_backend({}).rank([candidate("m", 0, "10")], {"m": ModelTelemetry()}, 0.5)

    assert ranked[0].score == pytest.approx(0.8 / 0.02)


def test_what_is_assumed_differs_by_tier() -> None:
    """At one price the better tier comes first; a tier of the vendor's own, or none, counts as the middle one."""
    price = Price(Usd.parse("1"), Usd.parse("1"))
    tiers = ("economy", None, "flash", "standard", "premium")
    row = [RoutingCandidate(str(tier), "p", "v", price, place, tier) for place, tier in enumerate(tiers)]

    assert order(row, {}) == ["premium", "None", "flash", "standard", "economy"]
    assert order(row, {"economy": ModelTelemetry(quality=0.95)})[0] == "economy"


def test_equal_scores_keep_the_row() -> None:
    """Candidates of one score stand as the routing row has them, whatever order they come in."""
    three = [candidate(name, place) for place, name in enumerate("abc")]

    assert order(three[::-1], {each.model: ModelTelemetry() for each in three}) == ["a", "b", "c"]


def test_a_free_model_has_a_finite_score() -> None:
    """A cost of nothing is taken as a millionth of a dollar."""
    ranked = orchestrator_backend({}).rank([candidate("m", 0, "0")], {"m": ModelTelemetry(quality=1.0)}, 0.5)

    assert ranked[0].score == pytest.approx(1e6)


def test_a_parameter_is_refused() -> None:
    """The backend takes no parameters, and says which one to remove."""
    with pytest.raises(SpecError, match="w_quality"):
        orchestrator_backend({"w_quality": 1})


_ANY = st.none() | st.floats()


@given(
    st.lists(
        st.tuples(st.integers(0, 10**12), _ANY, st.floats(), _ANY),
        max_size=8,
    )
)
def test_any_telemetry_gives_a_permutation(rows: list[tuple[int, float | None, float, float | None]]) -> None:
    """Whatever was measured, NaN and negative numbers too, every candidate stands once and every score is finite."""
    candidates = [
        RoutingCandidate(f"m{place}", "p", "v", Price(Usd(nano), Usd(nano)), place)
        for place, (nano, *_) in enumerate(rows)
    ]
    telemetry = {
        f"m{place}": ModelTelemetry(quality=quality, trust=trust, cost=cost)
        for place, (_, quality, trust, cost) in enumerate(rows)
    }
    ranked = orchestrator_backend({}).rank(candidates, telemetry, 0.5)
    scores = [each.score for each in ranked]

    assert sorted(each.model for each in ranked) == sorted(each.model for each in candidates)
    assert all(0 <= score <= 1e6 for score in scores)
    assert scores == sorted(scores, reverse=True)
    assert list(ranked) == list(orchestrator_backend({}).rank(candidates[::-1], telemetry, 0.5))
