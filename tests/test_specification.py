"""The specification's Python examples, run as they are written, each after what it takes for granted."""

import asyncio
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

import orchestrator
from orchestrator import Model, Orchestrator, ProjectState, ProjectStatus, StateManager, Task, TaskType
from orchestrator.cost import CostPredictor, RiskLevel
from orchestrator.policy import JobSpec, Policy
from orchestrator.policy_dsl import load_policy_file
from tests.scripted import fields

SPECIFICATION: Final = Path(__file__).parent.parent.parent / "shared" / "seed" / "README.md"
MARKS: Final = {
    "policies": "# 4-level hierarchy",
    "hooks": "orch.add_hook(EventType.TASK_COMPLETED",
    "policy files": 'load_policy_file("policies.yaml")',
    "budgets": "hier = BudgetHierarchy(",
    "prediction": "predictor = CostPredictor(",
    "predictor in runs": "cost_predictor=predictor",
    "forecast": "profiles = build_default_profiles()",
}
"""A text that stands in one example only."""

pytestmark = pytest.mark.skipif(not SPECIFICATION.is_file(), reason="the specification is not beside the project")


def _example(name: str) -> str:
    """The example as it is written there, without its lines on the audit log."""
    blocks = re.findall(r"^```python\n(.*?)^```$", SPECIFICATION.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (found,) = (block for block in blocks if MARKS[name] in block)
    return str(found).partition("# Audit log")[0]


def _written(mark: str) -> str:
    """The YAML example that begins so."""
    blocks = re.findall(r"^```yaml\n(.*?)^```$", SPECIFICATION.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    (found,) = (block for block in blocks if mark in block)
    return str(found)


def _ran(name: str, **prelude: Any) -> Mapping[str, Any]:
    """The names an example leaves behind."""
    names: dict[str, Any] = dict(prelude)
    exec(_example(name), names)
    return names


def _at_home(orch: Orchestrator, folder: Path, **more: Any) -> Orchestrator:
    """The orchestrator of an example, with scripted answers and a data folder of its own."""
    orch.state_manager = StateManager(folder / "home")
    orch._fields = {**fields(folder), **more}
    return orch


def _project(orch: Orchestrator) -> ProjectState:
    return asyncio.run(orch.run_project("Write x.", "x is there"))


def test_policies() -> None:
    """What binds a job of the team eng is what the organisation and the team want."""
    names = _ran("policies")
    assert [policy.name for policy in names["policies"].policies] == ["gdpr", "eu_only"]
    assert isinstance(names["policies"], orchestrator.PolicySet)


def test_hooks(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The three callbacks print what happened in a run."""
    orch = _at_home(_ran("hooks")["orch"], tmp_path)
    bad = {"iteration": 1, "text": "```python\nx = (\n```"}
    answers = [{**bad, "role": role} for role in ("generator", "reviser")]
    orch._fields = fields(tmp_path, *answers, phase_budgets={"generation": 0.00001})
    assert _project(orch).status is ProjectStatus.SUCCESS
    printed = capsys.readouterr().out
    assert "[only] score=0.950" in printed
    assert re.search(r"WARNING: generation at \d+% of budget", printed)
    assert re.search(r"Validator failed for only using (north|south)", printed)


def test_policy_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Both files are read; a set that contradicts itself is reported, a sound one is not."""
    levels: dict[str, Any] = {
        "global": [{"name": "gdpr", "allow_training_on_output": False, "enforcement_mode": "hard"}],
        "team": {"eng": [{"name": "eu_only", "allowed_regions": ["eu", "global"]}]},
        "job": {"job_001": [{"name": "cost_cap", "max_cost_per_task_usd": 0.50, "max_latency_ms": 5000.0}]},
    }
    monkeypatch.chdir(tmp_path)
    (tmp_path / "policies.yaml").write_text(_written("# policies.yaml"))
    (tmp_path / "policies.json").write_text(json.dumps(levels))
    names = _ran("policy files")
    assert names["report"].is_clean()
    cap = Policy("cost_cap", max_cost_per_task_usd=0.50, max_latency_ms=5000.0)
    assert names["hierarchy"].job["job_001"] == (cap,)
    assert names["hierarchy"] == load_policy_file("policies.yaml")
    levels["team"]["eng"].append({"name": "nowhere", "allowed_regions": []})
    (tmp_path / "policies.json").write_text(json.dumps(levels))
    _ran("policy files")
    assert "Policy errors: (\"policy 'nowhere': allowed_regions is empty" in capsys.readouterr().out


def test_budgets(tmp_path: Path) -> None:
    """The caps bind jobs of this orchestrator; one that may exceed a cap raises ValueError."""
    names = _ran("budgets", Orchestrator=Orchestrator)
    orch = _at_home(names["orch"], tmp_path)
    spec = JobSpec(project_description="Write x.", success_criteria="x is there", team="eng", job_id="job_001")
    assert asyncio.run(orch.run_job(spec)).status is ProjectStatus.SUCCESS
    with pytest.raises(ValueError, match="'sim/job/job_001' has left"):
        asyncio.run(orch.run_job(spec))


def test_prediction() -> None:
    """The recorded amount is predicted; the candidates, left out there, are the models of the table."""
    assert "candidates=[...]" in _example("prediction")
    written = _example("prediction").replace("[...]", "list(COST_TABLE)")
    names: dict[str, Any] = {"CostPredictor": CostPredictor, "Model": Model, "TaskType": TaskType}
    names["COST_TABLE"] = orchestrator.models.COST_TABLE
    exec(written, names)
    assert (names["est"], names["cheapest"]) == (0.000032, Model.KIMI_K2_5)


def test_the_predictor_learns_in_runs(tmp_path: Path) -> None:
    """After a run it knows the model that was asked."""
    predictor = CostPredictor()
    prelude = {"Orchestrator": Orchestrator, "Budget": orchestrator.Budget, "predictor": predictor}
    _project(_at_home(_ran("predictor in runs", **prelude)["orch"], tmp_path))
    assert predictor.has_seen("north", TaskType.CODE_GEN)


@pytest.mark.parametrize(("count", "risk"), [(1, "low"), (2000, "high")])
def test_forecast(count: int, risk: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Total, risk and breakdown are printed, and the warning where the risk is high."""
    tasks = {f"t{number}": Task(f"t{number}", TaskType.CODE_GEN, "Do it.") for number in range(count)}
    names = _ran("forecast", tasks=tasks, predictor=CostPredictor(), Budget=orchestrator.Budget)
    printed = capsys.readouterr().out
    assert names["report"].risk_level is RiskLevel(risk)
    assert f"Risk level: {risk}" in printed
    assert "Breakdown: {'generation': " in printed
    assert ("WARNING" in printed) == (risk == "high")
