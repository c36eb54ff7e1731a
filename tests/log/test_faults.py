"""The N-th operation fails, N = 1, 2, … until a run passes untouched: of the database, and of the output folder."""

import asyncio
import errno
import os
import re
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest
from attrs import Factory, define

from orchestrator.engine.outputs import folder_writing as output_folder
from orchestrator.engine.runs import Engine
from orchestrator.engine.session_lifetime import RunEnd
from orchestrator.errors import LogError, OutputError
from orchestrator.events import CallStarted, FileWritten, RunInterrupted
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import DATABASE, FileLocks, TransactionLock, configure, create
from orchestrator.log.sqlite import SqliteStore
from orchestrator.models import ProjectStatus, TaskStatus
from orchestrator.spec import Spec
from orchestrator_providers.scripted import Scripted
from tests.log.project import CALLS_PER_TASK, RUN, differences, in_workspace, spec_of, write_project
from tests.sql import sqlite_of

ERRORS: Final = ("disk I/O error", "database or disk is full")
CALLS: Final = 5 * CALLS_PER_TASK
CONCURRENCY: Final = 3


@define
class FailingConnection:
    """A connection whose n-th operation of a kind fails.

    Attributes:
        inner: the database.
        kind: what the statements that count begin with; empty for every statement.
        fails_at: which of them fails, from 1; 0 for none.
        problem: what the error says.
        written: whether the operation is carried out all the same: the error came too late.
        broken: whether everything after it fails too, ROLLBACK included.
    """

    inner: sqlite3.Connection
    kind: str
    fails_at: int
    problem: str = ERRORS[0]
    written: bool = False
    broken: bool = False
    count: int = 0
    failed: bool = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Pass on, or fail."""
        if self.failed and self.broken:
            raise sqlite3.OperationalError(self.problem)
        if not self.failed and sql.startswith(self.kind):
            self.count += 1
            if self.count == self.fails_at:
                self.failed = True
                if self.written:
                    self.inner.execute(sql, parameters)
                raise sqlite3.OperationalError(self.problem)
        return self.inner.execute(sql, parameters)

    def close(self) -> None:
        """Close the database."""
        self.inner.close()


@define
class Asked:
    """The calls that reached the provider."""

    calls: list[str] = Factory(list)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Counts the calls of the scripted provider."""
    seen, call = Asked(), Scripted.call

    async def counted(self: Scripted, body: Any, ctx: Any) -> Any:
        seen.calls.append(ctx.idempotency_key)
        return await call(self, body, ctx)

    monkeypatch.setattr(Scripted, "call", counted)
    return seen


def log_over(home: Path, connection: FailingConnection, workspace: Engine) -> EventLog:
    """The log of a data folder, written through the connection."""
    reader = sqlite3.connect(f"file:{home / DATABASE}?mode=ro", uri=True, isolation_level=None, check_same_thread=False)
    store = SqliteStore(
        connection, transaction_lock=TransactionLock(home / "write.lock"), locks=FileLocks(home), reader=reader
    )
    return EventLog(store, offload=workspace.ports.offload, redactor=workspace.log.redactor)


def play(tmp_path: Path, asked: Asked, kind: str, number: int, **options: Any) -> bool:
    """Run the project with one failing operation, check every promise, resume; returns whether anything failed."""
    home = tmp_path / f"home-{number}"
    spec = spec_of(write_project(tmp_path / "project"))
    workspace = Engine.open(home)
    healthy = workspace.log
    inner = sqlite3.connect(home / DATABASE, isolation_level=None, check_same_thread=False)
    configure(inner)
    create(inner)
    connection = FailingConnection(inner, kind, number, **options)
    workspace.log = log_over(home, connection, workspace)
    asked.calls.clear()

    async def session() -> RunEnd | LogError:
        try:
            return await workspace.start(spec)
        except LogError as error:
            with pytest.raises(LogError, match="nothing more is written since"):
                await workspace.log.append("another", 0, 1, [RunInterrupted("x")])
            return error

    outcome = asyncio.run(session())
    workspace.close()
    assert healthy.verify() == []
    started = list(healthy.read(RUN, types=[CallStarted]))
    assert len(asked.calls) <= len(started), "a call was made whose CallStarted is not on disk"
    healthy.close()
    if not connection.failed:
        assert isinstance(outcome, RunEnd)
        return False
    assert isinstance(outcome, LogError), "the session must not survive a failed write"
    assert re.fullmatch(r"the event log cannot be (written|read): .*resume.*", str(outcome))
    resumed(home, tmp_path, asked)
    return True


