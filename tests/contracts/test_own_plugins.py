"""Every plugin of our own passes the suite of its kind, built through its entry point."""

from pathlib import Path
from typing import Any, Final

import pytest

from orchestrator.models import TaskType
from orchestrator.plugins import DISTRIBUTION, Catalogue
from orchestrator.spi import Candidate
from orchestrator.testing import PluginContract, load_recordings
from orchestrator.testing.contracts import names_of_tests
from orchestrator.testing.installed import suites_of

ROOT: Final = Path(__file__).parents[2]
WIRE: Final = ROOT / "tests" / "data" / "wire"


def candidate(kind: TaskType, content: str, **more: Any) -> Candidate:
    """An output of a task."""
    return Candidate("t", kind, content, content, files={"main.py": content}, **more)


CODE: Final = TaskType.CODE_GEN
SCHEMA: Final = {"type": "object", "required": ["a"]}
POLICIES: Final = '{"global": [{"name": "eu", "allowed_regions": ["eu"]}],\n "team": {}}'
GIVEN: Final[dict[str, dict[str, Any]]] = {
    **{f"provider:{path.stem}": {"recordings": load_recordings(path)} for path in WIRE.glob("*.json")},
    "provider:openai_compatible": {"recordings": load_recordings(WIRE / "deepseek.json")[:1]},
    "provider:scripted": {"options": {"answers": str(ROOT / "examples" / "quickstart" / "answers.yaml")}},
    "validator:python_syntax": {"passing": [candidate(CODE, "x = 1")], "failing": [candidate(CODE, "x = (")]},
    "validator:length": {"passing": [candidate(CODE, "x" * 20)], "failing": [candidate(CODE, "x")]},
    "validator:json_schema": {
        "passing": [candidate(TaskType.DATA_EXTRACTION, '{"a": 1}', schema=SCHEMA)],
        "failing": [candidate(TaskType.DATA_EXTRACTION, "{}", schema=SCHEMA)],
    },
    "validator:ruff": {"passing": [candidate(CODE, "x = 1\n")], "failing": [candidate(CODE, "x = y\n")]},
    "command:eval": {"may_import": ["orchestrator"]},  # an import contract of the repository lists what it sees
    "backend:pareto": {"refuses_dominated": True},
    "policy_loader:json": {
        "samples": [(POLICIES, {"global": [{"name": "eu", "allowed_regions": ["eu"]}], "team": {}})]
    },
    "policy_loader:yaml": {
        "samples": [("global:\n  - name: eu\nteam: {}\n", {"global": [{"name": "eu"}], "team": {}})]
    },
}
SUITES: Final = suites_of(Catalogue.discover({"ORCHESTRATE_NO_AUTOLOAD": "1"}), DISTRIBUTION, GIVEN)
SLOW: Final = (
    "Test_exporter_opentelemetry",  # tries for seconds to reach a collector that is not there
    "Test_policy_loader_yaml",
    *(f"Test_backend_{name}" for name in ("pareto", "weighted_sum")),
    *(f"Test_provider_{name}" for name in ("google", "kimi", "deepseek", "minimax", "zhipu")),
)
"""For the long line of tests; of each kind some are for every day."""


def cases() -> list[Any]:
    """Every suite and its tests."""
    return [
        pytest.param(suite, test, id=f"{name}-{test}", marks=[pytest.mark.heavy] if name in SLOW else [])
        for name, suite in SUITES.items()
        for test in names_of_tests(suite)
    ]


@pytest.mark.parametrize(("suite", "test"), cases())
def test_our_own_plugins_keep_the_contract(suite: type[PluginContract], test: str) -> None:
    """The same suites that third-party authors inherit from, found in the same way."""
    getattr(suite(), test)()


def test_no_plugin_is_left_out() -> None:
    """There is a suite for every entry point of the distribution."""
    own = [each for each in Catalogue.discover().entries() if each.distribution == DISTRIBUTION]
    assert len(SUITES) == len(own) > 30
