import json
import sqlite3
from pathlib import Path

import pytest

from tests.cli.command import Ended, orchestrate, rows, scripted_spec


@pytest.fixture
def damaged(tmp_path: Path) -> Path:
    """A data folder with a finished run ``one`` whose 20th event was changed."""
    home = tmp_path / "home"
    assert orchestrate(home, "run", str(scripted_spec(tmp_path / "spec", project_id="one"))).code == 0
    connection = sqlite3.connect(home / "events.db")
    with connection:
        connection.execute("DROP TRIGGER events_are_never_changed")
        connection.execute("UPDATE events SET at = at + 1 WHERE version = 20")
    connection.close()
    return home


def recover(home: Path, *arguments: str) -> Ended:
    """Run ``orchestrate log recover``."""
    return orchestrate(home, "log", "recover", *arguments)


def test_the_good_part_is_copied_reported_and_gone_on_with(damaged: Path, tmp_path: Path) -> None:
    """The report names the bad event and what is lost; the printed command completes the run."""
    assert orchestrate(damaged, "resume", "one").code == 6
    total = rows(damaged, "SELECT count(*) FROM events")[0][0]

    done = recover(damaged, "one", "--into", str(tmp_path / "new"))

    assert done.code == 0, done.err
    assert done.lines[0].startswith("copied versions 1 to 19 of one and ")
    assert "wrong at event 20 (v20): this event, or its hash, was changed" in done.lines
    assert f"lost: versions 20 to {total}, after event 19" in done.lines
    assert f"orchestrate resume one --home {tmp_path / 'new'}" in done.err
    assert orchestrate(tmp_path / "new", "audit", "verify").code == 0
    assert orchestrate(tmp_path / "new", "resume", "one").code == 0
    assert orchestrate(tmp_path / "new", "audit", "verify").code == 0


def test_a_program_reads_the_report_as_json(damaged: Path, tmp_path: Path) -> None:
    """``--json`` has every part of the report; a name that ends in .db is the file."""
    done = recover(damaged, "one", "--into", str(tmp_path / "saved.db"), "--json")

    found = json.loads(done.out)
    assert (found["run_id"], found["events"], found["complete"]) == ("one", 19, False)
    assert found["path"] == str(tmp_path / "saved.db")
    assert found["lost_positions"][0] == 20
    assert [each["position"] for each in found["findings"]] == [20]
    assert len(found["head"]) == 64


@pytest.mark.parametrize(
    ("arguments", "code", "text"),
    [
        (["one"], 2, "--into"),
        (["unknown", "--into", "new"], 2, "there is no run 'unknown'"),
        (["one", "--into", "."], 2, "choose a new file"),
    ],
)
def test_what_cannot_be_done_is_said_in_a_line(damaged: Path, arguments: list[str], code: int, text: str) -> None:
    """No target, no such run, a target that exists: nothing is written."""
    before = (damaged / "events.db").read_bytes()

    done = recover(damaged, *arguments)

    assert done.code == code
    assert text in done.err
    assert "Traceback" not in done.err
    assert (damaged / "events.db").read_bytes() == before
