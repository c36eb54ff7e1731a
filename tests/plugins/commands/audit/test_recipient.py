"""A bundle is as good as a log to its recipient, and heads kept elsewhere convict those who rewrite it."""

import json
import shutil
from pathlib import Path

import pytest

from orchestrator.log import read_heads
from orchestrator.log.heads import FILE
from tests.cli.in_process import command
from tests.log.project import RUN, unguarded
from tests.plugins.commands.audit.logs import finished_run, forked, on_copy

READING = (
    ("replay", RUN, "--verify"),
    ("explain", RUN),
    ("explain", RUN, "t1"),
    ("audit", "records", RUN),
    ("audit", "verify"),
    ("log", "show", RUN),
    ("costs", "show", RUN),
    ("runs", "show", RUN),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run and a fork of it."""
    home = finished_run(tmp_path_factory.mktemp("sender"))
    forked(home, 60)
    return home


@pytest.fixture
def home(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which the command uses."""
    return on_copy(original, tmp_path, monkeypatch)


def exported(home: Path, capsys: pytest.CaptureFixture[str], run: str = RUN, *options: str) -> Path:
    """A bundle of a run."""
    path = home.parent / f"{run}.tar"
    assert command(capsys, "audit", "export", run, "-o", str(path), *options).code == 0
    return path


@pytest.mark.parametrize("name", ["got.db", "folder/events.db"])
def test_what_a_sender_can_ask_a_recipient_can(home: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    """Every command that reads says of the imported run what it says of the run; the database may stand alone."""
    path, into = exported(home, capsys), home.parent / name
    made = command(capsys, "log", "import", str(path), "--into", str(into))
    assert (made.code, "223" in made.out or RUN in made.out) == (0, True)
    at = into.parent if into.name == "events.db" else into
    for words in READING:
        here, there = command(capsys, *words), command(capsys, *words, "--home", str(at))
        assert (there.code, there.err.count("Traceback")) == (0, 0), words
        if words[:2] != ("audit", "verify"):
            assert there.out.replace(str(at), str(home)).replace(f" --home {home}", "") == here.out, words
    report = home.parent / "report.html"
    assert command(capsys, "report", RUN, "-o", str(report), "--home", str(at)).code == 0
    assert RUN in report.read_text()


def test_an_imported_run_cannot_be_gone_on_with(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each command that writes says in one line that it is only read, and changes nothing."""
    path, into = exported(home, capsys, f"{RUN}-fork"), home.parent / "other" / "events.db"
    assert command(capsys, "log", "import", str(path), "--into", str(into)).code == 0
    before = into.read_bytes()
    for at in (into, into.parent):
        for words in (("resume", f"{RUN}-fork"), ("runs", "delete", RUN, "--yes"), ("log", "gc")):
            shown = command(capsys, *words, "--home", str(at))
            assert (shown.code in (2, 3), "only read" in shown.err, len(shown.err.splitlines())) == (True, True, 1)
    assert into.read_bytes() == before


def test_bundles_are_put_beside_each_other(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A fork brings what it shares; its parent's bundle then adds the rest; the same again changes nothing."""
    into = home.parent / "all.db"
    for run in (f"{RUN}-fork", RUN, RUN):
        path = home.parent / f"{run}.tar"
        if not path.exists():
            exported(home, capsys, run)
        assert command(capsys, "log", "import", str(path), "--into", str(into)).code == 0
    shown = command(capsys, "audit", "verify", "--home", str(into))
    assert shown.code == 0, shown.out
    assert shown.out.count("ok:") == 2
    assert command(capsys, "replay", RUN, "--verify", "--home", str(into)).code == 0


def test_only_what_holds_is_imported(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A bad bundle, a bundle of another past and a file of somebody else's: nothing is written, and each is said."""
    path, into = exported(home, capsys), home.parent / "got.db"
    bad = home.parent / "bad.tar"
    bad.write_bytes(path.read_bytes()[:-512] + b"\1" + bytes(511))
    shown = command(capsys, "log", "import", str(bad), "--into", str(into))
    assert (shown.code, into.exists()) == (6, False)
    assert "bundle" in shown.out
    assert command(capsys, "log", "import", str(path), "--into", str(home / "events.db")).code == 2
    note = home.parent / "note.db"
    note.write_text("mine")
    assert command(capsys, "log", "import", str(path), "--into", str(note)).code == 2
    assert note.read_text() == "mine"


def test_an_imported_database_is_verified_like_a_log(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A replaced view, a changed event and a text of no event in it end with exit code 6."""
    path, into = exported(home, capsys), home.parent / "x" / "events.db"
    assert command(capsys, "log", "import", str(path), "--into", str(into)).code == 0
    for number, script in enumerate(
        (
            "DROP VIEW spend; CREATE VIEW spend AS SELECT 5 AS settled_nano",
            "UPDATE events SET at = at + 1 WHERE version = 9",
            f"INSERT INTO blobs VALUES ('{RUN}', '{'a' * 64}', x'00')",
        )
    ):
        copy = home.parent / f"copy-{number}"
        shutil.copytree(into.parent, copy)
        with unguarded(copy) as connection:
            connection.executescript(script)
        assert command(capsys, "audit", "verify", "--home", str(copy)).code == 6


def test_without_texts_the_rest_is_proved(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What cannot be checked is said, and fails with --strict."""
    path, into = exported(home, capsys, RUN, "--without-texts"), home.parent / "got.db"
    assert command(capsys, "log", "import", str(path), "--into", str(into)).code == 0
    shown = command(capsys, "audit", "verify", "--home", str(into))
    assert (shown.code, "not checked: five, texts: there are no texts here" in shown.err) == (0, True)
    assert command(capsys, "audit", "verify", "--strict", "--home", str(into)).code == 6
    assert command(capsys, "replay", RUN, "--verify", "--home", str(into)).code == 0


# ── anchors ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_anchor_convicts_one_who_rewrites_everything_else(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The tail is cut off and heads.jsonl with it: only the file elsewhere tells, of the log and of a bundle."""
    anchor = tmp_path / "elsewhere"
    shown = command(capsys, "audit", "anchor", RUN, "--to", str(anchor), "--json")
    assert shown.json["head"] == read_heads(home)[-1].head
    assert command(capsys, "audit", "anchor", RUN, "--to", str(anchor)).code == 0
    assert [json.loads(each)["run"] for each in anchor.read_text().splitlines()] == [RUN, RUN]
    whole = exported(home, capsys)
    for words in ((), (RUN,), (str(whole),)):
        assert command(capsys, "audit", "verify", *words, "--anchor", str(anchor)).code == 0
    with unguarded(home) as connection:
        connection.execute("DELETE FROM events WHERE stream = ? AND version > 60", (RUN,))
    (home / FILE).unlink()
    shown = command(capsys, "audit", "verify", RUN, "--anchor", str(anchor))
    assert (shown.code, "elsewhere has a head of v" in shown.out) == (6, True)
    shutil.rmtree(home)
    assert command(capsys, "audit", "verify", "--anchor", str(anchor)).code == 6


def test_an_anchor_that_says_nothing_is_said_to(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A line that is none fails with --strict; a file that is missing or is none is an error of one line."""
    anchor = tmp_path / "elsewhere"
    command(capsys, "audit", "anchor", RUN, "--to", str(anchor))
    with anchor.open("a") as file:
        file.write("{half\n")
    shown = command(capsys, "audit", "verify", RUN, "--anchor", str(anchor), "--strict")
    assert (shown.code, "line 2 of" in shown.err) == (6, True)
    for wrong in (tmp_path / "absent", tmp_path, Path("/dev/zero")):
        shown = command(capsys, "audit", "verify", "--anchor", str(wrong))
        assert (shown.code, shown.out, len(shown.err.splitlines())) == (2, "", 1), wrong
    (tmp_path / "no-heads").write_text("{half\n")
    shown = command(capsys, "audit", "verify", RUN, "--anchor", str(tmp_path / "no-heads"))
    assert (shown.code, "holds no head" in shown.err) == (2, True)
    assert command(capsys, "audit", "anchor", "absent", "--to", str(anchor)).code == 2
    with unguarded(home) as connection:
        connection.execute("UPDATE events SET at = at + 1 WHERE version = 30")
    shown = command(capsys, "audit", "anchor", RUN, "--to", str(tmp_path / "new"))
    assert (shown.code, (tmp_path / "new").exists()) == (6, False)


def test_a_stripped_signature_fails_where_the_data_folder_has_a_key(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Bundles of a folder with a key are signed; one that is not passes there only without --strict."""
    pytest.importorskip("cryptography")
    bare = exported(home, capsys)
    assert command(capsys, "audit", "keygen").code == 0
    signed = home.parent / "signed.tar"
    made = command(capsys, "audit", "export", RUN, "-o", str(signed), "--json").json
    assert made["signed_by"]
    assert command(capsys, "audit", "verify", str(signed), "--strict").code == 0
    assert command(capsys, "audit", "verify", str(bare)).code == 0
    shown = command(capsys, "audit", "verify", str(bare), "--strict")
    assert (shown.code, "this data folder has a key" in shown.err) == (6, True)
