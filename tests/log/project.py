"""A project of five tasks with scripted answers, on disk: what the tests of damage and of faults run."""

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from orchestrator import replay
from orchestrator.engine.backend_guard import guard, run_here
from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd, Watchers
from orchestrator.ledger.event_log import EventLog
from orchestrator.plugins import Catalogue
from orchestrator.spec import Spec, read_spec

RUN = "five"
CALLS_PER_TASK = 5
_KINDS = ("code_generation", "code_review", "summarization", "data_extraction", "creative_writing")


def write_project(folder: Path, delay_ms: int = 0, run: str = RUN) -> Path:
    """Write the spec and its answers; returns the spec's path."""
    folder.mkdir(parents=True, exist_ok=True)
    answers = [
        {"role": "generator", "text": "```json\n" + json.dumps({"columns": ["a", "b"]}) + "\n```"},
        {"role": "generator", "task": "t1", "text": "```python\nanswer = 42\n```"},
        {"role": "reviser", "text": "```json\n" + json.dumps({"columns": ["a", "b", "c"]}) + "\n```"},
        {"role": "reviser", "task": "t1", "text": "```python\nanswer = 43\n```"},
        {"role": "critic", "text": "Name the third column."},
        {"role": "evaluator", "text": '{"score": 0.95, "reasons": "It does what was asked."}'},
    ]
    (folder / "answers.yaml").write_text(json.dumps({"delay_ms": delay_ms, "answers": answers}))
    tasks = [
        {"id": f"t{number}", "type": kind, "prompt": f"Do part {number} of the work.", "dependencies": before}
        for number, (kind, before) in enumerate(zip(_KINDS, ([], [], ["t1"], ["t1"], ["t3", "t4"]), strict=True), 1)
    ]
    spec = {
        "project": "A table with three columns",
        "criteria": "every column has a name",
        "project_id": run,
        "budget_usd": 5,
        "providers": {"scripted": {"answers": "answers.yaml"}},
        "tasks": tasks,
    }
    path = folder / "spec.yaml"
    path.write_text(json.dumps(spec, indent=1))
    return path


def spec_of(path: Path) -> Spec:
    """The spec of a file."""
    return read_spec(path)


def in_workspace(home: Path, work: Callable[[Engine], Awaitable[RunEnd]]) -> RunEnd:
    """Do something in a data folder, and close it."""
    workspace = Engine.open(home)

    async def scene() -> RunEnd:
        return await work(workspace)

    try:
        return asyncio.run(scene())
    finally:
        workspace.close()


def watching(seen: list[str]) -> Watchers:
    """Watchers that note the class of every committed event."""
    return Watchers(observers=[lambda version, at, event: seen.append(type(event).__name__)])


def differences(log: EventLog, run: str = RUN) -> tuple[replay.Difference, ...]:
    """What recomputing every decision of a run shows to be otherwise."""
    catalogue = Catalogue.discover()
    rank = guard(catalogue.backend("greedy", {}), run_here)
    return replay.verify(((r.at, r.event) for r in log.read(run)), lambda session: rank).differences


def copied(home: Path, to: Path) -> Path:
    """A copy of a data folder."""
    shutil.copytree(home, to)
    return to


class Unguarded(sqlite3.Connection):
    """A connection without what keeps the events from being changed; it puts that back at its end."""

    guards: tuple[str, ...] = ()

    def take_off(self) -> None:
        """Drop the triggers, and the index that damage would contradict."""
        names = ("events_are_never_changed", "events_are_never_deleted", "idx_events_stream_version")
        rows = self.execute("SELECT type, name, sql FROM sqlite_master").fetchall()
        found = [(kind, name, sql) for kind, name, sql in rows if name in names]
        self.guards = tuple(str(sql) for _, _, sql in found)
        for kind, name, _ in found:
            self.execute(f"DROP {kind} {name}")

    def put_back(self) -> None:
        """Make them again; an index that cannot be made over what is damaged stays away."""
        for statement in self.guards:
            with suppress(sqlite3.Error):
                self.execute(statement)
        self.guards = ()

    def __exit__(self, *what: Any) -> Literal[False]:
        self.put_back()
        super().__exit__(*what)
        return False

    def close(self) -> None:
        """Put everything back first."""
        self.put_back()
        super().close()


def unguarded(home: Path) -> Unguarded:
    """A connection to the database of a data folder, without what keeps the events from being changed."""
    connection = sqlite3.connect(home / "events.db", isolation_level=None, factory=Unguarded)
    connection.take_off()
    return connection
