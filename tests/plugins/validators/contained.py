"""Judging an answer as the engine does: with its files, in the sandbox that this machine has."""

import asyncio
from functools import cache

import pytest

from orchestrator.deadlines.awaiting import in_daemon_thread
from orchestrator.engine.checks import Checks, selector_for
from orchestrator.engine.outputs.files_in_answer import output_files
from orchestrator.models import TaskType
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Candidate, Finding, Validator


@cache
def levels() -> tuple[SandboxChoice, ...]:
    """The sandbox levels that hold on this machine, best first."""
    every = (SandboxChoice.BWRAP, SandboxChoice.LANDLOCK)
    return tuple(choice for choice in every if selector_for(choice).level() is not None)


def candidate(text: str, tests: str | None = None, kind: TaskType = TaskType.CODE_GEN) -> Candidate:
    """An answer as a validator gets it."""
    files = output_files(1, kind, text)
    return Candidate("stats", kind, text, next(iter(files.values())), None, files, tests)


def judge(validator: Validator, given: Candidate, choice: SandboxChoice | None = None) -> Finding:
    """The finding of a check, contained by the best sandbox level or by the one named."""
    if choice is None:
        if not levels():
            pytest.skip("no sandbox holds on this machine")
        choice = levels()[0]
    finding, level = asyncio.run(
        Checks(selector_for(choice)).judge("x", lambda name: validator, given, in_daemon_thread)
    )
    assert level in (None, choice.value)
    return finding
