"""The front door for Python, used as the specification's examples use it."""

import asyncio
from pathlib import Path

import pytest

from orchestrator import Budget, Model, Orchestrator, ProjectStatus, StateManager, TaskStatus
from orchestrator.errors import NoProviderError, SpecError, UsageError
from orchestrator.models import ProjectState

QUICKSTART = Path(__file__).parent.parent / "examples" / "quickstart"


def _orchestrator(folder: Path, budget: Budget, **fields: object) -> Orchestrator:
    providers = {"scripted": {"answers": str(QUICKSTART / "answers.yaml")}}
    return Orchestrator(budget=budget, state_manager=StateManager(folder), **{"providers": providers, **fields})  # type: ignore[arg-type]


def _run(orchestrator: Orchestrator, project_id: str = "") -> ProjectState:
    return asyncio.run(
        orchestrator.run_project(
            project_description="Build a small CSV statistics library",
            success_criteria="its tests pass",
            project_id=project_id,
        )
    )


def test_a_project_runs_and_its_state_reads_like_the_specification(tmp_path: Path) -> None:
    """Status, spend, results, tasks, order and health have the names and types of the specification."""
    budget = Budget(max_usd=8.0, max_time_seconds=5400)
    state = _run(_orchestrator(tmp_path, budget))
    assert state.status is not None
    assert state.status.value == "SUCCESS"
    assert 0 < state.budget.spent_usd <= budget.max_usd
    assert state.budget is budget
    assert state.budget.remaining_usd == pytest.approx(8.0 - state.budget.spent_usd)
    assert sum(state.budget.phase_spent.values()) == pytest.approx(state.budget.spent_usd)
    assert list(state.results) == state.execution_order
    assert set(state.tasks) == set(state.results)
    for task_id, result in state.results.items():
        assert result.status is TaskStatus.COMPLETED
        assert 0.0 < result.score <= 1.0
        assert result.output
        assert result.model_used.value in state.api_health
        assert result.reviewer_model is not None
        assert result.reviewer_model != result.model_used
        assert result.deterministic_check_passed
        assert result.cost_usd > 0
        assert result.iterations >= 1
        assert state.tasks[task_id].prompt
    assert any(result.degraded_fallback_count for result in state.results.values())
    assert len(state.head) == 64


def test_a_given_id_goes_on_with_the_same_project_and_refuses_another(tmp_path: Path) -> None:
    """The same spec under the same id is the same run; another spec is refused with the difference."""
    first = _run(_orchestrator(tmp_path, Budget()), "demo")
    again = _run(_orchestrator(tmp_path, Budget()), "demo")
    assert (again.head, again.status) == (first.head, first.status)
    with pytest.raises(UsageError, match="budget_usd"):
        _run(_orchestrator(tmp_path, Budget(max_usd=2.0)), "demo")


def test_a_budget_that_is_too_small_ends_the_run_and_is_never_exceeded(tmp_path: Path) -> None:
    """A tenth of a cent is not enough: the run says so and has spent no more than that."""
    state = _run(_orchestrator(tmp_path, Budget(max_usd=0.001)))
    assert state.status is ProjectStatus.BUDGET_EXHAUSTED
    assert state.budget.spent_usd <= 0.001


def test_bad_arguments_are_refused_before_anything_is_recorded(tmp_path: Path) -> None:
    """A negative budget and an unknown field are errors of the arguments."""
    with pytest.raises(SpecError, match="budget_usd"):
        _run(_orchestrator(tmp_path, Budget(max_usd=-1.0)))
    with pytest.raises(SpecError, match="bugdet"):
        _run(_orchestrator(tmp_path, Budget(), bugdet=3))


def test_without_any_key_the_message_names_the_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No key, no address, no script: nothing runs, and the user is told what to set."""
    monkeypatch.delenv("OPENAI_COMPATIBLE_BASE_URL", raising=False)
    monkeypatch.delenv("OPENAI_COMPATIBLE_API_KEY", raising=False)
    monkeypatch.chdir(tmp_path)
    with pytest.raises(NoProviderError, match="OPENAI_COMPATIBLE_BASE_URL"):
        _run(Orchestrator(budget=Budget(), state_manager=StateManager(tmp_path / "home")))


def test_models_have_the_names_of_the_specification() -> None:
    """Slots are attributes with a value; any other name is a model too."""
    assert Model.KIMI_K2_5.value == "moonshot-v1"
    assert Model.DEEPSEEK_CHAT == "deepseek-chat"
    assert Model("my-model").value == "my-model"


def test_a_budget_counts_time_from_its_making_until_a_run_uses_it() -> None:
    """``can_afford`` and ``time_remaining`` answer before any run."""
    budget = Budget(max_usd=1.0, max_time_seconds=100.0)
    assert budget.can_afford(1.0)
    assert not budget.can_afford(1.01)
    assert budget.time_remaining()
    assert 0.0 <= budget.elapsed_seconds < 100.0
