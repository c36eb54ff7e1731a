"""Texts encrypted at rest: with the key everything is as ever, without it nothing can be read, and both are said."""

import asyncio
import shutil
import sqlite3
import time
from pathlib import Path

import pytest
from attrs import evolve

from orchestrator import events as e
from orchestrator.engine.content_retention import delete_content
from orchestrator.engine.live_text import LiveTextFile, read_calls
from orchestrator.errors import DamagedLogError, LogError
from orchestrator.ledger.event_log import EventLog
from orchestrator.ledger.mailbox_requests import ANSWER
from orchestrator.log import text_encryption
from orchestrator.log.text_encryption import Keys, NoKeyError, is_sealed
from orchestrator.log.texts import WITHOUT_KEY
from orchestrator.state.fold import fold
from tests.cli.in_process import command
from tests.log.project import RUN, in_workspace, spec_of, unguarded, write_project
from tests.plugins.commands.audit.logs import audited, doing, failures, forked

pytest.importorskip("cryptography")
SECRET = b"A table with three columns"


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run whose texts are encrypted, and a fork of it."""
    folder = tmp_path_factory.mktemp("sealed")
    spec = evolve(spec_of(write_project(folder / "project")), encrypt=True)
    in_workspace(folder / "home", lambda w: w.start(spec))
    forked(folder / "home", 60, "encrypt=false")
    return folder / "home"


@pytest.fixture
def home(original: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of it, which the command uses."""
    copy = Path(shutil.copytree(original, tmp_path / "home"))
    monkeypatch.setenv("ORCHESTRATE_HOME", str(copy))
    return copy


def stored(home: Path) -> list[tuple[str, bytes]]:
    """Every stored text and salt, with its run."""
    connection = sqlite3.connect(home / "events.db")
    found = connection.execute("SELECT run, data FROM blobs UNION ALL SELECT run, salt FROM salts").fetchall()
    connection.close()
    return [(str(run), bytes(data)) for run, data in found]


def text_of(home: Path, run: str = RUN) -> str | None:
    """What ``runs show`` could print of a run: its project; None where it cannot be read."""
    from orchestrator.log import Texts

    log = EventLog.open_to_read(home)
    try:
        texts, first = Texts(log, run, bytes, log.redactor), next(log.read(run)).event
        return texts.get(first.project)  # type: ignore[attr-defined]
    except KeyError:
        return None
    finally:
        log.close()


