"""Runs whose critiques bring counterexamples: they are run on the draft, through the front door."""

import json
from pathlib import Path
from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.engine.checks import selector_for
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import Role
from orchestrator.settings import SandboxChoice
from orchestrator.state.fold import fold
from orchestrator.state.run import RunState
from tests.cli.in_process import command
from tests.test_dependencies_of_checks import MODELS

DRAFT = "```python\nfrom rates import RATE\n\n\ndef tax(amount):\n    return amount * RATE\n```"
FALSE = {"where": "tax", "problem": "the rate is applied twice",
         "counterexample": {"input": "tax(2)", "expected": "6", "actual": "18"}}  # fmt: skip
TRUE = {"where": "tax", "problem": "texts are repeated",
        "counterexample": {"input": "tax('a')", "expected": "TypeError", "actual": "'aaa'"}}  # fmt: skip
VAGUE = {"where": "tax", "problem": "it has no docstring", "counterexample": None}
HOSTILE = [
    {"where": "tax", "problem": "it leaves", "counterexample": {"input": given, "expected": "1", "actual": "2"}}
    for given in (
        "__import__('os').system('touch {0}')",
        "tax(__import__('pathlib').Path('{0}').touch())",
        "tax([0] * 10**12)",
        "tax('" + "x" * 100_000 + "')",
    )
]
TASKS = [
    {"id": "rates", "type": "code_generation", "prompt": "Write RATE."},
    {"id": "tax", "type": "code_generation", "prompt": "Write tax.", "dependencies": ["rates"]},
]


@pytest.fixture(autouse=True)
def _contained() -> None:
    if selector_for(SandboxChoice.AUTO).level() is None:
        pytest.skip("no sandbox holds on this machine")


def run(
    folder: Path, capsys: pytest.CaptureFixture[str], *defects: dict[str, Any], draft: str = DRAFT
) -> tuple[RunState, list[e.Event]]:
    """The state and the events of a run whose critic names defects; the revision only has another comment."""
    answers = [
        {"role": "critic", "text": '{"defects": []}'},
        {"role": "evaluator", "text": '{"score": 0.95, "reasons": "ok"}'},
        {"task": "rates", "role": "generator", "text": "```python\nRATE = 3\n```"},
        {"task": "tax", "role": "generator", "text": draft},
        {"task": "tax", "role": "reviser", "text": draft.replace("def tax", "# revised\ndef tax")},
        {"task": "tax", "role": "critic", "text": json.dumps({"defects": defects})},
    ]
    (folder / "answers.json").write_text(json.dumps({"models": MODELS, "answers": answers}))
    spec = {"project": "Taxes", "criteria": "they add up", "project_id": "taxes", "budget_usd": 1, "tasks": TASKS,
            "task_paths": {"rates": "rates.py", "tax": "tax.py"},
            "providers": {"scripted": {"answers": str(folder / "answers.json")}}}  # fmt: skip
    (folder / "spec.json").write_text(json.dumps(spec))
    home = str(folder / "home")
    ended = command(capsys, "run", str(folder / "spec.json"), "--home", home, "-o", str(folder / "out"))
    assert ended.code == 0, ended.err
    for check in (("audit", "verify", "taxes"), ("replay", "taxes", "--verify")):
        checked = command(capsys, *check, "--home", home)
        assert checked.code == 0, checked.err
    log = EventLog.open(folder / "home")
    try:
        records = list(log.read("taxes"))
    finally:
        log.close()
    return fold((record.at, record.event) for record in records), [record.event for record in records]


def probes(events: list[e.Event]) -> list[list[str]]:
    """The results of each probe."""
    return [[result.value for result in event.results] for event in events if isinstance(event, e.Probed)]


def test_true_claims_are_confirmed_and_false_ones_refuted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each defect has its result, with the dependency's file beside the draft; the revision follows."""
    state, events = run(tmp_path, capsys, FALSE, TRUE, VAGUE)
    assert probes(events) == [["refuted", "confirmed", "unverified"]]
    assert {event.sandbox for event in events if isinstance(event, e.Probed)} <= {"bwrap", "landlock"}
    assert state.tasks["tax"].call(Role.REVISER, 1) is not None


def test_a_critique_of_false_claims_alone_is_dropped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The draft gives what is expected: nothing is revised."""
    state, events = run(tmp_path, capsys, FALSE)
    assert probes(events) == [["refuted"]]
    assert state.tasks["tax"].call(Role.REVISER, 1) is None


def test_hostile_claims_harm_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Code in place of a call, a huge list, a huge text: none is confirmed, nothing is touched, the run goes on."""
    mark = tmp_path / "touched"
    tmp_path.chmod(0o777)
    _, events = run(tmp_path, capsys, *json.loads(json.dumps(HOSTILE).replace("{0}", str(mark))))
    assert "confirmed" not in str(probes(events))
    assert not mark.exists()


def test_an_endless_draft_ends_its_probe(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A call that never returns is unverified, and the run goes on."""
    draft = "```python\ndef tax(amount):\n    while amount:\n        pass\n    return 0\n```"
    _, events = run(tmp_path, capsys, FALSE, draft=draft)
    assert probes(events) == [["unverified"]]


def test_equal_answers_are_known(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A revision that only has another comment is the draft again; a digest that no stored text has says so."""
    state, _ = run(tmp_path, capsys, TRUE)
    calls = state.tasks["tax"].calls.values()
    forms = {call.key.role: answer.reading.equivalence or "" for call in calls for answer in call.answers}
    assert forms[Role.GENERATOR] == forms[Role.REVISER]
    assert len(forms[Role.GENERATOR]) == 32
    assert forms[Role.CRITIC] == ""
