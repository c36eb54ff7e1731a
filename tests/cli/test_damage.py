"""Reading a run whose log was changed behind the program's back: said, marked, and in the exit code."""

import json
import shutil
from pathlib import Path
from typing import Final

import pytest

from tests.cli.command import ANSWERS, orchestrate, rows, scripted_spec
from tests.cli.conftest import Finished
from tests.cli.in_process import command
from tests.cli.test_reading import tamper

READING: Final = (
    "runs show done",
    "runs show done --json",
    "runs export done -o out",
    "runs diff done done",
    "runs diff done done --json",
    "explain done",
    "explain done --json",
    "watch done",
    "costs done",
    "costs done --by task --json",
    "costs reconcile done",
    "report done -o page.html --force",
    "metrics done",
    "metrics done --format json",
    "log show done",
    "log show done --json",
    "log tail done",
    "log export done",
)
"""What shows a run."""

PROVING: Final = (
    "replay done",
    "whatif done",
    "audit records done",
    "audit export done -o b.tar",
    "log export done --as-script s.json",
)
"""What shows nothing of a damaged run: it would be worth nothing."""

_ANSWER: Final = "(SELECT min(position) FROM events WHERE type = 'call.succeeded')"
DAMAGES: Final = {
    "money": f"UPDATE events SET data = replace(data, '\"settled\":', '\"settled\":9') WHERE position = {_ANSWER}",
    "no JSON": f"UPDATE events SET data = substr(data, 1, 30) WHERE position = {_ANSWER}",
    "no UTF-8": f"UPDATE events SET data = CAST(x'7bff7d' AS TEXT) WHERE position = {_ANSWER}",
    "a type": f"UPDATE events SET type = 'nonsense' WHERE position = {_ANSWER}",
    "a row gone": "DELETE FROM events WHERE position = (SELECT min(position) FROM events WHERE type = 'call.started')",
    "the first row gone": "DELETE FROM events WHERE position = 1",
    "the end gone": "DELETE FROM events WHERE version > 12",
    "all rows gone": "DELETE FROM events",
    "texts": "UPDATE blobs SET data = x'00'",
    "texts gone": "DELETE FROM blobs",
}


