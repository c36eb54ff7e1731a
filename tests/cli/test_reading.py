import json
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator.ledger.event_log import EventLog
from orchestrator.log import GENESIS
from orchestrator.log.chain import link
from orchestrator.past_runs.recorded_rankings import rank_of, whole_steps
from orchestrator.plugins import Catalogue
from orchestrator.replay import verify
from orchestrator.spec import json_schema, read_spec
from tests.cli.command import (
    clean_environment,
    orchestrate,
    rows,
    scripted_spec,
    signalled,
    start,
)
from tests.cli.conftest import Finished


def tamper(home: Path, sql: str) -> None:
    """Change the database behind the program's back."""
    connection = sqlite3.connect(home / "events.db")
    with connection:
        for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            connection.execute(f"DROP TRIGGER {name}")
        connection.execute(sql)
    connection.close()


# ── runs ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_runs_are_listed_with_their_titles(finished: Finished) -> None:
    """`runs list` shows id, status, spend, tasks, start, and the first line of the project's description."""
    heads, row = orchestrate(finished.home, "runs", "list").lines
    assert heads.split() == ["run", "status", "spend", "tasks", "started", "title"]
    assert row.startswith("done  SUCCESS  $0.000")
    assert row.endswith("  Write x.")
    (found,) = orchestrate(finished.home, "runs", "list", "--json").json
    assert (found["run_id"], found["title"], found["tasks"], found["cap_usd"]) == ("done", "Write x.", 1, "8.000000000")


def test_there_are_no_runs_yet(tmp_path: Path) -> None:
    """An empty data folder has no runs, which is no error."""
    done = orchestrate(tmp_path, "runs", "list")
    assert (done.code, done.out) == (0, "")
    assert "there are no runs in" in done.err
    assert orchestrate(tmp_path, "runs", "list", "--json").json == []


def test_a_title_cannot_command_the_terminal(tmp_path: Path) -> None:
    """Control characters of a description do not reach the terminal."""
    spec = scripted_spec(tmp_path, project="\x1b]0;owned\x07Build it", project_id="evil")
    assert orchestrate(tmp_path / "home", "run", str(spec)).code == 0
    shown = orchestrate(tmp_path / "home", "runs", "list").out
    assert "Build it" in shown
    assert "\x1b" not in shown
    assert "\x07" not in shown


def test_a_run_is_shown_as_it_ended(finished: Finished) -> None:
    """`runs show` prints the table the run ended with; as JSON the summary with exact amounts and the output."""
    shown = orchestrate(finished.home, "runs", "show", "done").lines
    assert shown == [line for line in finished.ended.lines if not line.startswith("files")]
    found = orchestrate(finished.home, "runs", "show", "done", "--json").json
    written = json.loads((finished.home / "out" / "summary.json").read_text())
    assert found == written
    assert found["tasks"][0]["output"].startswith("```python")


def test_results_are_exported(finished: Finished, tmp_path: Path) -> None:
    """`runs export` writes what the run wrote; into a foreign folder only with --force."""
    out = tmp_path / "export"
    assert orchestrate(finished.home, "runs", "export", "done", "-o", str(out)).code == 0
    names = {path.name for path in (finished.home / "out").iterdir()}
    assert {path.name for path in out.iterdir()} == names
    for name in names:
        assert (out / name).read_bytes() == (finished.home / "out" / name).read_bytes()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine").touch()
    refused = orchestrate(finished.home, "runs", "export", "done", "-o", str(tmp_path / "other"))
    assert refused.code == 2
    assert "--force" in refused.err


# ── log ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_event_is_a_line(finished: Finished) -> None:
    """`log show` has a readable line per event, in order; `--json` an object per event."""
    stored = rows(finished.home, "SELECT position, type, data FROM events ORDER BY position")
    shown = [line.split() for line in orchestrate(finished.home, "log", "show", "done").lines]
    assert [(int(words[0]), words[3]) for words in shown] == [(position, kind) for position, kind, _ in stored]
    finish_line = " ".join(shown[-2])
    assert "task=only status=completed score=0.95 gate=True model=north reviewer=south" in finish_line
    objects = [json.loads(line) for line in orchestrate(finished.home, "log", "show", "done", "--json").lines]
    assert [each["data"] for each in objects] == [json.loads(data) for _, _, data in stored]


