"""When two answers of a run count as equal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.answers import equivalence
from orchestrator.engine.answers.equivalence import LONGEST
from orchestrator.engine.outputs.files_in_answer import output_files
from orchestrator.models import TaskType

CODE = TaskType.CODE_GEN


def canonical_form(text: str, kind: TaskType) -> str:
    """The form of what an answer is delivered as."""
    return equivalence.canonical_form(output_files(1, kind, text))


def fenced(code: str, words: str = "") -> str:
    """An answer with one block."""
    return f"{words}```python\n{code}\n```\n"


@pytest.mark.parametrize(
    "other",
    [
        fenced("def f(x):\n    return 'a' + x"),
        fenced("# a comment\n\ndef f( x ) :\n\n        return ('a'\n  + x)  # done", "Here it is.\n\n"),
        'def f(x): return "a" + x',
    ],
)
def test_code_is_equal_whatever_its_layout(other: str) -> None:
    """Comments, blank lines, quotes, line breaks, and the words around it make no difference."""
    assert canonical_form(other, CODE) == canonical_form(fenced('def f(x):\n    return "a" + x'), CODE)


@pytest.mark.parametrize(
    "other",
    [
        fenced("def f(x):\n    return 'b' + x"),
        fenced("def f(x):\n    'Doc.'\n    return 'a' + x"),
        fenced("def f(x: str):\n    return 'a' + x"),
        fenced("def f(x):\n    return True"),
        "```python a.py\ndef f(x):\n    return 'a' + x\n```\n```python b.py\ny = 1\n```\n",
    ],
)
def test_code_that_differs_is_not_equal(other: str) -> None:
    """Neither values, docstrings, annotations nor further files are left out."""
    assert canonical_form(other, CODE) != canonical_form(fenced("def f(x):\n    return 'a' + x"), CODE)


def test_values_that_compare_as_equal_are_told_apart() -> None:
    """``1``, ``1.0`` and ``True`` are three programs."""
    assert len({canonical_form(fenced(f"x = {value}"), CODE) for value in ("1", "1.0", "True")}) == 3


def test_what_cannot_be_parsed_is_compared_as_text() -> None:
    """Broken code, code in other languages, code that is too long or too deep: stripped, and never an error."""
    assert canonical_form(fenced("def f(:"), CODE) == canonical_form(fenced("def f(:\n\n"), CODE)
    assert canonical_form(fenced("def f(:"), CODE) != canonical_form(fenced("def  f(:"), CODE)
    javascript = "```js\nf( 1 )\n```"
    assert canonical_form(javascript, CODE) != canonical_form("```js\nf(1)\n```", CODE)
    for code in ("(" * 10_000, "-" * 10_000 + "1", "x." * 10_000 + "y", "9" * 9_000, "x = '\ud800'", "x\0"):
        assert canonical_form(fenced(code), CODE)
    long = f"x = 1{' ' * LONGEST}\n"
    assert canonical_form(fenced(long + "y = 1"), CODE) != canonical_form(fenced(long + "y  = 1"), CODE)


def test_other_results_are_compared_as_they_are_delivered() -> None:
    """Prose without its margin, JSON without its layout."""
    assert canonical_form("\n a text \n", TaskType.SUMMARIZATION) == canonical_form("a text", TaskType.SUMMARIZATION)
    data = TaskType.DATA_EXTRACTION
    assert canonical_form('{"a":1}', data) == canonical_form('```json\n{ "a" : 1 }\n```', data)
    assert canonical_form('{"a":1}', data) != canonical_form('{"a":2}', data)


@given(st.text(max_size=200), st.sampled_from(TaskType))
def test_every_answer_has_a_form(text: str, kind: TaskType) -> None:
    """Nothing raises, and the same text has the same form twice."""
    assert canonical_form(text, kind) == canonical_form(text, kind)
