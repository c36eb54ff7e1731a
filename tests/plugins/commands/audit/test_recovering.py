import asyncio
import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from orchestrator.engine.session_lifetime import Watchers
from orchestrator.errors import LogError, RunLockedError, UsageError
from orchestrator.events import RunStarted
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import FileLocks, Recorded
from orchestrator.models import ProjectStatus
from orchestrator.money import Usd
from orchestrator.settings import RunSettings
from orchestrator_audit.recovering import recover_run
from tests.log.project import RUN, copied, in_workspace, spec_of, unguarded, write_project


@frozen
class Original:
    """A data folder with the finished run ``five`` and, after it, the finished run ``other``."""

    home: Path
    outputs: dict[str, bytes]
    events: tuple[Recorded, ...]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Original:
    """Both runs, made once; tests damage copies."""
    folder = tmp_path_factory.mktemp("original")
    for run in (RUN, "other"):
        spec = spec_of(write_project(folder / run, run=run))
        in_workspace(folder / "home", lambda w, spec=spec, out=folder / f"out-{run}": w.start(spec, output=out))  # type: ignore[misc]
    log = EventLog.open_to_read(folder / "home")
    events = tuple(log.read(RUN))
    log.close()
    return Original(folder / "home", outputs(folder / f"out-{RUN}"), events)


