"""What an answer is delivered as: code without margins, JSON in the model's characters, and what is left out."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.outputs.delivered_json import is_strict, laid_out
from orchestrator.engine.outputs.files_in_answer import delivery, render
from orchestrator.models import TaskType
from orchestrator.testing.answers import json_values

CODE, DATA = TaskType.CODE_GEN, TaskType.DATA_EXTRACTION
NUMBERS = '{"price": 12345678901234567.89, "tax": 0.10, "exp": 1E5, "text": "\\u00e9 \\/ é"}'


def test_numbers_and_texts_keep_their_characters() -> None:
    """Only white space changes."""
    assert laid_out(NUMBERS) == (
        '{\n  "price": 12345678901234567.89,\n  "tax": 0.10,\n  "exp": 1E5,\n  "text": "\\u00e9 \\/ é"\n}'
    )
    assert render(DATA, f"Here:\n```json\n{NUMBERS}\n```") == (".json", laid_out(NUMBERS) + "\n")


@given(json_values(), st.sampled_from([None, 0, 3]), st.booleans())
def test_a_layout_is_that_of_the_standard_library_whatever_the_white_space(
    value: Any, indent: int | None, ascii_only: bool
) -> None:
    """The same lines and blanks, and the same document."""
    text = json.dumps(value, indent=indent, ensure_ascii=ascii_only)
    assert is_strict(text)
    assert laid_out(text) == json.dumps(value, indent=2, ensure_ascii=ascii_only)


@pytest.mark.parametrize(
    "text",
    [
        '{"a": NaN}',
        '{"a": -Infinity}',
        '{"a": 1, "a": 1}',
        '{"a": [{"b": 1, "\\u0062": 2}]}',
        '{"a": 1,}',
        "[1",
        "1",
        "[" * 5000,
    ],
)
def test_what_is_no_strict_json_stays_as_it_is(text: str) -> None:
    """So that the gate sees it: NaN, Infinity, doubled keys, and what cannot be parsed at all."""
    assert not is_strict(text)
    assert render(DATA, f"```json\n{text}\n```\n") == (".json", f"{text}\n")


def test_a_layout_that_would_be_far_too_long_is_none() -> None:
    """Depth times length is bounded."""
    text = "[" * 400 + ",".join("1" * 60_000) + "]" * 400
    assert laid_out(text) == text


@pytest.mark.parametrize(
    ("text", "content"),
    [
        ('{"a": 1}', '{\n  "a": 1\n}\n'),
        ('The result is {"a": 1}, as asked.', '{\n  "a": 1\n}\n'),
        ('Not this:\n```\nx, a longer block\n```\nbut:\n```\n{"a": 1}\n```\n', '{\n  "a": 1\n}\n'),
        ("There is {none}.", "There is {none}.\n"),
    ],
)
def test_the_document_of_an_answer_is_found(text: str, content: str) -> None:
    """The whole, a block that is one, or what one pair of brackets holds."""
    assert render(DATA, text)[1] == content


def test_code_is_delivered_without_a_margin() -> None:
    """A block in a list, and one whose lines are all indented, can be run as they are delivered."""
    for text in (
        "1. Write:\n\n   ```python\n   def f():\n       return 1\n   ```\n",
        "```python\n    def f():\n        return 1\n```\n",
    ):
        assert render(CODE, text) == (".py", "def f():\n    return 1\n")
    assert render(CODE, "```yaml\n  a: 1\n```\n") == (".yaml", "  a: 1\n")


def test_the_blocks_that_are_left_out_are_counted() -> None:
    """Those in no file; none where the whole answer is delivered."""
    one, two = "```python\nx = 1\n```\n", "`a.py`\n```python\nx = 1\n```\n`b.py`\n```python\ny = 1\n```\n"
    assert delivery(1, CODE, one).left_out == 0
    assert delivery(1, CODE, one + one).left_out == 1
    assert delivery(1, CODE, two).left_out == 0
    assert delivery(1, CODE, two + one).left_out == 1
    assert delivery(1, TaskType.SUMMARIZATION, one + one).left_out == 0
    assert delivery(1, DATA, "```\na\n```\n```\nb\n```\n").left_out == 0


LITERALS = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
BLANKS = st.text(alphabet=" \t\r\n", max_size=3)


@given(st.lists(st.tuples(BLANKS, LITERALS, BLANKS), min_size=1))
def test_numbers_keep_every_character(literals: list[tuple[str, str, str]]) -> None:
    """However they are written."""
    text = f"[{','.join(''.join(each) for each in literals)}]"
    assert is_strict(text)
    assert re.findall(r"[^\s,\[\]]+", laid_out(text)) == [literal for _, literal, _ in literals]
