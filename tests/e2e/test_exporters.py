"""Exporters named by a spec: what they leave while a run goes on and afterwards, and what they cannot do to it."""

import json
import socket
import urllib.request
from contextlib import suppress
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from tests.cli.command import count, finish, orchestrate, rows, scripted_spec, start, wait_until

CANARY = "troubled-canary-0123456789"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _read(path: Path) -> Any:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None


def _scraped(url: str) -> dict[str, float]:
    with suppress(OSError), urllib.request.urlopen(url, timeout=10) as answer:
        families = list(text_string_to_metric_families(answer.read().decode()))
        return {sample.name: sample.value for family in families for sample in family.samples}
    return {}


def test_files_and_an_endpoint_while_the_run_goes_on_and_files_afterwards(tmp_path: Path) -> None:
    """JSON every moment, a text file as tasks end and a port to scrape; at the end both files say how it ended."""
    home, port = tmp_path / "home", _free_port()
    document, text = home / "live" / "metrics.json", home / "metrics.prom"
    exporters = {
        "json": {"path": "live/metrics.json", "every_seconds": 0.1},
        "prometheus": {"path": "metrics.prom", "port": port, "every_seconds": 0.1},
        "console": {"every_seconds": 0},
    }
    spec = scripted_spec(tmp_path, delay_ms=400, project_id="live", exporters=exporters)
    process = start(home, "run", str(spec))
    wait_until(lambda: (_read(document) or {"models": {}})["models"], process)
    during = _read(document)["runs"]["live"]
    assert during["status"] == "running"
    assert text.exists()
    wait_until(lambda: _scraped(f"http://127.0.0.1:{port}/metrics").get("orchestrator_calls_total"), process)
    done = finish(process)
    assert done.code == 0, done.err
    ((settled, calls),) = rows(home, "SELECT sum(settled_nano), count(*) FROM calls")
    after = _read(document)["runs"]["live"]
    assert (after["status"], after["tasks"]["completed"], after["calls_total"]) == ("SUCCESS", 1, calls)
    assert round(after["settled_usd"] * 1e9) == settled
    assert 'orchestrator_run_status{run="live",status="SUCCESS",simulated="true"} 1' in text.read_text()
    assert "live: SUCCESS, 1 of 1 tasks" in done.err
    assert "validator_failures_total" not in done.out


def test_third_party_exporters_cannot_touch_a_run(tmp_path: Path, troubled_site: Path) -> None:
    """One raises, one hangs, one cannot be built: each is named with its version; the others hear all; no key shows."""
    home, notes = tmp_path / "home", tmp_path / "notes.jsonl"
    exporters = {"hanging": {}, "raising": {}, "unbuildable": {}, "notebook": {"path": str(notes)}}
    environ = {"PYTHONPATH": str(troubled_site), "TROUBLED_API_KEY": CANARY}
    quiet = scripted_spec(tmp_path, project_id="calm", name="calm.json")
    assert orchestrate(home, "run", str(quiet), environ=environ).code == 0
    spec = scripted_spec(tmp_path, project_id="troubled", exporters=exporters)
    done = orchestrate(home, "run", str(spec), "-v", "--allow", f"write={notes}", environ=environ)
    assert done.code == 0, done.err
    said = "exporter '{}' of orchestrator-troubled 3.2.1"
    assert f"the {said.format('hanging')} has not come back" in done.err
    assert f"the {said.format('raising')} failed (observe): it called sys.exit(" in done.err
    assert said.format("unbuildable") in done.err
    assert "its moon is in the wrong house" in done.err
    assert CANARY not in done.err + done.out
    reported = [json.loads(line) for line in notes.read_text().splitlines()]
    heard = [(version, name) for each in reported if "event" in each for _, version, name, _ in [each["event"]]]
    assert heard == rows(home, "SELECT version, type FROM events WHERE stream = 'troubled' ORDER BY version")
    assert reported[-2:] == [{"export": [["troubled", "SUCCESS", reported[-2]["export"][0][2]]]}, {"close": True}]
    counts = "SELECT type, count(*) FROM events WHERE stream = ? GROUP BY type ORDER BY type"
    assert rows(home, counts, "troubled") == rows(home, counts, "calm")


