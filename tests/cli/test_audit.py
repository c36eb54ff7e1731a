"""`audit`, `fork`, `runs diff|delete`, `log stats|gc|export --as-script`: through the command line."""

import json
import shutil
from pathlib import Path
from xml.etree import ElementTree

import pytest
from attrs import fields

from orchestrator.errors import LogError, UsageError
from orchestrator_audit.audit_log import AuditLog, AuditRecord
from tests.cli.command import orchestrate, scripted_spec
from tests.cli.conftest import Finished
from tests.cli.in_process import command
from tests.cli.test_reading import tamper
from tests.e2e.test_real_http import outcome, run_spec
from tests.servers.openai_server import OpenAIServer

POLICIES = [
    {"name": "no_south", "blocked_models": ["south"], "enforcement_mode": "soft"},
    {"name": "watch_north", "blocked_models": ["north"], "enforcement_mode": "monitor"},
]


@pytest.fixture
def home(own_copy: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the finished run's data folder, which the command uses."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(own_copy))
    return own_copy


# ── verify ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_every_check_is_named_in_json_and_junit(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Both say of each check what it makes sure of and that it passed; text says which were made."""
    reported = command(capsys, "audit", "verify", "done", "--json", "--junit", str(tmp_path / "audit.xml"))
    assert (reported.code, reported.json["ok"]) == (0, True)
    checks = {check["check"]: check for check in reported.json["checks"]}
    assert {
        "chain",
        "texts",
        "heads",
        "intents",
        "holds",
        "policies",
        "reviewers",
        "gates",
        "statuses",
    } <= checks.keys()
    assert {check["result"] for check in checks.values()} == {"passed"}
    assert "forbids" in checks["policies"]["what"]
    [suite] = ElementTree.parse(tmp_path / "audit.xml").getroot()
    assert (suite.get("name"), suite.get("failures"), suite.get("tests")) == ("done", "0", str(len(checks)))
    shown = command(capsys, "audit", "verify", "--all")
    assert shown.code == 0
    assert shown.lines[0].startswith("ok: done, ")
    assert "checked: chain, texts, heads, layout, rows, sessions, intents, holds" in shown.err


def test_a_failure_is_named_in_json_and_junit(home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The check, the event and the problem stand in both, and the exit code is 6."""
    tamper(home, "UPDATE events SET at = at + 1 WHERE position = 7")
    reported = command(capsys, "audit", "verify", "--json", "--junit", str(tmp_path / "audit.xml"))
    assert reported.code == 6
    assert reported.json["findings"][0]["check"] == "chain"
    suite, _ = ElementTree.parse(tmp_path / "audit.xml").getroot()
    [failure] = suite.findall("testcase/failure")
    assert (failure.text or "").startswith("event 7 (v7): ")
    assert int(suite.get("skipped", "0")) > 5
    shown = command(capsys, "audit", "verify", "--strict")
    assert (shown.code, shown.lines[0]) == (6, "first bad event: 7 (v7)")
    assert "not checked: done, holds: the chain is broken" in shown.err


def test_a_bundle_is_verified_where_there_is_no_log(
    home: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Exported and signed here, checked there; another key and a changed byte fail."""
    pytest.importorskip("cryptography")
    key, path = tmp_path / "key", tmp_path / "done.tar"
    assert command(capsys, "audit", "keygen", str(key)).code == 0
    made = command(capsys, "audit", "export", "done", "-o", str(path), "--sign", str(key), "--json")
    assert (made.code, made.json["run_id"]) == (0, "done")
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "nowhere"))
    public = ("--key", str(tmp_path / "key.pub"), "--head", made.json["head"], "--strict")
    passed = command(capsys, "audit", "verify", str(path), *public)
    assert passed.code == 0, passed.out + passed.err
    assert passed.lines[0].startswith("ok: done, ")
    assert not (tmp_path / "nowhere").exists()
    assert command(capsys, "audit", "verify", str(path)).code == 0
    assert command(capsys, "audit", "verify", str(path), "--strict").code == 6
    content = bytearray(path.read_bytes())
    content[5000] ^= 1
    path.write_bytes(content)
    assert command(capsys, "audit", "verify", str(path)).code == 6
    usage = {
        ("audit", "verify", "absent.tar"): "no run or bundle 'absent.tar'",
        ("audit", "verify", "--key", "x"): "belongs to a bundle",
        ("audit", "verify", "done", "--all"): "give a RUN, or --all",
    }
    for words, message in usage.items():
        refused = command(capsys, *words)
        assert refused.code in (2, 3)
        assert message in refused.err


