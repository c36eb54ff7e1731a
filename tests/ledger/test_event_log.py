import asyncio
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pytest

from orchestrator.errors import ConcurrencyError, LogError
from orchestrator.events import Event, StepSkipped, TaskStarted
from orchestrator.ledger.append import Committed
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Recorded
from orchestrator.log.sqlite import SqliteStore
from orchestrator.models import Role, SkipReason
from orchestrator.money import Usd
from orchestrator.testing.simulation.memory_log import memory_database, memory_log
from tests.sql import sqlite_of

T = TypeVar("T")


class Faulty:
    """A connection that counts COMMITs and raises at a chosen statement."""

    def __init__(self, inner: sqlite3.Connection) -> None:
        self.inner = inner
        self.commits = 0
        self.trap: Callable[[str], BaseException | None] = lambda sql: None

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        """Pass on, or raise."""
        self.commits += sql == "COMMIT"
        error = self.trap(sql)
        if error is not None:
            raise error
        return self.inner.execute(sql, parameters)

    def close(self) -> None:
        """Pass on."""
        self.inner.close()


def events(count: int, start: int = 0) -> list[Event]:
    """As many events, all different."""
    return [TaskStarted(f"t{number}") for number in range(start, start + count)]


def test_an_append_is_read_back() -> None:
    """Versions count from 1 in each stream, positions over all; every event of an append has its time."""
    log = memory_log()

    async def scene() -> list[Committed]:
        return [
            await log.append("a", 0, 10, events(2)),
            await log.append("b", 0, 11, events(1)),
            await log.append("a", 2, 12, events(1, 2)),
        ]

    first, other, second = asyncio.run(scene())

    assert [(each.version, each.position) for each in (first, other, second)] == [(2, 2), (1, 3), (3, 4)]
    records = list(log.read("a"))
    assert [(r.position, r.version, r.at, r.type, r.event) for r in records] == [
        (1, 1, 10, "task.started", TaskStarted("t0")),
        (2, 2, 10, "task.started", TaskStarted("t1")),
        (4, 3, 12, "task.started", TaskStarted("t2")),
    ]
    assert (*first.records, *second.records) == tuple(records)
    assert log.last("a") == (3, second.hash, 12)
    assert log.last("c") is None
    assert log.streams() == ["a", "b"]
    assert log.streams("b") == ["b"]


def test_reading_a_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """By version, by type, across pages; an event is decoded only when it is asked for."""
    monkeypatch.setattr("orchestrator.log.sqlite.reads._PAGE", 3)
    connection = memory_database()
    log = memory_log(connection)
    mixed: list[Event] = [
        StepSkipped(f"t{number}", Role.CRITIC, 1, SkipReason.FAILED) if number % 2 else TaskStarted(f"t{number}")
        for number in range(10)
    ]
    asyncio.run(log.append("a", 0, 1, mixed))
    asyncio.run(log.append("b", 0, 1, mixed[:1]))

    def versions(records: Any) -> list[int]:
        return [each.version for each in records]

    assert versions(log.read("a")) == list(range(1, 11))
    assert versions(log.read("a", after=4, upto=6)) == [5, 6]
    assert versions(log.read("a", types=[StepSkipped])) == [2, 4, 6, 8, 10]
    assert versions(log.read("a", after=2, types=[StepSkipped, TaskStarted], upto=5)) == [3, 4, 5]
    assert versions(log.read("a", types=[])) == []
    assert versions(log.read("unknown")) == []
    assert [each.position for each in log.tail(7)] == [8, 9, 10, 11]
    assert [each.position for each in log.tail(0, "b")] == [11]
    unknown = Recorded(1, "a", 1, "task.teleported", 1, 1, "{}", "")
    assert unknown.type == "task.teleported"
    with pytest.raises(LogError, match=r"event 1: events of type 'task\.teleported'"):
        _ = unknown.event


@pytest.mark.parametrize(("expected", "exists"), [(0, True), (1, True), (3, True), (1, False)])
def test_the_expected_version_must_be_the_last(expected: int, exists: bool) -> None:
    """A writer that has not seen everything is refused, and nothing is written."""
    log = memory_log()
    if exists:
        asyncio.run(log.append("a", 0, 1, events(2)))

    with pytest.raises(ConcurrencyError) as caught:
        asyncio.run(log.append("a", expected, 1, events(1)))

    assert (caught.value.expected, caught.value.actual) == (expected, 2 if exists else 0)
    assert len(list(log.read("a"))) == (2 if exists else 0)


