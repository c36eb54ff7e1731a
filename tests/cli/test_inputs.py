"""What users type wrong: one line, exit 2, and nothing is lost."""

from pathlib import Path

import pytest

from orchestrator.ledger.event_log import EventLog
from tests.cli.command import orchestrate, scripted_spec
from tests.cli.conftest import Finished
from tests.cli.in_process import command
from tests.sql import sqlite_of

LONG = "a" * 300

BAD = {
    "an empty id": (["run", "spec.json", "--project-id", ""], "--project-id is empty"),
    "an empty id of a fork": (["fork", "done", "--at", "12", "--project-id", ""], "--project-id is empty"),
    "an empty file name": (["run", ""], "the name is empty"),
    "an empty data folder's name": (["runs", "list", "--home", ""], "the name is empty"),
    "a name too long for a report": (["report", "done", "-o", LONG], "File name too long"),
    "a device for a report": (["report", "done", "-o", "/dev/null"], "no file that can be replaced"),
    "a name too long for a script": (["log", "export", "done", "--as-script", LONG + ".json"], "File name too long"),
    "a script that is no JSON": (["log", "export", "done", "--as-script", "x.txt"], "does not end in .json"),
    "a folder for a script": (["log", "export", "done", "--as-script", "folder.json"], "exists: choose a new file"),
    "a file to recover into": (["log", "recover", "done", "--into", "spec.json"], "exists, and is no folder"),
    "a name too long to recover into": (["log", "recover", "done", "--into", LONG], "File name too long"),
    "more lines than there can be": (["log", "tail", "done", "-n", "99999999999999999999"], "--lines"),
    "a head that is none": (["audit", "verify", "--head", ""], "64 hexadecimal digits"),
    "a name too long for a run": (["audit", "verify", LONG], "there is no run or bundle"),
    "an endless key": (["audit", "export", "done", "-o", "b.tar", "--sign", "/dev/zero"], "device or a pipe"),
    "endless costs": (["costs", "reconcile", "--from", "/dev/zero"], "device or a pipe"),
    "a folder of costs": (["costs", "reconcile", "--from", "."], "this is a folder"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_and_exits_with_2(
    finished: Finished,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    case: str,
) -> None:
    """No traceback, no endless reading, no file left behind."""
    arguments, said = BAD[case]
    scripted_spec(tmp_path)
    (tmp_path / "folder.json").mkdir()
    before = {path: path.stat().st_size for path in tmp_path.rglob("*")}
    monkeypatch.setenv("ORCHESTRATE_HOME", str(finished.home))
    monkeypatch.chdir(tmp_path)
    ended = command(capsys, *arguments)
    assert (ended.code, ended.out) == (2, ""), ended.err
    (line,) = ended.err.splitlines()
    assert said in line
    assert {path: path.stat().st_size for path in tmp_path.rglob("*")} == before


ACCOUNT = (
    "runs show",
    "explain",
    "costs",
    "metrics",
    "replay",
    "watch",
    "report",
    "whatif",
    "audit verify",
    "audit records",
)


@pytest.mark.parametrize("words", ACCOUNT)
def test_an_account_is_no_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: str
) -> None:
    """Its stream can be read with log; whatever wants a run says where accounts are shown."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path))
    assert command(capsys, "budget", "set", "sim/org", "5").code == 0
    assert command(capsys, "log", "show", "sim/account/org").code == 0
    ended = command(capsys, *words.split(), "sim/account/org")
    assert ended.code == 2
    assert "is an account, no run" in ended.err


def test_a_worker_is_no_run(tmp_path: Path) -> None:
    """It is no run to be shown, counted or verified alone."""
    home = tmp_path / "home"
    assert orchestrate(home, "submit", str(scripted_spec(tmp_path, project_id="only"))).code == 0
    assert orchestrate(home, "worker", "--until-idle").code == 0
    log = EventLog.open_to_read(home)
    [worker] = log.streams("worker/")
    log.close()
    assert f"{worker!r} is a worker, no run" in orchestrate(home, "audit", "verify", worker).err
    assert f"{worker!r} is a worker, no run" in orchestrate(home, "runs", "show", worker).err
    assert "there is 1 run" in orchestrate(home, "runs", "show", "last~1").err


def test_a_file_of_costs_is_settled_whole_or_not_at_all(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where one of its lines names a call without unreconciled money, no other is settled."""
    unknown = {"role": "critic", "text": "Fine.", "usage": None}
    spec = scripted_spec(tmp_path, project_id="k", answers=[unknown])
    home = tmp_path / "home"
    orchestrate(home, "run", str(spec))
    monkeypatch.setenv("ORCHESTRATE_HOME", str(home))
    (unreconciled, *_) = command(capsys, "costs", "reconcile", "--json").json
    file = tmp_path / "costs.csv"
    file.write_text(f"run,call,amount_usd\nk,{unreconciled['call']},0.01\nk,9999,0.01\nunknown,3,0.01\n")
    ended = command(capsys, "costs", "reconcile", "--from", str(file))
    assert ended.code == 2
    assert [line.split(": ")[1] for line in ended.err.splitlines()] == [f"{file}:3", f"{file}:4"]
    assert unreconciled in command(capsys, "costs", "reconcile", "--json").json


def test_an_account_has_the_same_name_wherever_it_is_shown(tmp_path: Path) -> None:
    """What `budget` takes and shows is what the run, `explain` and a refused budget call it."""
    home = tmp_path / "home"
    for name, amount in (("sim/org", "1"), ("sim/team/eng", "0.000001")):
        assert orchestrate(home, "budget", "set", name, amount).code == 0
    ended = orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="r", team="eng")))
    assert ended.code == 4
    assert "account sim/team/eng has" in ended.err
    reported = orchestrate(home, "explain", "r", "--all")
    assert "the account sim/team/eng has" in reported.out
    refusals = [each for each in orchestrate(home, "explain", "r", "--json").json if each["kind"] == "refusal"]
    assert {each["name"] for each in refusals if each["limit"] == "account"} == {"sim/team/eng"}
    log = EventLog.open_to_read(home)
    try:
        recorded = sqlite_of(log).query(
            "SELECT json_extract(data, '$.account') FROM events WHERE type = 'account.refused'"
        )
    finally:
        log.close()
    assert {name for (name,) in recorded} == {"team/eng"}
