"""What somebody could do who may write the database and computes chain and heads anew: each is found and named."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.errors import LogError
from orchestrator.ledger import stored_calls
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Head, chain
from orchestrator.log.codec import CODEC
from orchestrator.log.heads import FILE
from orchestrator.log.texts import pack
from orchestrator.models import Role
from tests.cli.in_process import command
from tests.log.project import RUN, unguarded
from tests.plugins.commands.audit.logs import audited, finished_run

Edit = Callable[[int, e.Event], e.Event]


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with one finished run."""
    return finished_run(tmp_path_factory.mktemp("insider"))


@pytest.fixture
def home(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which the command uses."""
    copy = shutil.copytree(original, tmp_path / "home")
    monkeypatch.setenv("ORCHESTRATE_HOME", str(copy))
    return Path(copy)


def rewritten(home: Path, edit: Edit) -> None:
    """Change events, and compute the chain and the kept heads anew."""
    connection = unguarded(home)
    rows = connection.execute("SELECT position, version, at, type, schema, data FROM events WHERE stream = ?", (RUN,))
    previous, changed = chain.GENESIS, 0
    for position, version, at, kind, schema, data in rows.fetchall():
        event = edit(version, CODEC.decode(kind, schema, data))
        name, number, stored = CODEC.encode(event)
        changed += stored != data
        previous = chain.link(previous, RUN, version, name, number, at, stored)
        connection.execute("UPDATE events SET data = ?, hash = ? WHERE position = ?", (stored, previous, position))
    assert changed
    connection.close()
    (home / FILE).write_text(json.dumps({"run": RUN, "version": version, "head": previous}) + "\n")


def found(home: Path) -> set[tuple[str, str]]:
    """The subject and name of each failed check."""
    return {(check.subject, check.name) for check in audited(home).failed}


def events_of(home: Path) -> list[e.Event]:
    """The events of the run, from version 1."""
    log = EventLog.open_to_read(home)
    try:
        return [record.event for record in log.read(RUN)]
    finally:
        log.close()


def of_role(home: Path, role: Role) -> set[int]:
    """The versions of the calls of a role."""
    return {
        version
        for version, each in enumerate(events_of(home), 1)
        if isinstance(each, e.CallStarted) and each.role is role
    }


def test_rewriting_without_a_change_is_the_only_one_that_passes(home: Path) -> None:
    """The forger of these tests makes a chain that holds: what is found below is found by nothing but its content."""
    connection = unguarded(home)
    connection.close()
    assert found(home) == set()


def test_a_consistent_forgery_of_scores_is_found_in_the_texts(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every reading, sample, score and end of one task says 0.99: only the judge's own words say otherwise."""
    judged = of_role(home, Role.EVALUATOR)

    def forge(version: int, event: e.Event) -> e.Event:
        if isinstance(event, e.CallSucceeded) and event.call in judged:
            return evolve(event, reading=evolve(event.reading, score=0.99))
        if isinstance(event, e.Evaluated) and event.samples:
            return evolve(event, samples=tuple(0.99 for _ in event.samples), score=0.99, judged=0.99)
        if isinstance(event, e.TaskFinished) and event.score is not None:
            return evolve(event, score=0.99)
        return event

    rewritten(home, forge)
    assert found(home) == {(RUN, "readings")}
    shown = command(capsys, "audit", "verify")
    assert shown.code == 6
    assert "score 0.99 is stored" in shown.out


def test_a_sample_that_no_judge_gave_is_found(home: Path) -> None:
    """Scores without readings that say so."""

    def forge(version: int, event: e.Event) -> e.Event:
        if isinstance(event, e.Evaluated) and event.samples:
            return evolve(event, samples=(0.01, *event.samples[1:]))
        return event

    rewritten(home, forge)
    assert (RUN, "gates") in found(home)


@pytest.mark.parametrize(
    "forge",
    [
        lambda event: evolve(event, answer_bytes=event.answer_bytes + 1),
        lambda event: evolve(event, reading=evolve(event.reading, left_out=3)),
        lambda event: evolve(event, reading=evolve(event.reading, equivalence="0" * 32)),
    ],
    ids=["size", "left out", "equal to another"],
)
def test_what_was_read_from_a_draft_is_found(home: Path, forge: Callable[[Any], e.Event]) -> None:
    """Its size, what it leaves out, which other answers it equals."""
    drafts = of_role(home, Role.GENERATOR)
    rewritten(
        home, lambda _, event: forge(event) if isinstance(event, e.CallSucceeded) and event.call in drafts else event
    )
    assert (RUN, "readings") in found(home)


def test_a_dropped_defect_is_found(home: Path) -> None:
    """A critique that found something is made one that accepts."""
    critiques = of_role(home, Role.CRITIC)

    def forge(version: int, event: e.Event) -> e.Event:
        if isinstance(event, e.CallSucceeded) and event.call in critiques:
            return evolve(event, reading=evolve(event.reading, defects=()))
        return event

    rewritten(home, forge)
    assert (RUN, "readings") in found(home)


# ── beside the events ──────────────────────────────────────────────────────────────────────────────────────────────

STORAGE: dict[str, tuple[str, str, str]] = {
    "a replaced view": (
        "DROP VIEW spend; CREATE VIEW spend AS SELECT 'five' AS run_id, 5 AS settled_nano",
        "layout",
        "the view spend is not as this program makes it",
    ),
    "a dropped trigger": (
        "DROP TRIGGER events_are_never_changed",
        "layout",
        "the trigger events_are_never_changed is missing",
    ),
    "a trigger of somebody's": (
        "CREATE TRIGGER quiet AFTER INSERT ON blobs BEGIN DELETE FROM blobs; END",
        "layout",
        "the trigger quiet is none of this program's",
    ),
    "a second table": ("CREATE TABLE notes(x)", "layout", "the table notes is none of this program's"),
    "a column more": ("ALTER TABLE cache ADD COLUMN note", "layout", "the table cache is not as this program makes it"),
    "an open hold": (
        "INSERT INTO open_holds VALUES ('five', 9, 'account/org', 7)",
        "rows",
        "the open hold of call 9 in account/org is not implied by any event",
    ),
    "a text of no event": (
        f"INSERT INTO blobs VALUES ('five', '{'a' * 64}', x'00')",
        "rows",
        "no event refers to 1 of its texts",
    ),
    "the salt of no run": ("INSERT INTO salts VALUES ('ghost', x'00')", "rows", "there are rows of ghost"),
    "a cached call without an answer": (
        f"INSERT INTO cache VALUES ('{'b' * 64}', 'five', 1)",
        "rows",
        "names call 1, which has no answer",
    ),
    "a stored call": (
        "UPDATE stored_calls SET settled_nano = 5",
        "rows",
        "its stored calls are not as this program stored them",
    ),
    "the stored calls of no run": (
        "INSERT INTO stored_calls(run_id, position) VALUES ('ghost', 1)",
        "rows",
        "there are stored calls of it, and no stored run",
    ),
    "a cache key that is none": ("INSERT INTO cache VALUES ('k', 'five', 1)", "rows", "has no proper key"),
}


def store_calls(home: Path) -> None:
    """Store the calls of the runs, as in a log of many."""
    log = EventLog.open(home)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stored_calls, "WORTH", 0)
        assert stored_calls.rebuild(log.store)
    log.close()


