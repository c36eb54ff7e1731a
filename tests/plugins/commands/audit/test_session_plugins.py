"""The plugins of a session, audited: what a spec may write is never taken for a forgery."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.in_process import command
from tests.log.project import RUN, write_project

OURS = "multi-llm-orchestrator"


def naming(folder: Path, **keys: Any) -> Path:
    """A spec whose plugins are named otherwise."""
    spec = write_project(folder)
    spec.write_text(json.dumps(json.loads(spec.read_text()) | {"tasks": [TASK]} | keys))
    return spec


ANSWERS = {"answers": "answers.yaml"}
TASK = {"id": "t1", "type": "code_generation", "prompt": "Do it."}
NAMED: dict[str, dict[str, Any]] = {
    "a provider": {"providers": {f"{OURS}:scripted": ANSWERS}},
    "the plugin of an instance": {"providers": {"one": ANSWERS | {"type": f"{OURS}:scripted"}}},
    "one plugin in two ways": {"providers": {"scripted": ANSWERS, "one": ANSWERS | {"type": f"{OURS}:scripted"}}},
    "a backend": {"routing": {"backend": f"{OURS}:pareto"}},
    "a scorer": {"evaluate": {"scorer": f"{OURS}:mentions", "parameters": {"terms": ["answer"]}}},
    "an exporter": {"exporters": {f"{OURS}:json": {"path": "out.json"}}},
    "validators": {
        "tasks": [
            TASK | {"hard_validators": [f"{OURS}:ruff", "length"]},
            TASK | {"id": "t2", "hard_validators": [f"{OURS}:json_schema", f"{OURS}:ruff"]},
        ]
    },
}


@pytest.mark.parametrize("keys", NAMED.values(), ids=NAMED)
def test_a_plugin_may_be_named_with_its_distribution(
    keys: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The session records the plugin by its name alone, a validator twice where it is alone with its name, too."""
    monkeypatch.setenv("ORCHESTRATE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    assert command(capsys, "run", str(naming(tmp_path / "project", **keys)), "-q", "-y").code in (0, 1)
    verified = command(capsys, "audit", "verify", RUN, "--strict")
    assert verified.code == 0, verified.out + verified.err
