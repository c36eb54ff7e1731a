import threading
import warnings

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.models import TaskType, Verdict
from orchestrator.spi import Candidate, Finding, ValidatorContext
from orchestrator_validators.python_syntax import python_syntax


def judge(content: str) -> Finding:
    """The validator's finding about a piece of code."""
    return python_syntax(Candidate("t", TaskType.CODE_GEN, content, content), ValidatorContext())


@pytest.mark.parametrize(
    "content",
    [
        "x = 1\n",
        "def f() -> int:\n    return 1\n",
        "async def f():\n    await g()\n",
        "# note",
    ],
)
def test_code_that_compiles_passes(content: str) -> None:
    """Valid Python passes."""
    assert judge(content).verdict is Verdict.PASSED


@pytest.mark.parametrize(
    "content",
    [
        "def f(:\n",
        "    x = 1\n    y = x\n",
        "return 1",
        "print 'x'",
        "x = (1,\n",
        's = """cut',
        "if x:\n",
        "a\x00b",
        "x = '\ud800'",
        "",
        " \n\t",
    ],
)
def test_code_that_does_not_compile_fails(content: str) -> None:
    """Syntax errors, a margin, truncation, null bytes, lone surrogates and no code at all fail."""
    finding = judge(content)

    assert finding.verdict is Verdict.FAILED
    assert finding.details


def test_the_details_name_the_line() -> None:
    """The reviser is told the line, the error and what stands there."""
    assert judge("x = 1\ny = = 2\n").details == "line 2: SyntaxError: invalid syntax\n    y = = 2"


@pytest.mark.parametrize("content", ["(" * 5000 + ")" * 5000, "-" * 200_000 + "1", "x = " + "1+" * 50_000 + "1"])
def test_code_nested_beyond_the_compiler_fails(content: str) -> None:
    """What exhausts the compiler is a failed check, not an exception."""
    assert judge(content).verdict is Verdict.FAILED


def test_doubtful_code_passes_without_a_warning() -> None:
    """Code the compiler would warn about passes, also where warnings are errors, and the filters stay."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = list(warnings.filters)

        assert judge("assert (1, 'x')\nx = '\\d'\ny = 1 is 1\n").verdict is Verdict.PASSED
        assert list(warnings.filters) == before


def test_threads_leave_the_warning_filters_alone() -> None:
    """Checks at the same time in several threads do not spoil the filters of the process."""
    before = list(warnings.filters)
    threads = [threading.Thread(target=lambda: [judge("x = '\\d'\n" * 50) for _ in range(40)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert list(warnings.filters) == before


def test_the_code_is_not_run() -> None:
    """Compiling has no effect of the code."""
    assert judge("raise SystemExit(3)").verdict is Verdict.PASSED


@given(st.text())
def test_any_text_gets_a_verdict(content: str) -> None:
    """No text makes the validator raise."""
    assert judge(content).verdict in (Verdict.PASSED, Verdict.FAILED)