def test_appends_that_meet_are_one_transaction_and_a_conflict_fails_alone() -> None:
    """Twenty appends cost one commit; the two of them that lose leave nothing of theirs."""
    connection = Faulty(memory_database())
    log = memory_log(connection)

    async def scene() -> list[Committed | BaseException]:
        work = [log.append(f"run-{number}", 0, 1, events(3), {f"d{number}": "text"}) for number in range(18)]
        work.append(log.append("run-3", 0, 1, events(1), {"lost": "text"}))
        work.append(log.append("run-4", 9, 1, events(1)))
        return await asyncio.gather(*work, return_exceptions=True)

    results = asyncio.run(scene())

    assert connection.commits == 1
    assert [type(each) for each in results] == [Committed] * 18 + [ConcurrencyError] * 2
    assert sqlite_of(log).query("SELECT count(*), count(DISTINCT position), max(position) FROM events") == [
        (54, 54, 54)
    ]
    assert sqlite_of(log).query("SELECT count(*) FROM blobs") == [(18,)]
    assert log.verify() == []


def test_appends_during_a_commit_go_together_into_the_next() -> None:
    """What is asked while a transaction runs waits for the one after it."""
    connection = Faulty(memory_database())

    async def scene() -> None:
        gate = asyncio.Event()

        async def offload(work: Callable[[], T], /) -> T:
            await gate.wait()
            return work()

        log = EventLog(SqliteStore(connection), offload=offload)
        first = asyncio.ensure_future(log.append("a", 0, 1, events(1)))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        others = [asyncio.ensure_future(log.append(f"b{n}", 0, 1, events(1))) for n in range(5)]
        await asyncio.sleep(0)
        gate.set()
        await asyncio.gather(first, *others)
        assert connection.commits == 2

    asyncio.run(scene())


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "INSERT INTO events", "COMMIT", "RELEASE member"])
@pytest.mark.parametrize("error", [sqlite3.OperationalError("disk I/O error"), OSError(5, "EIO"), ValueError("bug")])
def test_an_error_of_the_disk_fails_the_batch_and_everything_after(statement: str, error: Exception) -> None:
    """After such an error it is unknown what is on disk: the batch fails whole, and the process writes no more."""
    inner = memory_database()
    connection = Faulty(inner)
    log = memory_log(connection)

    async def scene() -> Sequence[Any]:
        await log.append("a", 0, 1, events(1))
        connection.trap = lambda sql: error if sql.startswith(statement) else None
        results = await asyncio.gather(
            log.append("a", 1, 1, events(1)), log.append("b", 0, 1, events(1)), return_exceptions=True
        )
        connection.trap = lambda sql: None
        with pytest.raises(LogError, match="nothing more is written"):
            await log.append("a", 1, 1, events(1))
        return results

    results = asyncio.run(scene())

    assert [type(each) for each in results] == [LogError, LogError]
    assert not inner.in_transaction
    assert sqlite_of(memory_log(inner)).query("SELECT stream FROM events") == [("a",)]
    assert asyncio.run(memory_log(inner).append("a", 1, 1, events(1))).version == 2


def test_a_full_disk_says_so() -> None:
    """The message tells what to do."""
    connection = Faulty(memory_database())
    connection.trap = lambda sql: (
        sqlite3.OperationalError("database or disk is full") if sql.startswith("INSERT") else None
    )

    with pytest.raises(LogError, match="free some space"):
        asyncio.run(memory_log(connection).append("a", 0, 1, events(1)))


class Crash(BaseException):
    """The end of a simulated process."""


@pytest.mark.parametrize(
    ("statement", "after", "written"), [("COMMIT", False, 0), ("COMMIT", True, 1), ("BEGIN", False, 0)]
)
def test_a_crash_reaches_the_writer_as_itself(statement: str, after: bool, written: int) -> None:
    """A simulator's crash is not mistaken for an error; what is on disk depends on when it struck."""
    inner = memory_database()

    class Crashing(Faulty):
        def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
            if sql.startswith(statement) and not after:
                raise Crash
            cursor = super().execute(sql, parameters)
            if sql.startswith(statement):
                raise Crash
            return cursor

    with pytest.raises(Crash):
        asyncio.run(memory_log(Crashing(inner)).append("a", 0, 1, events(1)))

    assert len(list(memory_log(inner).read("a"))) == written