def resumed(home: Path, tmp_path: Path, asked: Asked) -> None:
    """Go on where the failure left the run: it completes, pays for nothing twice, and every law holds."""
    spec = spec_of(write_project(tmp_path / "project"))
    outcome = in_workspace(home, lambda w: w.start(spec))
    state = outcome.state
    assert state.finished is not None
    assert state.finished.status is ProjectStatus.SUCCESS
    assert state.spend.settled + state.held <= state.cap + state.excess
    assert CALLS <= len(asked.calls) <= CALLS + CONCURRENCY
    log = EventLog.open_to_read(home)
    assert log.verify() == []
    assert sqlite_of(log).query("PRAGMA integrity_check") == [("ok",)]
    assert differences(log) == ()
    log.close()


@pytest.mark.parametrize(
    "options",
    [
        {"problem": ERRORS[0]},
        {"problem": ERRORS[1], "broken": True},
        {"problem": ERRORS[0], "written": True},
    ],
    ids=["rolled back", "broken for good", "written all the same"],
)
def test_every_commit_may_fail(tmp_path: Path, asked: Asked, options: dict[str, Any]) -> None:
    """The N-th COMMIT fails, for every other N up to a run without failure: no call after it, resuming completes."""
    number = 1
    while play(tmp_path, asked, "COMMIT", number, **options):
        number += 2
    assert number > 20


@pytest.mark.heavy
@pytest.mark.parametrize("problem", ERRORS)
def test_every_statement_may_fail(tmp_path: Path, asked: Asked, problem: str) -> None:
    """The N-th statement fails, for every N up to a run without failure."""
    number = 1
    while play(tmp_path, asked, "", number, problem=problem):
        number += 1
    assert number > 200


@pytest.mark.parametrize("kind", ["BEGIN", "SAVEPOINT", "INSERT INTO events", "INSERT OR IGNORE", "RELEASE", "SELECT"])
@pytest.mark.parametrize("number", [1, 2, 17])
def test_statements_of_every_kind_may_fail(tmp_path: Path, asked: Asked, kind: str, number: int) -> None:
    """Whatever the log does inside a transaction: a failure of it ends the session, not the run."""
    assert play(tmp_path, asked, kind, number)


# ── the output folder ────────────────────────────────────────────────────────────────────────────────────────────


class FailingOs:
    """The module ``os`` for the output folder, whose n-th operations of one kind fail."""

    def __init__(self, kind: str, numbers: Callable[[int], bool], code: int) -> None:
        self._kind = kind
        self._numbers = numbers
        self._code = code
        self.count = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(os, name)

    def check(self, kind: str) -> None:
        """Count an operation, or fail."""
        if kind == self._kind:
            self.count += 1
            if self._numbers(self.count):
                raise OSError(self._code, os.strerror(self._code))

    def open(self, *arguments: Any, **options: Any) -> int:
        """Pass on, or fail."""
        self.check("open")
        return os.open(*arguments, **options)

    def rename(self, *arguments: Any, **options: Any) -> None:
        """Pass on, or fail."""
        self.check("rename")
        os.rename(*arguments, **options)  # noqa: PTH104 - relative to an open folder

    def fsync(self, descriptor: int) -> None:
        """Pass on, or fail."""
        self.check("fsync")
        os.fsync(descriptor)

    def fdopen(self, descriptor: int, mode: str) -> Any:
        """A file whose ``write`` may fail."""
        file: Any = os.fdopen(descriptor, mode)
        write = file.write

        class Failing:
            def __enter__(this) -> Any:  # noqa: N805
                return this

            def __exit__(this, *error: object) -> None:  # noqa: N805
                file.close()

            def write(this, data: bytes) -> int:  # noqa: N805
                self.check("write")
                return int(write(data))

            def __getattr__(this, name: str) -> Any:  # noqa: N805
                return getattr(file, name)

        return Failing()


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[..., FailingOs]:
    """Makes the output folder fail."""

    def install(kind: str, numbers: Callable[[int], bool], code: int) -> FailingOs:
        faults = FailingOs(kind, numbers, code)
        monkeypatch.setattr(output_folder, "os", faults)
        return faults

    return install