def test_nothing_is_stored_in_clear_and_all_is_verified(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Texts and salts of the run and of its fork are encrypted, each with a key that only its owner reads."""
    mine = [data for run, data in stored(home) if run]
    assert len(mine) > 20
    assert all(is_sealed(data) for data in mine)
    assert all(SECRET not in path.read_bytes() for path in home.rglob("*") if path.is_file())
    keys = sorted((home / "keys").iterdir())
    assert [path.name for path in keys] == [f"{RUN}-fork.key", f"{RUN}.key"]
    assert {path.stat().st_mode & 0o777 for path in keys} == {0o600}
    assert keys[0].read_bytes() != keys[1].read_bytes()
    assert failures(audited(home)) == set()
    assert text_of(home) == SECRET.decode()
    assert command(capsys, "audit", "verify", "--strict", RUN).code == 0
    assert command(capsys, "replay", RUN, "--verify").code == 0


def test_deleting_the_key_deletes_the_texts_of_every_copy(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The rest stays provable; what cannot be checked is said, and fails with --strict."""
    (home / "keys" / f"{RUN}.key").unlink()
    assert text_of(home) is None
    shown = command(capsys, "audit", "verify", RUN)
    assert (shown.code, "encrypted, and the key of five is not here" in shown.err) == (0, True)
    assert command(capsys, "audit", "verify", RUN, "--strict").code == 6
    for words in (("runs", "show", RUN), ("explain", RUN, "t1"), ("replay", RUN, "--verify"), ("costs", "show", RUN)):
        assert command(capsys, *words).code == 0, words
    shown = command(capsys, "resume", RUN)
    assert (shown.code != 0, len(shown.err.splitlines())) == (True, 1)


def test_a_key_that_is_not_here_is_no_deletion(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command says that the texts are encrypted and where the key is looked for, until they are deleted."""
    key = home / "keys" / f"{RUN}.key"
    kept = key.rename(tmp_path / "kept.key")
    lacking = f"encrypted, and the key of {RUN} is not here: {key}"
    out = str(tmp_path / "out")
    for words in (
        ("audit", "verify", RUN),
        ("audit", "export", RUN, "-o", str(tmp_path / "one.tar")),
        ("explain", RUN, "t1", "--prompts"),
        ("runs", "export", RUN, "-o", out),
        ("runs", "diff", RUN, RUN),
        ("fork", RUN, "--at", "v9"),
        ("resume", RUN),
        ("log", "export", RUN, "--as-script", f"{out}.json"),
    ):
        ended = command(capsys, *words)
        shown = ended.out + ended.err
        assert lacking in shown, words
        assert "deleted" not in shown, words
    listed = command(capsys, "runs", "list")
    assert WITHOUT_KEY in listed.out
    assert str(home / "keys") in listed.err
    assert command(capsys, "runs", "show", RUN, "--json").json["tasks"][0]["output"] == WITHOUT_KEY
    assert command(capsys, "report", RUN, "-o", str(tmp_path / "page.html")).code == 0
    assert "is encrypted, and the key" in (tmp_path / "page.html").read_text()
    fork = command(capsys, "audit", "export", f"{RUN}-fork", "-o", str(tmp_path / "fork.tar"))
    assert (fork.code, lacking in fork.err) == (0, True)
    kept.rename(key)
    assert WITHOUT_KEY not in command(capsys, "runs", "list").out
    assert command(capsys, "runs", "delete", RUN, "--yes").code == 0
    assert "(deleted)" in command(capsys, "runs", "list").out
    gone = command(capsys, "runs", "diff", RUN, RUN).out
    assert "the content of a run was deleted" in gone


def test_runs_delete_takes_the_key_away(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A copy of the folder without its keys, such as a backup, is of no use then; a fork keeps what it needs."""
    backup = Path(shutil.copytree(home, home.parent / "backup", ignore=shutil.ignore_patterns("keys")))
    assert command(capsys, "runs", "delete", RUN, "--yes").code == 0
    assert [path.name for path in (home / "keys").iterdir()] == [f"{RUN}-fork.key"]
    assert text_of(backup) is None
    assert text_of(home, f"{RUN}-fork") == SECRET.decode()
    assert failures(audited(home)) == set()
    assert all(is_sealed(data) for run, data in stored(home) if run)
    doing(home, lambda w: delete_content(w, f"{RUN}-fork"))
    assert list((home / "keys").iterdir()) == []


@pytest.mark.parametrize("without", [RUN, f"{RUN}-fork"])
def test_what_a_fork_needs_is_not_deleted_without_the_keys(
    without: str, home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key can come back: until then the texts that a fork shares stay, encrypted, and it is said what to do."""
    key, fork = home / "keys" / f"{without}.key", f"{RUN}-fork"
    kept = key.rename(tmp_path / "kept.key")
    policy = tmp_path / "policy.yaml"
    policy.write_text(f"retention: {{keep: 1s, hold: [{fork}]}}\n")
    before = stored(home)
    ended = command(capsys, "runs", "delete", RUN, "--yes")
    assert ended.code != 0
    assert f"{fork} shares encrypted texts of {RUN}, and the key of {without} is not here: {key}" in ended.err
    assert f"delete the content of {fork} first" in ended.err
    assert stored(home) == before
    time.sleep(1.1)  # no text is kept for less than a second
    for words in ((), ("--dry-run",)):
        found = command(capsys, "log", "gc", "--policy", str(policy), "--json", *words).json
        assert (found["expired"], found["expired_without_key"]) == ([], [RUN])
    kept.rename(key)
    assert command(capsys, "runs", "delete", RUN, "--yes").code == 0
    assert text_of(home, fork) == SECRET.decode()


@pytest.mark.parametrize(
    "script",
    [
        "UPDATE blobs SET data = (SELECT data FROM blobs AS b WHERE b.run = 'five' AND b.digest != blobs.digest)",
        "UPDATE salts SET salt = zeroblob(32) WHERE run = 'five'",
        "UPDATE blobs SET data = x'017365616c65640a00' WHERE run = 'five'",
        "UPDATE blobs SET data = x'00' WHERE run = 'five'",
    ],
    ids=["exchanged", "salt in clear", "cut", "in clear"],
)
def test_what_is_stored_otherwise_is_found(home: Path, script: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each edit ends with exit code 6; with the key away, what stands in clear is found all the same."""
    with unguarded(home) as connection:
        connection.executescript(script)
    assert command(capsys, "audit", "verify", RUN).code == 6
    assert (RUN, "texts") in failures(audited(home, RUN))


def test_a_run_that_is_not_encrypted_cannot_be_made_to_seem_so(tmp_path: Path) -> None:
    """Texts replaced by something that looks encrypted are damaged, not unreadable for want of a key."""
    spec = spec_of(write_project(tmp_path / "project"))
    in_workspace(tmp_path / "home", lambda w: w.start(spec))
    with unguarded(tmp_path / "home") as connection:
        connection.execute("UPDATE blobs SET data = ?", (b"\1sealed\n" + bytes(60),))
    assert (RUN, "texts") in failures(audited(tmp_path / "home"))


def test_answers_of_an_encrypted_run_are_not_reused(home: Path) -> None:
    """Another run would hold them without this one's key."""
    connection = sqlite3.connect(home / "events.db")
    assert connection.execute("SELECT count(*) FROM cache").fetchone() == (0,)
    connection.close()


def test_what_is_recovered_is_encrypted_with_the_same_key(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The key comes with it."""
    target = home.parent / "saved"
    assert command(capsys, "log", "recover", RUN, "--into", str(target)).code == 0
    assert (target / "keys" / f"{RUN}.key").read_bytes() == (home / "keys" / f"{RUN}.key").read_bytes()
    assert text_of(target) == SECRET.decode()
    assert all(is_sealed(data) for _, data in stored(target))


def test_a_bundle_of_it_is_read_by_its_recipient(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is exported is in clear, and is verified without any key."""
    bundle, into = home.parent / "run.tar", home.parent / "got.db"
    assert command(capsys, "audit", "export", RUN, "-o", str(bundle)).code == 0
    shown = command(capsys, "audit", "verify", str(bundle))
    assert (shown.code, "texts" in shown.err.split("checked: ")[-1]) == (0, True)
    assert command(capsys, "log", "import", str(bundle), "--into", str(into)).code == 0
    assert SECRET in bundle.read_bytes()


def test_keys_are_bound_to_their_run(tmp_path: Path) -> None:
    """A key opens only what was sealed for its run and under its name; one that is none is said to be."""
    keys = Keys(tmp_path)
    for run in ("one", "two"):
        keys.make(run)
        keys.make(run)
    sealed = keys.seal("one", "a", b"text")
    assert keys.open("one", "a", sealed) == b"text"
    for run, name in (("one", "b"), ("two", "a")):
        with pytest.raises(DamagedLogError):
            keys.open(run, name, sealed)
    with pytest.raises(NoKeyError):
        Keys(None).open("one", "a", sealed)
    assert keys.seal("none", "a", b"text") == b"text"
    (tmp_path / text_encryption.FOLDER / "bad.key").write_bytes(b"short")
    with pytest.raises(LogError, match="no key"):
        keys.of("bad")
    assert keys.delete("one") is True
    assert keys.delete("one") is False
    assert keys.of("one") is None


def test_without_the_package_the_run_does_not_begin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says what to install; nothing is stored."""
    import sys

    monkeypatch.setitem(sys.modules, "cryptography.hazmat.primitives.ciphers.aead", None)
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    path = write_project(tmp_path / "project")
    path.write_text(path.read_text().replace("{", '{"encrypt": true,', 1))
    shown = command(capsys, "run", str(path))
    assert (shown.code, "[sign]" in shown.err) == (2, True)
    assert stored(tmp_path / "home") == []


def test_what_is_asked_of_an_encrypted_run_is_encrypted(home: Path) -> None:
    """An answer may hold a person's words: with the key it is read, without it nothing is read or put in."""
    log = EventLog.open(home)
    try:
        asyncio.run(log.ask(RUN, ANSWER, at=1, text="words of a person"))
        [kept] = log.store.asked(RUN)
        assert "words" not in kept.text
        assert [each.text for each in log.asked(RUN)] == ["words of a person"]
    finally:
        log.close()
    Keys(home).delete(RUN)
    log = EventLog.open(home)
    try:
        with pytest.raises(NoKeyError):
            log.asked(RUN)
        with pytest.raises(NoKeyError):
            asyncio.run(log.ask(RUN, ANSWER, at=1, text="more words"))
    finally:
        log.close()


def test_a_request_of_an_encrypted_run_stored_in_clear_is_found(home: Path) -> None:
    """Its end is taken away, as if it went on."""
    with unguarded(home) as connection:
        connection.execute("DELETE FROM events WHERE stream = ? AND type = 'run.finished'", (RUN,))
        connection.execute("INSERT INTO requests(run, kind, text, at) VALUES (?, 'answer', 'words', 1)", (RUN,))
    found = [problem.message for check in audited(home).failed if check.name == "rows" for problem in check.problems]
    assert any("stored in clear" in each for each in found)


def test_live_texts_of_an_encrypted_run_are_in_no_file(home: Path, tmp_path: Path) -> None:
    """Neither in its first session nor in a later one."""
    log = EventLog.open_to_read(home)
    events = [record.event for record in log.read(RUN)]
    state = fold((record.at, record.event) for record in log.read(RUN))
    log.close()
    call = next(each for each in events if isinstance(each, e.CallStarted))
    for before in (None, state):
        file = LiveTextFile(tmp_path, lambda text: text)
        file.begin(RUN, before)
        file.observe(1, 1, events[0])
        file.take(call, "words")
        assert read_calls(tmp_path, RUN) == ()
