"""Whole runs in which checks need files of dependencies, through the front door."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.engine.checks import selector_for
from orchestrator.ledger.event_log import EventLog
from orchestrator.log import Texts
from orchestrator.settings import SandboxChoice
from tests.cli.in_process import command

MODELS = [
    {"id": "one", "vendor": "v1", "price": {"input": 1, "output": 1}, "context": 100000, "max_output": 8000,
     "slots": ["deepseek-chat"]},
    {"id": "two", "vendor": "v2", "price": {"input": 1, "output": 1}, "context": 100000, "max_output": 8000,
     "slots": ["gpt-4o"]},
]  # fmt: skip
TEXTS = {
    "rates": "RATE = 3\n",
    "tax": "from shop.rates import RATE\n\n\ndef tax(amount):\n    return amount * RATE\n",
    "bill": "from shop.tax import tax\n\n\ndef bill(amount):\n    return amount + tax(amount)\n",
    "alone": "from shop.rates import RATE\n\n\ndef alone():\n    return RATE\n",
}
PATHS = {name: f"shop/{name}.py" for name in TEXTS}
GATES = ["python_syntax", "pytest"]


def task(name: str, tests: str | None, *dependencies: str) -> dict[str, Any]:
    """A code task of the plan."""
    given = {} if tests is None else {"tests": tests}
    return {"id": name, "type": "code_generation", "prompt": f"Write {name}.", "hard_validators": GATES,
            "dependencies": list(dependencies), **given}  # fmt: skip


TASKS = [
    task("rates", None),
    task("tax", "from shop.tax import tax\n\n\ndef test_tax():\n    assert tax(2) == 6\n", "rates"),
    task("bill", "from bill import bill\n\n\ndef test_bill():\n    assert bill(2) == 8\n", "tax"),
    task("alone", "from alone import alone\n\n\ndef test_alone():\n    assert alone() == 3\n"),
]


def run(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], **more: Any
) -> dict[str, list[tuple[e.Validated, str]]]:
    """Run the tasks; returns by task each check by pytest, and what it said. Texts are the same in every iteration."""
    if selector_for(SandboxChoice.AUTO).level() is None:
        pytest.skip("no sandbox holds on this machine")
    monkeypatch.chdir(folder)
    texts = {**TEXTS, **more.pop("texts", {})}
    answers = [
        {"task": name, "role": role, "text": f"```python\n{text}```\n"}
        for name, text in texts.items()
        for role in ("generator", "reviser")
    ]
    answers += [{"role": "critic", "text": "fine"}, {"role": "evaluator", "text": '{"score": 0.95, "reasons": "ok"}'}]
    (folder / "answers.yaml").write_text(json.dumps({"models": MODELS, "answers": answers}))
    spec = {"project": "A shop", "criteria": "it adds up", "project_id": "shop", "tasks": TASKS, "task_paths": PATHS,
            "budget_usd": 1, "providers": {"scripted": {"answers": "answers.yaml"}}, **more}  # fmt: skip
    (folder / "spec.yaml").write_text(json.dumps(spec))
    command(capsys, "run", "spec.yaml", "--home", str(folder / "home"), "-o", str(folder / "out"))
    log = EventLog.open(folder / "home")
    try:
        return _checks(log)
    finally:
        log.close()


def _checks(log: EventLog) -> dict[str, list[tuple[e.Validated, str]]]:
    texts = Texts(log, "shop", lambda size: bytes(size), log.redactor)
    opened: dict[int, e.CheckStarted] = {}
    found: dict[str, list[tuple[e.Validated, str]]] = {}
    for record in log.read("shop"):
        match record.event:
            case e.CheckStarted() as started:
                opened[record.version] = started
            case e.Validated() as ended if opened[ended.check].validator == "pytest":
                said = texts.get(ended.details) if ended.details else ""
                found.setdefault(opened[ended.check].task, []).append((ended, said))
    return found


def test_files_of_all_transitive_dependencies_are_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task imports its dependency, which imports its own; one that depends on nothing sees no other's file."""
    command_line = "python -c 'from shop.bill import bill; assert bill(2) == 8'"
    found = run(tmp_path, monkeypatch, capsys, verify_cmd=command_line)
    passed = {name: checks[-1][0].verdict.value for name, checks in found.items()}
    assert passed == {"rates": "passed", "tax": "passed", "bill": "passed", "alone": "failed"}
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    assert summary["verification"]["verdict"] == "passed"
    assert (found["bill"][-1][0].passed_tests, found["bill"][-1][0].total_tests) == (1, 1)
    assert "No module named 'shop.rates'" in found["alone"][-1][1]


def test_a_dependency_that_is_wrong_fails_what_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is the dependency's own text that lies there, and the failure says where it comes from."""
    wrong = {"tax": "def tax(amount):\n    raise ValueError('no rate')\n"}
    found = run(tmp_path, monkeypatch, capsys, texts=wrong)
    ended, said = found["bill"][-1]
    assert ended.verdict.value == "failed"
    assert said == (
        "0 of 1 tests passed. Failing:\n"
        "test_bill: `assert bill(2) == 8`: ValueError: no rate (at tax.py:2: raise ValueError('no rate'))"
    )


def test_an_outputs_own_file_wins_and_that_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A task that rewrites its dependency's file is judged by its own."""
    tests = "from shop.rates import RATE\n\n\ndef test_rate():\n    assert RATE == 4\n"
    found = run(
        tmp_path,
        monkeypatch,
        capsys,
        texts={"better": "RATE = 4\n"},
        tasks=[task("rates", None), task("better", tests, "rates")],
        task_paths={"rates": "shop/rates.py", "better": "shop/rates.py"},
    )
    ended, said = found["better"][-1]
    assert ended.verdict.value == "passed"
    assert said == "1 tests passed\nleft out, for the output has a file of that name: shop/rates.py"
