"""Prices with rates: what a call is charged, and the bound that holds it."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.money import NANO, Price, Rate, Usage, Usd

HOUR = 3600 * 1_000_000
AMOUNT = st.integers(0, 20 * NANO).map(Usd)
TOKENS = st.integers(0, 500_000)
RATES = st.builds(
    Rate,
    AMOUNT,
    AMOUNT,
    AMOUNT,
    AMOUNT,
    AMOUNT,
    over=st.sampled_from([0, 0, 1, 1000, 200_000]),
    since=st.none() | st.integers(0, 48 * HOUR),
    hours=st.just(()) | st.tuples(st.integers(0, 1439), st.integers(0, 1439)),
    days=st.just(()) | st.sets(st.integers(1, 7), min_size=1).map(lambda days: tuple(sorted(days))),
)
PRICES = st.builds(Price, AMOUNT, AMOUNT, AMOUNT, AMOUNT, AMOUNT, rates=st.lists(RATES, max_size=4).map(tuple))
TIMESTAMPS = st.none() | st.integers(0, 48 * HOUR)


@given(PRICES, TOKENS, TOKENS, TOKENS, TOKENS, TOKENS, st.integers(0, 1000), st.integers(0, 1000), TIMESTAMPS)
def test_no_call_within_a_bound_costs_more(
    price: Price,
    fresh: int,
    cached: int,
    written: int,
    said: int,
    thought: int,
    more: int,
    further: int,
    at: int | None,
) -> None:
    """The bound covers every token class, tier and moment, for as many tokens or fewer."""
    usage = Usage(fresh, cached, written, said, thought)

    assert price.cost(usage, at) <= price.bound(usage.input_tokens + more, usage.output_tokens + further)


@given(PRICES, TOKENS, st.integers(-NANO, 100 * NANO).map(Usd))
def test_the_affordable_output_is_the_largest_whose_bound_fits(price: Price, read: int, amount: Usd) -> None:
    """One token more would not fit; none fits where the input alone costs too much."""
    most = price.affordable_output(read, amount)
    if most >= 0:
        assert price.bound(read, most) <= amount
        dearest = max(token_classes.dearest_output for token_classes in (price, *price.rates))
        assert price.bound(read, most + 1) > amount or dearest == 0 or most == 1_000_000
    else:
        assert price.bound(read, 0) > amount


@given(PRICES, TOKENS, TOKENS)
def test_without_a_time_the_dearest_counts(price: Price, read: int, said: int) -> None:
    """Without a time of the call: no time of a week costs more."""
    usage = Usage(input=read, output=said)
    assert all(price.cost(usage, hour * HOUR) <= price.cost(usage) for hour in range(7 * 24))


@pytest.mark.parametrize(
    ("minute", "dear"),
    [
        (59, False),
        (60, True),
        (239, True),
        (240, False),
        (1379, False),
        (1380, True),
        (1439, True),
        (0, True),
        (29, True),
        (30, False),
    ],
)
def test_hours_include_their_start_and_exclude_their_end(minute: int, dear: bool) -> None:
    """Windows of the UTC day, one of them across midnight, on any day."""
    usual, peak = Usd.parse(1), Usd.parse(2)
    price = Price(usual, usual, rates=(Rate(peak, peak, hours=(60, 240)), Rate(peak, peak, hours=(1380, 30))))
    at = (5 * 1440 + minute) * 60_000_000

    assert price.cost(Usage(input=1_000_000), at) == (peak if dear else usual)


def _at(text: str) -> int:
    """A moment in UTC, in microseconds."""
    return round(datetime.fromisoformat(f"{text}+00:00").timestamp()) * 1_000_000


@pytest.mark.parametrize(
    ("timestamp", "dear"),
    [
        ("2026-11-27T02:00", True),  # a Friday
        ("2026-11-28T02:00", False),
        ("2026-11-29T02:00", False),
        ("2026-11-30T02:00", True),  # a Monday
        ("2026-11-30T05:00", False),
        ("2026-11-28T00:10", True),  # a Saturday, in the hours that began on Friday
        ("2026-11-30T00:10", False),  # a Monday, in the hours that would have begun on Sunday
        ("2026-11-30T23:30", True),
        ("1970-01-01T02:00", True),  # a Thursday
    ],
)
def test_weekdays_are_those_of_utc(timestamp: str, dear: bool) -> None:
    """Monday to Friday; what spans midnight is of the day on which it begins."""
    usual, peak, week = Usd.parse(1), Usd.parse(2), (1, 2, 3, 4, 5)
    rates = (Rate(peak, peak, hours=(60, 240), days=week), Rate(peak, peak, hours=(1380, 30), days=week))
    price = Price(usual, usual, rates=rates)

    assert price.cost(Usage(input=1_000_000), _at(timestamp)) == (peak if dear else usual)
    assert price.bound(1_000_000, 0) == peak


def test_days_without_hours_are_whole_days() -> None:
    """A rate may hold all of a weekend."""
    price = Price(Usd.parse(2), Usd.parse(2), rates=(Rate(Usd.parse(1), Usd.parse(1), days=(6, 7)),))
    costs = [price.cost(Usage(input=1_000_000), _at(f"2026-11-{day}T23:59")) for day in (27, 28, 29, 30)]
    assert costs == [Usd.parse(each) for each in (2, 1, 1, 2)]


def test_above_a_size_every_token_costs_more() -> None:
    """A tier begins above its threshold and holds for the whole call."""
    price = Price(Usd.parse(1), Usd.parse(2), rates=(Rate(Usd.parse(10), Usd.parse(20), over=1000),))

    assert price.cost(Usage(input=1000, output=1), 0) == Usd.parse("0.001002")
    assert price.cost(Usage(input=600, cached_input=401, output=1), 0) == Usd.parse("0.01003")
    assert price.bound(1000, 1) == Usd.parse("0.001002")
    assert price.bound(1001, 1) == Usd.parse("0.01003")


def test_a_price_that_begins_later_counts_from_then_on() -> None:
    """By the moment of the call; the bound counts it at once."""
    price = Price(Usd.parse(1), Usd.parse(1), rates=(Rate(Usd.parse(3), Usd.parse(3), since=HOUR),))

    assert price.cost(Usage(input=1_000_000), HOUR - 1) == Usd.parse(1)
    assert price.cost(Usage(input=1_000_000), HOUR) == Usd.parse(3)
    assert price.bound(1_000_000, 0) == Usd.parse(3)


def test_of_the_rates_that_hold_the_last_counts() -> None:
    """Later rates stand above earlier ones, cheaper ones too."""
    price = Price(
        Usd.parse(5), Usd.parse(5), rates=(Rate(Usd.parse(9), Usd.parse(9)), Rate(Usd.parse(2), Usd.parse(2)))
    )

    assert price.cost(Usage(input=1_000_000), 0) == Usd.parse(2)
    assert price.cost(Usage(input=1_000_000)) == Usd.parse(9)


def test_a_rate_is_never_negative() -> None:
    """The token classes of a rate are checked as those of a price are."""
    with pytest.raises(ValueError, match="negative"):
        Rate(Usd.parse(-1), Usd.parse(1))
