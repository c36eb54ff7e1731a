"""Choices between two results: the forms that models write, whole words only."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.answers.pair_preferences import read_choice
from orchestrator.models import PairChoice, ReadingProblem
from orchestrator.testing.answers import WrittenJson, written_json

A, B, TIE = PairChoice.A, PairChoice.B, PairChoice.TIE

RIGHT = [
    ('{"reasons": "it says more", "better": "A"}', A),
    ('{"better": "b"}', B),
    ('{"better": "tie", "reasons": "they say the same"}', TIE),
    ('{"better": "Result B"}', B),
    ('{"better": "**A**"}', A),
    ('{"better": "neither"}', TIE),
    ('{"winner": "B"}', B),
    ('{"verdict": {"better": "A"}}', A),
    ('```json\n{"better": "B"}\n```', B),
    ('{"better": "A", "reasons": "it is cut', A),
    ("Better: B", B),
    ("**Better:** A.", A),
    ("The better is B because it names the dates.", B),
    ("A", A),
    ("Result B.", B),
    ("tie", TIE),
]

REFUSED = [
    ("", ReadingProblem.NO_CHOICE),
    ("Both have their merits.", ReadingProblem.NO_CHOICE),
    ("A or B", ReadingProblem.NO_CHOICE),
    ("A clear text is better: a reader knows at once.", ReadingProblem.NO_CHOICE),
    ("The better is A-grade work of B.", ReadingProblem.NO_CHOICE),
    ('{"better": "Bach"}', ReadingProblem.NO_CHOICE),
    ('{"better": "A and B"}', ReadingProblem.NO_CHOICE),
    ('{"better": null}', ReadingProblem.NO_CHOICE),
    ('{"better": true}', ReadingProblem.NO_CHOICE),
    ('{"better": 1}', ReadingProblem.NO_CHOICE),
    ('{"score": 9}', ReadingProblem.NO_CHOICE),
    ('{"better": "B', ReadingProblem.NO_CHOICE),
    ('{"reasons": "x", "better": ', ReadingProblem.NO_CHOICE),
    ('{"better": "A"} {"better": "B"}', ReadingProblem.AMBIGUOUS_CHOICE),
    ('{"better": "A", "better": "B"}', ReadingProblem.AMBIGUOUS_CHOICE),
    ('{"better": "A", "winner": "tie"}', ReadingProblem.AMBIGUOUS_CHOICE),
    ("Better: A\nBetter: B", ReadingProblem.AMBIGUOUS_CHOICE),
]


@pytest.mark.parametrize(("text", "choice"), RIGHT)
def test_a_choice_is_read(text: str, choice: PairChoice) -> None:
    """In JSON of every kind, behind a label, and as all there is."""
    assert (read_choice(text).choice, read_choice(text).problem) == (choice, None)


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_what_is_no_choice_is_refused_with_the_reason(text: str, problem: ReadingProblem) -> None:
    """None, a word that merely begins like one, and two that differ."""
    assert (read_choice(text).choice, read_choice(text).problem) == (None, problem)


VERDICTS = st.fixed_dictionaries(
    {"reasons": st.text(max_size=20), "better": st.sampled_from([A.value, B.value, "tie"])}
)


@given(written_json(VERDICTS))
def test_a_verdict_that_is_written_is_read(written: WrittenJson) -> None:
    """Whatever is around it and whatever its faults."""
    assert read_choice(written.text).choice == written.value["better"]


@given(st.sampled_from([A, B, TIE]), st.integers(0, 60), st.booleans())
def test_a_cut_verdict_never_reads_as_another_choice(choice: PairChoice, end: int, first: bool) -> None:
    """What was cut off is the choice that was written, or none."""
    parts = {"better": choice.value, "reasons": "both are clear; B is longer"}
    keys = list(parts) if first else list(reversed(parts))
    text = json.dumps({key: parts[key] for key in keys})[:end]
    assert read_choice(text).choice in (None, choice)


@given(st.text(max_size=200))
def test_any_text_is_read(text: str) -> None:
    """Nothing raises, and what is read is a choice or a problem."""
    found = read_choice(text)
    assert (found.choice is None) is (found.problem is not None)
