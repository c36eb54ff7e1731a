"""Reading of answers: which document counts, and that no answer takes long or makes a reader fail."""

import json
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.engine.answers.blocks_as_files import named_files
from orchestrator.engine.answers.read_answer import read_answer
from orchestrator.engine.outputs.files_in_answer import delivery
from orchestrator.events import Reading
from orchestrator.models import Role, TaskType

SECONDS = 60
"""Far more than a linear reading takes anywhere, far less than a quadratic one of these sizes."""

READ = [Role.DECOMPOSER, Role.GENERATOR, Role.CRITIC, Role.EVALUATOR, Role.ENHANCER, Role.ADVISOR]


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


def read(role: Role, text: str) -> Reading:
    """The reading of an answer; digests are the texts themselves."""
    return read_answer(role, text, ("pytest",), str, deliver=lambda text: delivery(1, TaskType.CODE_GEN, text))


def plan(*prompts: str) -> str:
    """A plan as a model writes it."""
    return json.dumps({"tasks": [{"type": "code_generation", "prompt": prompt} for prompt in prompts]})


def test_of_several_plans_the_last_that_fits_counts() -> None:
    """A model that corrects itself writes it again; other lists are no plans, and a cut one is none either."""
    text = f"A first idea:\n{plan('a', 'b', 'c')}\nBetter:\n{plan('d')}\nwith [1, 2, 3, 4] in mind."
    found = read(Role.DECOMPOSER, text).plan
    assert found is not None
    assert [task.prompt for task in found] == ["d"]
    assert read(Role.DECOMPOSER, plan("a", "b")[:-20]).plan is None


def test_of_several_suggestions_and_advices_the_last_that_fits_counts() -> None:
    """Those before it, and lists and objects of another shape, are passed over."""
    good = {"type": "risk", "title": "t", "patch_description": "p", "patch_criteria": ""}
    text = "\n".join(map(json.dumps, [{"suggestions": [good]}, {"suggestions": [{**good, "title": "u"}]}, [1, 2]]))
    assert [each.title for each in read(Role.ENHANCER, text).suggestions] == ["u"]
    advice = {"structural_pattern": "layered", "topology": "monolith"}
    text = "\n".join(
        map(
            json.dumps,
            [advice, {**advice, "app_type": "cli", "structural_pattern": "HEXAGONAL"}, {**advice, "topology": "?"}],
        )
    )
    profile = read(Role.ADVISOR, text).profile
    assert profile is not None
    assert profile.structural_pattern.value.lower() == "hexagonal"


def test_blocks_that_are_not_delivered_and_names_that_shadow_are_counted() -> None:
    """By number, and by digests of the names."""
    files = "".join(
        f"`{name}`\n```python\nx = 1\n```\n" for name in ("random.py", "a.py", "tests/conftest.py", "code/b.py")
    )
    reading = read(Role.GENERATOR, f"{files}\nUse it:\n```python\nimport a\n```\n")
    assert (reading.left_out, reading.shadowing) == (1, ("random.py", "tests/conftest.py"))
    assert read(Role.GENERATOR, "```python\nx = 1\n```").left_out == 0


@settings(max_examples=300)
@given(st.sampled_from(READ), st.text(alphabet='{}[]",:\\`~\n\r\t #>-1.0aescor/*', max_size=200) | st.text())
def test_reading_is_total(role: Role, text: str) -> None:
    """Whatever a model writes, there is a reading."""
    assert isinstance(read(role, text), Reading)


def escaped_quotes() -> str:
    """A long text in which a string begins again and again, and none ends."""
    return '\\"' * 400_000


def openings() -> str:
    """Brackets that never close."""
    return "[" * 900_000


def objects() -> str:
    """Objects that break off late in a long text."""
    return '{"a"x' * 180_000


def tildes() -> str:
    """A fence that is nothing else."""
    return "~" * 900_000


def fences() -> str:
    """Blocks that open and close."""
    return "```\n" * 200_000


@pytest.mark.parametrize("text", [escaped_quotes, openings, objects, tildes, fences])
def test_no_answer_takes_long_to_read(text: Callable[[], str]) -> None:
    """What opens over and over costs no more than its size, in every role."""
    hostile = text()
    with alarm():
        assert read(Role.EVALUATOR, json.dumps({"score": 0.9}) + hostile).score == 0.9
        assert read(Role.GENERATOR, hostile).problem is None
        assert read(Role.CRITIC, hostile).problem is None


def test_an_answer_with_very_many_files_is_told_apart_once() -> None:
    """Names are compared with all others at once, not one by one."""
    text = "".join(f"```f{number}.py\n```\n" for number in range(60_000)) + "```F1.py\n```\n"
    with alarm():
        assert len(named_files(text)) == 60_001
