"""Tricks of other kinds by which code passes tests without solving the task; each is run, and none passes.

Their names are put together as no look at the text sees, so that it is the run itself that finds them.
"""

import json
from pathlib import Path

import pytest

from orchestrator.models import Verdict
from orchestrator_validators.pytest_suite import pytest_suite
from orchestrator_validators.tampering_code import tampering
from tests.cli.command import orchestrate, scripted_spec
from tests.plugins.validators.contained import candidate, judge, levels
from tests.plugins.validators.right_answers import HONEST
from tests.plugins.validators.tricks import EQUAL, LEAVING, REACHING, REPLACING

TESTS = """from calc import add

def test_add():
    assert add(2, 2) == 4

def test_zero():
    assert add(0, 1) == 1
"""
WRONG = "\ndef add(a, b):\n    return 0\n"


def code(trick: str) -> str:
    """A file with a trick, and with a function that solves nothing."""
    return trick if "def add(" in trick else trick + WRONG


def found(trick: str) -> str:
    """What is said of a trick; it does not pass."""
    finding = judge(pytest_suite, candidate(f"```python title=calc.py\n{code(trick)}\n```", TESTS))
    assert finding.verdict is not Verdict.PASSED
    return finding.details


@pytest.mark.parametrize("trick", REACHING)
def test_reaching_is_refused_while_it_happens(trick: str) -> None:
    """No spelling hides it."""
    assert tampering(code(REACHING[trick])) == ()
    assert "tampering" in found(REACHING[trick])


@pytest.mark.parametrize("trick", REPLACING)
def test_what_is_replaced_is_seen(trick: str) -> None:
    """What is put back before the end is seen, too."""
    assert "tampering" in found(REPLACING[trick])


@pytest.mark.parametrize("trick", EQUAL)
def test_an_object_that_equals_everything_answers_nothing(trick: str) -> None:
    """It is compared with more than the test compares it with."""
    assert "tampering: " in found(EQUAL[trick])


@pytest.mark.parametrize("trick", LEAVING)
def test_leaving_and_writing_pass_nothing(trick: str) -> None:
    """Neither an exit status nor a file nor a line of output is taken for a result."""
    assert found(LEAVING[trick])


SWALLOWING = """
class timed:
    def __enter__(self): return self
    def __exit__(self, *rest): return True
def quiet(test):
    return lambda: None
def add(a, b):
    return 0
"""
SWALLOWED = {
    "a block": "def test_a():\n    with calc.timed():\n        assert calc.add(2, 2) == 4\n",
    "a block that ends early": "def test_a():\n    with calc.timed():\n        x = calc.add()\n        assert x == 4\n",
    "a decorator": "@calc.quiet\ndef test_a():\n    assert calc.add(2, 2) == 4\n",
}


@pytest.mark.parametrize("trick", SWALLOWED)
def test_an_assertion_that_was_not_executed_proves_nothing(trick: str) -> None:
    """A context or a decorator of the code under test swallows what fails in a test."""
    given = candidate(f"```python title=calc.py\n{SWALLOWING}\n```", f"import calc\n{SWALLOWED[trick]}")
    finding = judge(pytest_suite, given)
    assert finding.verdict is Verdict.FAILED
    assert "without their assertions" in finding.details


@pytest.mark.parametrize("name", HONEST)
def test_no_right_answer_is_refused(name: str) -> None:
    """Equality of one's own, profilers, signals, frames of others: what is honest passes."""
    source, tests = HONEST[name]
    finding = judge(pytest_suite, candidate(f"```python title=calc.py\n{source}\n```", tests))
    assert finding.verdict is Verdict.PASSED, finding.details


FRONT = {
    "honest": ("def add(a, b):\n    return a + b", "completed", True),
    "reaching": (REACHING["a frame"], "degraded", False),
    "replacing": (REPLACING["replaced and put back"], "degraded", False),
    "equal": (EQUAL["a class made in passing"], "degraded", False),
}


@pytest.mark.parametrize("name", FRONT)
def test_a_run_does_not_complete_by_a_trick(name: str, tmp_path: Path) -> None:
    """A run with given tests and an evaluator that is content: only what solves the task is completed."""
    if not levels():
        pytest.skip("no sandbox holds on this machine")
    trick, status, passed = FRONT[name]
    task = {"id": "calc", "type": "code_generation", "prompt": "Write add.", "hard_validators": ["pytest"]}
    answers = [
        *({"role": role, "text": f"```python\n{code(trick)}\n```"} for role in ("generator", "reviser")),
        {"role": "evaluator", "text": json.dumps({"reasons": "perfect", "score": 1.0})},
    ]
    tasks = [{**task, "tests": TESTS}]
    spec = scripted_spec(tmp_path, answers=answers, project_id="r", tasks=tasks, task_paths={"calc": "calc.py"})
    assert orchestrate(tmp_path / "home", "run", str(spec), "-o", "out").code == (0 if passed else 1)
    summary = json.loads((tmp_path / "home" / "out" / "summary.json").read_text())
    assert (summary["tasks"][0]["status"], summary["tasks"][0]["gate_passed"]) == (status, passed)
