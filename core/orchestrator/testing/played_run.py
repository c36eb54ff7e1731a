"""A whole run in a folder of its own, played with scripted answers through the engine that users have."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from attrs import frozen

from orchestrator import events as e
from orchestrator.engine.runs import Engine
from orchestrator.models import ProjectStatus
from orchestrator.money import Price, Usd
from orchestrator.policy_dsl import bind
from orchestrator.spec import parse_spec
from orchestrator.state.run import RunState
from orchestrator.testing.decide_by_hand import model
from orchestrator.testing.simulation.simulated_vendor import SimulatedVendor

ANSWERS: Final[Sequence[Mapping[str, Any]]] = (
    {"role": "generator", "text": "```python\nx = 1\n```"},
    {"role": "reviser", "text": "```python\nx = 2\n```"},
    {"role": "critic", "text": "Name x better."},
    {"role": "evaluator", "text": '{"score": 0.95, "reasons": "fine"}'},
)
"""What models say unless a test says otherwise."""
MODELS: Final[Sequence[Mapping[str, Any]]] = (
    {"id": "north", "vendor": "n", "price": {"input": 0.3, "output": 0.5}, "slots": ["deepseek-chat"]},
    {"id": "south", "vendor": "s", "price": {"input": 0.5, "output": 2.0}, "slots": ["moonshot-v1"]},
)
"""Two models of two vendors."""
TASKS: Final[Sequence[Mapping[str, Any]]] = ({"id": "only", "type": "code_generation", "prompt": "Write x."},)


@frozen
class Played:
    """What became of a run."""

    run: str
    status: ProjectStatus | None
    """None: it was interrupted."""
    events: tuple[e.Event, ...]
    state: RunState
    output: Path
    """The folder it wrote."""
    home: Path
    """The data folder, for the command line."""

    def all(self, kind: type[Any]) -> list[Any]:
        """The events of a class, in their order."""
        return [event for event in self.events if isinstance(event, kind)]

    def task(self, name: str = "only") -> Any:
        """The end of a task."""
        return next(event for event in self.all(e.TaskFinished) if event.task == name)


def play_spec(folder: Path, answers: Sequence[Mapping[str, Any]] = (), **keys: Any) -> Played:
    """Play a spec to its end; ``keys`` are those of a spec, with usual ones where they are left out.

    Args:
        folder: an empty folder for the data, the answers and the output.
        answers: what models say beside the usual answers; see the provider ``scripted``.
        keys: of the spec; None leaves a usual one out.

    Raises:
        OrchestrateError: whatever keeps the run from starting.
    """
    folder.mkdir(parents=True, exist_ok=True)
    script = folder / "answers.json"
    script.write_text(json.dumps({"models": MODELS, "answers": [*ANSWERS, *answers]}), encoding="utf-8")
    usual = {"project": "Write x.", "criteria": "x is there", "tasks": list(TASKS)}
    scripted = {"providers": {"scripted": {"answers": str(script)}}}
    given = {key: value for key, value in {**usual, **scripted, **keys}.items() if value is not None}
    spec = parse_spec(given, "the test's spec")
    workspace = Engine.open(folder / "home")
    try:
        spec = bind(spec, workspace.admission, (), workspace.catalogue.loader_for_suffix)
        done = asyncio.run(workspace.start(spec, output=folder / "output"))
        history = tuple(record.event for record in workspace.log.read(done.run))
    finally:
        workspace.close()
    ended = done.state.finished
    return Played(
        done.run, None if ended is None else ended.status, history, done.state, folder / "output", folder / "home"
    )


def simulated(
    faults: Sequence[str] = (), rate: float = 0.0, seed: int = 0, prices: Sequence[float] = (0.3, 3.0)
) -> SimulatedVendor:
    """A pretended vendor with one model per price (US dollars per million tokens, output four times as much)."""
    models = [
        model(f"model-{place}", price=Price(Usd.rounded(price), Usd.rounded(4 * price)))
        for place, price in enumerate(prices)
    ]
    return SimulatedVendor(seed, models, tuple(faults), rate)