@pytest.fixture
def home(original: Original, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return copied(original.home, tmp_path / "damaged")


def outputs(folder: Path) -> dict[str, bytes]:
    """What a run wrote for its tasks."""
    return {path.name: path.read_bytes() for path in folder.glob("task_*")}


def contents(folder: Path) -> dict[str, str]:
    """Name and digest of everything in a folder."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in folder.rglob("*")
        if path.is_file()
    }


def change(home: Path, *statements: str) -> None:
    """Change the tables of a data folder."""
    connection = unguarded(home)
    for statement in statements:
        assert connection.execute(statement).rowcount != 0, statement
    connection.close()


def read(home: Path, run: str = RUN) -> list[Recorded]:
    """The events of a run; the whole log verifies."""
    log = EventLog.open_to_read(home)
    try:
        assert log.verify() == []
        return list(log.read(run))
    finally:
        log.close()


def same(one: Recorded, other: Recorded) -> bool:
    """Whether two rows are equal, their places in the log aside."""
    return (one.version, one.type, one.at, one.data, one.hash) == (
        other.version,
        other.type,
        other.at,
        other.data,
        other.hash,
    )


def is_prefix(found: list[Recorded], original: Original) -> bool:
    """Whether these are the first events of the run, unchanged."""
    return all(same(one, other) for one, other in zip(found, original.events, strict=False))


def test_a_whole_run_is_copied_and_nothing_else_is_touched(original: Original, home: Path, tmp_path: Path) -> None:
    """Every event and text of the run, none of another; the source keeps every byte."""
    before = contents(home)

    result = recover_run(home, RUN, tmp_path / "new")

    assert contents(home) == before
    assert result.is_complete
    assert (result.events, result.head) == (len(original.events), original.events[-1].hash)
    assert result.lines()[-1] == "nothing of the run is known to be lost"
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["events.db"]
    assert len(read(tmp_path / "new")) == result.events
    assert read(tmp_path / "new", "other") == []


@pytest.mark.parametrize("version", [2, 3, 9, 40, 77, 110, 128, 129])
@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM events WHERE position = {at}",
        "UPDATE events SET data = '{{}}' WHERE position = {at}",
        "UPDATE events SET version = 4611686018427387904 WHERE position = {at}",
        "UPDATE events SET stream = 'elsewhere' WHERE position = {at}",
        "UPDATE events SET hash = CAST(hash AS BLOB) WHERE position = {at}",
        "UPDATE events SET type = 'task' || char(27) || 'finished' WHERE position = {at}",
    ],
)
def test_the_prefix_ends_before_the_first_bad_event(
    original: Original, home: Path, tmp_path: Path, version: int, damage: str
) -> None:
    """Whatever happened to one event, all before it are saved, and the report names it and what is behind it."""
    at = original.events[version - 1].position
    change(home, damage.format(at=at))

    result = recover_run(home, RUN, tmp_path / "new")

    found = read(tmp_path / "new")
    assert result.events == len(found) == version - 1
    assert is_prefix(found, original)
    assert result.known == len(original.events)
    assert result.lost_events == len(original.events) - version + 1
    assert result.last_position == original.events[version - 2].position
    assert {record.position for record in original.events[version:]} <= set(result.lost)
    if version < len(original.events):
        assert result.findings
        assert result.findings[0].position in (at, original.events[version - 2].position)
    assert not result.is_complete
    assert f"lost: versions {version} to {len(original.events)}" in "\n".join(result.lines())
    assert all(line.isprintable() for line in result.lines())


@pytest.mark.parametrize("version", range(2, 130, 13))
def test_what_was_saved_goes_on_to_the_same_end(original: Original, home: Path, tmp_path: Path, version: int) -> None:
    """A recovered run resumes: the same files, and a log that verifies."""
    change(home, f"DELETE FROM events WHERE stream = '{RUN}' AND version = {version + 1}")
    recover_run(home, RUN, tmp_path / "new")

    outcome = in_workspace(tmp_path / "new", lambda w: w.resume(RUN, output=tmp_path / "out"))

    assert outcome.state.finished is not None
    assert outcome.state.finished.status is ProjectStatus.SUCCESS
    assert outputs(tmp_path / "out") == original.outputs
    assert is_prefix(read(tmp_path / "new")[:version], original)


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        ("DELETE FROM blobs WHERE run = '{run}' AND digest = '{digest}'", "is missing"),
        ("UPDATE blobs SET data = x'00' WHERE run = '{run}' AND digest = '{digest}'", "is damaged"),
        ("UPDATE blobs SET data = 'text' WHERE run = '{run}' AND digest = '{digest}'", "is damaged"),
    ],
)
def test_a_bad_text_ends_the_prefix_before_the_first_event_that_needs_it(
    original: Original, home: Path, tmp_path: Path, damage: str, problem: str
) -> None:
    """The report names the text and every event that refers to it."""
    referring = [r for r in original.events if r.type == "call.succeeded"][3]
    digest = referring.event.answer  # type: ignore[attr-defined]
    versions = tuple(r.version for r in original.events if f'"{digest}"' in r.data)
    change(home, damage.format(run=RUN, digest=digest))

    result = recover_run(home, RUN, tmp_path / "new")

    assert result.events == versions[0] - 1
    assert [(bad.digest, bad.problem, bad.versions) for bad in result.bad_texts] == [(digest, problem, versions)]
    assert is_prefix(read(tmp_path / "new"), original)
    assert any(digest[:12] in line and problem in line for line in result.lines())


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM salts WHERE run = 'five'",
        "UPDATE salts SET salt = x'00' WHERE run = 'five'",
        "DELETE FROM events WHERE stream = 'five' AND version = 1",
        "DELETE FROM events WHERE stream = 'five'",
    ],
)
def test_where_nothing_can_be_proved_nothing_is_written(home: Path, tmp_path: Path, damage: str) -> None:
    """Without a salt or a first event there is no prefix; the message says why and what to do."""
    change(home, damage)

    with pytest.raises(LogError, match=r"nothing of five can be recovered: .*backup"):
        recover_run(home, RUN, tmp_path / "new")

    assert list((tmp_path / "new").iterdir()) == []


def test_an_unknown_run_is_an_error_of_the_command(home: Path, tmp_path: Path) -> None:
    """No rows and no head: there is no such run. No database: there is no log."""
    with pytest.raises(UsageError, match="no run 'unknown'"):
        recover_run(home, "unknown", tmp_path / "new")
    with pytest.raises(LogError, match="no event log"):
        recover_run(tmp_path, RUN, tmp_path / "new")


def test_a_cut_tail_is_known_from_the_heads(original: Original, home: Path, tmp_path: Path) -> None:
    """``heads.jsonl`` tells how many events there once were, also of lines that make no sense."""
    change(home, f"DELETE FROM events WHERE stream = '{RUN}' AND version > 100")
    with (home / "heads.jsonl").open("a") as file:
        file.write('{"run": "five"}\n[]\n\n')

    result = recover_run(home, RUN, tmp_path / "new")

    assert (result.events, result.known) == (100, len(original.events))
    assert result.findings == ()
    assert not result.is_complete


def test_nothing_is_ever_overwritten(home: Path, tmp_path: Path) -> None:
    """A file, a database in a folder, the damaged folder itself and a dangling link are refused and left alone."""
    file, folder, link = tmp_path / "file.db", tmp_path / "folder", tmp_path / "link.db"
    file.write_bytes(b"mine")
    folder.mkdir()
    (folder / "events.db").write_bytes(b"mine too")
    link.symlink_to(tmp_path / "nowhere.db")
    before = contents(home)

    for target in (file, folder, home, link, home / "events.db"):
        with pytest.raises(UsageError, match="choose a new file"):
            recover_run(home, RUN, target)

    assert (file.read_bytes(), (folder / "events.db").read_bytes()) == (b"mine", b"mine too")
    assert not (tmp_path / "nowhere.db").exists()
    assert contents(home) == before


def test_the_target_may_be_a_file_and_the_source_too(original: Original, home: Path, tmp_path: Path) -> None:
    """A name that ends in ``.db`` is the new file; a database may be named instead of its folder."""
    result = recover_run(home / "events.db", RUN, tmp_path / "deep" / "saved.db")

    assert result.path == tmp_path / "deep" / "saved.db"
    assert [path.name for path in result.path.parent.iterdir()] == ["saved.db"]
    assert result.events == len(original.events)


def test_a_run_that_is_being_run_is_left_alone(home: Path, tmp_path: Path) -> None:
    """Two copies of one run would pay twice."""
    handle = FileLocks(home).acquire(RUN)
    try:
        with pytest.raises(RunLockedError, match="wait for it to end"):
            recover_run(home, RUN, tmp_path / "new")
    finally:
        handle.release()


def test_events_that_are_only_in_the_wal_are_saved(tmp_path: Path) -> None:
    """What a killed process had committed and not yet folded into the database counts."""
    spec = spec_of(write_project(tmp_path / "p"))

    def snapshot(version: int, at: int, event: object) -> None:
        if version == 60:
            copied(tmp_path / "home", tmp_path / "killed")

    in_workspace(tmp_path / "home", lambda w: w.start(spec, watchers=Watchers(observers=[snapshot])))
    assert (tmp_path / "killed" / "events.db-wal").stat().st_size > 0
    before = contents(tmp_path / "killed")

    result = recover_run(tmp_path / "killed", RUN, tmp_path / "new")

    assert result.events >= 60
    assert result.is_complete
    assert contents(tmp_path / "killed") == before


def pages(home: Path) -> Iterator[int]:
    """The numbers of the pages of a database, from 0."""
    size = (home / "events.db").stat().st_size
    assert size > 20 * 4096
    yield from range(size // 4096)


@pytest.mark.parametrize("fill", [b"\0", b"\xff", b"\x0d\x05"])
def test_any_page_may_be_destroyed(original: Original, tmp_path: Path, fill: bytes) -> None:
    """Whichever page of the file is overwritten: what is recovered is a prefix, or the message says that nothing is."""
    saved: list[int] = []
    for page in pages(original.home):
        home = copied(original.home, tmp_path / f"home-{page}")
        with (home / "events.db").open("r+b") as file:
            file.seek(page * 4096)
            file.write((fill * 4096)[:4096])
        try:
            result = recover_run(home, RUN, tmp_path / f"new-{page}")
        except LogError:
            saved.append(0)
        else:
            found = read(tmp_path / f"new-{page}")
            assert len(found) == result.events
            assert is_prefix(found, original)
            saved.append(result.events)
        shutil.rmtree(home)

    assert saved[0] == 0, "without its first page the file is no database"
    assert saved.count(len(original.events)) > len(saved) // 3, "pages of the other run are not in the way"
    assert any(0 < count < len(original.events) for count in saved)


def test_a_cut_file_gives_what_is_left(original: Original, tmp_path: Path) -> None:
    """A database cut at any page yields a prefix, or a message."""
    counts = []
    for page in pages(original.home):
        home = copied(original.home, tmp_path / f"home-{page}")
        with (home / "events.db").open("r+b") as file:
            file.truncate(page * 4096 + 100)
        try:
            counts.append(recover_run(home, RUN, tmp_path / f"new-{page}").events)
        except LogError:
            counts.append(0)
        else:
            assert is_prefix(read(tmp_path / f"new-{page}"), original)
    assert max(counts) > 0


def test_a_failed_copy_leaves_no_file(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new database cannot be written whole, nothing of it stays."""

    def full(connection: object) -> None:
        raise LogError("the disk is full")

    monkeypatch.setattr("orchestrator_audit.recovering.configure", full)
    with pytest.raises(LogError, match="full"):
        recover_run(home, RUN, tmp_path / "new")

    assert list((tmp_path / "new").iterdir()) == []


def test_the_accounts_of_a_run_are_named_and_not_copied(tmp_path: Path) -> None:
    """Accounts belong to many runs; a resumed run opens them anew."""

    async def scene() -> None:
        log = EventLog.open(tmp_path / "home")
        await log.open_account("org", Usd(100), at=1)
        started = RunStarted(1, RunSettings(cap=Usd(5), accounts=("org",)), "s", "p", "c", None)
        await log.append("with-account", 0, 2, [started])
        log.close()

    asyncio.run(scene())

    result = recover_run(tmp_path / "home", "with-account", tmp_path / "new")

    assert result.accounts == ("org",)
    assert any("org" in line and "open them" in line for line in result.lines())
    log = EventLog.open_to_read(tmp_path / "new")
    assert log.streams() == ["with-account"]
    log.close()


def test_swapped_and_doubled_rows_lose_nothing_that_is_proved(original: Original, home: Path, tmp_path: Path) -> None:
    """The chain proves an event wherever it stands and whatever else claims its version."""
    change(
        home,
        f"UPDATE events SET position = 9000 WHERE position = {original.events[20].position}",
        "INSERT INTO events SELECT 9001, stream, version, type, schema, at, '{}', hash FROM events"
        f" WHERE position = {original.events[30].position}",
    )

    result = recover_run(home, RUN, tmp_path / "new")

    assert result.events == len(original.events)
    assert result.lost == (9001,)
    assert result.findings
    assert not result.is_complete
