import asyncio
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator import Budget, Model, ProjectStatus, Task, TaskType
from orchestrator.cost import BudgetHierarchy, CostForecaster, CostPredictor, CostRecorder, RiskLevel
from orchestrator.events import AccountEvent, CallStarted, CallSucceeded, Held, RunStarted, SessionOpened
from orchestrator.ledger.event_log import EventLog
from orchestrator.models import COST_TABLE, MAX_ITERATIONS, SLOTS, build_default_profiles
from orchestrator.money import Usd
from orchestrator.testing.played_run import play_spec
from tests.scripted import orchestrator, run

COSTS = st.floats(0.000001, 10.0)
KIND = TaskType.CODE_GEN


# ── prediction ─────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.lists(COSTS, min_size=1), st.floats(0.01, 1.0))
def test_a_prediction_is_the_moving_average_seeded_with_the_first_amount(costs: list[float], alpha: float) -> None:
    """Each amount moves it by alpha of the difference; it never leaves what was seen."""
    predictor, expected = CostPredictor(alpha=alpha), costs[0]
    predictor.record("m", KIND, costs[0])
    for cost in costs[1:]:
        predictor.record("m", KIND, cost)
        expected += alpha * (cost - expected)
    assert predictor.predict("m", KIND) == pytest.approx(expected)
    assert min(costs) * 0.999 <= predictor.predict("m", KIND) <= max(costs) * 1.001


def test_what_costs_nothing_teaches_nothing() -> None:
    """Cache hits and failures do not pull the average to zero, and a type says nothing about another."""
    predictor = CostPredictor()
    for cost in (0.0, -1.0, float("nan")):
        predictor.record("m", KIND, cost)
    assert not predictor.has_seen("m", KIND)
    predictor.record("m", KIND, 2.0)
    predictor.record("m", KIND, 0.0)
    assert predictor.predict("m", KIND) == 2.0
    assert not predictor.has_seen("m", TaskType.SUMMARIZATION)


def test_an_unknown_pair_is_estimated_from_the_table_and_an_unknown_model_refused() -> None:
    """Every slot and alias has an estimate, dearer where the price is; nothing else is taken for free."""
    predictor = CostPredictor()
    assert set(COST_TABLE) == set(SLOTS)
    assert 0 < predictor.predict(Model.KIMI_K2_5, KIND) < predictor.predict(Model.CLAUDE_OPUS, KIND)
    assert predictor.predict("claude-3-5-opus-20241022", KIND) == predictor.predict(Model.CLAUDE_OPUS, KIND)
    with pytest.raises(ValueError, match="no price is known for 'unknown'"):
        predictor.predict("unknown", KIND)
    for alpha in (0.0, 1.5, -0.1):
        with pytest.raises(ValueError, match="alpha"):
            CostPredictor(alpha)


def test_the_cheapest_model_is_the_one_with_the_lowest_prediction() -> None:
    """What was seen counts more than the table; who has no price is not chosen."""
    predictor = CostPredictor()
    candidates = ["unknown", Model.CLAUDE_OPUS, Model.KIMI_K2_5]
    assert predictor.cheapest_model(KIND, candidates) == Model.KIMI_K2_5
    predictor.record(Model.CLAUDE_OPUS, KIND, 0.0000001)
    assert predictor.cheapest_model(KIND, candidates) == Model.CLAUDE_OPUS
    with pytest.raises(ValueError, match="no candidate"):
        predictor.cheapest_model(KIND, ["unknown"])


def test_a_run_teaches_its_predictor_what_its_calls_cost(tmp_path: Path) -> None:
    """The model that drafted and the slot it fills are known afterwards, each at the average of its calls."""
    predictor = CostPredictor(alpha=1.0)
    state = run(orchestrator(tmp_path, cost_predictor=predictor))
    started: dict[int, CallStarted] = {}
    latest: dict[tuple[str, str], float] = {}
    for record in _log(tmp_path, state.project_id):
        if isinstance(record.event, CallStarted):
            started[record.version] = record.event
        elif isinstance(record.event, CallSucceeded):
            call = started[record.event.call]
            kind = "evaluation" if call.role == "evaluator" else "code_generation"
            latest[call.model, kind] = float(record.event.settled)
    assert len(latest) >= 3
    for (model, kind), cost in latest.items():
        slot = {"north": "deepseek-chat", "south": "moonshot-v1"}[model]
        assert predictor.predict(model, TaskType(kind)) == predictor.predict(slot, TaskType(kind)) == cost


