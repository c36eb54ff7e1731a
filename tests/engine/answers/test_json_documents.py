"""JSON documents in answers: whatever is put up with, what was written is read, in time proportional to the text."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.engine.answers.json_documents import find, json_documents, whole_values
from orchestrator.testing.answers import WrittenJson, json_values, written_json

PIECES = [
    "[",
    "{",
    "]",
    "}",
    '"',
    ",",
    ":",
    '{"a":',
    "[1,",
    '\\"',
    "/*",
    "//",
    "#\n",
    "1",
    "x",
    " ",
    '"}',
    '{"a":"b" "',
    "\n",
]


@settings(max_examples=300)
@given(written_json())
def test_a_document_that_is_written_is_read(written: WrittenJson) -> None:
    """In prose, in a fence or alone, with trailing commas, comments and raw line breaks."""
    assert written.value in whole_values(written.text)


@given(st.lists(json_values(), min_size=1, max_size=4))
def test_every_document_is_found_in_its_order(values: list[Any]) -> None:
    """Those in fences and those in prose."""
    text = "\n".join(
        f"```json\n{json.dumps(value)}\n```" if place % 2 else json.dumps(value) for place, value in enumerate(values)
    )
    assert whole_values(text) == values


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('{"a": "x\ny\tz"}', [{"a": "x\ny\tz"}]),
        (r'{"a": "\d+\."}', [{"a": r"\d+\."}]),
        ('{"a": "the "b" is "c""}', [{"a": 'the "b" is "c"'}]),
        ('{"a": 1, "b": "say ""hi"" now"}\n[2]', [{"a": 1, "b": 'say ""hi"" now'}, [2]]),
        ('[{"a": "x "y""}, {"a": "z"}]', [[{"a": 'x "y"'}, {"a": "z"}]]),
        ('{"a": "the "b" is", "c": "d"}', []),
        ("Set {x} and [y]. [1]", [[1]]),
        ('["a screen. {"a": 1}', [{"a": 1}]),
        ('A 5" screen ["a 6" one {"a": 1}', [{"a": 1}]),
        ('{"a": NaN} {"a": -Infinity} {"a": 1e999} {"b": 1}', [{"b": 1}]),
        ('{"a": {"b": 1}, oops}', [{"b": 1}]),
        ("{'a': 1} [True, None]", [[True, None]]),
        ('{"a": 1 "b": 2}', []),
        ("[" * 500 + '{"a": 1}' + "]" * 3, [[[[{"a": 1}]]]]),
    ],
)
def test_small_faults_are_put_up_with_and_others_are_not(text: str, values: list[Any]) -> None:
    """What is damaged is no document; what is complete in it is."""
    assert whole_values(text) == values


def test_what_is_complete_of_a_cut_document_is_there() -> None:
    """A number at the very end may go on; a text without its end is none."""
    (inner, cut) = json_documents('{"a": [1, {"b": 2}, 3, 45')
    assert (inner.value, inner.cut) == ({"b": 2}, False)
    assert (cut.value, cut.cut) == ({"a": [1, {"b": 2}, 3]}, True)
    assert json_documents('{"a": 1, "b": "cut')[0].value == {"a": 1}


def test_a_key_that_an_object_has_twice_is_noted() -> None:
    """Where its values differ."""
    assert json_documents('{"a": 1, "b": 2, "a": 3, "b": 2}')[0].doubled == {"a"}


@settings(max_examples=300)
@given(st.lists(st.sampled_from(PIECES), max_size=80).map("".join))
def test_no_character_is_looked_at_more_than_four_times(text: str) -> None:
    """Reading is total, and counts what it looks at."""
    assert find(text).visited <= 4 * len(text)


@pytest.mark.parametrize("piece", [*PIECES, '{"a"x', '["a"x', '{"a":"b"x"k","c":', "[-", '[["', '["]'])
def test_long_hostile_texts_are_gone_through_once(piece: str) -> None:
    """What opens over and over costs no more than its size."""
    text = piece * (60_000 // len(piece))
    assert find(text).visited <= 4 * len(text)
    assert find(text + '"}').visited <= 4 * len(text) + 8


def test_no_more_than_a_mebibyte_is_looked_at() -> None:
    """What follows is not found."""
    assert whole_values("[1]" + " " * 1024 * 1024 + "[2]") == [[1]]
