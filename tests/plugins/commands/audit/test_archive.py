"""Old runs leave the log for signed bundles; what is left of them proves where they are and what they spent."""

import asyncio
import json
import shutil
from pathlib import Path

import pytest
from attrs import evolve

from orchestrator.engine.runs import Engine
from orchestrator.errors import LogError, UsageError
from orchestrator.events import RunArchived
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import read_heads
from orchestrator.money import Usd
from orchestrator_audit.bundles import archiving, writing
from orchestrator_audit.bundles.signing import OWN_KEY, make_key
from tests.cli.command import Ended
from tests.cli.in_process import command
from tests.log.project import RUN, in_workspace, spec_of, unguarded, write_project
from tests.plugins.commands.audit.logs import audited, failures, forked, on_copy

FORK = "side"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run on an organisation's account."""
    folder = tmp_path_factory.mktemp("archive")
    spec = spec_of(write_project(folder / "project"))
    in_workspace(folder / "home", lambda w: w.start(spec, caps={"org": Usd.parse("20")}))
    make_key(folder / "home" / OWN_KEY)
    return folder / "home"


@pytest.fixture
def home(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which commands use."""
    return on_copy(original, tmp_path, monkeypatch)


@pytest.fixture
def to(tmp_path: Path) -> Path:
    """Where the bundles go."""
    return tmp_path / "bundles"


def archived(capsys: pytest.CaptureFixture[str], to: Path, *more: str) -> Ended:
    """Archive whatever has ended."""
    return command(capsys, "log", "archive", "--older-than", "0d", "--to", str(to), *more)


def left_of(home: Path, run: str = RUN) -> RunArchived | None:
    """What is left of a run that is archived."""
    log = EventLog.open_to_read(home)
    try:
        return log.archived(run)
    finally:
        log.close()


def test_a_run_moves_into_a_bundle_and_stays_proved(home: Path, to: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The log passes its audit, its heads and accounts included, and so does the bundle, with the run's own head."""
    head = read_heads(home)[-1].head
    assert archived(capsys, to).code == 0
    event = left_of(home)
    assert event is not None
    assert event.head == head
    assert failures(audited(home)) == set()
    verified = command(capsys, "audit", "verify", "--json")
    assert verified.code == 0
    checks = {(each["run"], each["check"]): each["result"] for each in json.loads(verified.out)["checks"]}
    assert checks[RUN, "bundle"] == checks["sim/account/org", "accounts"] == "passed"
    for words in ((RUN, "--strict"), (RUN, "--head", head), (str(to / f"{RUN}.bundle"), "--head", head)):
        assert command(capsys, "audit", "verify", *words).code == 0


def test_what_is_shown_says_that_it_is_archived_and_money_is_what_it_was(
    home: Path, to: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Lists, sums and accounts; whatever needs the events says in one line where they are."""
    sums: list[tuple[str, ...]] = [
        ("costs", RUN, "--by", by, "--json") for by in ("model", "phase", "task", "provider", "run", "team")
    ]
    sums += [("costs", "--all", "--simulated", "--by", "phase", "--json"), ("budget", "show", "--json")]
    before = [json.loads(command(capsys, *words).out) for words in sums]
    archived(capsys, to)
    assert [json.loads(command(capsys, *words).out) for words in sums] == before
    [run] = json.loads(command(capsys, "runs", "list", "--status", "archived", "--json").out)["items"]
    assert (run["run_id"], run["status"], run["tasks"]) == (RUN, "archived", 5)
    shown = json.loads(command(capsys, "runs", "show", RUN, "--json").out)
    assert (shown["archived"]["status"], shown["archived"]["path"]) == ("SUCCESS", str(to / f"{RUN}.bundle"))
    assert "archived" in command(capsys, "runs", "show", RUN).out
    assert f"{RUN} is archived" in command(capsys, "costs", RUN).err
    assert "run.archived" in command(capsys, "log", "show", RUN).out
    refused = (("explain", RUN), ("resume", RUN), ("replay", RUN), ("fork", RUN, "--at", "v9"), ("runs", "delete", RUN))
    for words in refused:
        ended = command(capsys, *words)
        assert (ended.code, "orchestrate log import" in ended.err) == (2, True), words


def test_the_bundle_is_read_as_any_other(
    home: Path, to: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is imported, and every decision in it is computed again."""
    archived(capsys, to)
    database = tmp_path / "back.db"
    assert command(capsys, "log", "import", str(to / f"{RUN}.bundle"), "--into", str(database)).code == 0
    assert command(capsys, "replay", RUN, "--verify", "--home", str(database)).code == 0


def test_a_dry_run_changes_nothing(home: Path, to: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It says which runs would go where, and which are not old enough are not named."""
    before = (home / "events.db").read_bytes()
    found = json.loads(archived(capsys, to, "--dry-run", "--json").out)
    assert (found["dry_run"], [each["run_id"] for each in found["archived"]]) == (True, [RUN])
    young = command(capsys, "log", "archive", "--older-than", "30d", "--to", str(to), "--json")
    assert json.loads(young.out)["archived"] == []
    assert not to.exists()
    assert (home / "events.db").read_bytes() == before


def test_what_is_open_held_live_or_damaged_is_left(
    home: Path, to: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each with its reason; nothing of it changes."""
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"retention: {{hold: [{RUN}]}}\n")
    forked(home, 60, name=FORK)
    assert json.loads(archived(capsys, to, "--policy", str(policy), "--json").out)["left"] == {
        RUN: archiving.HELD,
        FORK: archiving.OPEN,
    }
    assert json.loads(archived(capsys, to, "--json").out)["left"] == {RUN: archiving.SHARED, FORK: archiving.OPEN}
    assert left_of(home) is None


def test_a_live_run_and_a_damaged_one_are_left(home: Path, to: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A process has the first; the second is evidence."""
    log = EventLog.open(home)
    lock = log.locks.acquire(RUN)
    assert json.loads(archived(capsys, to, "--json").out)["left"] == {RUN: archiving.LIVE}
    lock.release()
    log.close()
    connection = unguarded(home)
    connection.execute("UPDATE events SET at = at + 1 WHERE stream = 'five' AND version = 30")
    connection.close()
    assert "damaged" in json.loads(archived(capsys, to, "--json").out)["left"][RUN]
    assert left_of(home) is None


def test_forks_go_before_the_runs_whose_events_they_share(
    home: Path, to: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Both are archived by one command, each bundle whole by itself; a dry run counts the same events."""
    forked(home, 60, name=FORK)
    assert command(capsys, "resume", FORK).code == 0
    dry = json.loads(archived(capsys, to, "--dry-run", "--json").out)
    found = json.loads(archived(capsys, to, "--json").out)
    assert [each["run_id"] for each in found["archived"]] == [FORK, RUN]
    assert [each["events"] for each in dry["archived"]] == [each["events"] for each in found["archived"]]
    assert failures(audited(home)) == set()
    for run in (FORK, RUN):
        assert command(capsys, "audit", "verify", str(to / f"{run}.bundle")).code == 0


@pytest.mark.parametrize("broken", ["make", "verify", "_synced", "archive"])
def test_an_interrupted_archive_loses_nothing_and_is_done_again(
    home: Path, to: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    """Wherever it ends, the run is in the log as it was; a second time it is archived, under the same name."""

    def interrupted(*_: object, **__: object) -> None:
        raise LogError("interrupted")

    place = {"make": writing, "archive": EventLog}.get(broken, archiving)
    with monkeypatch.context() as patch:
        patch.setattr(place, broken, interrupted)
        assert archived(capsys, to).code == 3
    assert left_of(home) is None
    assert failures(audited(home)) == set()
    assert archived(capsys, to).code == 0
    assert [path.name for path in to.iterdir()] == [f"{RUN}.bundle"]
    assert failures(audited(home)) == set()


def test_a_bundle_of_another_log_is_never_replaced(home: Path, to: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two data folders may have a run of the same name, and one folder for their bundles."""
    to.mkdir()
    (to / f"{RUN}.bundle").write_text("another")
    archived(capsys, to)
    assert (to / f"{RUN}.bundle").read_text() == "another"
    event = left_of(home)
    assert event is not None
    assert event.bundle == archiving._digest(to / f"{RUN}-2.bundle")


@pytest.mark.parametrize("run", ["job-1", "job", "job-2"])
def test_a_free_name_is_that_of_the_run_and_a_number(tmp_path: Path, run: str) -> None:
    """A number at the end of a run's own id is no number of a bundle: it would be taken for another run's."""
    path = tmp_path / f"{run}.bundle"
    for name in (run, f"{run}-2", f"{run}-3"):
        found = archiving._free(path, "0" * 64)
        assert found.name == f"{name}.bundle"
        found.write_text(name)
    assert archiving._free(path, archiving._digest(tmp_path / f"{run}-2.bundle")).name == f"{run}-2.bundle"


def test_a_bundle_that_was_changed_or_moved_is_noticed(
    home: Path, to: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A changed one fails the audit; one that is elsewhere could not be checked."""
    archived(capsys, to)
    path = to / f"{RUN}.bundle"
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + b"x")
    assert failures(audited(home)) == {(RUN, "bundle")}
    path.unlink()
    assert command(capsys, "audit", "verify").code == 0
    assert command(capsys, "audit", "verify", "--strict").code == 6


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("UPDATE events SET data = replace(data, '\"calls\":1', '\"calls\":2') WHERE stream = 'five'", (RUN, "chain")),
        ("DELETE FROM events WHERE stream = 'five'", (RUN, "heads")),
        ("DELETE FROM events WHERE stream = 'sim/account/org' AND version > 9", ("sim/account/org", "accounts")),
    ],
)
def test_what_is_left_cannot_be_changed(
    home: Path, to: Path, capsys: pytest.CaptureFixture[str], change: str, check: tuple[str, str]
) -> None:
    """Neither it nor the account that it spent from."""
    archived(capsys, to)
    connection = unguarded(home)
    connection.execute(change)
    connection.close()
    assert check in failures(audited(home))


def test_a_run_that_went_on_meanwhile_is_not_cut(home: Path, to: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is left names the last event; where that is another by now, nothing is written."""
    archived(capsys, to)
    event = left_of(home)
    other = Path(shutil.copytree(home, home.parent / "other"))
    assert event is not None
    engine = Engine.open(other)
    try:
        with pytest.raises(UsageError, match="has gone on"):
            asyncio.run(engine.log.archive(RUN, event, 1, {}, b"s"))
    finally:
        engine.close()


def test_the_last_run_is_the_one_that_began_last(home: Path, to: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is left of an older run stands behind it in the log."""
    spec = evolve(spec_of(write_project(to.parent / "later")), project_id="later")
    in_workspace(home, lambda w: w.start(spec))
    policy = to.parent / "policy.yaml"
    policy.write_text("retention: {hold: [later]}\n")
    assert archived(capsys, to, "--policy", str(policy)).code == 0
    assert (left_of(home) is None, left_of(home, "later")) == (False, None)
    listed = command(capsys, "runs", "list", "--json").json
    assert [each["run_id"] for each in listed] == ["later", RUN]
    assert command(capsys, "runs", "show", "last", "--json").json["run_id"] == "later"
    assert command(capsys, "runs", "show", "last~1", "--json").json["run_id"] == RUN
