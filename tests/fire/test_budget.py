"""The ceiling under fire: many tasks at once, every call billed at its most, usage that lies, kills in the middle."""

import json
import random
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.money import Usd
from tests.fire.harness import Command, assert_sound, finish, kill, models_file, spec_file
from tests.servers.openai_server import Fault, OpenAIServer, role_of
from tests.servers.roles import play

TASKS = 120
CONCURRENCY = 50
ODDITIES = ("most", "missing", "zero", "beyond")
BUDGETS = ("0.002", "0.02", "0.2", "2", "50")


def _completion(text: str, usage: Mapping[str, int] | None) -> dict[str, Any]:
    body: dict[str, Any] = {"choices": [{"index": 0, "finish_reason": "stop", "message": {"content": text}}]}
    return body if usage is None else {**body, "usage": dict(usage)}


def _vendor(oddity: str) -> Any:
    """A vendor that bills every call at its most, and reports usage as the oddity says."""

    def answer(request: Mapping[str, Any]) -> str | Fault:
        text = play(request)
        limit = int(request["max_tokens"])
        size = len(json.dumps(request, separators=(",", ":"), ensure_ascii=False).encode())
        usages: dict[str, Mapping[str, int] | None] = {
            "most": {"prompt_tokens": size, "completion_tokens": limit},
            "missing": None,
            "zero": {"prompt_tokens": 0, "completion_tokens": 0},
            "beyond": {"prompt_tokens": size, "completion_tokens": limit + 50},
        }
        odd = oddity if role_of(request) == "generator" else "most"
        return Fault(200, _completion(text, usages[odd]))

    return answer


def _spec(folder: Path, budget: str) -> Path:
    kinds = ("summarization", "creative_writing", "data_extraction", "code_generation")
    tasks = [
        {"id": f"t{number}", "type": kinds[number % len(kinds)], "prompt": f"Do part {number}."}
        for number in range(TASKS)
    ]
    limits = {"iterations": dict.fromkeys(kinds, 1)}
    return spec_file(folder, tasks=tasks, budget_usd=float(budget), concurrency=CONCURRENCY, limits=limits)


def _assert_ceiling(history: list[tuple[int, e.Event]]) -> None:
    """On every prefix: settled + held ≤ cap + excess."""
    settled = held = excess = Usd.ZERO
    cap = Usd.ZERO
    holds: dict[int, Usd] = {}
    for version, (_, event) in enumerate(history, 1):
        match event:
            case e.RunStarted():
                cap = event.settings.cap
            case e.CallStarted():
                holds[version] = event.hold
                held += event.hold
            case e.CallSucceeded() | e.CallFailed():
                hold = holds.pop(event.call)
                held += event.unreconciled - hold
                settled += event.settled
                excess += max(Usd.ZERO, event.settled - hold)
        assert settled + held <= cap + excess, version


@pytest.mark.heavy
@pytest.mark.parametrize("budget", BUDGETS)
@pytest.mark.parametrize("oddity", ODDITIES)
def test_the_ceiling_holds(oddity: str, budget: str, tmp_path: Path) -> None:
    """From far too little money to plenty, with usage at its most, missing, zero and beyond the limit."""
    draw = random.Random(f"{oddity}/{budget}")
    with OpenAIServer(_vendor(oddity)) as server:
        command = Command(tmp_path, server)
        arguments = ["run", str(_spec(tmp_path, budget)), "--models", str(models_file(tmp_path))]
        process = command.start(*arguments)
        threading.Timer(draw.uniform(1.0, 4.0), kill, [process]).start()
        finish(process)
        ended = command.run(*arguments, timeout=300)
        assert "Traceback" not in ended.stderr
        assert ended.code in (0, 1, 4), (ended.code, ended.stderr)
        history = command.history()
        _assert_ceiling(history)
        _assert_accounted(server, history, oddity)
        if oddity != "beyond":
            assert not any(isinstance(event, e.SpendExceeded) for _, event in history)
        if budget == "50" and oddity == "most":
            assert ended.code == 0


def _assert_accounted(server: OpenAIServer, history: list[tuple[int, e.Event]], oddity: str) -> None:
    """Every request of the server stands in the log, and none that the log does not know reached it."""
    started = [event for _, event in history if isinstance(event, e.CallStarted)]
    assert len(server.ledger) <= len(started)
    succeeded = [event for _, event in history if isinstance(event, e.CallSucceeded)]
    unknown = [event for event in succeeded if event.usage is None]
    assert all(event.unreconciled and not event.settled for event in unknown)
    if oddity in ("missing", "zero") and succeeded:
        assert unknown


@pytest.mark.heavy
def test_a_run_that_can_afford_a_cheaper_path_finishes_it(tmp_path: Path) -> None:
    """The first choice is too dear for the budget; the run ends well with the second."""
    models = [
        {"id": "dear", "provider": "openai_compatible", "vendor": "a", "price": {"input": 500, "output": 5000},
         "slots": ["gemini-2.5-flash"]},
        {"id": "cheap", "provider": "openai_compatible", "vendor": "b", "price": {"input": 0.01, "output": 0.02}},
    ]  # fmt: skip
    path = tmp_path / "models.json"
    path.write_text(json.dumps({"models": models}))
    spec = spec_file(tmp_path, tasks=[{"id": "t", "type": "summarization", "prompt": "Sum up."}], budget_usd=0.05)
    with OpenAIServer() as server:
        command = Command(tmp_path, server)
        ended = command.run("run", str(spec), "--models", str(path))
        assert ended.code == 0, ended.stderr
        history = command.history()
    reasons = [event.reason for _, event in history if isinstance(event, e.ModelSelected)]
    assert "budget" in reasons
    assert {served.model for served in server.ledger} == {"cheap"}


def test_the_ceiling_of_a_small_run_is_recomputed_from_the_log(tmp_path: Path) -> None:
    """The same law on a run of the ordinary kind, so that it is seen in every test run."""
    with OpenAIServer() as server:
        command = Command(tmp_path, server)
        ended = command.run("run", str(spec_file(tmp_path, budget_usd=0.05)), "--models", str(models_file(tmp_path)))
        assert ended.code in (0, 1, 4)
        _assert_ceiling(command.history())
        assert_sound(command)