def test_a_resumed_run_tells_only_what_is_new_and_counts_all(tmp_path: Path, troubled_site: Path) -> None:
    """After a resume an exporter hears what is new, its totals are of the whole run; where it is absent, a warning."""
    home, notes = tmp_path / "home", tmp_path / "notes.jsonl"
    environ = {"PYTHONPATH": str(troubled_site)}
    exporters = {"notebook": {"path": str(notes)}}
    spec = scripted_spec(tmp_path, project_id="twice", exporters=exporters, delay_ms=300)
    process = start(home, "run", str(spec), "--allow", f"write={notes}", environ=environ)
    wait_until(
        lambda: notes.exists() and "call.succeeded" in notes.read_text() and count(home, "call.started") > 1, process
    )
    process.kill()
    process.communicate()
    ((before,),) = rows(home, "SELECT max(version) FROM events")
    notes.unlink()
    assert orchestrate(home, "resume", "twice", "--allow", f"write={notes}", environ=environ).code == 0
    reported = [json.loads(line) for line in notes.read_text().splitlines()]
    heard = [each["event"] for each in reported if "event" in each]
    assert heard[0][2] == "session.opened"
    assert heard[0][1] > before
    ((settled, unreconciled),) = rows(home, "SELECT sum(settled_nano), sum(unreconciled_nano) FROM spend")
    (last,) = orchestrate(home, "metrics", "twice", "--format", "json").json["runs"].values()
    assert (round(last["settled_usd"] * 1e9), round(last["unreconciled_usd"] * 1e9)) == (settled, unreconciled)
    assert unreconciled > 0
    assert last["sessions_total"] == 2
    other = scripted_spec(tmp_path, project_id="lost", exporters=exporters, delay_ms=300)
    process = start(home, "run", str(other), "--allow", f"write={notes}", environ=environ)
    wait_until(lambda: rows(home, "SELECT 1 FROM events WHERE stream = 'lost' AND type = 'call.started'"), process)
    process.kill()
    process.communicate()
    done = orchestrate(home, "resume", "lost", "--allow", f"write={notes}")
    assert done.code == 0, done.err
    assert "no exporter 'notebook' is installed" in done.err


def test_an_unknown_exporter_or_misspelt_options_keep_a_run_from_starting(tmp_path: Path) -> None:
    """The user hears it before anything is recorded."""
    home = tmp_path / "home"
    unknown = orchestrate(home, "run", str(scripted_spec(tmp_path, exporters={"jason": {}})))
    assert (unknown.code, unknown.err.count("\n")) == (2, 1), unknown.err
    assert "exporters.jason: there is no exporter 'jason'; did you mean 'json'?" in unknown.err
    wrong = orchestrate(home, "run", str(scripted_spec(tmp_path, exporters={"json": {"file": "x"}})))
    assert wrong.code == 2
    assert "exporters.json.file: unknown option; known are path" in wrong.err
    assert rows(home, "SELECT * FROM events") == []


def test_the_first_export_says_how_the_run_stands(tmp_path: Path) -> None:
    """Before any task has ended it is running, with its own ceiling, and simulated; with time it is exported again."""
    home, document = tmp_path / "home", tmp_path / "home" / "first.json"
    tasks = [{"id": "slow", "type": "summarization", "prompt": "Say."}]
    exporters = {"json": {"path": "first.json"}}
    spec = scripted_spec(
        tmp_path,
        delay_ms=1500,
        project_id="first",
        exporters=exporters,
        tasks=tasks,
        budget_usd=3.5,
        evaluate={"runs": 1},
    )
    process = start(home, "run", str(spec))
    wait_until(lambda: (_read(document) or {"runs": {}})["runs"], process)
    first = _read(document)["runs"]["first"]
    assert (first["status"], first["cap_usd"], first["simulated"]) == ("running", 3.5, True)
    assert first["tasks"]["completed"] == 0
    assert finish(process).code == 0
    assert _read(document)["runs"]["first"]["status"] == "SUCCESS"
