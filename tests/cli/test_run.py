import io
import json
import re
import signal
from pathlib import Path
from typing import Any

import pytest

from orchestrator.cli.specification_flags import DEFAULT_CRITERIA, ask_for_criteria
from orchestrator.spec import read_models
from tests.cli.command import ROOT, count, orchestrate, rows, scripted_spec, signalled, start, wait_until
from tests.cli.conftest import Finished

POOR = {"role": "evaluator", "text": '{"score": 0.5, "reasons": "poor"}'}
DOWN = {"role": "generator", "error": "authentication", "status": 401, "message": "no such key\x1b[2J"}
SLOW = {"task": "two", "role": "generator", "text": "Two.", "delay_ms": 1500}
TWO: list[dict[str, Any]] = [
    {"id": "one", "type": "summarization", "prompt": "Say one."},
    {"id": "two", "type": "summarization", "prompt": "Say two.", "dependencies": ["one"]},
]


def settings(home: Path) -> dict[str, Any]:
    """The rules recorded for the only run."""
    ((data,),) = rows(home, "SELECT data FROM events WHERE type = 'run.started'")
    found: dict[str, Any] = json.loads(data)["settings"]
    return found


def test_results_go_to_stdout_and_progress_to_stderr(finished: Finished) -> None:
    """Without a terminal: table and facts on stdout, a line per occasion on stderr, first that it is simulated."""
    head = ("task", "type", "model", "reviewer", "score", "iterations", "cost", "status", "title")
    assert tuple(finished.ended.lines[0].split()) == head
    row = finished.ended.lines[1].split()
    assert row[:6] == ["only", "code_generation", "north", "south", "0.950", "1"]
    assert row[6].startswith("$0.000")
    assert row[7] == "completed"
    facts = dict(line.split(maxsplit=1) for line in finished.ended.lines[3:])
    ((digest,),) = rows(finished.home, "SELECT hash FROM events ORDER BY position DESC LIMIT 1")
    assert facts["run"] == "done"
    assert facts["status"] == "SUCCESS"
    assert facts["spend"].endswith("of at most $8.0000, simulated")
    assert facts["head"] == digest
    assert facts["files"] == "out"
    said = finished.ended.err.splitlines()
    assert said[0] == "! the answers are scripted: no model is called, and the spend is simulated"
    assert "ceiling $8.0000; time limit 1 h 30 min; at most 3 calls at once" in said
    assert any(line.startswith("model north (slots: deepseek-chat") for line in said)
    assert "· only started: code_generation" in said
    assert said[-1].startswith("✓ only completed, score 0.950, north, $0.000")


def test_the_stream_is_the_log(tmp_path: Path) -> None:
    """--json prints every event as it is stored, then how the run ended in exact amounts; stderr has warnings only."""
    home = tmp_path / "home"
    done = orchestrate(home, "run", str(scripted_spec(tmp_path)), "--json")
    assert done.code == 0, done.err
    *events, last = [json.loads(line) for line in done.lines]
    stored = rows(home, "SELECT version, type, data, at FROM events ORDER BY position")
    assert [(each["version"], each["type"], each["data"]) for each in events] == [
        (version, kind, json.loads(data)) for version, kind, data, _ in stored
    ]
    assert all(len(each["at"]) == len("2026-01-01T00:00:00.000000Z") and each["at"].endswith("Z") for each in events)
    assert set(events[0]) == {"version", "at", "type", "schema", "data"}
    ((run, settled, head),) = rows(home, "SELECT run_id, settled_nano, head FROM runs")
    assert last == {
        "type": "done",
        "schema": 1,
        "run_id": run,
        "status": "SUCCESS",
        "settled_usd": f"0.{settled:09d}",
        "held_usd": "0.000000000",
        "cap_usd": "8.000000000",
        "head": head,
    }
    assert all(line.startswith("! ") for line in done.err.splitlines())