@pytest.fixture(scope="module", params=DAMAGES)
def damaged(request: pytest.FixtureRequest, finished: Finished, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder whose run is damaged, to be read only."""
    home = shutil.copytree(finished.home, tmp_path_factory.mktemp("damaged") / "home")
    tamper(home, DAMAGES[request.param])
    return home


@pytest.mark.parametrize("words", [*READING, *PROVING])
def test_nothing_is_shown_of_a_damaged_run_without_a_word(
    damaged: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Exit 6, and one line with the run, the first bad event and the command that proves it."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(damaged))
    monkeypatch.chdir(tmp_path)
    ended = command(capsys, *words.split())
    assert ended.code == 6, ended.err
    (line,) = [each for each in ended.err.splitlines() if "done is damaged at event " in each or "is missing" in each]
    assert "orchestrate audit verify done" in line
    if words in PROVING:
        assert ended.out == ""


@pytest.mark.parametrize("words", ["runs list", "log stats", "budget show", "cache stats", "metrics --all --simulated"])
def test_a_listing_verifies_nothing(
    finished: Finished, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """A changed amount is not looked for where no run is named: that costs time."""
    home = shutil.copytree(finished.home, tmp_path / "home")
    tamper(home, DAMAGES["money"])
    monkeypatch.setenv("ORCHESTRATE_HOME", str(home))
    ended = command(capsys, *words.split())
    assert (ended.code, "damaged" in ended.err) == (0, False)


def test_what_can_be_read_is_shown_and_marked(
    own_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status and money of a run that still can be folded are shown as unverified, wherever they stand."""
    tamper(own_copy, DAMAGES["money"])
    monkeypatch.setenv("ORCHESTRATE_HOME", str(own_copy))
    shown = command(capsys, "runs", "show", "done").lines
    assert [line.split()[0] for line in shown if line.endswith("(damaged, unverified)")] == ["status", "spend"]
    found = command(capsys, "runs", "show", "done", "--json").json
    assert [(each["run_id"], each["shown"]) for each in found["damaged"]] == [("done", "all")]
    assert "total (damaged, unverified)" in command(capsys, "costs", "done").out
    assert command(capsys, "runs", "diff", "done", "done").lines[-1].endswith("settings and decisions")
    assert command(capsys, "runs", "diff", "done", "done").out.count("(damaged, unverified)") == 2
    assert command(capsys, "explain", "done").lines[-1] == "done: damaged, unverified"
    out = tmp_path / "out"
    assert command(capsys, "runs", "export", "done", "-o", str(out)).code == 6
    assert json.loads((out / "summary.json").read_text())["damaged"][0]["run_id"] == "done"
    assert "is damaged" in (out / "README.md").read_text().splitlines()[0]
    assert (out / "task_001_code_generation.py").is_file()


def test_of_what_cannot_be_read_the_intact_part_is_shown(
    own_copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where a row cannot be decoded the run is shown as it was before it, and that is said."""
    ((position,),) = rows(own_copy, f"SELECT {_ANSWER}")
    ((cost,),) = rows(own_copy, f"SELECT json_extract(data, '$.settled') FROM events WHERE position = {position}")
    tamper(own_copy, DAMAGES["no JSON"])
    monkeypatch.setenv("ORCHESTRATE_HOME", str(own_copy))
    ended = command(capsys, "runs", "show", "done", "--json")
    assert "only the events before that are shown" in ended.err
    found = ended.json
    assert (found["status"], found["damaged"][0]["position"], found["damaged"][0]["shown"]) == (
        "interrupted",
        position,
        "part",
    )
    assert cost > 0
    assert found["settled_usd"] == "0.000000000"
    assert f"(only before event {position} (v{position}), damaged)" in command(capsys, "runs", "show", "done").out
    (held,) = command(capsys, "costs", "done", "--json").json
    assert (held["settled_usd"], held["held_usd"] == found["held_usd"]) == ("0.000000000", True)
    reported = command(capsys, "log", "show", "done").out
    assert reported.count("(cannot be read: event") == 1
    assert "run.finished" in reported


def test_damaged_texts_leave_the_money_readable(
    own_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Notes stand for texts that are not what was written; an output that is one of them is not written to a file."""
    before = orchestrate(own_copy, "runs", "show", "done", "--json").json
    tamper(own_copy, DAMAGES["texts"])
    monkeypatch.setenv("ORCHESTRATE_HOME", str(own_copy))
    ended = command(capsys, "runs", "show", "done", "--json")
    assert "its events are whole, its texts are not" in ended.err
    assert (ended.json["spent_usd"], ended.json["tasks"][0]["output"]) == (before["spent_usd"], "(damaged)")
    exported = command(capsys, "runs", "export", "done", "-o", str(tmp_path / "out"))
    assert "! the output of only is damaged or missing, and is not written" in exported.err
    assert not list((tmp_path / "out").glob("task_*"))


def test_a_damaged_run_leaves_the_others_readable(
    own_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row that is no JSON breaks SQL over all runs; what another run spent is told all the same, and no other way."""
    spec = scripted_spec(tmp_path, project_id="other", answers=[ANSWERS[0]])
    assert orchestrate(own_copy, "run", str(spec)).code == 0
    monkeypatch.setenv("ORCHESTRATE_HOME", str(own_copy))
    keys = ("model", "phase", "task", "provider", "run", "team")
    before = {by: command(capsys, "costs", "other", "--by", by, "--json").json for by in keys}
    tamper(own_copy, f"{DAMAGES['no JSON']}")
    for by in keys:
        ended = command(capsys, "costs", "other", "--by", by, "--json")
        assert (ended.code, ended.err, ended.json) == (0, "", before[by])
    assert command(capsys, "runs", "show", "other").code == 0
    for words in ("runs list", "costs --all --simulated"):
        ended = command(capsys, *words.split())
        assert ended.code == 3
        assert "orchestrate audit verify" in ended.err


def test_a_fork_of_a_damaged_past_is_damaged(
    own_copy: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The event of the parent is named; what the fork alone did is not shown without its past."""
    assert orchestrate(own_copy, "fork", "done", "--at", "v20", "--project-id", "later").code == 0
    tamper(own_copy, DAMAGES["a row gone"])
    monkeypatch.setenv("ORCHESTRATE_HOME", str(own_copy))
    for words in ("runs show later", "explain later", "log show later", "costs later"):
        ended = command(capsys, *words.split())
        assert ended.code == 6
        assert "later is damaged at event " in ended.err


def test_a_plan_goes_on_without_what_cannot_be_read(
    own_copy: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a damaged log measured is left out of a forecast, and that is said."""
    tamper(own_copy, DAMAGES["no UTF-8"])
    monkeypatch.setenv("ORCHESTRATE_HOME", str(own_copy))
    ended = command(capsys, "plan", str(scripted_spec(tmp_path)))
    assert ended.code == 0
    assert "! what earlier runs measured is left out" in ended.err
