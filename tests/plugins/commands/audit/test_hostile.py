"""Logs and bundles of somebody who means harm: one line, exit code 6, no traceback, no more memory than is allowed."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from orchestrator.errors import UsageError
from orchestrator_audit.bundles.checking import verify
from tests.cli.command import clean_environment
from tests.cli.in_process import command
from tests.log.project import RUN, unguarded
from tests.plugins.commands.audit.logs import finished_run
from tests.plugins.commands.audit.test_bundles import bundle, members_of, repacked

MOST_MEMORY = 400 * 1024 * 1024
COLUMNS = {
    "events": ("stream", "version", "type", "schema", "at", "data", "hash"),
    "blobs": ("run", "digest", "data"),
    "salts": ("salt",),
}
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=20),
    st.binary(max_size=40),
    st.sampled_from(["", "null", "[]", "{}", "[" * 5000, '{"call":1e999}', "five", "a" * 64, "\ud7ff"]),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run."""
    return finished_run(tmp_path_factory.mktemp("hostile"))


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.sampled_from(sorted(COLUMNS)), column=st.integers(0), row=st.integers(0), value=VALUES)
@example(table="events", column=0, row=0, value=b"")
def test_any_value_anywhere_in_the_database_is_found(
    table: str,
    column: int,
    row: int,
    value: object,
    original: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A column of any row set to something of any type: exit code 6, and no traceback, of verify and of a reader."""
    home = tmp_path / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(original, home)
    name = COLUMNS[table][column % len(COLUMNS[table])]
    connection = unguarded(home)
    owner = "stream" if table == "events" else "run"
    found = connection.execute(f"SELECT rowid, {name} FROM {table} WHERE {owner} != ''").fetchall()
    at, before = found[row % len(found)]
    assume(before != value)
    place = connection.execute("SELECT data ->> 'place' FROM events WHERE type = 'run.started'").fetchone()[0]
    if table == "blobs":
        assume(connection.execute("SELECT digest FROM blobs WHERE rowid = ?", (at,)).fetchone()[0] != place)
    try:
        connection.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (value, at))
    except (sqlite3.Error, OverflowError, UnicodeEncodeError):
        assume(False)
    finally:
        connection.close()
    shown = command(capsys, "audit", "verify", "--home", str(home))
    assert (shown.code, "Traceback" in shown.err) == (6, False), shown
    assert shown.lines[0].startswith(("first bad event: ", "bad: "))
    shown = command(capsys, "runs", "show", RUN, "--home", str(home))
    assert shown.code in (0, 2, 3, 6)
    assert "Traceback" not in shown.err


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_a_flipped_bit_of_the_file_makes_no_traceback(
    at: float, bit: int, original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Where it is part of no row nothing changes; anywhere else it is found."""
    home = tmp_path / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(original, home)
    content = bytearray((home / "events.db").read_bytes())
    content[int(at * len(content))] ^= 1 << bit
    (home / "events.db").write_bytes(content)
    shown = command(capsys, "audit", "verify", "--home", str(home))
    assert shown.code in (0, 6), shown
    if shown.code == 0:
        query = "SELECT stream, version, type, schema, at, data, hash FROM events ORDER BY position"
        before, after = (sqlite3.connect(each / "events.db") for each in (original, home))
        assert before.execute(query).fetchall() == after.execute(query).fetchall()
        before.close()
        after.close()


def bounded(*words: str, home: Path) -> tuple[int, str]:
    """Exit code and stderr of a command that may not have more memory than is allowed."""

    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (MOST_MEMORY, MOST_MEMORY))

    ended = subprocess.run(
        [sys.executable, "-m", "orchestrator", *words],
        cwd=home,
        env=clean_environment(home),
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=120,
    )
    return ended.returncode, ended.stderr


