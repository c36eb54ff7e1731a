"""The log lines of the program, as a run writes them to stderr."""

import json
import logging
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.diagnostics import Diagnostics, LogFormat
from orchestrator.log import Redactor
from tests.cli.command import orchestrate, rows, scripted_spec
from tests.e2e.test_exporters import CANARY

FAILING = {"role": "generator", "model": "north", "try": 1, "error": "server", "message": "down"}


def lines_of(err: str) -> list[dict[str, Any]]:
    """Stderr as JSON lines; anything else on it is an error."""
    return [json.loads(line) for line in err.splitlines()]


def test_a_json_log_tells_the_run_with_its_ids(tmp_path: Path) -> None:
    """With --log-format json stderr is JSON lines alone: each event of weight once, with run, task and call."""
    home = tmp_path / "home"
    spec = scripted_spec(tmp_path, project_id="reported", answers=[FAILING])
    done = orchestrate(home, "run", str(spec), "--log-format", "json", "-v")
    assert done.code == 0
    lines = lines_of(done.err)
    reported = [(line["version"], line["event"]) for line in lines if "version" in line]
    stored = rows(home, "SELECT version, type FROM events ORDER BY version")
    assert [each for each in reported if each[1] != "step.committed"] == stored
    steps = rows(home, "SELECT min(version) FROM events GROUP BY at ORDER BY 1")
    assert [(version,) for version, name in reported if name == "step.committed"] == steps
    assert {line["run"] for line in lines if "version" in line} == {"reported"}
    calls = rows(home, "SELECT call_id, task_id, model FROM calls ORDER BY position")
    ended = {line["call"]: line for line in lines if line["event"] in ("call.succeeded", "call.failed")}
    assert [(call, ended[call]["task"], ended[call]["model"]) for call, *_ in calls] == calls
    (failed,) = (line for line in lines if line["event"] == "call.failed")
    assert (failed["level"], failed["kind"]) == ("warning", "server")
    (again,) = (line for line in lines if line["event"] == "call.started" and line["try"] == 2)
    assert again["level"] == "info"
    checks = [line for line in lines if line["event"] == "check.validated"]
    found = [(line["task"], line["validator"], line["verdict"]) for line in checks]
    assert found == [("only", "python_syntax", "passed")] * 2, "the draft and its revision"
    assert all(line["timestamp"].endswith("Z") for line in lines)
    for text in ("Write x", "Name x better", '"down"'):
        assert text not in done.err


def test_the_level_follows_the_flags(tmp_path: Path) -> None:
    """A JSON log begins at info; -q leaves warnings; the variable stands for the flag."""
    home = tmp_path / "home"
    spec = str(scripted_spec(tmp_path, answers=[FAILING]))
    environ = {"ORCHESTRATE_LOG_FORMAT": "json"}
    usual = lines_of(orchestrate(home, "run", spec, environ=environ).err)
    assert {line["level"] for line in usual} == {"info", "warning"}
    assert {"session.opened", "task.finished", "run.finished"} <= {line["event"] for line in usual}
    quiet = lines_of(orchestrate(home, "run", spec, "-q", environ=environ).err)
    assert [line["event"] for line in quiet] == ["call.failed"]
    wrong = orchestrate(home, "run", spec, environ={"ORCHESTRATE_LOG_FORMAT": "xml"})
    assert (wrong.code, wrong.err) == (
        2,
        "orchestrate: ORCHESTRATE_LOG_FORMAT=xml: a log format is text or json\n",
    )
    assert orchestrate(home, "run", spec, "-q", "-v").code == 2


def test_quiet_leaves_the_result(tmp_path: Path) -> None:
    """-q keeps stderr to warnings; the table stays on stdout."""
    done = orchestrate(tmp_path / "home", "run", str(scripted_spec(tmp_path, verbose=True)), "-q")
    assert done.code == 0
    assert done.err == "! the answers are scripted: no model is called, and the spend is simulated\n"
    assert "SUCCESS" in done.out


def test_no_key_is_in_a_log_line(tmp_path: Path, troubled_site: Path) -> None:
    """A plugin that says its key in an error is named in the log; the key is not."""
    environ = {"PYTHONPATH": str(troubled_site), "TROUBLED_API_KEY": CANARY}
    spec = scripted_spec(tmp_path, exporters={"raising": {}})
    done = orchestrate(tmp_path / "home", "run", str(spec), "--log-format", "json", "-v", environ=environ)
    (line,) = (line for line in lines_of(done.err) if "failed (observe)" in line["event"])
    assert (line["level"], line["logger"]) == ("warning", "orchestrator.exporters")
    assert "exporter 'raising' of orchestrator-troubled 3.2.1" in line["event"]
    assert CANARY not in done.err


@pytest.mark.parametrize("form", LogFormat)
def test_secrets_are_taken_out_of_messages_values_and_tracebacks(form: LogFormat) -> None:
    """Keys that were loaded, and what looks like a key, are redacted wherever a line holds them."""
    redactor, written = Redactor(), list[str]()
    redactor.add("the-canary-key")
    with Diagnostics(written.append, redactor.shapes, form=form) as diagnostics:
        diagnostics.begin("r")
        diagnostics.log(logging.INFO, "hello the-canary-key", url="http://u:the-canary-key@h", token="sk-0123456789ab")
        try:
            raise ValueError("the-canary-key")
        except ValueError:
            logging.getLogger("orchestrator.hooks").warning("a hook failed", exc_info=True)
        logging.getLogger("orchestrator.hooks").debug("not important")
        logging.getLogger("elsewhere").info("not ours")
    logging.getLogger("orchestrator.hooks").info("too late")
    assert len(written) == 2
    assert "the-canary-key" not in "".join(written)
    assert "sk-0123456789ab" not in "".join(written)
    assert "ValueError" in written[1]
    assert all("[redacted]" in line for line in written)
    assert "run=r" in written[0] or '"run": "r"' in written[0]


def test_every_event_has_a_line() -> None:
    """No event is without a level, and amounts and durations say their units."""
    written: list[str] = []
    diagnostics = Diagnostics(written.append, lambda text: text, form=LogFormat.JSON, level=logging.DEBUG)
    diagnostics.observe(1, 5, e.TimeRaised(90_000_000))
    step, line = map(json.loads, written)
    assert (step["event"], line["event"]) == ("step.committed", "time.raised")
    assert (line["time_limit_ms"], line["level"], line["timestamp"]) == (
        90_000.0,
        "info",
        "1970-01-01T00:00:00.000005Z",
    )


def test_help_imports_no_structlog() -> None:
    """A command that logs nothing does not pay for it."""
    program = (
        "import sys\nfrom orchestrator.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        "assert not {'structlog', 'rich', 'tenacity', 'opentelemetry'} & sys.modules.keys(), sys.modules.keys()\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
