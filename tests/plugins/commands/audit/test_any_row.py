"""Any value in any row beside the events: no traceback, and no ok where anybody would read something else."""

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from tests.cli.command import orchestrate, scripted_spec
from tests.cli.in_process import command
from tests.log.project import unguarded
from tests.plugins.commands.audit.test_beside_the_run import rewritten
from tests.plugins.commands.audit.test_insider import store_calls

ONE, CUT = "one", "two"
ALWAYS_FOUND = ("open_holds", "stored_runs", "stored_calls")
TABLES = (*ALWAYS_FOUND, "cache", "requests", "pace", "salts")
READ = (("runs", "list"), ("costs", "show", "--all", "--simulated"), ("budget", "show"), ("explain", ONE))
VALUES = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(max_size=9),
    st.binary(max_size=33),
    st.sampled_from(["", ONE, CUT, "sim/account/org", "cancel", "a" * 64, "sim/" + "b" * 64, "scripted/closed", 8]),
)


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with a finished run, and one whose process died in its first call; every table has a row."""
    folder = tmp_path_factory.mktemp("any")
    home = folder / "home"
    assert orchestrate(home, "budget", "set", "sim/org", "10").code == 0
    for run in (ONE, CUT):
        task = {"id": "only", "type": "code_generation", "prompt": f"Write {run}."}
        scripted_spec(folder / run, tasks=[task], project_id=run, cache=True)
        assert orchestrate(home, "run", "spec.json", cwd=folder / run).code == 0
    rewritten(home, _cut)
    with closing(unguarded(home)) as connection:
        held = "data ->> 'run', data ->> 'call', stream, data ->> 'amount'"
        last = "SELECT max(position) FROM events WHERE type = 'account.held'"
        connection.execute(f"INSERT INTO open_holds SELECT {held} FROM events WHERE position = ({last})")
        connection.execute("DELETE FROM cache WHERE run = ?", (CUT,))
        connection.execute("INSERT INTO requests(run, kind, text, at) VALUES (?, 'cancel', '', 1)", (CUT,))
        connection.execute("INSERT INTO pace VALUES ('sim/scripted/requests', 1)")
        known = "SELECT value FROM events, json_tree(data) WHERE stream = ? AND value IS NOT NULL"
        connection.execute(f"DELETE FROM blobs WHERE run = ? AND digest NOT IN ({known})", (CUT, CUT))
    store_calls(home)
    return home


def _cut(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Everything until the second run has started its first call."""
    started = [row["position"] for row in rows if (row["stream"], row["type"]) == (CUT, "call.started")]
    return [row for row in rows if row["position"] <= started[0] + 1]  # with its hold


def shown(capsys: pytest.CaptureFixture[str], home: Path) -> list[tuple[int, str]]:
    """What commands say of the log; a traceback is none of it."""
    ended = [command(capsys, *words, "--json", "--home", str(home)) for words in READ]
    assert not any("Traceback" in each.err or "defect" in each.err for each in ended)
    return [(each.code, each.out) for each in ended]


@pytest.mark.heavy
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(table=st.sampled_from(TABLES), column=st.integers(0), row=st.integers(0), value=VALUES)
@example(table="cache", column=2, row=0, value=None)
@example(table="cache", column=2, row=0, value="x")
@example(table="open_holds", column=3, row=0, value=1)
@example(table="open_holds", column=3, row=0, value="x")
@example(table="requests", column=4, row=0, value="x")
@example(table="pace", column=1, row=0, value=2.5)
@example(table="stored_runs", column=1, row=0, value="FAILED")
@example(table="salts", column=0, row=1, value=CUT * 2)
def test_any_value_in_any_row_is_found_or_changes_nothing_that_is_read(
    table: str,
    column: int,
    row: int,
    value: object,
    original: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Holds and stored rows always; of the others what leads to nothing, and what is of another type."""
    home = tmp_path / "home"
    shutil.rmtree(home, ignore_errors=True)
    shutil.copytree(original, home)
    with closing(sqlite3.connect(home / "events.db", isolation_level=None)) as connection:
        names = [each[1] for each in connection.execute(f"PRAGMA table_info({table})")]
        name = names[column % len(names)]
        found = connection.execute(f"SELECT rowid, {name} FROM {table} ORDER BY rowid").fetchall()
        assert found, table
        at, old = found[row % len(found)]
        try:
            connection.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (value, at))
            [(new,)] = connection.execute(f"SELECT {name} FROM {table} WHERE rowid = ?", (at,))
        except (sqlite3.Error, UnicodeEncodeError, ValueError):
            assume(False)
    assume((type(new), new) != (type(old), old))
    verified = command(capsys, "audit", "verify", "--home", str(home))
    assert (verified.code in (0, 6), "Traceback" in verified.err) == (True, False), verified
    after = shown(capsys, home)  # which may end the dead session, and let go of its hold
    if verified.code == 0:
        assert table not in ALWAYS_FOUND
        shutil.rmtree(home)
        shutil.copytree(original, home)
        assert after == shown(capsys, home)
    else:
        assert verified.lines[0].startswith(("first bad event: ", "bad: "))


def test_before_an_edit_all_is_well(original: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """What is found above is found because of the edit; every table has a row."""
    assert command(capsys, "audit", "verify", "--home", str(original)).code == 0
    with closing(sqlite3.connect(original / "events.db")) as connection:
        assert all(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in TABLES)