def test_the_log_is_exported_as_stored(finished: Finished) -> None:
    """`log export` has every column, byte for byte, so that the chain can be computed from it."""
    lines = orchestrate(finished.home, "log", "export", "done").lines
    columns = ("position", "stream", "version", "type", "schema", "at", "hash")
    stored = rows(finished.home, f"SELECT {', '.join(columns)}, data FROM events ORDER BY position")
    for line, row in zip(lines, stored, strict=True):
        assert tuple(json.loads(line)[name] for name in columns) == row[:-1]
        assert row[-1] in line


def test_the_tail_is_the_end(finished: Finished) -> None:
    """`log tail -n 2` shows the last two events, with their run."""
    lines = orchestrate(finished.home, "log", "tail", "-n", "2").lines
    assert [line.split()[3:5] for line in lines] == [["done", "task.finished"], ["done", "run.finished"]]
    assert orchestrate(finished.home, "log", "tail", "done", "-n", "0").lines == []


def test_the_tail_follows_a_run(own_copy: Path, tmp_path: Path) -> None:
    """`log tail --follow` goes on with what another process appends, until it is interrupted."""
    process = start(own_copy, "log", "tail", "--follow", "-n", "1", "--json")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["type"] == "run.finished"
    spec = scripted_spec(tmp_path / "spec", project_id="second")
    assert orchestrate(own_copy, "run", str(spec)).code == 0
    kinds = []
    while "run.finished" not in kinds:
        record = json.loads(process.stdout.readline())
        assert record["stream"] == "second"
        kinds.append(record["type"])
    assert kinds[:2] == ["run.started", "session.opened"]
    ended = signalled(process, signal.SIGINT)
    assert (ended.code, ended.err.strip()) == (130, "orchestrate: interrupted")


# ── audit ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_an_unchanged_log_is_ok(finished: Finished) -> None:
    """`audit verify` says ok with the head; a head from the middle of the log is accepted as a prefix."""
    ((head,),) = rows(finished.home, "SELECT hash FROM events ORDER BY position DESC LIMIT 1")
    ((middle,),) = rows(finished.home, "SELECT hash FROM events WHERE position = 9")
    for arguments in ([], ["done"], ["done", "--head", middle], ["--head", head]):
        done = orchestrate(finished.home, "audit", "verify", *arguments)
        assert done.code == 0, done.out
        assert done.lines[0].startswith("ok: done, ")
        assert done.lines[0].endswith(f"head {head}")
    assert orchestrate(finished.home, "audit", "verify", "--json").json["heads"] == {"done": head}


TAMPERED = {
    "changed": ("UPDATE events SET data = replace(data, '0.95', '0.96') WHERE position = 20", 20),
    "another time": ("UPDATE events SET at = at + 1 WHERE position = 7", 7),
    "removed": ("DELETE FROM events WHERE position = 11", 10),
    "a text": ("UPDATE blobs SET data = x'00' WHERE digest = (SELECT json_extract(data, '$.spec') FROM events)", 1),
    "the end cut off": ("DELETE FROM events WHERE version > 15", 15),
}


@pytest.mark.parametrize("case", TAMPERED)
def test_a_changed_log_is_found(own_copy: Path, case: str) -> None:
    """The first bad event is named, whatever was changed; the run is neither replayed nor resumed any more."""
    sql, position = TAMPERED[case]
    if case == "changed":
        ((position,),) = rows(own_copy, "SELECT min(position) FROM events WHERE data LIKE '%0.95%'")
        sql = f"UPDATE events SET data = replace(data, '0.95', '0.96') WHERE position = {position}"
    tamper(own_copy, sql)
    done = orchestrate(own_copy, "audit", "verify", "done")
    assert done.code == 6
    assert done.lines[0] == (f"first bad event: {position} (v{position})" if position else "first bad event: 0")
    report = orchestrate(own_copy, "audit", "verify", "--json")
    assert (report.code, report.json["ok"], report.json["first_bad_event"]["position"]) == (6, False, position)
    for arguments in (["replay", "done"], ["resume", "done"]):
        refused = orchestrate(own_copy, *arguments)
        assert refused.code == 6
        assert f"is damaged at event {position}" in refused.err


def test_an_unknown_head_is_found(finished: Finished) -> None:
    """A head that is not in the log means that events are missing, or that it is another log."""
    done = orchestrate(finished.home, "audit", "verify", "--head", "0" * 64)
    assert done.code == 6
    assert done.lines[0].startswith("first bad event: ")


