"""Answers that are cut off, from the outside: one larger call, but none for an answer that repeats itself."""

import json
from pathlib import Path

import pytest

from tests.cli.command import orchestrate, rows

MODEL = {"id": "m-1", "vendor": "v", "price": {"input": 1, "output": 1}, "context": 64000, "max_output": 16000}
HEAD = "def f():\n" + "".join(f"    name_{n} = {n}\n" for n in range(20))
LOOP = HEAD + "    assert to_roman(4000) == 'MMM'\n    assert to_roman(90) == 'CM'\n" * 40 + "    assert to_roman("
CUT = "def f():\n" + "".join(f"    assert to_roman({n}) == '{n * 7}'\n" for n in range(80)) + "    assert to_roman("


@pytest.mark.parametrize(("text", "calls"), [(CUT, 2), (LOOP, 1)])
def test_an_answer_that_repeats_itself_is_not_paid_for_twice(tmp_path: Path, text: str, calls: int) -> None:
    """A higher limit would give more of the same; the next sample, or the next model, may do better."""
    answers = [{"role": "generator", "text": text, "finish": "length"}]
    script = {"models": [MODEL], "delay_ms": 0, "answers": answers}
    (tmp_path / "answers.json").write_text(json.dumps(script))
    spec = {
        "project": "p",
        "criteria": "c",
        "providers": {"scripted": {"answers": "answers.json"}},
        "loop": "plain",
        "tasks": [{"id": "t", "type": "code_generation", "prompt": "Write f.", "hard_validators": ["python_syntax"]}],
    }
    (tmp_path / "spec.json").write_text(json.dumps(spec))
    ended = orchestrate(tmp_path / "home", "run", str(tmp_path / "spec.json"))
    assert ended.code == 1, ended.err
    sent = rows(tmp_path / "home", "select count(*) from events where type = 'call.started'")
    assert sent == [(calls,)]
    assert ("its answer repeats itself" in ended.err) is (calls == 1)
    assert orchestrate(tmp_path / "home", "replay", "last", "--verify").code == 0
    assert orchestrate(tmp_path / "home", "audit", "verify", "last").code == 0
