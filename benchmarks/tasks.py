"""Runs of many tiny tasks, each of five calls, with a vendor that answers at once."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from orchestrator.engine.loop import Loop
from orchestrator.engine.runs import Engine
from orchestrator.engine.session import Session
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.models import ProjectStatus
from orchestrator.spec import Spec, spec_from

CALLS: Final = ("generator", "critic", "reviser", "evaluator", "evaluator")
"""The roles of one task's calls."""

TEXTS: Final = {
    "generator": "A first draft. " * 8,
    "critic": "The draft says too little. " * 4,
    "reviser": "A revised draft. " * 8,
    "evaluator": '{"score": 0.95, "reasons": "it does what was asked"}',
}
"""What the instant vendor says, by role."""

_ANSWERS: Final = "delay_ms: 0\nanswers:\n" + "".join(
    f"  - {{role: {role}, text: {text!r}}}\n" for role, text in TEXTS.items()
)


def spec_of(folder: Path, tasks: int, concurrency: int = 8) -> Spec:
    """A spec with so many independent tasks; ``folder`` gets the answers file."""
    answers = folder / "answers.yaml"
    answers.write_text(_ANSWERS)
    plan: list[dict[str, Any]] = [
        {"id": f"t{number}", "type": "summarization", "prompt": f"Do part {number}."} for number in range(tasks)
    ]
    return spec_from(
        "Measure what a task costs",
        "it is cheap",
        budget_usd=1000.0,
        time_seconds=100_000.0,
        concurrency=concurrency,
        providers={"scripted": {"answers": str(answers)}},
        tasks=plan,
    )


def play(home: Path, spec: Spec, watchers: Watchers | None = None) -> RunEnd:
    """Run a spec on a data folder, as the Python front door does, with every law on.

    Raises:
        RuntimeError: the run did not succeed, so that its time means nothing.
    """

    async def run() -> RunEnd:
        workspace = Engine.open(home)
        try:
            return await workspace.start(spec, watchers=watchers)
        finally:
            workspace.close()

    outcome = asyncio.run(run())
    if outcome.state.finished is None or outcome.state.finished.status is not ProjectStatus.SUCCESS:
        raise RuntimeError(f"the run ended with {outcome.state.finished}")
    return outcome


def at_first_step(then: Callable[[], object]) -> Watchers:
    """Watchers that call ``then`` when everything is loaded and the first step is about to be taken."""

    def on_session(session: Session, loop: Loop) -> None:
        then()

    return Watchers(on_session=on_session)
