"""The validator keeps the contract, passes good outputs and fails bad ones."""

from collections.abc import Callable

import orchestrator_house_style
import pytest

from orchestrator.spi import Candidate, TaskType, find_tool
from orchestrator.testing import Played, ValidatorContract


def module(text: str) -> Candidate:
    """A module as the output of a task."""
    return Candidate("t", TaskType.CODE_GEN, text, text, files={"main.py": text})


class TestHouseStyle(ValidatorContract):
    """The whole contract."""

    plugin = orchestrator_house_style
    passing = (module('"""A module."""\n\nx = 1\n'),)
    failing = (module("x = 1\n"),)


@pytest.mark.skipif(find_tool("ruff") is None, reason="ruff is not installed")
def test_it_is_the_gate_of_a_run(orchestrate_run: Callable[..., Played]) -> None:
    """The first draft has no docstring and fails; the second has one, and its revision without one is not taken."""
    tasks = [{"id": "only", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["house_style"]}]
    good = {"role": "generator", "iteration": 2, "text": '```python\n"""A module."""\n\nx = 1\n```'}
    played = orchestrate_run(tasks=tasks, answers=[good])
    assert played.task().gate
    assert played.task().iterations == 2
