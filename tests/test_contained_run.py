"""A whole run through the front door in which pytest refuses a draft and passes the repair."""

import json
from pathlib import Path

import pytest

from orchestrator.engine.checks import selector_for
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.settings import SandboxChoice
from tests.cli.in_process import command

DRAFT = "```python\ndef mean(values):\n    return sum(values) / (len(values) - 1)\n```"
REPAIR = "```python\ndef mean(values):\n    return sum(values) / len(values)\n```"
SPEC = """
project: "A mean"
criteria: "its tests pass"
project_id: contained
budget_usd: 1
task_paths: {{1: stats/mean.py}}
validators: {{sandbox: {sandbox}}}
providers: {{scripted: {{answers: answers.yaml}}}}
tasks:
  - id: mean
    type: code_generation
    prompt: "Write mean(values)."
    hard_validators: [python_syntax, pytest]
    tests: |
      from mean import mean

      def test_mean():
          assert mean([1, 2, 3]) == 2
"""
ANSWERS = {
    "models": [
        {"id": "one", "vendor": "v1", "price": {"input": 1, "output": 1}, "context": 100000, "max_output": 8000,
         "slots": ["deepseek-chat"]},
        {"id": "two", "vendor": "v2", "price": {"input": 1, "output": 1}, "context": 100000, "max_output": 8000,
         "slots": ["gpt-4o"]},
    ],
    "answers": [
        {"role": "generator", "iteration": 1, "text": DRAFT},
        {"role": "reviser", "iteration": 1, "text": DRAFT},
        {"role": "generator", "text": REPAIR},
        {"role": "reviser", "text": REPAIR},
        {"role": "critic", "text": "It is fine."},
        {"role": "evaluator", "text": '{"score": 0.95, "reasons": "good"}'},
    ],
}  # fmt: skip


@pytest.mark.parametrize("choice", [SandboxChoice.BWRAP, SandboxChoice.LANDLOCK])
def test_pytests_message_is_in_the_log_and_the_repair_passes(
    choice: SandboxChoice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The draft fails with the assertion, the repair passes, each check says how it was contained."""
    if selector_for(choice).level() is None:
        pytest.skip(f"{choice.value} does not hold on this machine")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "answers.yaml").write_text(json.dumps(ANSWERS))
    (tmp_path / "spec.yaml").write_text(SPEC.format(sandbox=choice.value))
    home, out = str(tmp_path / "home"), str(tmp_path / "out")
    assert command(capsys, "run", "spec.yaml", "--home", home, "-o", out).code == 0
    assert (tmp_path / "out" / "stats" / "mean.py").read_text() == REPAIR.split("```")[1].removeprefix("python\n")
    checks = _checks(tmp_path / "home")
    assert [verdict for verdict, _, _ in checks if verdict == "failed"] == ["failed"]
    failed = next(said for verdict, said, _ in checks if verdict == "failed")
    assert "mean([1, 2, 3]) returned 3.0, expected 2" in failed
    assert ("passed", "1 tests passed", choice.value) in checks


def _checks(home: Path) -> list[tuple[str, str, str | None]]:
    """(verdict, details, sandbox) of each check of the run."""
    log = EventLog.open(home)
    texts = Texts(log, "contained", lambda size: bytes(size), log.redactor)
    try:
        events = [record.event for record in log.read("contained") if type(record.event).__name__ == "Validated"]
        return [(e.verdict.value, texts.get(e.details) if e.details else "", e.sandbox) for e in events]  # type: ignore[attr-defined]
    finally:
        log.close()
