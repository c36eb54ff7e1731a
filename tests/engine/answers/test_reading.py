"""Reading of answers: what is told apart, and that no text takes long to read, whatever a model writes."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from orchestrator.engine.answers.fences import named_files
from orchestrator.engine.answers.reading import read_score

SECONDS = 60
"""Far more than a linear reading takes anywhere, far less than a quadratic one of these sizes."""


@contextmanager
def alarm() -> Iterator[None]:
    """Give up on what does not come to its end."""

    def ring(*_: Any) -> None:
        raise AssertionError(f"not read within {SECONDS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(SECONDS)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ('{"score": 0.5, "reasons": "a, ] b",}', 0.5),
        ('The score: {"score": 0.5, "reasons": ["x",],} as asked', 0.5),
        ('A 5" screen. {"score": 0.5}', 0.5),
        ('Set [1] and {x}. {"score": 0.5}', 0.5),
        ('```json\n{"score": 0.5}\n```', 0.5),
        ('{"score": 0.5} or {"score": 0.6}', None),
        ("[" * 500 + '{"score": 0.5}', 0.5),
    ],
)
def test_a_score_is_found_in_prose(text: str, score: float | None) -> None:
    """Fences, trailing commas, odd quotes and brackets in prose do no harm; two scores are none."""
    assert read_score(text).score == score


def escaped_quotes() -> str:
    """A long text in which a string begins again and again, and none ends."""
    return '\\"' * 400_000


def openings() -> str:
    """Brackets that never close."""
    return "[" * 900_000


def lists() -> str:
    """Lists that begin and never end."""
    return "[1," * 300_000


def objects() -> str:
    """Objects that break off late in a long text."""
    return '{"a"x' * 180_000


@pytest.mark.parametrize("text", [escaped_quotes, openings, lists, objects])
def test_no_answer_takes_long_to_read(text: Callable[[], str]) -> None:
    """What opens over and over costs no more than its size; where it would, there is no reading rather than a guess."""
    hostile = text()
    with alarm():
        assert read_score(hostile).problem == "no_score"
        assert read_score(json.dumps({"score": 0.9}) + hostile).problem in ("no_score", None)


def test_an_answer_with_very_many_files_is_told_apart_once() -> None:
    """Names are compared with all others at once, not one by one."""
    text = "".join(f"```f{number}.py\n```\n" for number in range(60_000)) + "```F1.py\n```\n"
    with alarm():
        assert len(named_files(text)) == 60_001