def files(folder: Path) -> list[str]:
    """What is in the folder."""
    return sorted(path.name for path in folder.iterdir())


EXPECTED: Final[Sequence[str]] = (
    ".orchestrate-run",
    "README.md",
    "summary.json",
    "task_001_code_generation.py",
    "task_002_code_review.md",
    "task_003_summarization.md",
    "task_004_data_extraction.json",
    "task_005_creative_writing.md",
)


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("open", errno.EACCES),
        ("write", errno.ENOSPC),
        ("fsync", errno.EIO),
        ("rename", errno.EACCES),
    ],
)
def test_every_operation_on_a_file_may_fail(
    tmp_path: Path, failing: Callable[..., FailingOs], kind: str, code: int
) -> None:
    """The N-th one fails, N = 1, 2, … : no task fails, the event has the problem, and the file is there in the end."""
    spec = spec_of(write_project(tmp_path / "project"))
    problems = 0
    for number in range(1, 100):
        faults = failing(kind, number.__eq__, code)
        home, out = tmp_path / f"home-{number}", tmp_path / f"out-{number}"
        try:
            outcome = in_workspace(home, starting(spec, out))
        except OutputError:
            assert number <= 2, "only making the folder its own may stop a run"
            assert events(home) == []
            continue
        if faults.count < number:
            assert files(out) == list(EXPECTED)
            break
        assert outcome.state.finished is not None
        assert outcome.state.finished.status is ProjectStatus.SUCCESS
        assert {task.finished.status for task in outcome.state.tasks.values() if task.finished} == {
            TaskStatus.COMPLETED
        }
        noted = [event.problem for event in events(home) if isinstance(event, FileWritten) and event.problem]
        assert noted in ([], [errno.errorcode[code]])
        assert bool(noted) != bool(outcome.warnings), "noted as an event while it ran, or as a warning after it"
        problems += len(noted)
        in_workspace(home, lambda w: w.resume(RUN))
        assert files(out) == list(EXPECTED)
    else:
        pytest.fail("no run passes untouched")
    assert problems == (10 if kind == "fsync" else 5)


def starting(spec: Spec, out: Path) -> Callable[[Engine], Awaitable[RunEnd]]:
    """Runs the spec with this output folder."""
    return lambda workspace: workspace.start(spec, output=out)


def events(home: Path) -> list[Any]:
    """The events of the run."""
    log = EventLog.open_to_read(home)
    try:
        return [record.event for record in log.read(RUN)]
    finally:
        log.close()


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES], ids=errno.errorcode.__getitem__)
def test_a_folder_that_stays_broken_costs_no_task_and_is_written_later(
    tmp_path: Path, failing: Callable[..., FailingOs], code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every write after the marker fails: one warning per file; resuming the finished run writes all, and no event."""
    spec = spec_of(write_project(tmp_path / "project"))
    home, out = tmp_path / "home", tmp_path / "out"
    failing("write", lambda count: count > 1, code)

    outcome = in_workspace(home, lambda w: w.start(spec, output=out))

    assert outcome.state.finished is not None
    assert outcome.state.finished.status is ProjectStatus.SUCCESS
    assert files(out) == [".orchestrate-run"]
    assert len(outcome.warnings) == len(EXPECTED) - 1
    assert all(os.strerror(code) in each and "runs export five" in each for each in outcome.warnings)
    written = events(home)
    assert [event.problem for event in written if isinstance(event, FileWritten)] == [errno.errorcode[code]] * 5

    monkeypatch.undo()
    again = in_workspace(home, lambda w: w.resume(RUN))

    assert (again.played, again.warnings) == (False, ())
    assert files(out) == list(EXPECTED)
    assert events(home) == written


def test_heads_that_cannot_be_kept_are_a_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run has ended and its files are written; the warning has the head."""
    spec = spec_of(write_project(tmp_path / "project"))

    def full(*arguments: object) -> None:
        raise LogError("heads.jsonl: No space left on device; the head of five is ffff")

    monkeypatch.setattr("orchestrator.engine.session_lifetime.append_head", full)

    outcome = in_workspace(tmp_path / "home", lambda w: w.start(spec, output=tmp_path / "out"))

    assert outcome.state.finished is not None
    assert outcome.warnings == ("heads.jsonl: No space left on device; the head of five is ffff",)
    assert files(tmp_path / "out") == list(EXPECTED)