def test_a_head_of_heads_jsonl_that_differs_is_found(own_copy: Path) -> None:
    """A chain that was computed anew contradicts the head written down beside the database."""
    path = own_copy / "heads.jsonl"
    unreconciled = json.loads(path.read_text())
    path.write_text(json.dumps({**unreconciled, "head": "0" * 64}) + "\n")
    done = orchestrate(own_copy, "audit", "verify")
    assert done.code == 6
    assert done.lines[0] == "first bad event: {0} (v{0})".format(unreconciled["version"])
    assert "heads.jsonl" in done.lines[1]


# ── replay ─────────────────────────────────────────────────────────────────────────────────────────────────────

REPLAYING = """
import sys
from orchestrator.cli import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    loaded = [name for name in sys.modules if name.partition(".")[0] in ("httpx", "orchestrator_providers")]
    print("loaded", loaded, end.code)
"""


@pytest.mark.parametrize("arguments", [["replay", "done"], ["replay", "done", "--verify", "--strict"]])
def test_replay_loads_no_provider_and_no_network(finished: Finished, arguments: list[str]) -> None:
    """Replaying and verifying succeed without httpx or any provider in the process."""
    done = subprocess.run(
        [sys.executable, "-c", REPLAYING, *arguments],
        env=clean_environment(finished.home),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "loaded [] 0", done.stderr


def test_replay_shows_the_rebuilt_state(finished: Finished) -> None:
    """`replay` prints the table that `runs show` prints."""
    assert (
        orchestrate(finished.home, "replay", "done").lines == orchestrate(finished.home, "runs", "show", "done").lines
    )


def test_replay_stops_where_it_is_told(finished: Finished) -> None:
    """`--to POSITION` shows the run as it was after that event; before its first event there is nothing."""
    ((position, digest),) = rows(finished.home, "SELECT position, hash FROM events WHERE type = 'plan.made'")
    shown = orchestrate(finished.home, "replay", "done", "--to", str(position), "--json").json
    assert (shown["status"], shown["head"], shown["tasks"][0]["status"]) == ("open", digest, "pending")


@pytest.mark.parametrize("position", range(1, 16))
def test_every_prefix_verifies(finished: Finished, position: int) -> None:
    """A cut inside a step is no difference: the decisions of the whole steps before it are compared."""
    log = EventLog.open_to_read(finished.home)
    records = list(log.read("done"))
    log.close()
    unreconciled = whole_steps(records[:position], records[position])
    found = verify(((each.at, each.event) for each in unreconciled), rank_of(Catalogue([], {})))
    assert (found.differences, found.foreign) == ((), ())


def test_a_decision_that_does_not_follow_is_found(own_copy: Path) -> None:
    """A decision changed in a log whose chain was computed anew is a difference: exit 6, with its position."""
    connection = sqlite3.connect(own_copy / "events.db")
    previous, position = GENESIS, 0
    tamper(own_copy, "SELECT 1")
    with connection:
        for row in connection.execute("SELECT * FROM events ORDER BY position").fetchall():
            at_position, stream, version, kind, schema, at, data, _ = row
            if kind == "iteration.evaluated":
                data, position = data.replace("0.95", "0.94", 1), at_position
            previous = link(previous, stream, version, kind, schema, at, data)
            connection.execute("UPDATE events SET data = ?, hash = ? WHERE position = ?", (data, previous, at_position))
    connection.close()
    (own_copy / "heads.jsonl").unlink()
    done = orchestrate(own_copy, "replay", "done", "--verify")
    assert done.code == 6
    assert done.lines[0].startswith(f"event {position} (v")
    assert "Evaluated differs in" in done.lines[0]
    assert done.lines[-1].startswith("failed: 1 of ")


def test_an_absent_backend_is_told_and_fails_only_when_strict(tmp_path: Path) -> None:
    """Decisions of a backend that is not installed are listed as not recomputable; with --strict that fails."""
    home, absent = tmp_path / "home", {"ORCHESTRATE_DISABLE_PLUGINS": "greedy"}
    spec = scripted_spec(tmp_path, routing={"backend": "greedy"}, project_id="ranked")
    assert orchestrate(home, "run", str(spec)).code == 0
    assert orchestrate(home, "replay", "ranked", "--verify", "--strict").lines[-1].startswith("ok: ")
    lenient = orchestrate(home, "replay", "ranked", "--verify", environ=absent)
    assert lenient.code == 0
    reported = [line for line in lenient.lines if line.startswith("not recomputable: event ")]
    assert len(reported) >= 4
    assert orchestrate(home, "replay", "ranked", "--verify", "--strict", environ=absent).code == 6
    report = orchestrate(home, "replay", "ranked", "--verify", "--json", environ=absent).json
    assert (report["ok"], len(report["not_recomputable"])) == (True, len(reported))


# ── spec and plugins ───────────────────────────────────────────────────────────────────────────────────────────


def test_specs_are_validated(tmp_path: Path) -> None:
    """`spec validate` says ok per file, and every problem with its line; one bad file makes exit 2."""
    good, bad = scripted_spec(tmp_path), tmp_path / "bad.yaml"
    bad.write_text("project: x\ncriteria: y\nbuget_usd: 3\nconcurrency: none\n")
    done = orchestrate(tmp_path, "spec", "validate", str(good), str(bad))
    assert done.code == 2
    assert done.lines == [f"{good}: ok"]
    assert [line.partition(": ")[0] for line in done.err.splitlines()] == [f"{bad}:3", f"{bad}:4"]
    report = orchestrate(tmp_path, "spec", "validate", str(good), str(bad), "--json").json
    assert [each["ok"] for each in report] == [True, False]
    assert len(report[1]["problems"]) == 2


def test_a_specs_policy_files_are_validated_too(tmp_path: Path) -> None:
    """A policy file that a spec names and that is not there is a problem of the spec."""
    spec = scripted_spec(tmp_path, policy_files=["rules.yaml"])
    done = orchestrate(tmp_path, "spec", "validate", str(spec))
    assert done.code == 2
    assert "rules.yaml" in done.err


def test_policies_that_contradict_each_other_are_told(tmp_path: Path) -> None:
    """The file is good and says so; what leaves no model is a warning, for people and for programs."""
    policies = [{"name": "a", "allowed_providers": ["n"]}, {"name": "b", "allowed_providers": ["s"]}]
    own = {"only": [{"name": "c", "allowed_regions": []}]}
    spec = scripted_spec(
        tmp_path,
        policies=policies,
        node_policies=own,
        tasks=[{"id": "only", "type": "summarization", "prompt": "Say."}],
    )
    done = orchestrate(tmp_path, "spec", "validate", str(spec))
    assert (done.code, done.lines) == (0, [f"{spec}: ok"])
    disjoint, empty = done.err.splitlines()
    assert disjoint.startswith(f"{spec}: policies 'a' and 'b': their allowed_providers have nothing in common")
    assert empty.startswith(f"{spec}: policy 'c': allowed_regions is empty")
    (report,) = orchestrate(tmp_path, "spec", "validate", str(spec), "--json").json
    assert (report["ok"], report["problems"], len(report["warnings"])) == (True, [], 2)


def test_the_schema_is_printed(tmp_path: Path) -> None:
    """`spec schema` prints the JSON Schema that the reader's classes give."""
    schema: dict[str, Any] = orchestrate(tmp_path, "spec", "schema").json
    assert schema == json_schema()


def test_a_spec_is_begun(tmp_path: Path) -> None:
    """`spec init` writes a valid file and never replaces one unasked; '-' prints it."""
    path = tmp_path / "spec.yaml"
    assert orchestrate(tmp_path, "spec", "init").code == 0
    assert read_spec(path).project.startswith("Build")
    path.write_text("mine")
    refused = orchestrate(tmp_path, "spec", "init")
    assert (refused.code, path.read_text()) == (2, "mine")
    assert orchestrate(tmp_path, "spec", "init", "--force").code == 0
    assert orchestrate(tmp_path, "spec", "init", "-").out == path.read_text()


def test_plugins_are_listed(tmp_path: Path, third_party_site: Path) -> None:
    """`plugins list` shows every plugin with its distribution, version and status, and why a broken one is broken."""
    environ = {"PYTHONPATH": str(third_party_site)}
    found = orchestrate(tmp_path, "plugins", "list", "--json", environ=environ).json
    shown = {each["name"]: each for each in found}
    assert shown["scripted"]["status"] == "loaded"
    assert shown["shout"]["distribution"] == "orchestrator-shout"
    assert shown["shout"]["version"] == "1.2.3"
    assert shown["quitter"]["status"] == shown["broken"]["status"] == "broken"
    listed = orchestrate(tmp_path, "plugins", "list", environ=environ)
    assert listed.code == 0
    assert listed.lines[0].split() == ["kind", "name", "distribution", "version", "interface", "status", "reason"]
    assert any("quitter" in line and "this machine does not please me" in line for line in listed.lines)
