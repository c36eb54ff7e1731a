"""What guards the log is no ``assert``: it holds in an interpreter that leaves them out."""

import pytest

from tests.plugins.conftest import run_python

CASES = {
    "an account that would be overdrawn": "_checked(Totals(Usd(10), Usd(8), Usd(3), Usd(0), Usd(0)))",
    "one that holds less than is unreconciled": "_checked(Totals(Usd(10), Usd(0), Usd(3), Usd(4), Usd(0)))",
    "an outcome of another effect": "apply(asked(), 2, e.Validated(1, Verdict.PASSED, None, 0))",
}
SCRIPT = """
from orchestrator import events as e
from orchestrator.errors import LogError
from orchestrator.events import Totals
from orchestrator.ledger.accounts import _checked
from orchestrator.models import Verdict
from orchestrator.money import Usd
from orchestrator.state.fold import apply
from orchestrator.state.run import RunState

def asked():
    state = RunState()
    state.pending[1] = e.VerificationStarted(1)
    return state

assert False, "assertions are on"
try:
    {case}
except (LogError, ValueError) as error:
    print("refused:", error)
"""


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_without_assertions_too(case: str) -> None:
    """With ``python -O`` an error of its own says what is wrong."""
    done = run_python("-O", "-c", SCRIPT.format(case=CASES[case]))
    assert done.stdout.startswith("refused: "), done.stderr