def test_a_run_outlives_the_reader_of_its_stream(tmp_path: Path) -> None:
    """When the stream's reader has gone, the run goes on to its end, and the exit code is the run's."""
    home = tmp_path / "home"
    process = start(home, "run", str(scripted_spec(tmp_path)), "--json")
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["type"] == "run.started"
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 0
    assert "Traceback" not in said
    assert rows(home, "SELECT status FROM runs") == [("SUCCESS",)]


def test_verbose_prints_every_event(tmp_path: Path) -> None:
    """--verbose has a line for every event, with its version and type; a spec's `verbose: true` is the same."""
    home = tmp_path / "home"
    done = orchestrate(home, "run", str(scripted_spec(tmp_path, verbose=True)))
    stored = rows(home, "SELECT version, type FROM events ORDER BY position")
    lines = re.findall(r"Z \[\w+ *\] (\S+) .*\bversion=(\d+)", done.err)
    assert [(int(version), name) for name, version in lines if name != "step.committed"] == stored


def test_flags_win_over_the_file(tmp_path: Path) -> None:
    """--budget, --time, --concurrency, --project-id and --set change what the file says."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, budget_usd=3, time_seconds=9, concurrency=1, project_id="a")
    flags = ["--budget", "0.5", "--time", "7", "--concurrency", "2", "--project-id", "b", "--set", "evaluate.runs=1"]
    done = orchestrate(home, "run", str(spec), *flags, "--set", "budget_usd=2")
    assert done.code == 0, done.err
    found = settings(home)
    assert (found["cap"], found["time_limit"], found["concurrency"]) == (500_000_000, 7_000_000, 2)
    assert found["evaluation"]["runs"] == 1
    assert rows(home, "SELECT run_id FROM runs") == [("b",)]


def test_a_models_file_adds_and_overrides(tmp_path: Path) -> None:
    """Models of --models are added; one of the same id takes the place of the spec's."""
    home = tmp_path / "home"
    declared = {"id": "mine", "provider": "scripted", "vendor": "m", "price": {"input": 1, "output": 1}}
    spec = scripted_spec(tmp_path, models=[declared])
    dear = {**declared, "price": {"input": 2, "output": 2}}
    models = tmp_path / "models.yaml"
    models.write_text(json.dumps({"models": [dear, {**declared, "id": "more"}]}))
    assert orchestrate(home, "run", str(spec), "--models", str(models)).code == 0
    ((data,),) = rows(home, "SELECT data FROM events WHERE type = 'session.opened'")
    prices = {model["id"]: model["price"]["input"] for model in json.loads(data)["models"]}
    assert prices["mine"] == 2_000_000_000
    assert prices["more"] == 1_000_000_000


# ── the same spec again ────────────────────────────────────────────────────────────────────────────────────────


def test_a_finished_run_is_not_run_again(own_copy: Path, finished: Finished) -> None:
    """The same spec of a closed run says so, shows the table, exits with its code, and appends nothing."""
    before = rows(own_copy, "SELECT count(*), max(hash) FROM events")
    again = orchestrate(own_copy, "run", str(finished.spec))
    assert again.code == 0
    assert again.err.splitlines() == ["run done has ended with SUCCESS; nothing is left to do"]
    assert again.lines[1] == finished.ended.lines[1]
    resumed = orchestrate(own_copy, "resume", "done")
    assert (resumed.code, resumed.err) == (0, again.err)
    assert rows(own_copy, "SELECT count(*), max(hash) FROM events") == before


def test_another_spec_of_the_same_id_is_refused(own_copy: Path, finished: Finished, tmp_path: Path) -> None:
    """A changed spec of an existing id exits with 2, the difference and the ways on; --new-project takes ID-2."""
    changed = scripted_spec(tmp_path / "changed", project_id="done", budget_usd=7)
    refused = orchestrate(own_copy, "run", str(changed))
    assert refused.code == 2
    assert "budget_usd" in refused.err
    assert "orchestrate resume done" in refused.err
    assert "--new-project" in refused.err
    anew = orchestrate(own_copy, "run", str(changed), "--new-project")
    assert anew.code == 0, anew.err
    assert rows(own_copy, "SELECT run_id FROM runs") == [("done",), ("done-2",)]