def _log(folder: Path, run: str) -> list[Any]:
    log = EventLog.open_to_read(folder / "home")
    try:
        return list(log.read(run))
    finally:
        log.close()


# ── forecast ───────────────────────────────────────────────────────────────────────────────────────────────────


def _tasks(count: int) -> dict[str, Task]:
    return {f"t{number}": Task(f"t{number}", KIND, "Do it.") for number in range(count)}


def test_a_forecast_is_iterations_of_drafts_as_much_of_reviews_and_a_part_for_evaluations() -> None:
    """Every phase and the total follow from what one call costs; twice the tasks cost twice as much."""
    predictor = CostPredictor()
    predictor.record(Model.DEEPSEEK_CHAT, KIND, 0.01)
    one = CostForecaster.forecast(_tasks(1).values(), build_default_profiles(), predictor)
    drafts = MAX_ITERATIONS[KIND] * 0.01
    assert one.estimated_per_phase == pytest.approx(
        {"generation": drafts, "cross_review": drafts, "evaluation": 0.3 * drafts}
    )
    assert one.estimated_total_usd == pytest.approx(2.3 * drafts)
    assert one.estimated_time_seconds > 0
    two = CostForecaster.forecast(_tasks(2), build_default_profiles(), predictor)
    assert two.estimated_total_usd == pytest.approx(2 * one.estimated_total_usd)


@pytest.mark.parametrize(
    ("part", "risk"),
    [(0.0, "low"), (0.49, "low"), (0.51, "medium"), (0.79, "medium"), (0.81, "high"), (2.0, "high")],
)
def test_the_risk_is_how_near_a_forecast_comes_to_the_budget(part: float, risk: str) -> None:
    """Low below half, high from 80 percent on; without money always high, without a budget low."""
    tasks, profiles = _tasks(1 if part else 0), build_default_profiles()
    total = CostForecaster.forecast(_tasks(1), profiles).estimated_total_usd
    budget = Budget(max_usd=total / (part or 1))
    assert CostForecaster.forecast(tasks, profiles, CostPredictor(), budget).risk_level.value == risk
    assert CostForecaster.forecast(tasks, profiles, None, Budget(max_usd=0)).risk_level is RiskLevel.HIGH
    assert CostForecaster.forecast(tasks, profiles).risk_level is RiskLevel.LOW


# ── caps over many runs ────────────────────────────────────────────────────────────────────────────────────────


def _accounts(folder: Path) -> dict[str, Any]:
    log = EventLog.open_to_read(folder / "home")
    try:
        return {
            stream: [(record.event, getattr(record.event, "totals", None)) for record in log.read(stream)]
            for stream in log.streams("sim/account/")
        }
    finally:
        log.close()


def test_a_job_draws_on_the_accounts_of_its_team_and_of_the_organisation(tmp_path: Path) -> None:
    """Every call holds and settles in all of them, and what they count is what the run spent."""
    hierarchy = BudgetHierarchy(5.0, {"eng": 3.0, "ops": 1.0}, {"job_001": 2.0})
    state = run(orchestrator(tmp_path, budget_hierarchy=hierarchy), team="eng", job_id="job_001")
    assert state.status is ProjectStatus.SUCCESS
    records = _log(tmp_path, state.project_id)
    first, opened = records[0].event, records[1].event
    assert isinstance(first, RunStarted)
    assert isinstance(opened, SessionOpened)
    assert first.settings.accounts == ("org", "team/eng", "job/job_001")
    assert opened.caps == {"org": Usd.parse(5), "team/eng": Usd.parse(3), "job/job_001": Usd.parse(2)}
    accounts = _accounts(tmp_path)
    assert set(accounts) == {"sim/account/org", "sim/account/team/eng", "sim/account/job/job_001"}
    calls = {record.version: record.event for record in records if isinstance(record.event, CallStarted)}
    spent = Usd.parse(state.budget.spent_usd)
    for history in accounts.values():
        assert all(isinstance(event, AccountEvent) for event, _ in history)
        held = {event.call: event.amount for event, _ in history if isinstance(event, Held)}
        assert held == {version: call.hold for version, call in calls.items()}
        assert (history[-1][1].settled, history[-1][1].held) == (spent, Usd.ZERO)


