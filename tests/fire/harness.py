"""The real command as a process of its own, against a real server on this machine."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from orchestrator import events as e
from orchestrator.engine.backend_guard import guard, run_here
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Redactor, Texts
from orchestrator.plugins import Catalogue
from orchestrator.replay import verify
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from tests.cli import forked
from tests.servers.openai_server import OpenAIServer

ROOT = Path(__file__).parent.parent.parent
PRICE = {"input": 0.25, "output": 1.25}
SLOTS = {
    "north-1": ["deepseek-chat", "deepseek-reasoner", "gemini-2.5-flash"],
    "south-1": ["moonshot-v1", "claude-opus", "gpt-4o-mini"],
}


def environment(server: OpenAIServer | None, **more: str) -> dict[str, str]:
    """A clean environment: no key of the person who runs the tests is in it."""
    unreconciled = {
        name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR", "PYTHONPATH")
    }
    address = {} if server is None else {"OPENAI_COMPATIBLE_BASE_URL": server.base_url}
    return {**unreconciled, **address, "PYTHONDONTWRITEBYTECODE": "1", **more}


def models_file(folder: Path, **facts: object) -> Path:
    """Two models of two vendors behind the one server."""
    models = [
        {"id": name, "provider": "openai_compatible", "vendor": name, "price": PRICE, "slots": slots, **facts}
        for name, slots in SLOTS.items()
    ]
    path = folder / "models.json"
    path.write_text(json.dumps({"models": models}))
    return path


def spec_file(folder: Path, **fields: object) -> Path:
    """A project with a fixed id, planned by the server."""
    spec = {"project": "Keep a small data model.", "criteria": "It holds.", "project_id": "fire", **fields}
    path = folder / "spec.json"
    path.write_text(json.dumps(spec))
    return path


@define
class Command:
    """``orchestrate`` in a folder of its own."""

    folder: Path
    server: OpenAIServer | None
    extra: Mapping[str, str] = field(factory=dict)

    @property
    def home(self) -> Path:
        """The data folder."""
        return self.folder / "home"

    def start(self, *arguments: str, **environ: str) -> "subprocess.Popen[str]":
        """Start it and do not wait."""
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator", *arguments, "--home", str(self.home)],
            cwd=self.folder,
            env=environment(self.server, **{**self.extra, **environ}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *arguments: str, timeout: float = 120.0, **environ: str) -> "Ended":
        """Start it and wait for its end; see ``tests.cli.forked``."""
        variables = environment(self.server, **{**self.extra, **environ})
        if not forked.can_fork(variables):
            return finish(self.start(*arguments, **environ), timeout)
        return Ended(*forked.run([*arguments, "--home", str(self.home)], self.folder, variables, timeout))

    def history(self, run: str = "fire") -> list[tuple[int, e.Event]]:
        """The run's history on disk; empty where there is none."""
        if not (self.home / "events.db").exists():
            return []
        log = EventLog.open_to_read(self.home)
        try:
            return [(record.at, record.event) for record in log.read(run)]
        finally:
            log.close()

    def texts(self, run: str = "fire") -> Callable[[str], str]:
        """The texts of a run."""
        log = EventLog.open_to_read(self.home)
        return Texts(log, run, os.urandom, Redactor()).get


@frozen
class Ended:
    """How a process ended."""

    code: int
    stdout: str
    stderr: str


def finish(process: "subprocess.Popen[str]", timeout: float = 120.0) -> Ended:
    """Wait for the end; a process that hangs is killed, and the test fails."""
    try:
        stdout, stderr = process.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        kill(process)
        stdout, stderr = process.communicate()
        raise AssertionError(f"no end within {timeout} s; stderr: {stderr[-2000:]}") from None
    return Ended(process.returncode, stdout, stderr)


def kill(process: "subprocess.Popen[str]") -> None:
    """``kill -9``."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def assert_sound(command: Command, run: str = "fire") -> RunState:
    """The log is whole, every decision can be computed again, and the server's ledger agrees. Returns the state."""
    log = EventLog.open_to_read(command.home)
    try:
        assert log.verify() == []
    finally:
        log.close()
    history = command.history(run)
    state = fold(history)
    rank = guard(Catalogue.discover().backend("greedy", {}), run_here)
    assert verify(history, lambda session: rank).differences == ()
    if command.server is not None:
        assert_accounted(command.server, state)
        assert_asked_once(command.server, [event for _, event in history])
    return state


def assert_accounted(server: OpenAIServer, state: RunState) -> None:
    """What the server bills is settled; where a call was lost, it is within settled + held."""
    billed = server.billed
    assert billed <= state.spend.settled + state.held
    if not state.held:
        assert billed == state.spend.settled


def assert_asked_once(server: OpenAIServer, history: Sequence[e.Event]) -> None:
    """A logical call is asked once, and once more for each of its attempts that failed or that a dead session left."""
    starts = {number: event for number, event in enumerate(history, 1) if isinstance(event, e.CallStarted)}
    ended = [each for event in history if isinstance(event, (e.SessionOpened, e.SessionLost)) for each in event.ended]
    failed = [event.call for event in history if isinstance(event, e.CallFailed)]
    asked = Counter(_logical(event) for event in starts.values())
    excused = Counter(_logical(starts[version]) for version in [*failed, *(each.call for each in ended)])
    assert all(count == 1 + excused[logical] for logical, count in asked.items() if count > 1)
    assert len(server.ledger) <= len(starts)
    by_key = Counter(served.idempotency_key for served in server.ledger)
    assert max(by_key.values(), default=0) <= 1 + max(excused.values(), default=0)


def _logical(event: e.CallStarted) -> tuple[Any, ...]:
    return (event.node, event.role, event.iteration, event.sample)