@pytest.mark.parametrize(("script", "check", "message"), STORAGE.values(), ids=STORAGE)
def test_what_is_stored_beside_the_events_is_checked(
    home: Path, script: str, check: str, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each edit alone ends with exit code 6 and a line that names it, for the log and for its run."""
    store_calls(home)
    connection = sqlite3.connect(home / "events.db", isolation_level=None)
    connection.executescript(script)
    connection.close()
    shown = command(capsys, "audit", "verify")
    assert (shown.code, check in {name for _, name in found(home)}) == (6, True)
    assert message in shown.out
    assert "Traceback" not in shown.err


def test_commands_do_not_read_by_stored_views(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Sums and lists are what the events say, whatever a stored view or the tables of stored calls say."""
    store_calls(home)
    before = [command(capsys, *words, "--json").json for words in (("costs", "show", RUN), ("runs", "list"))]
    connection = sqlite3.connect(home / "events.db", isolation_level=None)
    for view in ("spend", "runs", "calls"):
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({view})")]
        connection.execute(f"DROP VIEW {view}")
        connection.execute(f"CREATE VIEW {view} AS SELECT {', '.join(f'7 AS {name}' for name in columns)}")
    assert connection.execute("UPDATE stored_runs SET settled_nano = 7, status = 'FAILED'").rowcount
    assert connection.execute("UPDATE stored_calls SET settled_nano = 7").rowcount
    connection.close()
    after = [command(capsys, *words, "--json").json for words in (("costs", "show", RUN), ("runs", "list"))]
    assert after == before
    assert before[0]


# ── strict, heads and files ────────────────────────────────────────────────────────────────────────────────────────


def test_strict_fails_where_no_head_was_kept(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With its head a run passes; without, and with a line that cannot be read, it could not be checked."""
    assert command(capsys, "audit", "verify", "--strict").code == 0
    kept = (home / FILE).read_text()
    (home / FILE).write_text(kept + "{half a line\n")
    shown = command(capsys, "audit", "verify", "--strict")
    assert (shown.code, "line 2 of heads.jsonl cannot be read" in shown.err) == (6, True)
    (home / FILE).unlink()
    shown = command(capsys, "audit", "verify", "--strict")
    assert (shown.code, "no head of it was kept" in shown.err) == (6, True)
    assert command(capsys, "audit", "verify").code == 0


def test_deleting_a_run_keeps_its_new_head(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A tail cut off after the deletion is found."""
    assert command(capsys, "runs", "delete", RUN, "--yes").code == 0
    log = EventLog.open_to_read(home)
    last = log.last(RUN)
    log.close()
    assert last is not None
    assert Head(RUN, last.hash, last.version) == Head(**json.loads((home / FILE).read_text().splitlines()[-1]))
    assert command(capsys, "audit", "verify").code == 0


def test_heads_are_not_written_through_a_link(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A link in the place of the file leads nowhere."""
    (home / FILE).unlink()
    (home / FILE).symlink_to(tmp_path / "elsewhere")
    command(capsys, "runs", "delete", RUN, "--yes")
    assert not (tmp_path / "elsewhere").exists()


@pytest.mark.parametrize(("folder", "file"), [(0o755, 0o600), (0o2770, 0o660)])
def test_the_database_is_for_its_owner(tmp_path: Path, folder: int, file: int) -> None:
    """In a setgid folder it is for the group, too, whatever the umask says."""
    home = tmp_path / "data"
    home.mkdir()
    home.chmod(folder)
    EventLog.open(home).close()
    assert (home / "events.db").stat().st_mode & 0o777 == file


def test_a_small_text_that_unpacks_to_much_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is called damaged, and is never held as a whole."""
    large = pack("x" * 2000)
    monkeypatch.setattr("orchestrator.log.texts.LARGEST_TEXT", 1000)
    with pytest.raises(LogError, match="is not stored"):
        pack("x" * 2000)
    connection = sqlite3.connect(home / "events.db", isolation_level=None)
    digest = connection.execute("SELECT digest FROM blobs ORDER BY length(data) DESC").fetchone()[0]
    connection.execute("UPDATE blobs SET data = ? WHERE digest = ?", (large, digest))
    connection.close()
    report = audited(home)
    assert (RUN, "texts") in {(check.subject, check.name) for check in report.failed}
    assert any("holds more than" in problem.message for check in report.failed for problem in check.problems)
