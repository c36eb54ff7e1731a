"""The figures of statistics, held against arms whose truth is known: 1,000 draws each."""

import random
from collections.abc import Callable
from fractions import Fraction
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator_eval.statistics import Comparison, compare, exchange_test, pass_all, share_of, sign_test, wilson

DRAWS = 1_000


def rates(draw: random.Random, chances: list[float], repetitions: int) -> dict[str, Fraction]:
    """What an arm solves that has these chances of solving each case."""
    return {
        str(number): Fraction(sum(draw.random() < chance for _ in range(repetitions)), repetitions)
        for number, chance in enumerate(chances)
    }


@pytest.mark.parametrize(
    ("truth", "cases", "repetitions", "least"),
    [(0.5, 40, 1, 0.93), (0.9, 40, 1, 0.93), (0.02, 60, 1, 0.9), (0.7, 25, 3, 0.95), (1.0, 12, 1, 1.0)],
)
def test_intervals_cover_the_truth(truth: float, cases: int, repetitions: int, least: float) -> None:
    """Of 1,000 arms that solve each case with a known chance, at least about 95 % have it in their interval."""
    draw = random.Random(17)
    covered = 0
    for _ in range(DRAWS):
        share = share_of(rates(draw, [truth] * cases, repetitions), dict.fromkeys(map(str, range(cases)), 1.0))
        covered += share.low - 1e-12 <= truth <= share.high + 1e-12
    assert covered / DRAWS >= least


@pytest.mark.parametrize("repetitions", [1, 3])
@pytest.mark.parametrize("spread", ["alike", "mixed"])
def test_the_test_keeps_its_level(repetitions: int, spread: str) -> None:
    """Two equal arms differ significantly in at most about 5 of 100 draws; repetitions are no further evidence."""
    draw = random.Random(23)
    chances = [0.5] * 30 if spread == "alike" else [0.05, 0.5, 0.95] * 10
    found = false_alarms = 0
    for _ in range(DRAWS):
        comparison = compare(rates(draw, chances, repetitions), rates(draw, chances, repetitions))
        found += comparison.proved
        false_alarms += comparison.difference < 0 and comparison.p_worse <= 0.05
    assert found / DRAWS <= 0.06
    assert false_alarms / DRAWS <= 0.065


def test_repetitions_that_are_copies_are_no_evidence() -> None:
    """Ten equal answers to a case count as one: a test over cells would find a difference that is none."""
    draw = random.Random(5)
    found = 0
    for _ in range(DRAWS):
        first = {case: Fraction(int(rate)) for case, rate in rates(draw, [0.5] * 20, 1).items()}
        second = {case: Fraction(int(rate)) for case, rate in rates(draw, [0.5] * 20, 1).items()}
        found += compare(first, second).proved
    assert found / DRAWS <= 0.06


def test_a_planted_regression_is_found() -> None:
    """An arm that has lost 30 points on 60 cases is found worse in at least 90 of 100 draws."""
    draw = random.Random(31)
    found = 0
    for _ in range(DRAWS):
        before, after = rates(draw, [0.85] * 60, 1), rates(draw, [0.55] * 60, 1)
        comparison = compare(after, before)
        found += comparison.difference < 0 and comparison.p_worse <= 0.05
    assert found / DRAWS >= 0.9


def test_as_many_cases_as_are_needed_suffice() -> None:
    """A comparison with the number of cases that an earlier one asks for finds the difference in about 80 of 100."""
    truth = ([0.9] * 7 + [0.2] * 3, [0.6] * 7 + [0.2] * 3)
    draw = random.Random(41)
    large = compare(rates(draw, truth[0] * 400, 1), rates(draw, truth[1] * 400, 1))
    assert large.needs is not None
    tens = round(large.needs / 10)
    found = sum(compare(rates(draw, truth[0] * tens, 1), rates(draw, truth[1] * tens, 1)).proved for _ in range(DRAWS))
    assert 0.7 <= found / DRAWS <= 0.9


@given(st.integers(0, 40), st.integers(0, 40))
def test_with_one_answer_a_case_it_is_mcnemars_exact_test(gained: int, lost: int) -> None:
    """Clustering by case changes nothing where every case has one answer."""
    better = {str(n): Fraction(n < gained) for n in range(gained + lost)}
    worse = {str(n): Fraction(n >= gained) for n in range(gained + lost)}
    assert compare(better, worse).p == pytest.approx(sign_test(gained, lost))


@given(st.lists(st.fractions(-1, 1, max_denominator=4), max_size=8))
def test_every_assignment_of_signs_is_counted(differences: list[Fraction]) -> None:
    """The exact test is the count of all assignments, made by hand."""
    observed = sum(differences, Fraction(0))
    sums = [
        sum((sign * each for sign, each in zip(signs, differences, strict=True)), Fraction(0))
        for signs in product((1, -1), repeat=len(differences))
    ]
    low = sum(each <= observed for each in sums) / len(sums)
    high = sum(each >= observed for each in sums) / len(sums)
    assert exchange_test(differences) == pytest.approx((low, high))


@given(st.integers(0, 60), st.integers(1, 60))
def test_an_interval_holds_its_share(successes: int, n: int) -> None:
    """0 ≤ low ≤ share ≤ high ≤ 1, for every count."""
    successes = min(successes, n)
    low, high = wilson(successes, n)
    assert 0 <= low <= successes / n <= high <= 1


def test_weights_count_and_make_the_interval_wider() -> None:
    """A case of weight 3 counts three times, and is no more evidence than one case."""
    found = {"a": Fraction(1), "b": Fraction(0), "c": Fraction(0)}
    even, uneven = share_of(found, dict.fromkeys("abc", 1.0)), share_of(found, {"a": 3.0, "b": 1.0, "c": 1.0})
    assert uneven.value == pytest.approx(0.6)
    assert uneven.high - uneven.low > even.high - even.low


def test_all_of_k() -> None:
    """pass^k of a case with c of n right is C(c, k) / C(n, k); cases with fewer results are left out."""
    assert pass_all([[True, True, False, True], [True] * 4], 2) == pytest.approx((3 / 6 + 1) / 2)
    assert pass_all([[True]], 2) is None


@pytest.mark.parametrize("pairs", [{}, {"a": (1, 1)}])
def test_where_nothing_differs_nothing_is_needed(pairs: dict[str, tuple[int, int]]) -> None:
    """No case, or no difference: p is 1, and no number of cases is named."""
    found: Callable[[int], dict[str, Fraction]] = lambda place: {c: Fraction(p[place]) for c, p in pairs.items()}  # noqa: E731
    assert compare(found(0), found(1)) == Comparison(len(pairs), 0, 0, 0.0, 1.0, 1.0, None)