def test_what_was_spent_counts_against_the_next_run_of_another_orchestrator(tmp_path: Path) -> None:
    """The second job fits into what is left only with a smaller budget; what it may not spend is an error at once."""
    hierarchy = BudgetHierarchy(org_max_usd=1.0)
    first = run(orchestrator(tmp_path, Budget(max_usd=1.0), budget_hierarchy=hierarchy), project_id="first")
    with pytest.raises(ValueError, match=r"budget of \$1\.0* exceeds what the account 'sim/org' has left"):
        run(orchestrator(tmp_path, Budget(max_usd=1.0), budget_hierarchy=hierarchy), project_id="second")
    assert _log(tmp_path, "second") == []
    again = run(orchestrator(tmp_path, Budget(max_usd=0.9), budget_hierarchy=hierarchy), project_id="second")
    totals = _accounts(tmp_path)["sim/account/org"][-1][1]
    assert totals.settled == Usd.parse(first.budget.spent_usd) + Usd.parse(again.budget.spent_usd)


def test_another_cap_is_set_and_one_below_what_is_spent_is_an_error(tmp_path: Path) -> None:
    """The hierarchy of the latest orchestrator holds, as long as it is possible."""
    run(orchestrator(tmp_path, budget_hierarchy=BudgetHierarchy(1.0)))
    run(orchestrator(tmp_path, Budget(max_usd=0.5), budget_hierarchy=BudgetHierarchy(0.7)))
    assert _accounts(tmp_path)["sim/account/org"][-1][1].cap == Usd.parse("0.7")
    with pytest.raises(ValueError, match="settled and held"):
        run(orchestrator(tmp_path, Budget(max_usd=0.0001), budget_hierarchy=BudgetHierarchy(0.0001)))


def test_a_run_without_a_hierarchy_is_bound_by_the_accounts_that_stand_there(tmp_path: Path) -> None:
    """It may begin with a larger budget, because its calls are held one by one; it ends where the account does."""
    run(
        orchestrator(tmp_path, budget_hierarchy=BudgetHierarchy(1.0, {"eng": 0.0006})),
        team="eng",
        budget=Budget(0.0006),
    )
    state = run(orchestrator(tmp_path), team="eng", project_id="bound")
    assert state.status is ProjectStatus.BUDGET_EXHAUSTED
    team = _accounts(tmp_path)["sim/account/team/eng"][-1][1]
    assert team.settled + team.held <= team.cap
    free = asyncio.run(orchestrator(tmp_path).run_project("Write x.", "x is there", "free"))
    assert free.status is ProjectStatus.SUCCESS


def test_a_cap_is_an_amount() -> None:
    """Negative and endless caps are refused when the hierarchy is made."""
    for wrong in (-1.0, float("inf")):
        with pytest.raises(ValueError, match=r"below nothing|finite"):
            BudgetHierarchy(org_max_usd=wrong)
    assert BudgetHierarchy(1.0, {"a": 2.0}).caps_for("b") == {"org": Usd.parse(1)}


def test_todays_price_goes_before_the_table_and_behind_what_was_recorded(tmp_path: Path) -> None:
    """A predictor has prices from the run it has seen, or by hand; a recorded cost goes before both."""
    predictor = CostPredictor()
    by_table = predictor.predict("gpt-4o", TaskType.CODE_GEN)
    predictor.price("gpt-4o", 1.25, 5.0)
    assert predictor.predict("gpt-4o", TaskType.CODE_GEN) == pytest.approx(by_table / 2)
    predictor.record("gpt-4o", TaskType.CODE_GEN, 7.0)
    assert predictor.predict("gpt-4o", TaskType.CODE_GEN) == 7.0
    with pytest.raises(ValueError, match="no price is known for 'north'"):
        predictor.predict("north", TaskType.SUMMARIZATION)
    played = play_spec(tmp_path)
    recorder = CostRecorder(predictor)
    for version, event in enumerate(played.events, 1):
        recorder.observe(version, 0, event)
    assert predictor.predict("north", TaskType.SUMMARIZATION) > 0
    assert predictor.cheapest_model(TaskType.SUMMARIZATION, ["south", "north"]) == "north"
