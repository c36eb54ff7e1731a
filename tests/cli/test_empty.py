"""An empty data folder: listing what is not there succeeds, naming it does not."""

from pathlib import Path
from typing import Any, Final

import pytest

from tests.cli.in_process import command

LISTINGS: Final[dict[str, Any]] = {
    "runs list": [],
    "costs --all": [],
    "costs reconcile": [],
    "budget show": [],
    "limits show": [],
    "cache stats": [],
    "cache clear": {"forgotten": 0},
    "log tail": None,
    "log stats": {"file_bytes": 0, "wal_bytes": 0, "free_bytes": 0, "runs": []},
    "log gc": {
        "texts": 0,
        "text_bytes": 0,
        "cached_answers": 0,
        "live": [],
        "bytes_before": 0,
        "bytes_after": 0,
        "expired": [],
        "held": [],
        "expired_live": [],
        "expired_damaged": [],
        "expired_without_key": [],
        "lock_files": 0,
        "dry_run": False,
    },
    "audit records": None,
    "metrics --all": None,
    "--list-projects": None,
}
"""What shows whatever there is, and what it prints for programs; None where it has no JSON of its own."""

OF_A_RUN: Final = (
    "resume x",
    "runs show x",
    "runs export x -o out",
    "runs delete x --yes",
    "runs diff x y",
    "explain x",
    "watch x",
    "costs x",
    "costs reconcile x",
    "costs reconcile x 5 --amount 0",
    "report x",
    "metrics x",
    "whatif x",
    "replay x",
    "fork x --at 3",
    "log show x",
    "log tail x",
    "log export x",
    "log export x --as-script s.json",
    "log recover x --into new",
    "audit verify x",
    "audit export x -o x.tar",
    "audit records x",
    "--resume x",
)
"""Everything that takes the id of a run that exists."""


@pytest.fixture(params=["nothing", "a log without runs"])
def empty(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder without a run, in a working folder of its own."""
    home = tmp_path / "home"
    monkeypatch.setenv("ORCHESTRATE_HOME", str(home))
    monkeypatch.chdir(tmp_path)
    if request.param != "nothing":
        from orchestrator.ledger.event_log import EventLog

        EventLog.open(home).close()
    return home


@pytest.mark.parametrize("words", LISTINGS)
def test_a_listing_of_nothing_succeeds_and_says_so(empty: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Exit 0 with at least a line; as JSON whatever is empty, and the folder is not made for it."""
    existed = empty.exists()
    ended = command(capsys, *words.split())
    assert ended.code == 0, ended.err
    assert (ended.out + ended.err).strip()
    if LISTINGS[words] is not None:
        as_json = command(capsys, *words.split(), "--json")
        assert as_json.code == 0
        assert existed or as_json.json == LISTINGS[words]
    assert empty.exists() == existed


@pytest.mark.parametrize("words", OF_A_RUN)
def test_a_run_that_does_not_exist_is_bad_usage(empty: Path, capsys: pytest.CaptureFixture[str], words: str) -> None:
    """Exit 2, and one line that names the run and what to do next; nothing is written beside it."""
    ended = command(capsys, *words.split())
    assert (ended.code, ended.out) == (2, ""), ended.err
    (line,) = ended.err.splitlines()
    assert "'x'" in line
    assert "--home" in line or "runs list" in line
    assert {path.name for path in empty.parent.iterdir()} <= {"home"}


NO_FOLDER: Final = (
    "runs list",
    "runs show x",
    "log stats",
    "budget show",
    "budget set org 1",
    "audit verify",
    "resume x",
)


@pytest.mark.parametrize("words", NO_FOLDER)
def test_a_data_folder_that_is_a_file_is_bad_usage(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever reads says that it is no folder."""
    file = tmp_path / "file"
    file.write_text("mine")
    monkeypatch.chdir(tmp_path)
    ended = command(capsys, *words.split(), "--home", str(file))
    assert ended.code == 2
    assert len(ended.err.splitlines()) == 1
    assert file.read_text() == "mine"


def test_an_empty_log_proves_nothing_where_there_should_be_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a log there is nothing to verify, which is bad usage; where heads tell of one it fails."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path))
    assert command(capsys, "audit", "verify").code == 2
    assert command(capsys, "audit", "verify", "--head", "0" * 64).code == 6
    (tmp_path / "heads.jsonl").write_text('{"run":"x","version":3,"head":"' + "0" * 64 + '"}\n')
    for words in ((), ("x",)):
        found = command(capsys, "audit", "verify", *words)
        assert found.code == 6
        assert "heads.jsonl has a head of this run" in found.out
    assert command(capsys, "audit", "verify", "y").code == 2
