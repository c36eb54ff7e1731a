"""Graders, one by one: what passes, what fails, and what is an error of the grader."""

from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.engine.checks import selector_for
from orchestrator.plugins import Catalogue
from orchestrator.settings import SandboxChoice
from orchestrator.spec.value_kinds import Place
from orchestrator_eval.graders import Bench, GradeSheet, candidate_of
from orchestrator_eval.suite_file import CASE, Case


@pytest.fixture(scope="module")
def bench() -> Bench:
    """What grades, in the sandbox of this machine."""
    catalogue = Catalogue.discover()
    return Bench(selector_for(SandboxChoice.AUTO), cache(catalogue.validator), catalogue.scorer)


def case_of(grade: Any, kind: str = "summarization", **keys: Any) -> Case:
    """A case with this grader."""
    value = {"id": "tried", "type": kind, "prompt": "-", "grade": grade, "oracle": "-", **keys}
    found: Case = CASE.read(value, Place("test"))
    return found


def grade(bench: Bench, case: Case, text: str) -> GradeSheet:
    """The sheet of an answer."""
    return bench.grade(case, text)


TESTS = "from solution import f\n\ndef test_a():\n    assert f(1) == 2\n\ndef test_b():\n    assert f(2) == 4\n"


@pytest.mark.parametrize(
    ("answer", "passed", "right"),
    [
        ("```python\ndef f(x):\n    return 2 * x\n```", True, 2),
        ("```python\ndef f(x):\n    return 2\n```", False, 1),
        ("```python\ndef g(x):\n    return 2 * x\n```", False, 0),
        ("def f(x) return", False, 0),
        ("```python\ndef f(x):\n    while True: pass\n```", False, 0),
        ("```python\nimport os\nos._exit(0)\n```", False, 0),
        ("", False, 0),
    ],
)
def test_tests_in_the_sandbox(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, answer: str, passed: bool, right: int
) -> None:
    """Tests count one by one; an answer that hangs or ends the process is wrong, and no error of the grader."""
    monkeypatch.setattr("orchestrator_eval.graders.SECONDS", 5.0)
    sheet = grade(bench, case_of({"pytest": TESTS}, "code_generation", path="solution.py"), answer)
    assert (sheet.passed, sheet.right) == (passed, right), sheet.details
    assert sheet.sandbox is not None or not answer


@pytest.mark.parametrize(
    ("rule", "answer", "passed"),
    [
        ("yes", "  yes\n", True),
        ("yes", "Yes", False),
        ({"a": 1}, '{"a": 1.0}', True),
        ({"a": 1}, '```json\n{"a": 1}\n```', True),
        ({"a": 1}, '{"a": true}', False),
        ({"a": 1}, '{"a": 1, "b": 2}', False),
        ([1, 2], "[2, 1]", False),
        ({"a": 1}, "no JSON", False),
        ({"a": 1}, "", False),
    ],
)
def test_exact_values(bench: Bench, rule: Any, answer: str, passed: bool) -> None:
    """Texts but for the space around them; JSON by its value."""
    assert grade(bench, case_of({"exact": rule}, "data_extraction"), answer).passed is passed


