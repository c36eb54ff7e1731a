"""Content can be deleted for good; what is left is as provable as before."""

import logging
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from attrs import evolve

from orchestrator.engine.content_retention import delete_content
from orchestrator.engine.session_lifetime import Watchers
from orchestrator.errors import DamagedLogError, LogError, RunLockedError, UsageError
from orchestrator.events import CallStarted, TaskStarted
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.history_sizes import Growth
from orchestrator.policy import Retention
from tests.cli.in_process import command
from tests.log.project import RUN, copied, in_workspace, spec_of, unguarded, write_project
from tests.plugins.commands.audit.logs import audited, doing, failures, finished_run
from tests.sql import sqlite_of

SECRETS = (b"Do part 3 of the work", b"answer = 43", b"A table with three columns", b"Name the third column")


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run, to be read only."""
    return finished_run(tmp_path_factory.mktemp("unreconciled"))


@pytest.fixture
def home(original: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(original, tmp_path / "home")


def blobs(home: Path) -> list[bytes]:
    """Every stored text as its bytes stand in the file."""
    connection = sqlite3.connect(home / "events.db")
    found = [bytes(data) for (data,) in connection.execute("SELECT data FROM blobs")]
    connection.close()
    return found


def on_disk(home: Path) -> bytes:
    """Everything that is in the files of the database."""
    return b"".join(path.read_bytes() for path in home.glob("events.db*"))


def test_deleted_content_is_nowhere_in_the_files(home: Path) -> None:
    """Texts, digests' salt and cached answers are overwritten, in the database and in its WAL."""
    before = on_disk(home)
    texts = [data for data in blobs(home) if data in before]
    connection = sqlite3.connect(home / "events.db")
    [(salt,)] = connection.execute("SELECT salt FROM salts WHERE run = 'five'")
    connection.close()
    assert len(texts) > 20
    assert salt in before

    found = doing(home, lambda w: delete_content(w, RUN))

    after = on_disk(home)
    assert found.overwritten
    assert found.texts >= len(texts)
    assert found.size >= sum(map(len, texts))
    assert [data for data in texts if data in after] == []
    assert salt not in after
    assert not any(secret in after for secret in SECRETS)


def test_chain_money_and_decisions_stay_provable(home: Path) -> None:
    """The audit passes and says that the texts are deleted; the spend is what it was; a second time is refused."""
    log = EventLog.open_to_read(home)
    spend = sqlite_of(log).query("SELECT * FROM spend")
    log.close()
    doing(home, lambda w: delete_content(w, RUN))
    report = audited(home)
    assert failures(report) == set()
    assert [(check.name, check.reason) for check in report.skipped] == [
        *((name, "they were deleted") for name in ("texts", "readings", "prompts", "settings", "files")),
    ]
    log = EventLog.open_to_read(home)
    assert sqlite_of(log).query("SELECT * FROM spend") == spend
    assert [record.type for record in log.read(RUN)][-1] == "content.deleted"
    log.close()
    with pytest.raises(UsageError, match="deleted already"):
        doing(home, lambda w: delete_content(w, RUN))
    for door in (lambda w: w.resume(RUN), lambda w: w.resume(RUN, add_budget=None)):
        with pytest.raises(UsageError, match="content of five was deleted"):
            in_workspace(home, door)


def test_missing_texts_are_excused_by_nothing_but_the_event(home: Path) -> None:
    """Deleting rows by hand is damage, also where another run's content was deleted in order."""
    connection = unguarded(home)
    connection.execute("DELETE FROM blobs")
    connection.execute("DELETE FROM salts")
    connection.close()
    assert failures(audited(home)) == {(RUN, "texts")}
    with pytest.raises(DamagedLogError, match="salt"):
        doing(home, lambda w: delete_content(w, RUN))


def test_a_live_run_and_a_damaged_one_keep_their_content(home: Path) -> None:
    """The process that has the run is named; what is damaged is evidence."""
    workspace_log = EventLog.open(home)
    lock = workspace_log.locks.acquire(RUN)
    with pytest.raises(RunLockedError, match="is being run"):
        doing(home, lambda w: delete_content(w, RUN))
    lock.release()
    workspace_log.close()
    connection = unguarded(home)
    connection.execute("UPDATE events SET at = at + 1 WHERE version = 30")
    connection.close()
    with pytest.raises(DamagedLogError):
        doing(home, lambda w: delete_content(w, RUN))
    assert len(blobs(home)) > 20


def test_a_dead_session_is_ended_before(tmp_path: Path) -> None:
    """What a killed process left in flight is unreconciled, and then the content goes."""
    spec = spec_of(write_project(tmp_path / "project"))

    def snapshot(version: int, at: int, event: object) -> None:
        if version >= 40 and isinstance(event, CallStarted) and not (tmp_path / "killed").exists():
            copied(tmp_path / "home", tmp_path / "killed")

    in_workspace(tmp_path / "home", lambda w: w.start(spec, watchers=Watchers(observers=[snapshot])))
    killed = tmp_path / "killed"
    doing(killed, lambda w: delete_content(w, RUN))
    log = EventLog.open_to_read(killed)
    assert [record.type for record in log.read(RUN)][-2:] == ["session.lost", "content.deleted"]
    log.close()
    assert failures(audited(killed)) == set()


