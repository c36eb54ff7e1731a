"""Whole runs in this process against a vendor on this machine, in hurried time: waits are real, and short."""

import asyncio
import selectors
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from attrs import evolve, frozen

from orchestrator import events as e
from orchestrator.engine.runs import Engine
from orchestrator.engine.vendors import http
from orchestrator.engine.vendors.environment import Environment
from orchestrator.money import Usd
from orchestrator.settings import SECOND
from orchestrator.spec import spec_from
from orchestrator.state.run import RunState
from orchestrator.testing.simulation.equal_outcomes import RunOutcome, outcome_of
from tests.plugins.providers.vendors import CANARY, VENDORS

SPEED: Final = 60
"""Seconds of the run in a second of the machine."""

TASK: Final = {
    "id": "only",
    "type": "code_generation",
    "prompt": "Write the module that holds the data model.",
    "hard_validators": ["python_syntax"],
}


class _HurriedSelector(selectors.DefaultSelector):
    def select(self, timeout: float | None = None) -> list[Any]:
        return super().select(None if timeout is None else timeout / SPEED)


class HurriedLoop(asyncio.SelectorEventLoop):
    """An event loop with sockets whose time goes faster."""

    def __init__(self) -> None:
        super().__init__(_HurriedSelector())

    def time(self) -> float:
        """Seconds."""
        return super().time() * SPEED


@frozen
class Played:
    """What a run left."""

    run: str
    state: RunState
    outcome: RunOutcome
    history: tuple[e.Event, ...]

    @property
    def attempts(self) -> tuple[e.CallStarted, ...]:
        """Every attempt."""
        return tuple(event for event in self.history if isinstance(event, e.CallStarted))

    @property
    def failures(self) -> tuple[e.CallFailed, ...]:
        """Every attempt's end that was a failure."""
        return tuple(event for event in self.history if isinstance(event, e.CallFailed))

    @property
    def answers(self) -> tuple[e.CallSucceeded, ...]:
        """Every attempt's end that was an answer."""
        return tuple(event for event in self.history if isinstance(event, e.CallSucceeded))

    @property
    def settled(self) -> Usd:
        """What is known to have been spent."""
        return self.state.spend.settled

    @property
    def unreconciled(self) -> Usd:
        """What may have been spent."""
        return self.state.spend.unreconciled


def play(home: Path, vendor: str, base_url: str, options: Mapping[str, Any], **fields: Any) -> Played:
    """Run a spec of one task against one vendor; ``fields`` are further keys of it.

    Raises:
        Exception: whatever the run raises: a fault must not.
    """
    spec = spec_from(
        "Build a small library",
        "its tests pass",
        **{"budget_usd": 20.0, "tasks": [TASK], "providers": {vendor: dict(options)}, **fields},
    )
    variables = {VENDORS[vendor].key: CANARY, VENDORS[vendor].address: base_url}

    async def run() -> Played:
        loop = asyncio.get_running_loop()
        began = time.time_ns() // 1000 - round(loop.time() * SECOND)
        workspace = Engine.open(home)
        try:
            workspace.environment = Environment(variables, {}, workspace.log.redactor.add)
            clock = lambda: began + round(loop.time() * SECOND)  # noqa: E731 - a function is what is wanted
            workspace.ports = evolve(workspace.ports, clock=clock, monotonic=loop.time)
            ended = await workspace.start(spec)
            history = tuple(record.event for record in workspace.log.read(ended.run))
            return Played(ended.run, ended.state, outcome_of(ended.state, ended.texts.get), history)
        finally:
            workspace.close()

    connect, http.CONNECT_SECONDS = http.CONNECT_SECONDS, 10.0 * SPEED  # type: ignore[misc]
    try:
        with asyncio.Runner(loop_factory=HurriedLoop) as runner:
            return runner.run(run())
    finally:
        http.CONNECT_SECONDS = connect  # type: ignore[misc]


def result_of(outcome: RunOutcome, *, anybody: bool = False) -> RunOutcome:
    """An outcome without what a repeated attempt adds to it; ``anybody``: and without who did the work."""

    def node(each: Any) -> Any:
        answers = {key: evolve(answer, model="") if anybody else answer for key, answer in each.answers.items()}
        return evolve(each, settled=Usd.ZERO, unreconciled=Usd.ZERO, ended=0, lost=0, answers=answers)

    who: dict[str, Any] = {"model": None, "reviewer": None, "fallbacks": 0} if anybody else {}
    tasks = {name: evolve(task, node=node(task.node), **who) for name, task in outcome.tasks.items()}
    return evolve(outcome, plan=node(outcome.plan), tasks=tasks)
