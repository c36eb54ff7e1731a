"""Exact amounts: parsing, prices, bounds."""

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.money import NANO, Price, Usage, Usd
from orchestrator.testing.strategies import prices, usages

AMOUNTS = st.integers(-(2**60), 2**60).map(Usd)


@pytest.mark.parametrize(
    ("value", "nano"),
    [("8", 8 * NANO), ("0.000000001", 1), (0.1, NANO // 10), ("1e-9", 1), (Decimal("2.5"), 5 * NANO // 2), (-1, -NANO)],
)
def test_an_amount_is_parsed_exactly(value: str | float | Decimal, nano: int) -> None:
    """Text, numbers and decimals give the amount they print; a float the shortest decimal that prints like it."""
    assert Usd.parse(value) == Usd(nano)


@pytest.mark.parametrize(
    "value", ["", "x", "nan", "inf", "-inf", "1e11", "0.0000000001", float("nan"), float("inf"), True, None, "1/3"]
)
def test_what_is_no_amount_is_refused(value: object) -> None:
    """Not finite, too fine, too large, or no number at all: ValueError, and nothing else."""
    with pytest.raises(ValueError, match=r"amount|decimals"):
        Usd.parse(value)  # type: ignore[arg-type]


@given(AMOUNTS)
def test_an_amount_prints_as_what_it_parses_from(amount: Usd) -> None:
    """The exact decimal goes there and back, where it is small enough to be written in a spec."""
    if abs(amount.nano) < 10**18:
        assert Usd.parse(str(amount)) == amount
    assert Fraction(str(amount)) * NANO == amount.nano


@given(st.text(max_size=12))
def test_any_text_parses_or_is_a_value_error(text: str) -> None:
    """No other exception escapes."""
    try:
        Usd.parse(text)
    except ValueError:
        return


@given(AMOUNTS, AMOUNTS, AMOUNTS)
def test_amounts_add_and_order_like_numbers(a: Usd, b: Usd, c: Usd) -> None:
    """Sums are associative and commutative, and a total order fits them."""
    assert (a + b) + c == a + (b + c) == c + b + a
    assert a - a == Usd.ZERO == a + -a
    assert (a < b) is (a.nano < b.nano)
    assert (a + c < b + c) is (a < b)
    assert bool(a) is (a != Usd.ZERO)


@given(AMOUNTS, st.integers(0, 1000), st.integers(1, 1000))
def test_a_part_is_rounded_down(amount: Usd, numerator: int, denominator: int) -> None:
    """Never more than the exact part, and less than a nano-dollar below it."""
    exact = Fraction(amount.nano) * numerator / denominator
    assert 0 <= exact - amount.part(numerator, denominator).nano < 1


@given(prices(), usages())
def test_a_cost_is_exact_and_rounded_up_once(price: Price, usage: Usage) -> None:
    """The token classes are summed as fractions, only the sum is rounded; at no given time the dearest rate counts."""
    names = ("input", "cached_input", "cache_write", "output", "reasoning")
    holding = (price, *(rate for rate in price.rates if usage.input_tokens > rate.over or not rate.over))
    exact = max(
        sum(Fraction(getattr(usage, name) * getattr(token_classes, name).nano, 10**6) for name in names)
        for token_classes in holding
    )
    assert 0 <= price.cost(usage).nano - exact < 1


@given(prices(), usages(), st.integers(0, 1000), st.integers(0, 1000))
def test_a_bound_is_never_below_a_cost(price: Price, usage: Usage, more_in: int, more_out: int) -> None:
    """Whatever token classes the tokens fall into, the bound of as many or more tokens covers the cost."""
    assert price.cost(usage) <= price.bound(usage.input_tokens + more_in, usage.output_tokens + more_out)


@given(prices(), st.integers(0, 10**6), st.integers(0, 10**12).map(Usd))
def test_affordable_output_is_the_largest_that_fits(price: Price, tokens: int, amount: Usd) -> None:
    """Its bound is within the amount, that of one token more is not; negative where not even the input fits."""
    most = price.affordable_output(tokens, amount)
    if most < 0:
        assert price.bound(tokens, 0) > amount
        return
    assert price.bound(tokens, most) <= amount
    if max(price.output, price.reasoning):
        assert price.bound(tokens, most + 1) > amount


def test_a_token_class_left_out_costs_what_its_main_class_costs() -> None:
    """Cached and written input cost like input, reasoning like output."""
    price = Price(Usd(3), Usd(5))
    assert (price.cached_input, price.cache_write, price.reasoning) == (Usd(3), Usd(3), Usd(5))
    assert price.blended == Usd((3 * 3 + 5) // 4)


def test_a_negative_price_is_refused() -> None:
    """No token class can pay the user."""
    with pytest.raises(ValueError, match="negative"):
        Price(Usd(-1), Usd(1))
    with pytest.raises(ValueError, match="negative"):
        Price(Usd(1), Usd(1), reasoning=Usd(-1))


@pytest.mark.parametrize(
    ("usage", "sane"),
    [
        (Usage(), True),
        (Usage(input=10**9), False),
        (Usage(output=-1), False),
        (Usage(reasoning=1.5), False),  # type: ignore[arg-type]
        (Usage(input=True), False),
    ],
)
def test_absurd_usage_is_told_from_sane(usage: Usage, sane: bool) -> None:
    """Only small non-negative integers are believed."""
    assert usage.is_sane is sane


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_a_float_that_is_no_amount_is_refused(value: float) -> None:
    """``rounded`` takes finite amounts only."""
    with pytest.raises(ValueError, match="amount"):
        Usd.rounded(value)
    assert Usd.rounded(0.1) == Usd(NANO // 10)