def test_a_deletion_is_all_or_nothing(home: Path) -> None:
    """Where the log cannot be written everything is as it was."""

    async def failing(workspace: object) -> None:
        sqlite_of(workspace.log).connection.execute("PRAGMA query_only = ON")  # type: ignore[attr-defined]
        await delete_content(workspace, RUN)  # type: ignore[arg-type]

    with pytest.raises(LogError):
        doing(home, failing)
    assert len(blobs(home)) > 20
    assert failures(audited(home)) == set()
    assert doing(home, lambda w: delete_content(w, RUN)).texts > 20


def test_garbage_is_what_no_event_refers_to(home: Path) -> None:
    """Texts that were staged for nothing go, everything else stays, and the file gets smaller."""
    connection = unguarded(home)
    for number in range(200):
        connection.execute("INSERT INTO blobs VALUES ('five', ?, randomblob(5000))", (f"{number:064x}",))
    connection.execute("INSERT INTO cache VALUES ('key', 'gone', 5)")
    connection.close()
    log = EventLog.open(home)
    lock = log.locks.acquire(RUN)
    log.close()
    held = doing(home, lambda w: w.log.collect())
    assert (held.texts, held.skipped) == (0, (RUN,))
    lock.release()

    found = doing(home, lambda w: w.log.collect())

    assert (found.texts, found.size, found.skipped) == (200, 10**6, ())
    assert held.cached == 1
    assert found.after < found.before - 900_000
    assert failures(audited(home)) == set()
    again = doing(home, lambda w: w.log.collect())
    assert (again.texts, again.cached) == (0, 0)


def test_stats_count_what_is_there(home: Path) -> None:
    """Events, texts and bytes of every stream, and the file as a whole."""
    log = EventLog.open_to_read(home)
    found = log.stats()
    [(events,)] = sqlite_of(log).query("SELECT count(*) FROM events")
    log.close()
    [five] = found.runs
    assert (five.run, five.events, five.texts, five.deleted, five.is_large) == (
        RUN,
        events,
        len(blobs(home)),
        False,
        False,
    )
    assert found.file == (home / "events.db").stat().st_size
    assert 0 < five.event_bytes + five.text_bytes < found.file


def test_a_history_that_grows_is_warned_of(caplog: pytest.LogCaptureFixture) -> None:
    """Once at the limit, and again only at each doubling."""
    watch = Growth("long", large=10)
    with caplog.at_level(logging.WARNING, "orchestrator.log"):
        for version in range(1, 45):
            watch(version, 0, TaskStarted("t"))
    assert [record.args for record in caplog.records] == [("long", 10), ("long", 20), ("long", 40)]


# ── kept no longer ─────────────────────────────────────────────────────────────────────────────────────────────────


def _policy(folder: Path, text: str) -> str:
    path = folder / "retention.yaml"
    path.write_text(text)
    return str(path)


def test_gc_deletes_what_a_policy_keeps_no_longer(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Not what is younger, not what is held; the rest is deleted once, and stays provable."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(home))
    long, held = "retention: {keep: 180d}", f"retention: {{keep: 1s, hold: [{RUN}]}}"
    assert command(capsys, "log", "gc", "--policy", _policy(tmp_path, long), "--json").json["expired"] == []
    time.sleep(1.1)
    assert command(capsys, "log", "gc", "--policy", _policy(tmp_path, held), "--json").json["held"] == [RUN]
    short = ("log", "gc", "--policy", _policy(tmp_path, "retention: {keep: 1s}"))
    before = (home / "events.db").read_bytes()
    would = command(capsys, *short, "--dry-run", "--json").json
    assert ((home / "events.db").read_bytes(), would["dry_run"]) == (before, True)
    assert "texts would be deleted" in command(capsys, *short, "--dry-run").out
    gone = command(capsys, *short, "--json").json
    assert would == {**gone, "bytes_after": would["bytes_before"], "lock_files": 0, "dry_run": True}
    assert [each["run_id"] for each in gone["expired"]] == [RUN]
    assert command(capsys, *short, "--json").json["expired"] == []
    assert failures(audited(home)) == set()


def test_a_spec_and_the_configuration_say_how_long_texts_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The shortest time counts; a run that any spec holds is kept."""
    home, second = tmp_path / "data", Retention(1_000_000)
    for run, retention in (("short", second), ("held", second), ("holder", Retention(None, ("held",)))):
        spec = evolve(spec_of(write_project(tmp_path / run, run=run)), retention=retention)
        in_workspace(home, lambda w, spec=spec: w.start(spec))  # type: ignore[misc]
    monkeypatch.setenv("ORCHESTRATE_HOME", str(home))
    time.sleep(1.1)
    found = command(capsys, "log", "gc", "--json").json
    assert ([each["run_id"] for each in found["expired"]], found["held"]) == (["short"], ["held"])
    configuration = tmp_path / "config.toml"
    configuration.write_text('[retention]\nkeep = "1s"\n')
    monkeypatch.setenv("ORCHESTRATE_CONFIG", str(configuration))
    time.sleep(1.1)
    found = command(capsys, "log", "gc", "--json").json
    assert ([each["run_id"] for each in found["expired"]], found["held"]) == (["holder"], ["held"])


@pytest.mark.parametrize("text", ["retention: {keep: 1y}", "retention: {keep: 5}", "retention: [1]", "retentoin: {}"])
def test_a_retention_that_is_none_deletes_nothing(
    home: Path, tmp_path: Path, text: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is named with its line."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(home))
    shown = command(capsys, "log", "gc", "--policy", _policy(tmp_path, text))
    assert (shown.code, "retention.yaml:1" in shown.err) == (2, True)
