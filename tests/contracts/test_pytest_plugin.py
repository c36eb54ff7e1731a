"""The fixtures for authors, and that loading them costs nothing."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator import events as e
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import ProjectStatus, TaskStatus
from tests.plugins.conftest import run_python

LOADING = """
import json, sys
import orchestrator.testing.pytest_plugin
import orchestrator.testing
print(json.dumps(sorted(sys.modules)))
"""


def test_it_is_loaded_by_its_entry_point(pytestconfig: pytest.Config) -> None:
    """Beside pytest the installed program offers the fixtures; they can be left out by name."""
    assert pytestconfig.pluginmanager.has_plugin("orchestrator")


def test_loading_it_imports_nothing_heavy() -> None:
    """Neither Hypothesis nor anything of the house but the two empty packages around it."""
    loaded = set(json.loads(run_python("-c", LOADING).stdout))
    ours = {name for name in loaded if name.split(".")[0].startswith("orchestrator")}
    assert ours == {
        "orchestrator",
        "orchestrator.lazy_names",
        "orchestrator.testing",
        "orchestrator.testing.pytest_plugin",
    }
    assert not loaded & {"hypothesis", "httpx", "attrs", "pluggy.nothing", "rich", "click", "sqlite3"}


def test_a_run_is_played(orchestrate_run: Callable[..., Any]) -> None:
    """A spec with scripted answers runs to its end, and its events can be looked at."""
    played = orchestrate_run(
        tasks=[{"id": "a", "type": "code_generation", "prompt": "x", "hard_validators": ["python_syntax"]}]
    )
    assert played.status is ProjectStatus.SUCCESS
    assert played.task("a").status is TaskStatus.COMPLETED
    assert {check.validator for check in played.all(e.CheckStarted)} == {"python_syntax"}
    assert any(played.output.rglob("*.py"))


def test_two_runs_of_one_test_are_apart(orchestrate_run: Callable[..., Any]) -> None:
    """Each has a folder of its own; later answers win over the usual ones."""
    one, other = orchestrate_run(), orchestrate_run(answers=[{"role": "evaluator", "text": '{"score": 0.1}'}])
    assert one.home != other.home
    assert (one.status, other.task().status) == (ProjectStatus.SUCCESS, TaskStatus.DEGRADED)


def test_a_log_in_memory(event_log: EventLog) -> None:
    """It is empty, and can be written and read."""
    assert event_log.last("run") is None


def test_a_vendor_that_pretends(simulated_vendor: Callable[..., Any]) -> None:
    """It sells a model per price and has written no bill yet."""
    vendor = simulated_vendor(prices=[1.0, 2.0, 3.0], faults=["server"], rate=1.0)
    assert [each.id for each in vendor.catalogue] == ["model-0", "model-1", "model-2"]
    assert vendor.bills == []


def test_a_third_party_project_finds_it(tmp_path: Path) -> None:
    """In another project, where warnings are errors, the fixtures are there; left out, they are not."""
    (tmp_path / "test_x.py").write_text("def test_x(event_log): assert event_log.last('x') is None\n")
    strict = ("-m", "pytest", "-q", "-W", "error", "--rootdir", str(tmp_path), str(tmp_path))
    assert run_python(*strict).returncode == 0
    assert "fixture 'event_log' not found" in run_python(*strict, "-p", "no:orchestrator").stdout