def test_a_foreign_folder_is_not_written_into(tmp_path: Path) -> None:
    """An output folder that holds something else is refused before anything is recorded, and taken with --force."""
    home, out = tmp_path / "home", tmp_path / "out"
    out.mkdir()
    (out / "mine.txt").write_text("precious")
    spec = scripted_spec(tmp_path / "spec", output_dir=str(out))
    allowed = ("--allow", f"output={out}")
    refused = orchestrate(home, "run", str(spec), *allowed)
    assert refused.code == 2
    assert "--force" in refused.err
    assert rows(home, "SELECT * FROM events") == []
    forced = orchestrate(home, "run", str(spec), "--force", *allowed)
    assert forced.code == 0, forced.err
    assert (out / "mine.txt").read_text() == "precious"
    assert (out / "task_001_code_generation.py").read_text() == "x = 2\n"


# ── how it ends ────────────────────────────────────────────────────────────────────────────────────────────────


def test_not_good_enough_exits_with_1(tmp_path: Path) -> None:
    """A run whose task stays below its threshold is a partial success, and the table says why."""
    done = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path, answers=[POOR])))
    assert done.code == 1, done.err
    assert "degraded (below its threshold)" in done.lines[1]
    assert "PARTIAL_SUCCESS" in done.out


def test_no_money_exits_with_4_and_more_money_goes_on(tmp_path: Path) -> None:
    """A budget too small for any call exits with 4 and says how to go on; with more money the run succeeds."""
    home = tmp_path / "home"
    done = orchestrate(home, "run", str(scripted_spec(tmp_path, project_id="poor")), "--budget", "0.000001")
    assert done.code == 4, done.err
    assert "no money" in done.err
    assert done.err.splitlines()[-1] == "resume with more money: orchestrate resume poor --add-budget USD"
    idle = orchestrate(home, "resume", "poor")
    assert idle.code == 4
    assert "--add-budget" in idle.err
    richer = orchestrate(home, "resume", "poor", "--add-budget", "2")
    assert richer.code == 0, richer.err
    assert "the ceiling is now $2.00" in richer.err or "ceiling $2.00" in richer.err


def test_no_time_exits_with_5_and_more_time_goes_on(tmp_path: Path) -> None:
    """A time limit that ends before the second task exits with 5; with more time the run goes on."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, delay_ms=300, project_id="slow", evaluate={"runs": 1})
    done = orchestrate(home, "run", str(spec), "--time", "0.4")
    assert done.code == 5, done.err
    assert "resume with more time: orchestrate resume slow --add-time SECONDS" in done.err
    again = orchestrate(home, "resume", "slow", "--add-time", "60")
    assert rows(home, "SELECT task_id FROM tasks WHERE status = 'pending'") == []
    assert again.code in (0, 1), again.err


def test_no_answer_exits_with_3_and_says_what_was_wrong(tmp_path: Path) -> None:
    """When every model fails the run is a system failure, and the failures are told."""
    done = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path, answers=[DOWN], project_id="down")))
    assert done.code == 3, done.err
    assert "! only generate: north failed, authentication (HTTP 401): no such key" in done.err
    assert "\x1b" not in done.err
    assert "when the cause is removed, resume with: orchestrate resume down" in done.err


# ── interruptions ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_session_and_the_run_goes_on_later(tmp_path: Path, number: signal.Signals) -> None:
    """A first signal records what is in flight and exits with 130 and the resume command; resuming ends the run."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, delay_ms=400, project_id="stopped")
    process = start(home, "run", str(spec))
    wait_until(lambda: count(home, "call.succeeded") >= 1 and count(home, "call.started") >= 2, process)
    ended = signalled(process, number)
    assert ended.code == 130, ended.err
    assert f"! interrupted by {number.name}" in ended.err
    assert ended.err.splitlines()[-1] == "resume with: orchestrate resume stopped"
    assert rows(home, "SELECT type FROM events ORDER BY position DESC LIMIT 1") == [("run.interrupted",)]
    assert rows(home, "SELECT * FROM calls WHERE outcome = 'in_flight'") == []
    assert orchestrate(home, "runs", "list", "--json").json[0]["status"] == "interrupted"
    answered = count(home, "call.succeeded")
    again = orchestrate(home, "resume", "stopped")
    assert again.code == 0, again.err
    assert "resuming stopped" in again.err
    one_call = "rtrim(rtrim(call_id, '0123456789'), '/')"
    repeated = rows(
        home, f"SELECT 1 FROM calls WHERE outcome = 'answered' GROUP BY run_id, {one_call} HAVING count(*) > 1"
    )
    assert repeated == []
    assert count(home, "call.succeeded") > answered


