"""Scripted runs through the front door for Python: two vendors, one task, no network."""

import asyncio
import json
from pathlib import Path
from typing import Any, Final

from orchestrator import Budget, JobSpec, Orchestrator, ProjectState, StateManager
from tests.cli.command import ANSWERS, MODELS

TASK: Final = {"id": "only", "type": "code_generation", "prompt": "Write x.", "hard_validators": ["python_syntax"]}


def fields(folder: Path, *answers: dict[str, Any], delay_ms: float = 0, **more: Any) -> dict[str, Any]:
    """What an orchestrator needs for it beside a budget; later answers win over the usual ones."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "answers.json"
    path.write_text(json.dumps({"models": MODELS, "delay_ms": delay_ms, "answers": [*ANSWERS, *answers]}))
    return {"providers": {"scripted": {"answers": str(path)}}, "tasks": [TASK], **more}


def orchestrator(folder: Path, budget: Budget | None = None, **more: Any) -> Orchestrator:
    """An orchestrator whose data folder is ``folder/home``."""
    settings = more if "providers" in more else {**fields(folder), **more}
    return Orchestrator(
        Budget(max_usd=1.0) if budget is None else budget, None, StateManager(folder / "home"), **settings
    )


def job(**more: Any) -> JobSpec:
    """A job for it."""
    return JobSpec(project_description="Write x.", success_criteria="x is there", **more)


def run(orchestrator: Orchestrator, **more: Any) -> ProjectState:
    """Run a job to its end."""
    return asyncio.run(orchestrator.run_job(job(**more)))