# ── records ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_the_audit_log_has_a_record_for_every_model_considered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """SOFT and MONITOR violations pass and are told; HARD ones do not pass; the file has a line for each record."""
    spec = scripted_spec(tmp_path, project_id="old", policies=POLICIES)
    hard = [{**POLICIES[0], "enforcement_mode": "hard"}]
    later = scripted_spec(tmp_path, project_id="new", name="later.json", policies=hard)
    home = tmp_path / "home"
    for path in (spec, later):
        ended = orchestrate(home, "run", str(path))
        assert ended.code in (0, 1), ended.err
    monkeypatch.setenv("ORCHESTRATE_HOME", str(home))

    old = AuditLog(run="old").records()
    by_model = {record.model: record for record in old}
    assert by_model["south"].violations == ("no_south",)
    assert (by_model["south"].passed, by_model["south"].raw_passed) == (True, False)
    assert by_model["south"].enforcement_mode == "soft"
    assert (by_model["north"].violations, by_model["north"].enforcement_mode) == (("watch_north",), "monitor")
    assert by_model["north"].policies_applied == ("no_south", "watch_north")
    assert {record.task_id for record in old} == {"only"}
    assert all(record.timestamp.endswith("Z") for record in old)

    count = AuditLog().flush_jsonl(tmp_path / "audit.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines()]
    assert len(lines) == count > 0
    refused = next(line for line in lines if line["model"] == "south")
    assert (refused["passed"], refused["violations"], refused["enforcement_mode"]) == (False, ["no_south"], "hard")
    assert set(refused) == {field.name for field in fields(AuditRecord)}
    assert [json.loads(line) for line in command(capsys, "audit", "records").lines] == lines
    with pytest.raises(UsageError, match="no run 'absent'"):
        AuditLog(run="absent").records()
    with pytest.raises(LogError, match="no event log"):
        AuditLog(home=tmp_path / "empty").records()
    with pytest.raises(LogError, match="choose another file"):
        AuditLog().flush_jsonl(tmp_path)


# ── forks and comparison ───────────────────────────────────────────────────────────────────────────────────────────


def test_a_fork_is_made_resumed_compared_and_replayed(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every command that reads a run reads a fork."""
    made = command(
        capsys, "fork", "done", "--at", "12", "--set", "quality_targets.code_generation=0.99", "--project-id", "strict"
    )
    assert made.code == 0, made.err
    assert made.lines[0].startswith("strict: shares done up to event ")
    assert "resume strict" in made.err
    assert orchestrate(home, "resume", "strict").code == 1
    listed = {row["run_id"]: row for row in command(capsys, "runs", "list", "--json").json}
    assert (listed["strict"]["status"], listed["strict"]["title"]) == ("PARTIAL_SUCCESS", "Write x.")
    for words in (
        ("runs", "show", "strict"),
        ("runs", "show", "strict", "--json"),
        ("replay", "strict", "--verify", "--strict"),
        ("explain", "strict", "only"),
        ("costs", "strict"),
        ("audit", "verify", "--strict"),
        ("log", "show", "strict"),
        ("log", "export", "strict"),
    ):
        done = command(capsys, *words)
        assert done.code == 0, (words, done.err)
        assert done.out
    found = command(capsys, "runs", "diff", "done", "strict", "--json").json
    assert found["settings"] == [
        "thresholds.code_generation: 0.85 → 0.99",
        "evaluation.judged_types: none → code_generation",
    ]
    assert found["spec"] == ['quality_targets: (not given) → {"code_generation":0.99}']
    assert {"decision": "run end", "values": ["SUCCESS", "PARTIAL_SUCCESS"]} in found["decisions"]
    assert found["shared_versions"] > 5
    assert [task["status"] for task in found["tasks"][0]["values"]] == ["completed", "degraded"]
    shown = command(capsys, "runs", "diff", "done", "strict")
    assert "thresholds.code_generation: 0.85 → 0.99" in shown.out
    assert "nothing differs" in command(capsys, "runs", "diff", "done", "done").out


def test_a_fork_that_makes_no_sense_is_refused_in_one_line(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The line says what to do instead; nothing is appended."""
    before = command(capsys, "log", "export", "done").out
    refused = {
        ("--at", "x"): "neither a position",
        ("--at", "v0"): "neither a position",
        ("--at", "1", "--set", "project=y"): "start a new run",
        ("--at", "12", "--set", "project=y"): "start a new run",
        ("--at", "12", "--project-id", "done"): "already",
        (): "--at",
    }
    for words, message in refused.items():
        ended = command(capsys, "fork", "done", *words)
        assert ended.code == 2, words
        assert len(ended.err.splitlines()) == 1
        if words != ("--at", "1", "--set", "project=y"):
            assert message in ended.err
    assert command(capsys, "fork", "absent", "--at", "5").code == 2
    assert command(capsys, "log", "export", "done").out == before


# ── retention ──────────────────────────────────────────────────────────────────────────────────────────────────────


def test_deleted_content_leaves_a_run_that_can_be_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --yes nothing happens; then texts are shown as deleted, and whatever needs them says so."""
    asked = command(capsys, "runs", "delete", "done")
    assert (asked.code, "--yes" in asked.err) == (2, True)
    deleted = command(capsys, "runs", "delete", "done", "--yes", "--json")
    assert (deleted.code, deleted.json["overwritten"]) == (0, True)
    assert deleted.json["texts"] > 5
    assert command(capsys, "runs", "list", "--json").json[0]["title"] == "(deleted)"
    shown = command(capsys, "runs", "show", "done", "--json")
    assert (shown.code, shown.json["tasks"][0]["output"]) == (0, "(deleted)")
    reading: list[tuple[str, ...]] = [
        ("runs", "show", "done"),
        ("replay", "done", "--verify"),
        ("costs", "done"),
        ("audit", "verify"),
    ]
    for words in reading:
        assert command(capsys, *words).code == 0, words
    assert command(capsys, "audit", "verify", "--strict").code == 6
    needing: list[tuple[str, ...]] = [
        ("runs", "export", "done", "-o", str(home / "out")),
        ("fork", "done", "--at", "12"),
        ("log", "export", "done", "--as-script", str(home / "script.json")),
        ("runs", "delete", "done", "--yes"),
    ]
    for words in needing:
        refused = command(capsys, *words)
        assert (refused.code, "deleted" in refused.err) == (2, True), (words, refused.err)
    assert orchestrate(home, "resume", "done").code == 2


def test_stats_and_gc_say_what_the_log_takes(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """By run in a table and in JSON; nothing is garbage in a log that was left in order."""
    reported = command(capsys, "log", "stats", "--json").json
    [run] = reported["runs"]
    assert run["run_id"] == "done"
    assert run["events"] > 20
    assert "done" in command(capsys, "log", "stats").out
    collected = command(capsys, "log", "gc", "--json")
    assert (collected.code, collected.json["live"]) == (0, [])
    assert collected.json["texts"] == 0
    assert "0 texts" in command(capsys, "log", "gc").out
    assert command(capsys, "audit", "verify").code == 0


# ── a run as a script ──────────────────────────────────────────────────────────────────────────────────────────────


def test_a_run_over_the_network_plays_again_offline(tmp_path: Path) -> None:
    """Exported as a script, a run against a server has the same tasks, statuses, scores and outputs without it."""
    spec = Path(__file__).parents[1] / "data" / "specs" / "full.yaml"
    with OpenAIServer() as server:
        done = run_spec(tmp_path / "real", spec, server)
    assert done.code in (0, 1), done.err
    [run] = [row["run_id"] for row in orchestrate(tmp_path / "real", "runs", "list", "--json").json]
    script = tmp_path / "bug.json"
    exported = orchestrate(tmp_path / "real", "log", "export", run, "--as-script", str(script))
    assert exported.code == 0, exported.err
    assert orchestrate(tmp_path / "real", "log", "export", run, "--as-script", str(script)).code == 2

    again = orchestrate(tmp_path / "offline", "run", str(tmp_path / "bug.spec.json"))

    assert again.code == done.code, again.err
    assert "scripted" in again.err
    one, other = outcome(tmp_path / "real"), outcome(tmp_path / "offline")
    assert {name: (task.status, task.score, task.output) for name, task in one.tasks.items()} == {
        name: (task.status, task.score, task.output) for name, task in other.tasks.items()
    }


def test_failures_are_played_again_too(tmp_path: Path) -> None:
    """A vendor's errors and an answer that was cut off stand in the script at their tries."""
    answers = [
        {"role": "generator", "try": 1, "error": "overloaded", "message": "busy"},
        {"role": "critic", "model": "south", "error": "authentication", "message": "no", "status": 401},
    ]
    spec = scripted_spec(tmp_path / "one", answers=answers, project_id="bad")
    first = orchestrate(tmp_path / "home", "run", str(spec))
    script = tmp_path / "bug.json"
    assert orchestrate(tmp_path / "home", "log", "export", "bad", "--as-script", str(script)).code == 0
    kinds = [answer["error"] for answer in json.loads(script.read_text())["answers"] if "error" in answer]
    assert kinds == ["overloaded", "authentication"]
    second = orchestrate(tmp_path / "again", "run", str(tmp_path / "bug.spec.json"), "--project-id", "bad")
    assert first.code == second.code
    ends = [
        [(row["check"], row["result"]) for row in orchestrate(folder, "audit", "verify", "--json").json["checks"]]
        for folder in (tmp_path / "home", tmp_path / "again")
    ]
    assert ends[0] == ends[1]
    shutil.rmtree(tmp_path / "again")


def test_the_finished_run_is_untouched(finished: Finished) -> None:
    """The tests above worked on copies."""
    assert orchestrate(finished.home, "audit", "verify", "--strict").code == 0