STUBBORN = """
import asyncio
from orchestrator.spi import Body, ModelInfo, Price, Usd, hookimpl

class Stubborn:
    simulated = True

    def models(self):
        return [ModelInfo("mule", "stubborn", "mule", Price(Usd.parse("1"), Usd.parse("1")), 32768, 4096)]

    def encode(self, request):
        return Body(b"?", request)

    async def call(self, body, ctx):
        while True:
            try:
                await ctx.sleep(60)
            except asyncio.CancelledError:
                pass

@hookimpl
def orchestrator_provider(config):
    return Stubborn()
"""


def test_a_second_signal_exits_at_once(tmp_path: Path) -> None:
    """A provider that will not end holds up the first signal, not the second; the run's history stays whole."""
    home, site = tmp_path / "home", tmp_path / "site"
    about = site / "stubborn-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: stubborn\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[orchestrator.providers]\nstubborn = stubborn\n")
    (site / "stubborn.py").write_text(STUBBORN)
    spec = scripted_spec(tmp_path, providers={"stubborn": {}}, project_id="hasty")
    process = start(home, "run", str(spec), environ={"PYTHONPATH": str(site)})
    wait_until(lambda: count(home, "call.started"), process)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    while "stopping: calls in flight are recorded (Ctrl-C again to exit at once)" not in process.stderr.readline():
        assert process.poll() is None
    assert process.poll() is None
    ended = signalled(process, signal.SIGTERM)
    assert ended.code == 130
    assert ended.err.splitlines()[-1] == "stopped at once; resume with: orchestrate resume hasty"
    assert orchestrate(home, "audit", "verify").code == 0


def rows_of_two(home: Path) -> list[tuple[Any, ...]]:
    """The calls of the task ``two``; none while there is no log."""
    return rows(home, "SELECT * FROM calls WHERE task_id = 'two'") if count(home, "call.started") else []