def test_a_cancelled_waiter_does_not_disturb_the_others() -> None:
    """Cancelled before its transaction, an append is not done; during it, it is; the others are not touched."""
    connection = memory_database()

    async def scene() -> None:
        gate, begun = asyncio.Event(), asyncio.Event()

        async def offload(work: Callable[[], T], /) -> T:
            begun.set()
            await gate.wait()
            return work()

        log = EventLog(SqliteStore(connection), offload=offload)
        during = asyncio.ensure_future(log.append("during", 0, 1, events(1)))
        beside = asyncio.ensure_future(log.append("beside", 0, 1, events(1)))
        await begun.wait()
        before = asyncio.ensure_future(log.append("before", 0, 1, events(1)))
        behind = asyncio.ensure_future(log.append("behind", 0, 1, events(1)))
        await asyncio.sleep(0)
        during.cancel()
        before.cancel()
        await asyncio.sleep(0)
        gate.set()
        assert (await beside).version == 1
        assert (await behind).version == 1
        assert during.cancelled()
        assert before.cancelled()
        await log.flush()
        assert {each.get_name() for each in asyncio.all_tasks()} == {asyncio.current_task().get_name()}  # type: ignore[union-attr]
        assert log.streams() == ["during", "beside", "behind"]

    asyncio.run(scene())


def test_a_loop_that_ends_during_a_commit_fails_the_waiters() -> None:
    """When the writer itself is cancelled, no caller is left waiting, and nothing more is written."""

    async def scene() -> None:
        begun = asyncio.Event()

        async def offload(work: Callable[[], T], /) -> T:
            begun.set()
            await asyncio.Event().wait()
            return work()

        log = EventLog(SqliteStore(memory_database()), offload=offload)
        waiter = asyncio.ensure_future(log.append("a", 0, 1, events(1)))
        await begun.wait()
        [writer] = asyncio.all_tasks() - {waiter, asyncio.current_task()}
        writer.cancel()
        with pytest.raises(LogError):
            await waiter
        with pytest.raises(LogError, match="nothing more"):
            await log.append("a", 0, 1, events(1))

    asyncio.run(scene())


def test_one_log_serves_one_loop_after_another(tmp_path: Path) -> None:
    """Nothing in a log is bound to the loop it was first used in."""
    log = EventLog.open(tmp_path)
    for version in range(3):
        assert asyncio.run(log.append("a", version, 1, events(1))).version == version + 1
    log.close()


# ── files ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_folder_is_made_private_and_keeps_what_was_written(tmp_path: Path) -> None:
    """The data folder is its owner's alone; the database is in WAL mode and syncs fully."""
    folder = tmp_path / "a b?#%" / "home"
    log = EventLog.open(folder)
    done = asyncio.run(log.append("a", 0, 1, events(3), {"d": "text"}, salt=b"s" * 32))
    assert sqlite_of(log).query("PRAGMA journal_mode") == [("wal",)]
    assert sqlite_of(log).connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert sqlite_of(log).connection.execute("PRAGMA secure_delete").fetchone() == (1,)
    log.close()

    assert folder.stat().st_mode & 0o777 == 0o700
    assert not (folder / "events.db-wal").exists()
    again = EventLog.open(folder)
    assert list(again.read("a")) == list(done.records)
    assert again.salt("a") == b"s" * 32
    assert again.blob("a", "d") is not None
    assert again.blob("b", "d") is None
    again.close()


def test_a_reader_reads_while_a_writer_writes(tmp_path: Path) -> None:
    """A reader sees whole steps only, in order, and can follow them; it cannot write."""
    writer = EventLog.open(tmp_path)
    asyncio.run(writer.append("a", 0, 1, events(2)))
    reader = EventLog.open_to_read(tmp_path)
    seen: list[int] = []
    stop = threading.Event()

    def follow() -> None:
        last = 0
        while not stop.is_set() or seen[-1:] != [60]:
            for record in reader.tail(last):
                last = record.position
                seen.append(last)
                assert record.event == TaskStarted(f"t{(last - 1) % 2}")
            assert last % 2 == 0
            assert reader.verify("a") == []

    async def write() -> None:
        for version in range(2, 60, 2):
            await writer.append("a", version, 1, events(2))

    thread = threading.Thread(target=follow)
    thread.start()
    asyncio.run(write())
    stop.set()
    thread.join(30)

    assert seen == list(range(1, 61))
    with pytest.raises(LogError, match="reading only"):
        asyncio.run(reader.append("a", 60, 1, events(1)))
    reader.close()
    writer.close()


def test_a_reader_leaves_the_file_as_it_is(tmp_path: Path) -> None:
    """Reading a closed log changes no byte of it."""
    log = EventLog.open(tmp_path)
    asyncio.run(log.append("a", 0, 1, events(2)))
    log.close()
    before = (tmp_path / "events.db").read_bytes()

    reader = EventLog.open_to_read(tmp_path)
    assert len(list(reader.read("a"))) == 2
    reader.close()

    assert (tmp_path / "events.db").read_bytes() == before


