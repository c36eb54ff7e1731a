"""Judging an answer as the engine does: with its files, in the sandbox that this machine has."""

import asyncio
from functools import cache

import pytest

from orchestrator.engine.answers.fences import content_of
from orchestrator.engine.checks import Checks, ladder_for
from orchestrator.engine.outputs.folder import output_files
from orchestrator.engine.ports import in_daemon_thread
from orchestrator.models import TaskType
from orchestrator.settings import SandboxChoice
from orchestrator.spi import Candidate, Finding, Validator


@cache
def rungs() -> tuple[SandboxChoice, ...]:
    """The rungs that hold on this machine, best first."""
    every = (SandboxChoice.BWRAP, SandboxChoice.LANDLOCK)
    return tuple(choice for choice in every if ladder_for(choice).rung() is not None)


def candidate(text: str, tests: str | None = None, kind: TaskType = TaskType.CODE_GEN) -> Candidate:
    """An answer as a validator gets it."""
    return Candidate("stats", kind, text, content_of(text, kind), None, output_files(1, kind, text), tests)


def judge(validator: Validator, given: Candidate, choice: SandboxChoice | None = None) -> Finding:
    """The finding of a check, contained by the best rung or by the one named."""
    if choice is None:
        if not rungs():
            pytest.skip("no sandbox holds on this machine")
        choice = rungs()[0]
    finding, rung = asyncio.run(Checks(ladder_for(choice)).judge("x", lambda name: validator, given, in_daemon_thread))
    assert rung in (None, choice.value)
    return finding
