"""Scores: every form that models write, and no other."""

import json
from decimal import Decimal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from orchestrator.engine.answers.scores import read_score, reasons_in
from orchestrator.models import ReadingProblem
from orchestrator.testing.answers import WrittenJson, written_json

RIGHT = [
    ('{"score": 9, "reasons": "ok"}', 0.9),
    ('{"score": "9"}', 0.9),
    ('{"score": 0}', 0.0),
    ('{"score": 10}', 1.0),
    ('{"score": 1}', 0.1),
    ('{"score": 1.0}', 1.0),
    ('{"score": "1"}', 0.1),
    ('{"score": "1.0"}', 1.0),
    ('{"score": 9.0}', 0.9),
    ('{"score": 9.5}', 0.95),
    ('{"score": "9,5"}', 0.95),
    ('{"score": 10.0}', 1.0),
    ('{"score": 0.0}', 0.0),
    ('{"score": 0.9}', 0.9),
    ('{"score": "0.9"}', 0.9),
    ('{"score": "0,9"}', 0.9),
    ('{"score": 0,9, "reasons": "ok"}', 0.9),
    ('{"score": "9/10"}', 0.9),
    ('{"score": 9/10}', 0.9),
    ('{"score": "85 out of 100"}', 0.85),
    ("0.9", 0.9),
    ('"0.9"', 0.9),
    ("0,9", 0.9),
    ("9", 0.9),
    ("Score: 0.9", 0.9),
    ("**Score:** 9/10", 0.9),
    ("Score (0 to 1): 0.9", 0.9),
    ("The score is 9.", 0.9),
    ("The score is 1.0.", 1.0),
    ("Score: 0.\n", 0.0),
    ("I give it 9 out of 10.", 0.9),
    ("85/100", 0.85),
    ("8 out of 10 tests pass. Score: 0.7", 0.7),
    ('{"score": 0.9, "reasons": "line one\nline two\tand a tab"}', 0.9),
    ('{"score": 0.9, "reasons": "the "x" is bad"}', 0.9),
    ('{"reasons": "the "x" is bad", "score": 0.9}', 0.9),
    ('{"score": 0.9, "reasons": ["x",],}', 0.9),
    ('{"score": 0.9, // fine\n "reasons": "x"}', 0.9),
    ('{"score": 0.9, "reasons": "the code', 0.9),
    ('```json\n{"score": 9,\n', 0.9),
    ('The config is\n```json\n{"name": "x"}\n```\nwhich is right.\n```json\n{"score": 0.9}\n```\n', 0.9),
    ('{"score": 0.9}\n{"score": 9}', 0.9),
    ('{"evaluation": {"score": 0.9}}', 0.9),
    ('[{"score": 0.9}]', 0.9),
    ("{'score': 0.9}", 0.9),
    ('A 5" screen. {"score": 0.5}', 0.5),
    ('Set [1] and {x}. {"score": 0.5}', 0.5),
    ("[" * 500 + '{"score": 0.5}', 0.5),
]

REFUSED = [
    ("", ReadingProblem.NO_SCORE),
    ("Well done.", ReadingProblem.NO_SCORE),
    ("8/10 tests pass", ReadingProblem.NO_SCORE),
    ("Score: 85%", ReadingProblem.NO_SCORE),
    ("test_score: 0.3", ReadingProblem.NO_SCORE),
    ('{"score": 0.9', ReadingProblem.NO_SCORE),
    ('{"score": 9', ReadingProblem.NO_SCORE),
    ('{"score": 0.', ReadingProblem.NO_SCORE),
    ('{"score": 0,', ReadingProblem.NO_SCORE),
    ('{"score": 8/', ReadingProblem.NO_SCORE),
    ('{"score": 8/2', ReadingProblem.NO_SCORE),
    ('{"score": 8 out', ReadingProblem.NO_SCORE),
    ('{"score": "8', ReadingProblem.NO_SCORE),
    ("{'score': 0.", ReadingProblem.NO_SCORE),
    ("Score: 0.", ReadingProblem.NO_SCORE),
    ("**Score:** 1,", ReadingProblem.NO_SCORE),
    ("0.", ReadingProblem.NO_SCORE),
    ('{"score": null}', ReadingProblem.NO_SCORE),
    ('{"score": true}', ReadingProblem.NO_SCORE),
    ('{"score": NaN}', ReadingProblem.NO_SCORE),
    ('{"score": "high"}', ReadingProblem.NO_SCORE),
    ('{"score": 11}', ReadingProblem.SCORE_OUT_OF_RANGE),
    ('{"score": 10.5}', ReadingProblem.SCORE_OUT_OF_RANGE),
    ('{"score": -0.5}', ReadingProblem.SCORE_OUT_OF_RANGE),
    ('{"score": -1}', ReadingProblem.SCORE_OUT_OF_RANGE),
    ('{"score": "11/10"}', ReadingProblem.SCORE_OUT_OF_RANGE),
    ('{"score": "0/0"}', ReadingProblem.SCORE_OUT_OF_RANGE),
    ('{"score": 0.5} or {"score": 0.6}', ReadingProblem.AMBIGUOUS_SCORE),
    ('{"score": 0.2, "score": 0.9}', ReadingProblem.AMBIGUOUS_SCORE),
    ('{"score": 0.9, "reasons": "a "b" {"score": 0.2}"}', ReadingProblem.AMBIGUOUS_SCORE),
    ('{"criteria": [{"score": 0.5}, {"score": 0.9}]}', ReadingProblem.AMBIGUOUS_SCORE),
    ("Style score: 0.5\nOverall score: 0.9", ReadingProblem.AMBIGUOUS_SCORE),
]


@pytest.mark.parametrize(("text", "score"), RIGHT)
def test_a_score_is_read(text: str, score: float) -> None:
    """Whole numbers, decimals and fractions, in JSON of every kind, in words, and as all there is."""
    assert (read_score(text).score, read_score(text).problem) == (score, None)


@pytest.mark.parametrize(("text", "problem"), REFUSED)
def test_what_is_no_score_is_refused_with_the_reason(text: str, problem: ReadingProblem) -> None:
    """None, several that differ, and one that is out of range."""
    assert (read_score(text).score, read_score(text).problem) == (None, problem)


VERDICTS = st.fixed_dictionaries({"score": st.integers(0, 10), "reasons": st.text(max_size=20)})


@given(written_json(VERDICTS))
def test_a_verdict_that_is_written_is_read(written: WrittenJson) -> None:
    """Whatever is around it and whatever its faults."""
    assert read_score(written.text).score == written.value["score"] / 10
    assert reasons_in(written.text) == written.value["reasons"]


@given(st.decimals(0, 1, places=3), st.integers(0, 60), st.booleans())
@example(1, 10, False)
@example(Decimal("0.001"), 12, True)
@example(Decimal("0.001"), 31, False)
def test_a_cut_verdict_never_reads_as_another_score(score: object, end: int, first: bool) -> None:
    """What was cut off is the score that was written, or none."""
    number = json.loads(f"{score:.3f}")
    verdict = {"score": number, "reasons": "a, b"} if first else {"reasons": "a, b", "score": number}
    assert read_score(json.dumps(verdict)[:end]).score in (None, number)


def test_the_reasons_of_a_damaged_verdict_are_there() -> None:
    """With the quotes that were not escaped."""
    assert reasons_in('{"score": 0.9, "reasons": "the "x" is bad"}') == 'the "x" is bad'
    assert reasons_in("Score: 0.9") == ""