def test_a_killed_run_is_interrupted_and_goes_on(tmp_path: Path) -> None:
    """After kill -9 the run is listed as interrupted; resuming keeps the lost call's money and repeats no answer."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, tasks=TWO, answers=[SLOW], project_id="killed")
    process = start(home, "run", str(spec))
    wait_until(lambda: rows_of_two(home), process)
    process.send_signal(signal.SIGSTOP)  # so that it cannot end while it is looked at
    assert orchestrate(home, "runs", "list", "--json").json[0]["status"] == "running"
    live = orchestrate(home, "resume", "killed")
    assert (live.code, "is being run by process" in live.err) == (2, True)
    assert signalled(process, signal.SIGKILL).code == -signal.SIGKILL
    assert orchestrate(home, "runs", "list", "--json").json[0]["status"] == "interrupted"
    again = orchestrate(home, "run", str(spec))
    assert again.code == 0, again.err
    rejection = rows(home, "SELECT held_nano FROM calls WHERE outcome = 'lost'")
    assert len(rejection) == 1
    assert "a call was in flight when the last session died" in again.err
    assert "of it unreconciled" in again.out


# ── policies ───────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("how", ["spec", "flag", "file of the spec"])
def test_a_hard_policy_keeps_a_model_from_ever_being_called(tmp_path: Path, how: str) -> None:
    """A model that a policy blocks is a candidate that lost by that policy, and no call of it is in the log."""
    home = tmp_path / "home"
    rule = {"name": "not_north", "blocked_models": ["north"]}
    (tmp_path / "rules.yaml").write_text(json.dumps({"global": [rule]}))
    fields: dict[str, Any] = {}
    if how == "spec":
        fields = {"policies": [rule]}
    elif how == "file of the spec":
        fields = {"policy_files": ["rules.yaml"]}
    flags = ["--policy", str(tmp_path / "rules.yaml")] if how == "flag" else []
    done = orchestrate(home, "run", str(scripted_spec(tmp_path, **fields)), *flags)
    assert done.code == 0, done.err
    assert rows(home, "SELECT DISTINCT model FROM calls") == [("south",)]
    rejection = {
        candidate["policy"]
        for (candidates,) in rows(home, "SELECT candidates FROM decisions")
        for candidate in json.loads(candidates)
        if candidate["model"] == "north"
    }
    assert rejection == {"not_north"}


def test_policies_that_bind_nothing_are_refused(tmp_path: Path) -> None:
    """A policy file with a team's policies is refused in one line where the spec names no team."""
    rules = tmp_path / "rules.yaml"
    rules.write_text(json.dumps({"team": {"eng": [{"name": "a", "blocked_models": ["north"]}]}}))
    done = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path)), "--policy", str(rules))
    assert done.code == 2
    (line,) = done.err.splitlines()
    assert line.startswith(f"orchestrate: {rules}: the spec does not say which policies under team:")


# ── the specification's flags ──────────────────────────────────────────────────────────────────────────────────


def test_a_file_runs_without_a_command(tmp_path: Path) -> None:
    """--file with the specification's flags is `run`; --list-projects and --resume are what they say."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path)
    flags = ["-b", "2.5", "-t", "60", "--concurrency", "2", "--project-id", "flagged", "-o", "out", "--no-enhance"]
    done = orchestrate(home, "--file", str(spec), *flags)
    assert done.code == 0, done.err
    assert settings(home)["cap"] == 2_500_000_000
    assert (home / "out" / "summary.json").is_file()
    assert "flagged" in orchestrate(home, "--list-projects").out
    assert "nothing is left to do" in orchestrate(home, "--resume", "flagged").err


def test_criteria_have_a_default_without_a_terminal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """--project without --criteria, and without a terminal, asks nothing and takes the default."""
    monkeypatch.setattr("sys.stdin", io.StringIO("never read"))
    assert ask_for_criteria() == DEFAULT_CRITERIA == "the result does what the description asks"
    done = orchestrate(
        tmp_path, "--project", "Keep data.", environ={"OPENAI_COMPATIBLE_BASE_URL": "http://127.0.0.1:1"}
    )
    assert done.code == 3
    assert "no model is known; declare models with prices" in done.err


def test_the_example_of_a_models_file_can_be_used() -> None:
    """examples/models.yaml has priced models of several vendors."""
    models = read_models(ROOT / "examples" / "models.yaml")
    assert len({model.vendor for model in models}) >= 2
    assert all(model.price is not None for model in models)


def test_a_policy_that_leaves_no_model_says_so(tmp_path: Path) -> None:
    """When the policies rule out every model the run fails, and the reason is told."""
    rule = {"name": "none", "allowed_models": []}
    done = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path, policies=[rule])))
    assert done.code == 3
    assert "! model north is not used: policy 'none' rules it out" in done.err
    assert "failed (no model is left)" in done.out
    assert count(tmp_path / "home", "call.started") == 0
