"""``kill -9`` of the real command against a real server, and what a resume makes of it."""

import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator.models import ProjectStatus
from orchestrator.testing.simulation.equal_outcomes import RunOutcome, outcome_of, same_outcome
from tests.fire.harness import ROOT, Command, assert_sound, finish, kill, models_file, spec_file
from tests.servers.openai_server import Fault, OpenAIServer
from tests.servers.roles import play

TRIALS = 60
KILL_POINTS = ("received", "half", "sent", "random", "call")


class Trap:
    """Answers like any server, and kills the command at a chosen request."""

    def __init__(self, instant: str, request: int, draw: random.Random) -> None:
        self.instant = instant
        self.request = request
        self.draw = draw
        self.process: subprocess.Popen[str] | None = None
        self._count = 0
        self._lock = threading.Lock()

    def __call__(self, request: Mapping[str, Any]) -> str | Fault:
        """The server's answer function."""
        with self._lock:
            self._count += 1
            mine = self._count == self.request
        text = play(request)
        if not mine or self.process is None:
            return text
        if self.instant == "received":
            kill(self.process)
        elif self.instant == "half":
            threading.Timer(0.02, kill, [self.process]).start()
            body = json.dumps({"choices": [{"message": {"content": text}, "finish_reason": "stop"}]})
            promised = {"content-length": str(2 * len(body))}  # the other half never comes, and the line stays open
            return Fault(200, body, headers=promised, billed=True, worked=text)
        elif self.instant == "sent":
            threading.Timer(self.draw.uniform(0, 0.04), kill, [self.process]).start()
        return text


def _arguments(folder: Path) -> list[str]:
    return ["run", str(spec_file(folder)), "--models", str(models_file(folder)), "-o", str(folder / "out")]


def _outcome(command: Command) -> RunOutcome:
    state = assert_sound(command)
    return outcome_of(state, command.texts())


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[RunOutcome, dict[str, str], float, int]]:
    """The outcome, the files, the duration and the number of requests of a run that is not killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with OpenAIServer() as server:
        command = Command(folder, server)
        began = time.monotonic()
        ended = command.run(*_arguments(folder))
        assert ended.code == 0, ended.stderr
        yield _outcome(command), _files(folder), time.monotonic() - began, len(server.ledger)


def _files(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in (folder / "out").glob("task_*")}


@pytest.mark.heavy
@pytest.mark.parametrize("trial", range(TRIALS))
def test_a_killed_run_comes_to_the_same_end(
    trial: int, tmp_path: Path, undisturbed: tuple[RunOutcome, dict[str, str], float, int]
) -> None:
    """One to three kills at chosen or random moments, then a resume: same outcome, all money accounted for."""
    expected, files, duration, requests = undisturbed
    draw = random.Random(trial)
    with OpenAIServer() as server:
        command = Command(tmp_path, server)
        arguments = _arguments(tmp_path)
        for _ in range(draw.randint(1, 3)):
            _one_kill(command, arguments, KILL_POINTS[trial % len(KILL_POINTS)], draw, duration, requests)
        server.answer = play
        ended = command.run(*arguments)
        assert ended.code == 0, ended.stderr
        assert "Traceback" not in ended.stderr
        assert same_outcome(_outcome(command), expected) == []
        assert _files(tmp_path) == files
        asked = len(server.ledger)
        again = command.run(*arguments)
        assert again.code == 0
        assert len(server.ledger) == asked, "a finished run asked somebody"


def _one_kill(
    command: Command, arguments: list[str], instant: str, draw: random.Random, duration: float, requests: int
) -> None:
    assert command.server is not None
    trap = Trap(instant, draw.randint(1, requests), draw)
    command.server.answer = trap
    environ: dict[str, str] = {}
    if instant == "call":
        environ = _kill_at(draw.randint(1, 4000))
    process = command.start(*arguments, **environ)
    trap.process = process
    if instant == "random":
        threading.Timer(draw.uniform(0, duration), kill, [process]).start()
    finish(process)


def _kill_at(call: int) -> dict[str, str]:
    """Variables that make the command kill itself before its n-th call that reaches outside."""
    return {"PYTHONPATH": str(ROOT / "tests" / "fire" / "killer"), "KILL_AT": str(call)}


@pytest.mark.heavy
def test_the_moments_really_come(tmp_path: Path) -> None:
    """Every kind of kill kills: a trap that never springs would prove nothing."""
    draw = random.Random(0)
    for instant in KILL_POINTS:
        folder = tmp_path / instant
        folder.mkdir()
        with OpenAIServer() as server:
            command = Command(folder, server)
            environ = (
                {"PYTHONPATH": str(ROOT / "tests" / "fire" / "killer"), "KILL_AT": "600"} if instant == "call" else {}
            )
            trap = Trap(instant, 2, draw)
            server.answer = trap
            process = command.start(*_arguments(folder), **environ)
            trap.process = process
            if instant == "random":
                threading.Thread(target=_kill_between_calls, args=(server, process)).start()
            assert finish(process).code == -9, instant


def _kill_between_calls(server: OpenAIServer, process: "subprocess.Popen[str]") -> None:
    """Kill a command at no moment of its own, once it has been answered twice."""
    while process.poll() is None and len(server.ledger) < 2:
        time.sleep(0.005)
    kill(process)


def test_statuses_of_the_baseline(tmp_path: Path) -> None:
    """The project of these tests ends well when it is not disturbed."""
    with OpenAIServer() as server:
        command = Command(tmp_path, server)
        ended = command.run(*_arguments(tmp_path))
        assert ended.code == 0, ended.stderr
        state = assert_sound(command)
    assert state.finished is not None
    assert state.finished.status is ProjectStatus.SUCCESS