def test_a_pattern_that_takes_for_ever_is_no_failure_of_the_program(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A search that does not end is ended; the grader gave no verdict."""
    monkeypatch.setattr("orchestrator_eval.graders.SECONDS", 1.0)
    sheet = grade(bench, case_of({"regex": "(a+)+$"}), "a" * 40 + "b")
    assert sheet.passed is None
    assert grade(bench, case_of({"regex": "^b$"}), "a\nb\nc").passed is True
    assert grade(bench, case_of({"regex": "^b$"}), "abc").passed is False


@pytest.mark.parametrize(
    ("command", "passed"),
    [
        ("exit 0", True),
        ("exit 1", False),
        ("exit 2", None),
        ("kill -9 $$", None),
        ("no-such-program", None),
        ("python -c \"assert 'x' in open('answer.txt').read(), 'no x'\"", False),
        ('python -c "raise RuntimeError(1)"', None),
        ("python -c \"assert 'answer' in open('answer.txt').read()\"", True),
        ("cat extra.txt && grep -q beside extra.txt", True),
        ("test -f *.md", True),
    ],
)
def test_commands(bench: Bench, command: str, passed: bool | None) -> None:
    """0 passes, 1 fails, anything else is an error of the grader; so is an exception that is no assertion."""
    case = case_of({"command": {"run": command, "files": {"extra.txt": "beside"}}})
    sheet = grade(bench, case, "the answer")
    assert sheet.passed is passed, sheet.details


def test_a_command_in_the_sandbox_sees_nothing_of_the_machine(bench: Bench) -> None:
    """No key of the environment, no file of the user's."""
    sheet = grade(bench, case_of({"command": 'test -z "$ORCHESTRATE_HOME" && test ! -r /root/.ssh'}), "x")
    assert sheet.passed is True


def test_a_schema(bench: Bench) -> None:
    """The document must meet it."""
    case = case_of({"json_schema": {"type": "object", "required": ["a"]}}, "data_extraction")
    assert grade(bench, case, '{"a": 1}').passed is True
    assert grade(bench, case, "{}").passed is False
    assert grade(bench, case, "prose").passed is False


def test_a_scorer_grades_by_its_score(bench: Bench) -> None:
    """A score that is high enough passes; one that is not says why; a scorer that there is not is an error."""
    rule = {"name": "mentions", "parameters": {"terms": ["refund", "two weeks"]}}
    assert grade(bench, case_of({"scorer": {**rule, "at_least": 0.5}}), "a refund").passed is True
    low = grade(bench, case_of({"scorer": rule}), "a refund")
    assert low.passed is False
    assert "mentions: 0.500; it does not mention: two weeks" in low.details
    assert grade(bench, case_of({"scorer": "no_such_scorer"}), "x").passed is None
    assert grade(bench, case_of({"scorer": "mentions"}), "x").passed is None


def test_a_validator_that_raises_is_an_error(bench: Bench) -> None:
    """Whatever a validator raises, the answer is not to blame."""

    def raising(name: str) -> Any:
        def validator(candidate: Any, context: Any) -> Any:
            raise KeyError("broken")

        return validator

    broken = Bench(bench.selector, raising)
    sheet = broken.grade(case_of({"pytest": TESTS}, "code_generation"), "x = 1")
    assert sheet.passed is None
    assert "raised KeyError" in sheet.details


def test_a_verdict_that_no_answer_can_change_is_an_error(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pytest beside the program, no answer has failed."""
    monkeypatch.setattr("orchestrator_validators.pytest_suite.is_installed", lambda name: name != "pytest")
    sheet = grade(bench, case_of({"pytest": TESTS}, "code_generation"), "def f(x):\n    return 2 * x\n")
    assert sheet.passed is None
    assert "pytest is not installed" in sheet.details


def test_all_graders_must_pass_and_a_failure_beats_an_error(bench: Bench) -> None:
    """A list of graders: every one passes; where one fails, another one's error does not matter."""
    both = case_of([{"regex": "a"}, {"exact": "ab"}])
    assert grade(bench, both, "ab").passed is True
    assert grade(bench, both, "a").passed is False
    assert (grade(bench, both, "a").right, grade(bench, both, "a").checks) == (1, 2)
    mixed = case_of([{"regex": "a"}, {"command": "exit 7"}])
    assert grade(bench, mixed, "a").passed is None
    assert grade(bench, mixed, "b").passed is False


@given(st.text())
def test_any_answer_becomes_a_candidate(text: str) -> None:
    """No answer, however odd, breaks the grading before a grader sees it; and none holds the graders' text."""
    for kind in ("code_generation", "data_extraction", "summarization"):
        candidate = candidate_of(case_of({"regex": "x"}, kind), text)
        assert candidate.text == text
        assert candidate.tests is None
        assert candidate.schema is None
