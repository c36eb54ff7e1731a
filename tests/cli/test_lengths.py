"""Limits of answers through the front door: measured by earlier runs, raised once, and prompts that fit nowhere."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.command import orchestrate, rows, scripted_spec

LONG = "```python\n" + "x = 1\n" * 400 + "```"
"""About 600 tokens."""
CUT = "```python\n" + "x = 1\n" * 1200 + "```"
"""More than 1024 tokens, and fewer than 8192."""
TASKS = [{"id": f"t{number}", "type": "code_generation", "prompt": f"Write x {number}."} for number in range(10)]


def sizes(home: Path, run: str, role: str = "generator") -> list[int]:
    """What a role was asked for in a run, in the log's order."""
    sql = "SELECT json_extract(data, '$.max_tokens') FROM events WHERE type = 'call.started' AND stream = ?"
    return [size for (size,) in rows(home, f"{sql} AND json_extract(data, '$.role') = ? ORDER BY version", run, role)]


def spec(folder: Path, **fields: Any) -> Path:
    """Ten tasks of one vendor's model, or what else is given."""
    return scripted_spec(folder, **{"tasks": TASKS, "loop": {"code_generation": "plain"}, **fields})


def test_a_run_begins_with_what_the_folder_measured(tmp_path: Path) -> None:
    """Unmeasured at first, then the p95 of ten answers and half of it; recorded, and recomputed by replay."""
    home = tmp_path / "home"
    path = spec(tmp_path, answers=[{"role": "generator", "text": LONG}])
    assert orchestrate(home, "run", str(path), "--project-id", "one").code == 0
    assert orchestrate(home, "run", str(path), "--project-id", "two").code == 0
    assert set(sizes(home, "one")) == {1024}
    ((data,),) = rows(home, "SELECT data FROM events WHERE type = 'session.opened' AND stream = 'two'")
    assert '"p95":604' in data
    assert set(sizes(home, "two")) == {906}
    verified = orchestrate(home, "replay", "two", "--verify")
    assert verified.code == 0, verified.out


def test_an_answer_that_is_cut_off_is_asked_for_once_more(tmp_path: Path) -> None:
    """With the limit of its type; explain says so."""
    home = tmp_path / "home"
    path = spec(tmp_path, tasks=TASKS[:1], answers=[{"role": "generator", "text": CUT}])
    ended = orchestrate(home, "run", str(path), "--project-id", "one")
    assert ended.code == 0, ended.err
    assert sizes(home, "one") == [1024, 8192]
    said = orchestrate(home, "explain", "one", "t0").out
    assert "at most 1024 tokens; " in said
    assert "at most 8192 tokens, once more after a cut; " in said


def test_a_limit_of_a_spec_wins(tmp_path: Path) -> None:
    """It is sent, and an answer beyond it stays cut off."""
    home = tmp_path / "home"
    limits = {"max_tokens": {"code_generation": 700}}
    path = spec(tmp_path, tasks=TASKS[:1], limits=limits, answers=[{"role": "generator", "text": CUT}])
    orchestrate(home, "run", str(path), "--project-id", "one")
    assert set(sizes(home, "one")) == {700}


SMALL = {"id": "small", "vendor": "n", "price": {"input": 0.3, "output": 0.5}, "slots": ["deepseek-chat"]}


def narrow(folder: Path, context: int, **fields: Any) -> Path:
    """A spec whose only model has a small window."""
    path = spec(folder, **fields)
    answers, written = folder / "answers.json", json.loads(path.read_text())
    script = json.loads(answers.read_text())
    answers.write_text(json.dumps({**script, "models": [{**SMALL, "context": context}]}))
    path.write_text(json.dumps({key: value for key, value in written.items() if key != "tasks" or fields["tasks"]}))
    return path


@pytest.mark.parametrize("planned", [True, False])
def test_a_prompt_that_fits_no_window_is_what_ends_the_run(tmp_path: Path, planned: bool) -> None:
    """The task, the run, explain and plan all say context; nothing is paid."""
    home = tmp_path / "home"
    path = narrow(tmp_path, 400, tasks=TASKS[:1] if planned else [])
    ended = orchestrate(home, "run", str(path), "--project-id", "one")
    assert ended.code != 0
    assert "the prompt fits the context window of no model" in ended.out
    ((reason,),) = rows(
        home, "SELECT json_extract(data, '$.reason') FROM events WHERE type = 'run.finished' AND stream = 'one'"
    )
    assert reason == "context"
    said = orchestrate(home, "explain", "one", "t0" if planned else "plan").out
    assert "tokens does not fit its context window of 400" in said
    seen = orchestrate(home, "plan", str(path)).out
    assert "not small: prompt and answer do not fit its context window" in seen


def test_a_small_window_plans_and_writes(tmp_path: Path) -> None:
    """8,192 tokens are room for a plan and for code; what is asked for fits beside the prompt."""
    home = tmp_path / "home"
    plan = '{"tasks": [{"file": "x.py", "prompt": "Write x, which is a number.", "needs": []}]}'
    path = narrow(tmp_path, 8192, tasks=[], answers=[{"role": "decomposer", "text": plan}])
    ended = orchestrate(home, "run", str(path), "--project-id", "one")
    assert ended.code == 0, ended.err
    sql = "SELECT json_extract(data, '$.max_tokens'), json_extract(data, '$.body_bytes') FROM events"
    for size, body in rows(home, f"{sql} WHERE type = 'call.started'"):
        assert size + body // 3 <= 8192
