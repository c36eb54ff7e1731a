"""The example service, in a process of its own, over real HTTP."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.cli.command import ROOT, clean_environment, orchestrate
from tests.python_api.stepping import a_spec

pytest.importorskip("fastapi", reason="the extra `service` is not installed")
pytest.importorskip("uvicorn", reason="the extra `service` is not installed")

SERVICE = ROOT / "examples" / "service"


def _free_port() -> int:
    with closing(socket.socket()) as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _served(folder: Path, **environ: str) -> Iterator[httpx.Client]:
    """A client of the service, which works in this folder."""
    home, port = folder / "home", _free_port()
    home.mkdir(exist_ok=True)
    words = [sys.executable, "-m", "uvicorn", "app:app", "--app-dir", str(SERVICE), "--port", str(port)]
    environment = clean_environment(home, **environ)
    process = subprocess.Popen(words, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            _wait_for(client, process)
            yield client
    finally:
        process.terminate()
        _, said = process.communicate(timeout=60)
    assert "Traceback" not in said, said


def _wait_for(client: httpx.Client, process: "subprocess.Popen[str]") -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and process.poll() is None:
        with suppress(httpx.TransportError):
            if client.get("/runs").status_code == 200:
                return
        time.sleep(0.1)
    raise AssertionError(f"the service does not answer: {process.poll()}")


def _keys(folder: Path, **more: Any) -> dict[str, Any]:
    return {**json.loads(a_spec(folder, tasks=2).read_text()), **more}


def _events(client: httpx.Client, run: str, **how: Any) -> list[dict[str, Any]]:
    """The server-sent events of a run, to their end."""
    found: list[dict[str, Any]] = []
    with client.stream("GET", f"/runs/{run}/events", **how) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data: "):
                found.append(json.loads(line.removeprefix("data: ")))
    return found


def test_a_run_is_started_followed_and_listed(tmp_path: Path) -> None:
    """Its events arrive while it goes on, a client that reconnects misses none, and its outputs are there."""
    with _served(tmp_path) as client:
        begun = client.post("/runs", json={"spec": _keys(tmp_path, project_id="web")})
        assert (begun.status_code, begun.json()["run_id"]) == (201, "web")
        events = _events(client, "web")
        assert [each["version"] for each in events] == list(range(1, len(events) + 1))
        assert events[-1]["type"] == "run.finished"
        again = _events(client, "web", headers={"Last-Event-ID": "7"})
        assert again == events[7:] == _events(client, "web", params={"after": 7})
        shown = client.get("/runs/web").json()
        assert shown["status"] == "SUCCESS"
        assert "x = " in shown["outputs"]["t1"]
        assert [each["run_id"] for each in client.get("/runs", params={"status": "success"}).json()] == ["web"]
        assert client.get("/runs/nope").status_code == 404
        assert client.post("/runs", json={"spec": {"project": "x"}}).status_code == 422
        assert client.post("/runs/web/cancel").status_code == 409
    assert orchestrate(tmp_path / "home", "audit", "verify", "web").code == 0


def test_more_money_and_cancelling(tmp_path: Path) -> None:
    """A run that ran out goes on with more; one in the middle of a call is stopped, and goes on when resumed."""
    slow = {"role": "generator", "try": 1, "text": "```python\nx = 1\n```", "delay_ms": 60_000}
    with _served(tmp_path) as client:
        client.post("/runs", json={"spec": _keys(tmp_path, project_id="poor", budget_usd=0.002)})
        assert _events(client, "poor")[-1]["data"]["status"] == "BUDGET_EXHAUSTED"
        assert client.post("/runs/poor/resume", json={"add_budget": 1.0}).status_code == 200
        _events(client, "poor")
        assert client.get("/runs/poor").json()["status"] == "SUCCESS"
        keys = json.loads(a_spec(tmp_path, answers=[slow], project_id="long").read_text())
        client.post("/runs", json={"spec": keys})
        assert client.post("/runs/long/cancel").json()["status"] == "interrupted"
        a_spec(tmp_path)  # its answers come at once now
        client.post("/runs/long/resume", json={})
        assert _events(client, "long")[-1]["type"] == "run.finished"


def test_the_ceiling_holds_for_clients(tmp_path: Path) -> None:
    """A request beyond the user's ceiling is refused with 403 and starts nothing."""
    (tmp_path / "config.toml").write_text("ceiling_usd = 2\n")
    with _served(tmp_path, ORCHESTRATE_CONFIG=str(tmp_path / "config.toml")) as client:
        refused = client.post("/runs", json={"spec": _keys(tmp_path, budget_usd=5)})
        assert refused.status_code == 403
        assert "more than your ceiling" in refused.json()["error"]
        assert client.get("/runs").json() == []


def test_stopping_the_service_leaves_runs_that_go_on_elsewhere(tmp_path: Path) -> None:
    """What was going on is interrupted and recorded; the command line resumes it."""
    slow = {"role": "generator", "try": 1, "text": "```python\nx = 1\n```", "delay_ms": 60_000}
    with _served(tmp_path) as client:
        keys = json.loads(a_spec(tmp_path, answers=[slow], project_id="left").read_text())
        assert client.post("/runs", json={"spec": keys}).status_code == 201
    a_spec(tmp_path)
    home = tmp_path / "home"
    assert orchestrate(home, "runs", "list", "--json").json[0]["status"] == "interrupted"
    assert orchestrate(home, "resume", "left", cwd=tmp_path).code == 0
