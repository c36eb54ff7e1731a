"""Logs of scripted projects to audit, and histories stored as somebody would who computes the chain anew."""

import asyncio
import shutil
import sqlite3
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from orchestrator import events as e
from orchestrator.engine.runs import Engine
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import chain, read_heads
from orchestrator.log.codec import CODEC
from orchestrator.testing.simulation.memory_log import memory_database, memory_log
from orchestrator_audit.checks import AuditReport
from orchestrator_audit.log_audit import audit
from orchestrator_insight.forks import Forked, cut_of, fork
from tests.log.project import RUN, in_workspace, spec_of, write_project

if TYPE_CHECKING:
    import pytest

T = TypeVar("T")

COLUMNS: Final = ("stream", "version", "type", "schema", "at", "data", "hash")
INSERT: Final = "INSERT INTO events(stream, version, type, schema, at, data, hash) VALUES (?, ?, ?, ?, ?, ?, ?)"


def finished_run(folder: Path) -> Path:
    """A data folder with the finished run ``five``."""
    spec = spec_of(write_project(folder / "project"))
    in_workspace(folder / "home", lambda w: w.start(spec))
    return folder / "home"


def doing(home: Path, work: Callable[[Engine], Awaitable[T]]) -> T:
    """Do something in a data folder, and close it."""
    workspace = Engine.open(home)

    async def scene() -> T:
        return await work(workspace)

    try:
        return asyncio.run(scene())
    finally:
        workspace.close()


def forked(home: Path, version: int, *sets: str, run: str = RUN, name: str | None = None) -> Forked:
    """A fork of a run at a version."""
    return doing(home, lambda w: fork(w, run, cut_of(w.log, run, version=version), sets, name=name))


def audited(home: Path, run: str | None = None, **options: Any) -> AuditReport:
    """What an audit of a data folder finds."""
    log = EventLog.open_to_read(home)
    try:
        return audit(log, run, heads=read_heads(home), **options)
    finally:
        log.close()


def failures(report: AuditReport) -> set[tuple[str, str]]:
    """The subject and the name of every check that failed."""
    return {(check.subject, check.name) for check in report.failed}


def stored_anew(*histories: tuple[str, Iterable[tuple[int, e.Event]]]) -> EventLog:
    """A log in memory that holds histories under chains of its own: whole, and with nothing elsewhere to prove it."""
    connection = memory_database()
    for run, history in histories:
        put(connection, history, run)
    return memory_log(connection)


def put(connection: sqlite3.Connection, history: Iterable[tuple[int, e.Event]], run: str = RUN) -> None:
    """Insert a history with its hashes."""
    previous = chain.GENESIS
    for version, (at, event) in enumerate(history, 1):
        name, schema, data = CODEC.encode(event)
        previous = chain.link(previous, run, version, name, schema, at, data)
        connection.execute(INSERT, (run, version, name, schema, at, data, previous))


def on_copy(original: Path, folder: Path, monkeypatch: "pytest.MonkeyPatch") -> Path:
    """A copy of a data folder, which the command then uses."""
    copy = Path(shutil.copytree(original, folder / "home"))
    monkeypatch.setenv("ORCHESTRATE_HOME", str(copy))
    return copy
