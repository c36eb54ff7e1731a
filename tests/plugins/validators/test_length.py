import pytest

from orchestrator.models import TaskType, Verdict
from orchestrator.spi import Candidate, Finding, ValidatorContext
from orchestrator_validators.length import length


def judge(content: str) -> Finding:
    """The validator's finding about a text."""
    return length(Candidate("t", TaskType.SUMMARIZATION, content, content), ValidatorContext())


@pytest.mark.parametrize("count", [10, 11, 50_000])
def test_texts_within_the_bounds_pass(count: int) -> None:
    """The bounds themselves are within."""
    assert judge("x" * count).verdict is Verdict.PASSED


@pytest.mark.parametrize("count", [0, 9, 50_001])
def test_texts_beyond_the_bounds_fail(count: int) -> None:
    """Too short and too long fail, and the number is said."""
    finding = judge("x" * count)

    assert finding.verdict is Verdict.FAILED
    assert str(count) in finding.details


def test_white_space_around_does_not_count() -> None:
    """Blank lines are no output."""
    assert judge(" \n" * 20).verdict is Verdict.FAILED


def test_characters_count_not_bytes() -> None:
    """A character of several bytes is one."""
    assert judge("é" * 9).verdict is Verdict.FAILED
    assert judge("é" * 10).verdict is Verdict.PASSED


def test_the_bounds_are_settings() -> None:
    """A spec can set them; what is no bound makes the verdict unknown."""
    given = Candidate("t", TaskType.SUMMARIZATION, "x" * 20, "x" * 20)
    assert length(given, ValidatorContext(settings={"longest": 15})).verdict is Verdict.FAILED
    assert length(given, ValidatorContext(settings={"shortest": 20})).verdict is Verdict.PASSED
    for settings in ({"longer": 3}, {"longest": "many"}, {"shortest": True}):
        assert length(given, ValidatorContext(settings=settings)).verdict is Verdict.UNKNOWN