def _bomb(connection: sqlite3.Connection) -> None:
    packed = zlib.compress(bytes(900 << 20), 9)
    packed += zlib.crc32(packed).to_bytes(4, "big")
    connection.execute("UPDATE blobs SET data = ? WHERE rowid = (SELECT min(rowid) FROM blobs)", (packed,))


def _large_event(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE events SET data = ? WHERE position = 20", ("[" + "0," * (90 << 20) + "0]",))


def _unfolding_event(connection: sqlite3.Connection) -> None:
    connection.execute("UPDATE events SET data = ? WHERE position = 20", ("[" + "{}," * (9 << 20) + "{}]",))


def _large_page(connection: sqlite3.Connection) -> None:
    for version in range(1, 151):
        row = (version, '{"task":"' + "x" * (3 << 20) + '"}', "0" * 64)
        connection.execute(
            "INSERT INTO events(stream, version, type, schema, at, data, hash)"
            " VALUES ('big', ?, 'task.started', 1, 1, ?, ?)",
            row,
        )


def _endless(connection: sqlite3.Connection) -> None:
    connection.execute("ALTER TABLE events RENAME TO aside")
    connection.execute(
        "CREATE VIEW events AS WITH RECURSIVE r(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM r) SELECT n AS position,"
        " 's' AS stream, n AS version, 't' AS type, 1 AS schema, 1 AS at, '{}' AS data, 'x' AS hash FROM r"
    )


@pytest.mark.parametrize("harm", [_bomb, _large_event, _unfolding_event, _large_page, _endless])
def test_a_log_that_could_fill_the_memory_is_refused(
    original: Path, tmp_path: Path, harm: Callable[[sqlite3.Connection], None]
) -> None:
    """A text that unpacks to much, an event that is large, a page of them, a table without an end."""
    home = Path(shutil.copytree(original, tmp_path / "home"))
    connection = unguarded(home)
    connection.guards = ()
    harm(connection)
    connection.close()
    code, err = bounded("audit", "verify", home=home)
    assert (code, "Traceback" in err) == (6, False), err


def test_a_bundle_that_could_fill_the_memory_is_refused(original: Path, tmp_path: Path) -> None:
    """Lines of JSON that unfold to hundreds of times their size, in every member."""
    bundle(original, tmp_path / "run.tar")
    whole = members_of(tmp_path / "run.tar")
    unfolding = b"[" + b"{}," * (8 << 20) + b"{}]\n"
    for name in ("manifest.json", "events.jsonl", "texts.jsonl"):
        (tmp_path / "bad.tar").write_bytes(repacked({**whole, name: unfolding}))
        code, err = bounded("audit", "verify", str(tmp_path / "bad.tar"), home=tmp_path)
        assert (code, "Traceback" in err) == (6, False), (name, err)


def test_what_has_no_end_is_no_bundle(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A pipe is not waited for and a device not read, named by a person or by an event of an archived run."""
    os.mkfifo(tmp_path / "pipe.tar")
    for path in (str(tmp_path / "pipe.tar"), "/dev/zero"):
        ended = command(capsys, "log", "import", path, "--into", str(tmp_path / "received.db"))
        assert (ended.code, "it is no file" in ended.err) == (2, True)
        with pytest.raises(UsageError, match="it is no file"):
            verify(Path(path))
    assert not (tmp_path / "received.db").exists()


def test_of_many_bad_rows_some_are_named(original: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A message of millions of lines helps nobody."""
    home = Path(shutil.copytree(original, tmp_path / "home"))
    connection = unguarded(home)
    numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
    connection.execute(f"INSERT INTO open_holds {numbers} SELECT '{RUN}', i, 'account/org', 1 FROM n")
    connection.execute(f"INSERT INTO cache {numbers} SELECT printf('%064x', i), '{RUN}', i FROM n")
    connection.close()
    shown = command(capsys, "audit", "verify", "--home", str(home))
    assert shown.code == 6
    assert len(shown.lines) < 40
    assert "more rows that are not as they must be" in shown.out