def test_what_cannot_be_opened_is_explained(tmp_path: Path) -> None:
    """No log, no database, a newer layout, a file in the folder's place: one line each, with what to do."""
    with pytest.raises(LogError, match=r"no event log in .*--home"):
        EventLog.open_to_read(tmp_path / "none")
    file = tmp_path / "file"
    file.write_text("x")
    with pytest.raises(LogError, match="--home"):
        EventLog.open(file)
    garbage = tmp_path / "garbage"
    garbage.mkdir()
    (garbage / "events.db").write_bytes(b"not a database at all" * 100)
    for opening in (EventLog.open, EventLog.open_to_read):
        with pytest.raises(LogError, match=r"events\.db: .*not a database.*--home"):
            opening(garbage)
    newer = tmp_path / "newer"
    EventLog.open(newer).close()
    connection = sqlite3.connect(newer / "events.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    for opening in (EventLog.open, EventLog.open_to_read):
        with pytest.raises(LogError, match="layout 99"):
            opening(newer)
    empty = tmp_path / "empty"
    empty.mkdir()
    (empty / "events.db").touch()
    with pytest.raises(LogError, match="not an event log"):
        EventLog.open_to_read(empty)


def test_damage_of_the_file_itself_is_a_finding(tmp_path: Path) -> None:
    """A page that SQLite cannot read makes verification fail instead of raising."""
    log = EventLog.open(tmp_path)
    asyncio.run(log.append("a", 0, 1, events(200)))
    log.close()
    path = tmp_path / "events.db"
    content = bytearray(path.read_bytes())
    [root] = sqlite3.connect(path).execute("SELECT rootpage FROM sqlite_master WHERE name = 'events'").fetchone()
    content[(root - 1) * 4096 : (root - 1) * 4096 + 64] = b"\xff" * 64
    path.write_bytes(bytes(content))

    reader = EventLog.open_to_read(tmp_path)
    assert "damaged" in reader.verify()[0].message
    reader.close()


def test_a_killed_writer_leaves_a_whole_log(tmp_path: Path) -> None:
    """After SIGKILL in the middle of appending, everything acknowledged is there and verifies."""
    program = (
        "import asyncio, sys; from pathlib import Path; from orchestrator.ledger.event_log import EventLog;"
        "from orchestrator.events import TaskStarted\n"
        "async def main():\n"
        "    log = EventLog.open(Path(sys.argv[1]))\n"
        "    for version in range(100000):\n"
        "        await log.append('a', version, 1, [TaskStarted('t')])\n"
        "        print(version + 1, flush=True)\n"
        "asyncio.run(main())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for _ in range(30):
            process.stdout.readline()
        process.kill()
        acknowledged = 30 + len(process.stdout.readlines())

    log = EventLog.open(tmp_path)
    last = log.last("a")
    assert last is not None
    assert last.version in (acknowledged, acknowledged + 1)
    assert log.verify() == []
    assert asyncio.run(log.append("a", last.version, 1, events(1))).version == last.version + 1
    log.close()


def test_two_processes_may_make_the_folder_at_once(tmp_path: Path) -> None:
    """The layout is made once, whichever process comes first."""
    program = (
        "import asyncio, sys; from pathlib import Path; from orchestrator.ledger.event_log import EventLog;"
        "from orchestrator.events import TaskStarted\n"
        "log = EventLog.open(Path(sys.argv[1]))\n"
        "asyncio.run(log.append(sys.argv[2], 0, 1, [TaskStarted('t')]))\n"
        "log.close()\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path / "home"), f"run-{number}"])
        for number in range(3)
    ]
    assert [process.wait(60) for process in processes] == [0, 0, 0]

    log = EventLog.open_to_read(tmp_path / "home")
    assert sorted(log.streams()) == ["run-0", "run-1", "run-2"]
    log.close()


def test_importing_the_log_is_cheap() -> None:
    """Neither importing nor appending to an existing log loads sqlite_utils."""
    program = (
        "import sys, orchestrator.log\n"
        "assert not {'sqlite_utils', 'cattrs', 'asyncio'} & set(sys.modules)\n"
        "from orchestrator.log import Redactor, verify\n"
        "from orchestrator.ledger.event_log import EventLog\n"
        "assert 'sqlite_utils' not in sys.modules\n"
        "assert set(orchestrator.log.__all__) <= {name for name in orchestrator.log._HOMES}\n"
        "[getattr(orchestrator.log, name) for name in orchestrator.log.__all__]\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_an_account_is_opened_through_the_same_writer() -> None:
    """Account commands share the batch with appends."""
    connection = Faulty(memory_database())
    log = memory_log(connection)

    async def scene() -> None:
        jobs: list[Awaitable[Any]] = [log.open_account("org", Usd(5), at=1), log.append("a", 0, 1, events(1))]
        await asyncio.gather(*jobs)

    asyncio.run(scene())

    assert connection.commits == 1
    assert log.streams() == ["account/org", "a"]
