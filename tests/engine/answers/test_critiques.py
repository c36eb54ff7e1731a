"""Critiques: the defects they name, in JSON or in prose, and nothing else they say."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.answers.reading_critiques import read_critique
from orchestrator.models import ReadingProblem
from orchestrator.testing.answers import WrittenJson, written_json

EXAMPLE = {"input": "f(1)", "expected": 2, "actual": None}


def defects(text: str) -> list[dict[str, Any]]:
    """What a critique names; digests are the texts themselves."""
    found = read_critique(text, lambda kept: kept).defects
    assert found is not None
    read = [json.loads(each.text) for each in found]
    assert [each.counterexample for each in found] == [each["counterexample"] is not None for each in read]
    return read


def defect(problem: str, where: str = "", counterexample: dict[str, Any] | None = None) -> dict[str, Any]:
    """A defect as the log has it."""
    return {"where": where, "problem": problem, "counterexample": counterexample}


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('{"defects": []}', []),
        ('```json\n{"verdict": "revise", "defects": []}\n```', []),
        ('{"verdict": "accept"}', []),
        (
            '{"verdict": "accept", "defects": [{"where": "f", "problem": "wrong", "counterexample": null}]}',
            [defect("wrong", "f")],
        ),
        (
            json.dumps({"defects": [{"where": "f", "problem": "wrong", "counterexample": EXAMPLE}]}),
            [defect("wrong", "f", EXAMPLE)],
        ),
        ('{"defects": [{"problem": "p", "counterexample": {"input": "f(1)"}}]}', [defect("p")]),
        ('{"defects": ["a", "b"]}', [defect("a"), defect("b")]),
        ('[{"where": "f", "problem": "p"}]', [defect("p", "f")]),
        ('{"defects": [{"where": "f", "problem": "the "x" is"}]}', [defect('the "x" is', "f")]),
        ('{"defects": [{"where": "f", "problem": "p"}, {"where": "g", "prob', [defect("p", "f")]),
        ('{"defects": [{"where": "f", "prob', [defect('{"defects": [{"where": "f", "prob')]),
        ('{"defects": [{"where": "f", "problem": " "}]}', []),
        ('{"defects": [{"problem": "a"}]}\nBetter:\n{"defects": [{"problem": "b"}]}', [defect("b")]),
        ("Name x better.\n\nAnd y.", [defect("Name x better.\n\nAnd y.")]),
        ("The output is {x}.", [defect("The output is {x}.")]),
    ],
)
def test_defects_are_read(text: str, found: list[dict[str, Any]]) -> None:
    """Those of the last list; prose is one, and a verdict beside them says nothing."""
    assert defects(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("Nothing to change.", "**No defects found.**", "No issues.", "LGTM!", "None", "fine", "No changes needed"),
        *(
            "There is nothing to fix.\n\nWell done.",
            "I see no problems with it.",
            "The code is correct.",
            "Defects: none",
        ),
        *("- No further remarks", "Looks good to me", "> Accept.", "Nothing to change: all tests pass."),
    ],
)
def test_a_first_line_that_finds_nothing_is_no_defect(text: str) -> None:
    """In any of the usual words."""
    assert defects(text) == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "No issues with the syntax, but f is wrong.",
            "Nothing works.",
            "None of the tests pass.",
            "no error handling",
        ),
        *(
            "No major issues.\n- x is wrong",
            "Nothing to change. However, f is wrong.",
            "Good start; f is wrong.",
            "No.",
        ),
        *("The loop is wrong.\nNothing to change elsewhere.", "Fine. The loop is wrong."),
    ],
)
def test_a_first_line_that_finds_something_is_a_defect(text: str) -> None:
    """Even if it begins as if it did not."""
    assert defects(text) == [defect(text)]


def test_an_empty_critique_cannot_be_read() -> None:
    """It is neither a defect nor the absence of any."""
    assert read_critique(" \n", str).problem is ReadingProblem.EMPTY


DEFECTS = st.lists(
    st.fixed_dictionaries(
        {
            "where": st.text(max_size=5).map(str.strip),
            "problem": st.just("p"),
            "counterexample": st.none() | st.just(EXAMPLE),
        }
    ),
    max_size=3,
)


@given(written_json(st.fixed_dictionaries({"defects": DEFECTS})))
def test_defects_that_are_written_are_read(written: WrittenJson) -> None:
    """Whatever is around the document and whatever its faults."""
    assert defects(written.text) == written.value["defects"]
