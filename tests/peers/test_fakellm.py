"""Whole runs against `fakellm`, a mock server by others that speaks OpenAI's and Anthropic's formats.

The group needs the extra ``peers``; without it the tests are skipped.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from orchestrator.spi import find_tool
from tests.cli.command import orchestrate, rows
from tests.peers.programs import free_port, running

PROGRAM: Final = find_tool("fakellm")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="fakellm is not installed; it comes with the extra peers")

RULES: Final = {
    "rules": [
        {
            "name": "evaluator",
            "when": {"messages_contain": "role: evaluator"},
            "respond": {"content": '{"score": 0.95, "reasons": "It does what the task asks."}'},
        },
        {
            "name": "critic",
            "when": {"messages_contain": "role: critic"},
            "respond": {"content": "Say what happens with empty input."},
        },
        {
            "name": "author",
            "when": {"messages_contain": "role:"},
            "respond": {"content": "```python\ndef mean(values):\n    return sum(values) / len(values)\n```"},
        },
    ]
}
MODELS: Final = {
    "openai_compatible": [
        {
            "id": f"fake-{number}",
            "provider": "openai_compatible",
            "vendor": f"vendor-{number}",
            "price": {"input": 0.5, "output": 1.5},
            "context": 100_000,
            "max_output": 8192,
            "slots": [slot],
        }
        for number, slot in enumerate(("deepseek-chat", "moonshot-v1"))
    ],
    "openai": [{"id": name, "provider": "openai"} for name in ("gpt-4o", "gpt-4o-mini")],
    "anthropic": [{"id": name, "provider": "anthropic"} for name in ("claude-opus-5-5", "claude-haiku-5-5")],
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server."""
    assert PROGRAM is not None
    folder = tmp_path_factory.mktemp("fakellm")
    (folder / "fakellm.yaml").write_text(json.dumps({"version": 1, **RULES}))
    port = free_port()
    with running([PROGRAM, "serve", "--port", str(port)], port, folder) as address:
        yield address


def recent(server: str) -> list[dict[str, Any]]:
    """What the server says it was asked last."""
    found: list[dict[str, Any]] = httpx.get(f"{server}/_fakellm/stats", trust_env=False).json()["recent"]
    return found


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("provider", MODELS)
def test_a_run_succeeds_and_every_answer_is_settled(server: str, provider: str, stream: bool, tmp_path: Path) -> None:
    """Draft, criticism, revision, evaluations: in both formats, streamed and not, as the server's own list says."""
    options = {"stream": stream}
    spec = {
        "project": "Write a function for the mean",
        "criteria": "it works",
        "providers": {provider: options},
        "models": MODELS[provider],
        "tasks": [
            {"id": "mean", "type": "code_generation", "prompt": "Write mean().", "hard_validators": ["python_syntax"]}
        ],
    }
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    environ = {
        "OPENAI_COMPATIBLE_BASE_URL": f"{server}/v1",
        "OPENAI_BASE_URL": f"{server}/v1",
        "OPENAI_API_KEY": "sk-none",
        "ANTHROPIC_BASE_URL": server,
        "ANTHROPIC_API_KEY": "sk-none",
    }
    ended = orchestrate(tmp_path / "home", "run", str(path), "-o", "out", environ=environ)

    assert ended.code == 0, ended.err
    calls = rows(tmp_path / "home", "SELECT role, outcome FROM calls ORDER BY position")
    assert {role for role, _ in calls} == {"generator", "critic", "reviser", "evaluator"}
    assert {outcome for _, outcome in calls} == {"answered"}
    asked = recent(server)[: len(calls)]
    assert {each["api"] for each in asked} == {"anthropic" if provider == "anthropic" else "openai"}
    assert {bool(each["stream"]) for each in asked} == {stream}
    ((settled, held),) = rows(tmp_path / "home", "SELECT settled_nano, held_nano FROM runs")
    assert settled + held > 0
    assert "def mean" in next((tmp_path / "home" / "out").glob("*.py")).read_text()
