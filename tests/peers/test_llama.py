"""A whole run against a real, small model behind the server of `xllamacpp`.

The group needs the extra ``peers`` and ``ORCHESTRATE_TEST_GGUF``, which names a GGUF file; otherwise it is skipped.
"""

import json
import os
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import httpx
import pytest

from tests.cli.command import orchestrate, rows
from tests.peers.programs import free_port, running

MODEL: Final = os.environ.get("ORCHESTRATE_TEST_GGUF", "")
pytestmark = [
    pytest.mark.heavy,
    pytest.mark.skipif(
        find_spec("xllamacpp") is None, reason="xllamacpp is not installed; it comes with the extra peers"
    ),
    pytest.mark.skipif(not MODEL, reason="ORCHESTRATE_TEST_GGUF names no model"),
]

SERVE: Final = """
import sys, threading, xllamacpp

params = xllamacpp.CommonParams()
params.model.path, params.port = sys.argv[1], int(sys.argv[2])
params.n_ctx, params.n_parallel = 16384, 1
server = xllamacpp.Server(params)
threading.Event().wait()
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server."""
    port = free_port()
    command = [sys.executable, "-c", SERVE, MODEL, str(port)]
    with running(command, port, tmp_path_factory.mktemp("llama")) as address:
        deadline = time.monotonic() + 300
        while httpx.get(f"{address}/health", trust_env=False).status_code != 200:
            assert time.monotonic() < deadline, "the model is not loaded in time"
            time.sleep(0.2)
        yield address


@pytest.mark.parametrize("provider", ["openai_compatible", "anthropic"])
def test_a_real_model_is_asked_and_its_tokens_are_paid(server: str, provider: str, tmp_path: Path) -> None:
    """Whatever it writes, every call ends in an answer with believable usage, and the run ends by the rules."""
    models = [
        {
            "id": f"small-{number}",
            "provider": provider,
            "vendor": f"vendor-{number}",
            "price": {"input": 0.01, "output": 0.02},
            "context": 16384,
            "max_output": 512,
            "slots": [slot],
            "abilities": ["json_schema"] if provider == "openai_compatible" else [],
        }
        for number, slot in enumerate(("deepseek-chat", "moonshot-v1"))
    ]
    limits = {"iterations": {"summarization": 1}, "max_tokens": {"summarization": 48, "evaluator": 48, "critic": 48}}
    spec = {
        "project": "Say what a list is in Python",
        "criteria": "one sentence",
        "providers": {provider: {}},
        "models": models,
        "routing": {"table": {"summarization": ["small-0", "small-1"], "evaluation": ["small-1", "small-0"]}},
        "evaluate": {"runs": 1},
        "limits": limits,
        "time_seconds": 60,
        "tasks": [{"id": "say", "type": "summarization", "prompt": "Say in one sentence what a list is in Python."}],
    }
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    environ = {
        "OPENAI_COMPATIBLE_BASE_URL": f"{server}/v1",
        "ANTHROPIC_BASE_URL": server,
        "ANTHROPIC_API_KEY": "sk-none",
    }
    ended = orchestrate(tmp_path / "home", "run", str(path), "-o", "out", environ=environ)

    assert ended.code in (0, 1, 5), ended.err  # a small model on a slow machine may not be done in a minute
    assert "Traceback" not in ended.err
    calls = rows(tmp_path / "home", "SELECT role, outcome, settled_nano, held_nano FROM calls")
    answered = [call for call in calls if call[1] == "answered"]
    assert "generator" in {role for role, *_ in answered}
    assert all(settled > 0 and not held for _, _, settled, held in answered)
