"""Answers that end in a loop are found, and no other ones."""

from itertools import count, islice

from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.engine.answers.repetition import ends_in_loop

BEFORE = "".join(f"line {number} of what comes first\n" for number in range(12))
"""A beginning of its own, of more than 200 characters."""


@given(st.text(max_size=300), st.text(min_size=1, max_size=120), st.integers(0, 119))
def test_a_block_three_times_over_400_characters_is_a_loop(before: str, block: str, cut: int) -> None:
    """Wherever it is cut off, and whatever comes first."""
    times = max(3, -(-400 // len(block)))
    loop = block * times + block[: cut % len(block)]
    assert ends_in_loop(f"{BEFORE}{before}|{loop}") or f"{before}|".endswith(block)


@given(st.text(min_size=1, max_size=120), st.text(max_size=100))
def test_an_answer_that_is_one_block_from_its_beginning_is_none(block: str, before: str) -> None:
    """It is long on purpose: a table of equal rows, or a filler."""
    assert not ends_in_loop(before + block * 500)


@given(st.text(alphabet="ab", min_size=1, max_size=1500))
@example("ab" * 150)
@example("x" * 400)
@example("x" * 399)
def test_it_says_what_the_definition_says(text: str) -> None:
    """Beside a plain search over all lengths and periods."""
    found = any(
        text[-length:][period:] == text[-length:][:-period]
        for length in range(400, len(text) + 1)
        for period in (1, 2, 3, 5, length // 3)
        if 3 * period <= length
    )
    assert ends_in_loop(f"{BEFORE}|{text}") or not found


@given(st.integers(0, 10_000), st.integers(1, 400))
def test_lines_that_differ_are_no_loop(first: int, lines: int) -> None:
    """A table or a list of cases goes on."""
    text = "".join(
        f"    assert to_roman({number}) == answers[{number * 7}]\n" for number in islice(count(first), lines)
    )
    assert not ends_in_loop(text)
